"""A link of headquarters to nodes in memory, under a clock that jumps from timer to timer."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from dispatch_server.counters import Counters
from dispatch_server.links.backoff import Backoff
from dispatch_server.links.channel import Channel, StreamChannel
from dispatch_server.links.link import Link
from dispatch_server.links.pool import Pool
from protocol.aio.listener import Listener
from protocol.aio.ports import Accept, Stream
from protocol.aio.station import Work
from protocol.handshake import Fresh, Grant, Local
from protocol.items import AskItem, Item
from protocol.keys import Role, SigningKey
from protocol.limits import Timers
from protocol.messages import LedgerHead, Sample
from protocol.outbox import Inbox, Outbox
from protocol.requests import AnyReply, DoneReply, LogoutRequest, Request
from protocol.session import HelloReceived
from protocol.subordinate import SubordinateSession
from tests.protocol.links import XorStandIn
from tests.protocol.parties import HQ, OTHER_PLANT, PLANT
from tests.support.memory_network import MemoryNetwork, MemoryStream
from tests.support.pki import DEPLOYMENT
from tests.support.stations import Node
from tests.support.virtual_loop import Seeded, run

ITEM = AskItem(to="plant-1", order="o-1", head=bytes(32))
QUESTION = LogoutRequest(person="wang", session=bytes(16))
KEYS = {"plant-1": PLANT, "plant-2": OTHER_PLANT}
AsyncTest = Callable[..., Coroutine[Any, Any, None]]


def virtually(test: AsyncTest) -> Callable[..., None]:
    """Run a test under the virtual clock."""

    @functools.wraps(test)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        run(test(*args, **kwargs))

    return wrapper


class ProvenStream:
    """A stream in memory with the certificate that TLS would have proved."""

    def __init__(self, stream: MemoryStream, key: SigningKey) -> None:
        self.peer_certificate = key.certificate.der
        self.read = stream.read
        self.write = stream.write
        self.drain = stream.drain
        self.close = stream.close


class PolicyStandIn:
    """Takes items; `trouble` is raised by each decision, `delay` (s) passes before each."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, Item]] = []
        self.trouble: Exception | None = None
        self.delay = 0.0
        self.refuses = False

    async def prepare(self, peer: str, item: Item) -> None:
        await asyncio.sleep(self.delay)

    def on_item(self, work: Work, peer: str, item: Item) -> None:
        work.note("taken", peer, order=item.to)
        work.refusals += self.refuses
        if self.trouble:
            raise self.trouble
        self.taken.append((peer, item))


class SuperiorStandIn:
    """What headquarters does with telemetry and questions; `thinks` (s) passes before each answer."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, tuple[Sample, ...]]] = []
        self.asked: list[tuple[str, Request]] = []
        self.thinks = 0.0
        self.counters = Counters()
        self.faults: list[tuple[str, Exception]] = []

    def on_fault(self, node: str, error: Exception) -> None:
        self.faults.append((node, error))

    def on_report(self, node: str, samples: tuple[Sample, ...]) -> None:
        self.reports.append((node, samples))

    async def answer(self, node: str, request: Request) -> AnyReply:
        self.asked.append((node, request))
        await asyncio.sleep(self.thinks)
        return DoneReply()


class Rig:
    """Headquarters, its links, and a network; what listens at the other end is a test's choice."""

    def __init__(self) -> None:
        self.network = MemoryNetwork(Seeded(1), latency=(0.001, 0.002))
        self.node = Node(HQ)
        self.policy = PolicyStandIn()
        self.superior = SuperiorStandIn()
        self.random = Seeded(2).randbytes
        self.dials: list[float] = []

    def link(
        self,
        name: str = "plant-1",
        *,
        proves: SigningKey | None = None,
        timers: Timers | None = None,
        fails: Exception | None = None,
    ) -> Link:
        """A link, not yet running. `proves`: whose certificate the other end shows; `fails`: the dial."""

        async def dial() -> Channel:
            self.dials.append(now())
            if fails:
                raise fails
            return StreamChannel(ProvenStream(await self.network.dial("hq", name), proves or KEYS[name]))

        return Link(
            self.node.station,
            name,
            Role.PLANT,
            dial=dial,
            policy=self.policy,
            superior=self.superior,
            timers=timers or Timers(),
            backoff=Backoff(lambda: 0.0),
            random=self.random,
        )

    def start(self, link: Link) -> "asyncio.Task[None]":
        """Run the loop of a link."""
        return asyncio.get_running_loop().create_task(Pool([link]).run())

    def listen(self, name: str, accept: Accept) -> None:
        """Let something wait for headquarters at a node."""
        self.network.listen(name, lambda stream: accept(ProvenStream(stream, HQ)))

    def subordinate(self, name: str = "plant-1") -> tuple[Node, Listener, PolicyStandIn]:
        """A real subordinate that waits for headquarters."""
        node, policy = Node(KEYS[name]), PolicyStandIn()
        listener = Listener(node.station, "hq", policy, Seeded(name).randbytes)
        self.listen(name, listener.accept)
        return node, listener, policy


def post(node: Node, peer: str) -> None:
    """Something durable waits at a node for a peer."""
    work = node.station.work()
    work.post(peer, ITEM)
    node.station.commit(work)


class Puppet:
    """The other end of a link that shakes hands and then does only what a test makes it do."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.outbox = Outbox()
        local = Local(key=PLANT, deployment=DEPLOYMENT, boot=bytes(16), inner=XorStandIn)
        self.session = SubordinateSession(
            local, HQ.certificate, granted=Grant(), outbox=self.outbox, inbox=Inbox()
        )

    async def shake_hands(self) -> None:
        """Answer the Hello."""
        while not self.session.is_open:
            await self.listen()
        self.send()

    async def listen(self) -> None:
        """Digest what headquarters sent. Raises ConnectionResetError at the end, LinkLost at a farewell."""
        data = await self.stream.read(65_536)
        if not data:
            raise ConnectionResetError("headquarters closed the connection")
        for event in self.session.receive(data, now()):
            if isinstance(event, HelloReceived):
                self.session.welcome(event.hello, Fresh.of(bytes(range(48))), now())

    def send(self) -> None:
        """Answer a poll if there is one and news for it; send everything that waits."""
        self.session.advance(now(), LedgerHead(entry=0, hash=bytes(32)))
        if data := self.session.data_to_send():
            self.stream.write(data)

    async def report(self) -> None:
        """Answer the next poll."""
        while self.session._poll is None:
            await self.listen()
        self.send()

    async def serve(self) -> None:
        """Answer polls until the end."""
        while True:
            self.send()
            await self.listen()

    def put(self, item: bytes) -> None:
        """Something durable for headquarters."""
        self.outbox.mark_durable(self.outbox.add(item))


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


async def until(condition: Callable[[], object], within: float = 60.0) -> float:
    """Wait for something; tells how many (virtual) seconds that took."""
    began = now()
    for _ in range(round(within * 1000)):
        if condition():
            return now() - began
        await asyncio.sleep(0.001)
    pytest.fail(f"did not happen within {within} s")
