"""A whole server in memory whose links lead nowhere."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from typing_extensions import override

from dispatch_server.awareness.guard import GuardSettings
from dispatch_server.awareness.store import TelemetryStore
from dispatch_server.config import LinkSettings
from dispatch_server.links.channel import Channel
from dispatch_server.links.link import Dial
from dispatch_server.orders.checks import Rules
from dispatch_server.server import Ports, Server
from protocol.keys import Role, SigningKey
from protocol.lifecycle import Input, State
from protocol.limits import Timers
from protocol.messages import Sample
from protocol.requests import AnyReply, DoneReply, Request
from tests.dispatch_server.orders.support import PeopleStandIn
from tests.protocol.parties import CENTER, HQ, Chain
from tests.support.pki import NOW_MS
from tests.support.stations import Clock, Node, up
from tests.support.virtual_loop import Seeded

DESK_LINK = LinkSettings(node="desk-1", role=Role.DESK, host="-")
PLANT_LINK = LinkSettings(node="plant-1", role=Role.PLANT, host="-")
CENTER_LINK = LinkSettings(node="center-1", role=Role.CENTER, host="-", serves=("plant-3",))
METRICS = ("logged_in_nodes", "network_flow", "external_connections", "memory_used")


class Everybody(PeopleStandIn):
    """The people that headquarters asks, who answer questions too."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, Request]] = []

    async def answer(self, node: str, request: Request) -> AnyReply:
        self.asked.append((node, request))
        return DoneReply()


class LoopClock(Clock):
    """A wall clock that goes on with the loop's; `advance` steps it."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    @override
    def __call__(self) -> int:
        return self.ms + round((self._loop.time() - self._began) * 1000)


class House:
    """A server whose links lead nowhere. `host`: what reading its own telemetry gives, or raises."""

    def __init__(
        self,
        key: SigningKey,
        *links: LinkSettings,
        superior: str | None = None,
        guard: GuardSettings | None = None,
        store: Path | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.node = Node(key, clock=clock or Clock())
        self.people = Everybody()
        self.host: Sample | Exception | Awaitable[Sample] = sample(key.certificate.name)
        self.dials: list[str] = []
        self._links, self._superior, self._guard, self._store = links, superior, guard, store
        self.server = self._serve()

    def _serve(self) -> Server:
        return Server(
            self.node.station,
            self.people,
            Ports(
                dial=self._dial, random=Seeded(1).randbytes, uniform=lambda: 0.0, read_host=self._read_host
            ),
            links=self._links,
            superior=self._superior,
            timers=Timers(),
            rules=Rules(),
            telemetry_interval=5.0,
            guard=self._guard,
            telemetry=TelemetryStore(self._store) if self._store else None,
        )

    def restart(self) -> None:
        """A new process over the same journal."""
        self.node.restart()
        self.server = self._serve()

    def _dial(self, link: LinkSettings) -> Dial:
        async def dial() -> Channel:
            self.dials.append(link.node)
            raise ConnectionRefusedError("nobody is there")

        return dial

    async def _read_host(self) -> Sample:
        if isinstance(self.host, Exception):
            raise self.host
        return self.host if isinstance(self.host, Sample) else await self.host

    def start(self) -> "asyncio.Task[None]":
        """Run all parts; the task ends with the first that fails."""

        async def run() -> None:
            async with asyncio.TaskGroup() as group:
                for part in self.server.parts():
                    group.create_task(part)

        return asyncio.get_running_loop().create_task(run())

    async def issue(self, chain: Chain) -> State:
        """The dispatcher issues an order; tells what became of it."""
        await self.node.load(chain.record)
        event = chain.event(Input.ISSUE)
        self.people.grant(event)
        await self.node.take(self.server.links[0].policy, "desk-1", up(event))
        return self.state(chain.record.order)

    def state(self, order: str = "o-1") -> State:
        """Of an order."""
        return self.node.station.orders[order].state

    def counted(self, name: str) -> float:
        """One of the server's counters."""
        return self.server.counters.snapshot()[name]

    def close(self) -> None:
        self.node.close()


@contextmanager
def running(house: House) -> "Iterator[asyncio.Task[None]]":
    """The server runs inside the block."""
    task = house.start()
    try:
        yield task
    finally:
        task.cancel()


def headquarters(
    guard: GuardSettings | None = None, store: Path | None = None, clock: Callable[[], Clock] = Clock
) -> House:
    return House(HQ, DESK_LINK, PLANT_LINK, CENTER_LINK, guard=guard, store=store, clock=clock())


def center() -> House:
    return House(CENTER, LinkSettings(node="plant-3", role=Role.PLANT, host="-"), superior="hq")


def sample(node: str, value: float | None = 1.0) -> Sample:
    return Sample(node=node, at_ms=NOW_MS, **dict.fromkeys(METRICS, value))
