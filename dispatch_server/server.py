"""A server without its machine: links, orders, awareness and their timers, given a station and ports.

app.py gives it the real ports; the simulator gives it a virtual clock and a network in memory.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from dispatch_server.awareness.guard import Guard, GuardSettings
from dispatch_server.awareness.store import TelemetryStore
from dispatch_server.awareness.watch import Awareness, Now
from dispatch_server.config import LinkSettings, routes_of, ways_of
from dispatch_server.counters import Counters
from dispatch_server.links.backoff import Backoff
from dispatch_server.links.link import Dial, Link
from dispatch_server.links.pool import Pool
from dispatch_server.links.ports import LinkState
from dispatch_server.orders.admission import People as OrderPeople
from dispatch_server.orders.checks import Rules
from dispatch_server.orders.headquarters import Headquarters
from dispatch_server.orders.relay import Relay
from protocol.aio.listener import Listener
from protocol.aio.node import every
from protocol.aio.ports import RandomBytes
from protocol.aio.station import Policy, Station
from protocol.errors import OrderRefused, PeerFault, RefusalCode, WireCode
from protocol.items import PostureItem
from protocol.keys import Role
from protocol.lifecycle import Input
from protocol.limits import MAX_REQUESTS_IN_ALL, Timers
from protocol.messages import Sample
from protocol.record import OrderRecord
from protocol.requests import AnyReply, RefusedReply, Request
from situational import Change, Posture

_POSTURE = "posture of "  # the key of a node's posture in the journal: a restart must not end a hold
_TICK = 0.25  # s: how late expiry, no answer and silence may be noticed
_SAVE_EVERY = 600.0  # s; with the span of a chunk, what a crash may cost of the curves
_STALLED = 0.25  # s: a tick later than this says that something kept the loop
_SLOW_COMMIT = 0.1  # s
_CLOCK_STEP_MS = 1_000
_WAITING = 1_000  # items; a desk that is away and behind by more needs its room for orders
_log = structlog.get_logger("server")


class People(OrderPeople, Protocol):
    """Everything that a server asks about people."""

    async def answer(self, node: str, request: Request) -> AnyReply:
        """Answer a client's question."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What a server needs from its machine.

    `uniform` draws from [0, 1); `read_host` reads its telemetry; `utc_offset_s`: how far local time is ahead.
    `clock`: monotonic seconds, if there is a finer one than the loop's; `has_room`: whether another handshake
    may begin now.
    """

    dial: Callable[[LinkSettings], Dial]
    random: RandomBytes
    uniform: Callable[[], float]
    read_host: Callable[[], Awaitable[Sample]]
    utc_offset_s: Callable[[], float] = lambda: 0.0
    clock: Callable[[], float] | None = None
    has_room: Callable[[], bool] = lambda: True


class Server:
    """Headquarters (no superior) or a regional center."""

    def __init__(
        self,
        station: Station,
        people: People,
        ports: Ports,
        *,
        links: Sequence[LinkSettings],
        superior: str | None,
        timers: Timers,
        rules: Rules,
        telemetry_interval: float,
        guard: GuardSettings | None = None,
        telemetry: TelemetryStore | None = None,
        counters: Counters | None = None,
    ) -> None:
        self.station = station
        self._ports = ports
        self.counters = counters or Counters()
        self.open_requests = 0
        self._commit_times = self.counters.histogram("commit")
        self.guard = Guard(station, self._on_posture, guard or GuardSettings(), telemetry, self.counters)
        station.on_committed = self._on_committed
        station.watch_orders(self._count_order)
        self.awareness: Awareness = self.guard.awareness
        self.awareness.restore(_kept_postures(station), self._now().monotonic_s)
        self._ticked: Now | None = None
        self.listener: Listener | None = None
        self._people = people
        self._rules = rules
        self._telemetry_interval = telemetry_interval
        self._desks = [link.node for link in links if link.role is Role.DESK]
        self._region = {link.node: frozenset(link.way_to) for link in links}
        # Each center -> the nodes behind it.
        self.behind = {node: region - {node} for node, region in self._region.items() if len(region) > 1}
        self.ways = ways_of(links)
        self._headquarters: Headquarters | None = None
        policy: Policy
        routes = routes_of(links)
        if superior is None:
            policy = self._headquarters = Headquarters(
                station,
                routes,
                people,
                rules,
                posture_of=self._posture_on_the_way,
                heard=self._on_heard,
                on_refused=self._count_refusal,
            )
            self._headquarters.fence_by(self.guard.fenced.__contains__)
        else:
            policy = Relay(station, superior, routes, people)
            self.listener = Listener(station, superior, policy, ports.random)
        self.links = [self._link(link, policy, timers) for link in links]
        self.pool = Pool(self.links, clock=ports.clock, has_room=ports.has_room)

    def _link(self, link: LinkSettings, policy: Policy, timers: Timers) -> Link:
        return Link(
            self.station,
            link.node,
            link.role,
            dial=self._ports.dial(link),
            policy=policy,
            superior=self,
            timers=timers,
            backoff=Backoff(self._ports.uniform),
            random=self._ports.random,
        )

    @property
    def known_nodes(self) -> frozenset[str]:
        """This node and all below it."""
        return frozenset({self.station.local.name}).union(*self._region.values())

    @property
    def lost_after_s(self) -> float:
        """A node of which nothing was heard for so long counts as silent."""
        return self._rules.lost_after_ms / 1000

    def parts(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run, side by side, for as long as the server lives."""
        return [
            self._end_with_journal(),
            self.pool.run(),
            self._watch(),
            every(_TICK, self._tick),
        ]

    async def close(self) -> None:
        """Keep the curves that wait to be written; call it when the parts have ended."""
        await self.awareness.close(self.station.wall_ms())

    def _now(self) -> Now:
        return Now(asyncio.get_running_loop().time(), self.station.wall_ms(), self._ports.utc_offset_s())

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._load())  # beside the judging: a disk that hangs must not blind us
            # Apart: a host whose reading hangs must not keep us from judging the others.
            group.create_task(every(self._telemetry_interval, self._observe))
            group.create_task(every(self._telemetry_interval, self._judge))
            group.create_task(every(_SAVE_EVERY, self._save))

    async def _load(self) -> None:
        with _beside_orders("load"):
            await self.awareness.load()

    async def _save(self) -> None:
        with _beside_orders("save"):
            await self.awareness.save(self.station.wall_ms())

    async def _end_with_journal(self) -> None:
        await self.station.failed

    def on_report(self, node: str, samples: tuple[Sample, ...]) -> None:
        """A subordinate answered; it speaks for itself and, if it is a center, for its region.

        The newest reading of each node is enough: more of them would push those of other nodes out of what
        waits for our own superior, who would take them for silent.
        """
        now = self._now()
        self.awareness.heard(node, now.monotonic_s)
        self.guard.obeyed(node)
        foreign = sum(sample.node not in self._region[node] for sample in samples)
        own = {sample.node: sample for sample in samples if sample.node in self._region[node]}.values()
        with _beside_orders("telemetry"):
            if foreign:
                self.counters.add("readings", foreign)
                self.awareness.refused(node, "it speaks for foreign nodes", now.monotonic_s, foreign)
            self.awareness.take(own, now)
        if self.listener:
            for sample in own or [self._sign_of_life(node)]:
                self.listener.sample(sample)

    def _sign_of_life(self, node: str) -> Sample:
        """A reading without metrics: our superior must know that it lives, however rarely it measures."""
        return Sample(
            node=node,
            at_ms=self.station.wall_ms(),
            logged_in_nodes=None,
            network_flow=None,
            external_connections=None,
            memory_used=None,
        )

    def _posture_on_the_way(self, nodes: Iterable[str]) -> Posture:
        """The strongest posture of these nodes and of each center on the way to them."""
        return self.awareness.posture_of(
            {place for node in nodes for place in (node, *self.ways.get(node, ()))}
        )

    def on_fault(self, node: str, error: Exception) -> None:
        """A link ended because one of its sides found the other wrong."""
        self.guard.on_fault(node, error, asyncio.get_running_loop().time())

    def _on_heard(self, plant: str) -> None:
        self.awareness.heard(plant, asyncio.get_running_loop().time())

    async def answer(self, node: str, request: Request) -> AnyReply:
        """Answer a question about people."""
        if self.open_requests >= MAX_REQUESTS_IN_ALL:
            self.counters.add("requests_refused")
            return RefusedReply(
                code="limit", detail="too many people ask this server at once: try again", retry_after_s=5
            )
        self.open_requests += 1
        try:
            return await self._people.answer(node, request)
        finally:
            self.open_requests -= 1

    async def _observe(self) -> None:
        with _beside_orders("host"):
            sample = await self._ports.read_host()
            self.awareness.take([sample], self._now())
            if self.listener:
                self.listener.sample(sample)

    async def _judge(self) -> None:
        with _beside_orders("judge"):
            up = {link.node for link in self.links if link.status.state is LinkState.CONNECTED}
            await self.guard.tick(self._now(), up.__contains__, [link.node for link in self.links])

    async def _tick(self) -> None:
        now = self._now()
        self._count_time(now)
        if self._headquarters is None:
            return
        lost_after = self._rules.lost_after_ms / 1000
        work = self._headquarters.on_tick(
            lambda plant: self.awareness.is_silent(plant, now.monotonic_s, lost_after)
        )
        if work:
            await self.station.commit(work)

    def _count_time(self, now: Now) -> None:
        """What the time since the last tick says of the loop, the clock and the links."""
        before, self._ticked = self._ticked, now
        if before is None:
            return
        passed_s = now.monotonic_s - before.monotonic_s
        self.counters.add("loop_ticks")
        if passed_s > _TICK + _STALLED:
            self.counters.add("load_stall")
        if abs(now.wall_ms - before.wall_ms - passed_s * 1000) > _CLOCK_STEP_MS:
            self.counters.add("clock_steps")
        down = sum(link.status.state is not LinkState.CONNECTED for link in self.links)
        self.counters.add("link_s", passed_s * len(self.links))
        self.counters.add("link_down_s", passed_s * down)

    def _on_committed(self, seconds: float) -> None:
        self.counters.add("journal_commits")
        self._commit_times.observe(seconds)
        if seconds > _SLOW_COMMIT:
            self.counters.add("journal_latency_high")

    def _count_order(self, record: OrderRecord) -> None:
        self.counters.add("order_events")
        if record.events[-1].event.input is Input.LOSE:
            self.counters.add("orders_unknown")

    def _count_refusal(self, peer: str, refusal: OrderRefused) -> None:
        """An event that does not verify is the gravest forgery there is: one is enough for an alarm."""
        self.counters.add_refusal(refusal.code)
        if refusal.code is RefusalCode.ILLEGAL:
            self.counters.add("illegal_transition")
        elif refusal.code is RefusalCode.SIGNATURE:
            self.counters.add("signature_failed")
            self.on_fault(peer, PeerFault(WireCode.SIGNATURE, refusal.detail))

    def _on_posture(self, node: str, change: Change) -> None:
        _log.warning(
            "posture",
            about=node,
            before=change.before.name,
            after=change.after.name,
            why=change.cause.value,
            hazard=change.level.name,
            person=change.person,
        )
        work = self.station.work()
        work.note(
            "posture",
            node,
            before=change.before.name,
            after=change.after.name,
            why=change.cause.value,
            hazard=change.level.name,
            judged=change.judged,
            person=change.person,
        )
        work.batch.meta[_POSTURE + node] = change.after.name.encode()
        for desk in self._desks:
            if len(self.station.outbox(desk)) < _WAITING:
                work.post(desk, self._posture_item(desk, node, change))
        self.station.commit(work)

    def _posture_item(self, desk: str, node: str, change: Change) -> PostureItem:
        return PostureItem(
            to=desk,
            node=node,
            posture=change.after.name.lower(),
            before=change.before.name.lower(),
            cause=change.cause.value,
            level=change.level.name.lower(),
            person=change.person,
            at_ms=self.station.wall_ms(),
        )


@contextmanager
def _beside_orders(what: str) -> Iterator[None]:
    try:
        yield
    except Exception:  # noqa: BLE001 - orders must go on when the third line of defence cannot look
        _log.exception("awareness failed", what=what)


def _kept_postures(station: Station) -> dict[str, Posture]:
    return {
        key.removeprefix(_POSTURE): _posture_named(value)
        for key, value in station.meta.items()
        if key.startswith(_POSTURE)
    }


def _posture_named(value: bytes) -> Posture:
    """What the journal kept; what this program does not know holds until a person releases it."""
    name = value.decode(errors="replace")
    if name in Posture.__members__:
        return Posture[name]
    _log.error("a posture of the last run is not known here: held", posture=name)
    return Posture.HELD
