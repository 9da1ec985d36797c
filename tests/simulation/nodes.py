"""The nodes: the real programs' parts, wired as their app.py does, on a disk and a network in memory."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

from typing_extensions import override

from dispatch_client.client import Client
from dispatch_client.desk import Desk
from dispatch_client.login import Authenticator
from dispatch_client.plant import Plant
from dispatch_server.config import LinkSettings
from dispatch_server.links.dial import Dial, LinkState
from dispatch_server.server import Ports, Server
from protocol.aio.listener import Listener
from protocol.aio.node import every
from protocol.aio.ports import Stream
from protocol.aio.station import Policy, Station
from protocol.handshake import Local
from protocol.keys import SigningKey
from protocol.lifecycle import Input
from protocol.messages import LedgerHead, Sample
from protocol.record import OrderRecord
from tests.simulation.cast import CENTER, EPOCH_MS, HQ, StandIn, cast
from tests.simulation.disk import Disk, DiskWriter
from tests.simulation.environment import Environment
from tests.simulation.people import CODE, SimulatedPeople, Store, password_of
from tests.simulation.trace import IS_LATE, WHERE
from tests.support.memory_network import MemoryStream
from tests.support.pki import DEPLOYMENT
from tests.support.virtual_loop import Seeded

SKEW_MS = 1_000  # how far a wall clock is off that nobody has stepped
_CLIENT_TICK = 1.0  # s
_TELEMETRY = 2.5  # s, of clients: twice as often as the shortest time after which a plant is lost
_SERVER_TELEMETRY = 20.0  # s
R = TypeVar("R")


class NodeDown(Exception):
    """The node crashed in the middle of what was asked of it, or does not run."""


class ProvenStream:
    """A stream in memory with the certificate that TLS would have proved."""

    def __init__(self, stream: MemoryStream) -> None:
        self._stream = stream
        self.peer_certificate = cast().nodes[stream.remote].certificate.der
        self.read = stream.read
        self.write = stream.write
        self.drain = stream.drain
        self.close = stream.close


class CountingStation(Station):
    """Counts what came twice."""

    count: Callable[[str, int], None]

    @override
    async def take(
        self, peer: str, items: Sequence[tuple[int, bytes]], policy: Policy, seen: LedgerHead | None = None
    ) -> int:
        received = self.inbox(peer).received.cursor
        self.count("items that came again", sum(cursor <= received for cursor, _ in items))
        return await super().take(peer, items, policy, seen)


class Node:
    """One machine with its disk and clock. It may crash and start any number of times."""

    def __init__(self, env: Environment, name: str) -> None:
        self.env = env
        self.name = name
        self.key: SigningKey = cast().nodes[name]
        self.rng = Seeded(f"{env.plan.seed}/{name}")
        self.disk = Disk(self.key)
        self.skew_ms = self.rng.randint(-SKEW_MS, SKEW_MS)
        self.is_up = False
        self._writer: DiskWriter | None = None
        self._tasks: dict[asyncio.Task[Any], None] = {}

    def wall_ms(self) -> int:
        """The node's wall clock."""
        return EPOCH_MS + int(asyncio.get_running_loop().time() * 1000) + self.skew_ms

    def start(self) -> None:
        """Power on."""
        if self.is_up:
            return
        self.is_up = True
        self.env.trace.note("starts", self.name)
        self._spawn(self._run()).add_done_callback(self._ended)

    def crash(self) -> None:
        """Power off: what was not synced is lost, nobody is told goodbye."""
        if not self.is_up or self._writer is None:
            return
        self.is_up = False
        self.env.trace.note("crashes", self.name)
        self.env.trace.count("crashes")
        self._writer.crash()
        self._writer = None
        self.env.network.crash(self.name)
        for task in tuple(self._tasks):
            task.cancel()

    async def do(self, action: Coroutine[Any, Any, R]) -> R:
        """Run somebody's action on this node. Raises NodeDown when it crashes meanwhile."""
        if not self.is_up:
            action.close()
            raise NodeDown(self.name)
        task = self._spawn(action)
        try:
            await asyncio.wait([task])
        finally:
            task.cancel()
        if task.cancelled():
            raise NodeDown(self.name)
        return task.result()

    def _spawn(self, action: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        token = WHERE.set(self.name)
        task = asyncio.get_running_loop().create_task(action, name=self.name)
        WHERE.reset(token)
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            self.env.trace.fault(f"{self.name} ended by itself: {task.exception()!r}")

    async def _run(self) -> None:
        raise NotImplementedError

    async def _open_station(self) -> Station:
        env = self.env
        writer = DiskWriter(
            self.disk,
            self.rng,
            lambda batch: env.on_hand_in(self.name, batch),
            lambda batch: env.on_durable(self.name, batch),
            env.plan.fsync,
        )
        self._writer = writer
        loaded = writer.file.load()
        local = Local(self.key, DEPLOYMENT, self.rng.randbytes(16), StandIn)
        station = CountingStation(local, env.trust, writer, loaded, self.wall_ms)
        station.count = env.trace.count
        station.watch_orders(self._on_order)
        return station

    def _on_order(self, record: OrderRecord) -> None:
        event = record.events[-1].event
        if event.input is Input.LOSE and self.name == HQ:
            self.env.lost_at.setdefault(record.order, []).append(asyncio.get_running_loop().time())
        self.env.trace.note(f"{record.order} {event.input.value} -> {record.state.value}", self.name)

    def _serve(self, listener: Listener) -> None:
        async def accept(stream: MemoryStream) -> None:
            WHERE.set(self.name)
            IS_LATE.set(lambda: stream._peer._closed or stream._peer._broken)
            await listener.accept(ProvenStream(stream))

        self.env.network.listen(self.name, accept)

    def sample(self) -> Sample:
        """A reading of a quiet host."""
        return Sample(
            node=self.name,
            at_ms=self.wall_ms(),
            logged_in_nodes=1.0,
            network_flow=4_000.0,
            external_connections=2.0,
            memory_used=1e9,
        )


class ServerNode(Node):
    """Headquarters or the center."""

    def __init__(self, env: Environment, name: str) -> None:
        super().__init__(env, name)
        self.people = Store()
        self.server: Server | None = None

    @override
    def crash(self) -> None:
        super().crash()
        self.server = None

    @override
    async def _run(self) -> None:
        station = await self._open_station()
        await station.grant_term()
        plan = self.env.plan
        server = self.server = Server(
            station,
            SimulatedPeople(self.people, self.rng, self.wall_ms, plan.session_ms),
            Ports(self._dial_of, self.rng.randbytes, self.rng.random, self._read_host),
            links=plan.links_of(self.name),
            superior=HQ if self.name == CENTER else None,
            timers=plan.timers,
            rules=plan.rules,
            telemetry_interval=_SERVER_TELEMETRY,
        )
        if server.listener:
            self._serve(server.listener)
        await run_all(server.parts())

    def unconnected(self) -> list[str]:
        """The subordinates to which no link is open now."""
        links = self.server.links if self.server else []
        return [link.node for link in links if link.status.state is not LinkState.CONNECTED]

    def _dial_of(self, link: LinkSettings) -> Dial:
        async def dial() -> Stream:
            return ProvenStream(await self.env.network.dial(self.name, link.host))

        return dial

    async def _read_host(self) -> Sample:
        return self.sample()


class ClientNode(Node):
    """A desk or a plant. `client` and `listener` are those of its present life."""

    def __init__(self, env: Environment, name: str, superior: str, kind: type[Client]) -> None:
        super().__init__(env, name)
        self.superior = superior
        self._kind = kind
        self.client: Client | None = None
        self.listener: Listener | None = None

    @override
    def crash(self) -> None:
        super().crash()
        self.client = self.listener = None

    @override
    async def _run(self) -> None:
        station = await self._open_station()
        client = self.client = self._kind(station, self.superior)
        listener = self.listener = Listener(station, self.superior, client, self.rng.randbytes)
        if isinstance(client, Plant):
            client.superior_ms = listener.superior_ms
        self._serve(listener)

        async def tick() -> None:
            work = client.on_tick()
            if work:
                await station.commit(work)

        async def telemetry() -> None:
            listener.sample(self.sample())

        await run_all([_until(station.failed), every(_TELEMETRY, telemetry), every(_CLIENT_TICK, tick)])

    def running(self) -> Client:
        """The program of its present life. Raises NodeDown."""
        if not self.is_up or self.client is None:
            raise NodeDown(self.name)
        return self.client

    def authenticator(self, person: SigningKey) -> Authenticator:
        """Speaks with the superior about this person. Raises NodeDown."""
        if not self.is_up or self.listener is None:
            raise NodeDown(self.name)

        async def unlock(_: Callable[[], SigningKey]) -> SigningKey:
            return person

        return Authenticator(self.listener, Path(), unlock)

    async def log_in(self, person: SigningKey, password: str | None = None) -> None:
        """Log a person in here. Raises NodeDown, CommandFailed, LinkLost."""
        name = person.certificate.name
        login = self.authenticator(person).login(name, password or password_of(name), "totp", CODE)
        held = await self.do(login)
        if self.client:
            self.client.login = held


class DeskNode(ClientNode):
    """A desk."""

    def __init__(self, env: Environment, name: str) -> None:
        super().__init__(env, name, HQ, Desk)

    @property
    def desk(self) -> Desk:
        """The running program. Raises NodeDown."""
        if not self.is_up or not isinstance(self.client, Desk):
            raise NodeDown(self.name)
        return self.client


class PlantNode(ClientNode):
    """A plant, under headquarters or under the center."""

    def __init__(self, env: Environment, name: str, superior: str) -> None:
        super().__init__(env, name, superior, Plant)

    @property
    def plant(self) -> Plant:
        """The running program. Raises NodeDown."""
        if not self.is_up or not isinstance(self.client, Plant):
            raise NodeDown(self.name)
        return self.client


async def run_all(parts: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run a program's parts until it is cancelled."""
    async with asyncio.TaskGroup() as group:
        for part in parts:
            group.create_task(part)


async def _until(failed: Awaitable[None]) -> None:
    await failed
