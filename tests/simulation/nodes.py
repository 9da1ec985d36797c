"""A machine with its disk, its clock and its place in the network: it starts, crashes, and starts again."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from typing_extensions import override

from protocol.aio.listener import Listener
from protocol.aio.station import Policy, Station
from protocol.handshake import Local
from protocol.keys import SigningKey
from protocol.lifecycle import Input
from protocol.messages import LedgerHead, Sample
from protocol.record import OrderRecord
from tests.simulation.cast import EPOCH_MS, HQ, StandIn, cast
from tests.simulation.disk import Disk, DiskWriter
from tests.simulation.environment import Environment
from tests.simulation.trace import IS_LATE, WHERE
from tests.support.memory_network import MemoryStream
from tests.support.pki import DEPLOYMENT
from tests.support.virtual_loop import Seeded

SKEW_MS = 1_000  # how far a wall clock is off that nobody has stepped
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
