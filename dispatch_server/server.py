"""A server without its machine: links, orders, awareness and their timers, given a station and ports.

app.py gives it the real ports; the simulator gives it a virtual clock and a network in memory.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from dispatch_server.awareness.watch import Awareness
from dispatch_server.config import LinkSettings, routes_of
from dispatch_server.links.backoff import Backoff
from dispatch_server.links.dial import Dial, Link
from dispatch_server.orders.admission import People as OrderPeople
from dispatch_server.orders.checks import Rules
from dispatch_server.orders.headquarters import Headquarters
from dispatch_server.orders.relay import Relay
from protocol.aio.listener import Listener
from protocol.aio.node import every
from protocol.aio.ports import RandomBytes
from protocol.aio.station import Policy, Station
from protocol.limits import Timers
from protocol.messages import Sample
from protocol.requests import AnyReply, Request
from situational import Posture

_POSTURE = "posture of "  # the key of a node's posture in the journal: a restart must not end a hold
_TICK = 0.25  # s: how late expiry, no answer and silence may be noticed
_log = structlog.get_logger("server")


class People(OrderPeople, Protocol):
    """Everything that a server asks about people."""

    async def answer(self, node: str, request: Request) -> AnyReply:
        """Answer a client's question."""
        ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What a server needs from its machine. `uniform` draws from [0, 1); `read_host` reads its telemetry."""

    dial: Callable[[LinkSettings], Dial]
    random: RandomBytes
    uniform: Callable[[], float]
    read_host: Callable[[], Awaitable[Sample]]


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
    ) -> None:
        self.station = station
        self.awareness = Awareness(self._on_posture)
        self.awareness.restore(
            {
                key.removeprefix(_POSTURE): Posture[value.decode()]
                for key, value in station.meta.items()
                if key.startswith(_POSTURE)
            }
        )
        self.listener: Listener | None = None
        self._people = people
        self._ports = ports
        self._rules = rules
        self._telemetry_interval = telemetry_interval
        self._region = {link.node: frozenset({link.node, *link.serves}) for link in links}
        self._headquarters: Headquarters | None = None
        policy: Policy
        if superior is None:
            routes = routes_of(links)
            policy = self._headquarters = Headquarters(
                station,
                routes,
                people,
                rules,
                posture_of=self.awareness.posture_of,
                heard=self._on_heard,
            )
        else:
            policy = Relay(station, superior, self._region, people)
            self.listener = Listener(station, superior, policy, ports.random)
        self.links = [self._link(link, policy, timers) for link in links]

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

    def parts(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run, side by side, for as long as the server lives."""
        return [
            self._end_with_journal(),
            *(link.run() for link in self.links),
            every(self._telemetry_interval, self._observe),
            every(_TICK, self._tick),
        ]

    async def _end_with_journal(self) -> None:
        await self.station.failed

    def on_report(self, node: str, samples: tuple[Sample, ...]) -> None:
        """A subordinate answered; it speaks for itself and, if it is a center, for its region."""
        now = asyncio.get_running_loop().time()
        self.awareness.heard(node, now)
        own = [sample for sample in samples if sample.node in self._region[node]]
        if len(own) < len(samples):
            _log.warning("telemetry of a foreign node dropped", node=node)
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

    def _on_heard(self, plant: str) -> None:
        self.awareness.heard(plant, asyncio.get_running_loop().time())

    async def answer(self, node: str, request: Request) -> AnyReply:
        """Answer a question about people."""
        return await self._people.answer(node, request)

    async def _observe(self) -> None:
        try:
            sample = await self._ports.read_host()
            self.awareness.take([sample], asyncio.get_running_loop().time())
            if self.listener:
                self.listener.sample(sample)
            await self.awareness.tick()
        except Exception:  # noqa: BLE001 - orders must go on when the third line of defence cannot look
            _log.exception("telemetry failed")

    async def _tick(self) -> None:
        if self._headquarters is None:
            return
        now = asyncio.get_running_loop().time()
        lost_after = self._rules.lost_after_ms / 1000
        work = self._headquarters.on_tick(lambda plant: self.awareness.is_silent(plant, now, lost_after))
        if work:
            await self.station.commit(work)

    def _on_posture(self, node: str, before: Posture, after: Posture, why: str) -> None:
        _log.warning("posture", about=node, before=before.name, after=after.name, why=why)
        work = self.station.work()
        work.note("posture", node, before=before.name, after=after.name, why=why)
        work.batch.meta[_POSTURE + node] = after.name.encode()
        self.station.commit(work)
