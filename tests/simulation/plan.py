"""What a seed means: who is there, how patient everybody is, how rough it gets. Drawn before the run."""

import random
from dataclasses import dataclass, replace

from dispatch_server.config import LinkSettings
from dispatch_server.orders.checks import Rules
from protocol.keys import Role
from protocol.limits import Timers
from tests.simulation.cast import CENTER, DESKS, DIRECT, HQ, RELAYED, SUB_CENTER
from tests.support.virtual_loop import Seeded

_TIMERS = (Timers(), Timers(), Timers(), Timers(1_000, 800), Timers(2_000, 0))  # the last is plain polling
_FSYNCS = ((0.000_2, 0.015), (0.000_2, 0.015), (0.03, 0.6))  # the last disk is slower than a new link
_DEEP = 0.5
_SESSIONS_MS = (40_000, 12 * 3_600_000)


@dataclass(frozen=True, slots=True)
class Plan:
    """One run. Times in s, but where the name says ms.

    `faults`: how many strike at random; `aimed`: the share of commits at which one is aimed; `fsync`: least
    and most; `is_tight`: with limits so small that windows, rekeying and forgetting all occur;
    `heightened`: from when until when headquarters wants a second person for each issue; `deep`: those of the
    relayed plants that lie below a center below the center.
    """

    seed: int
    desks: tuple[str, ...]
    direct: tuple[str, ...]
    relayed: tuple[str, ...]
    timers: Timers
    rules: Rules
    session_ms: int
    rough_for: float
    faults: int
    aimed: float
    fsync: tuple[float, float]
    orders: int
    is_hostile: bool
    is_tight: bool
    heightened: tuple[float, float]
    deep: tuple[str, ...]

    @property
    def plants(self) -> tuple[str, ...]:
        """All plants."""
        return self.direct + self.relayed

    @property
    def is_heightened(self) -> bool:
        """Whether there is a time for second persons at all."""
        return self.heightened[0] < self.heightened[1]

    @property
    def links(self) -> tuple[tuple[str, str], ...]:
        """(superior, subordinate) of every link."""
        above = [(HQ, node) for node in (*self.desks, *self.direct, CENTER)]
        below = [(CENTER, plant) for plant in self.relayed if plant not in self.deep]
        below += [(CENTER, SUB_CENTER)] if self.deep else []
        return (*above, *below, *((SUB_CENTER, plant) for plant in self.deep))

    def superiors_of(self, node: str) -> tuple[str, ...]:
        """All servers above a node, the nearest first."""
        above = {below: superior for superior, below in self.links}
        way: list[str] = []
        while node in above:
            node = above[node]
            way.append(node)
        return tuple(way)

    def links_of(self, server: str) -> tuple[LinkSettings, ...]:
        """The configuration of a server's links."""
        return tuple(self._settings(node) for superior, node in self.links if superior == server)

    def _settings(self, node: str) -> LinkSettings:
        if node == CENTER:
            ways = tuple(f"{SUB_CENTER}/{p}" if p in self.deep else p for p in self.relayed)
            return LinkSettings(node=node, role=Role.CENTER, host=node, serves=ways)
        if node == SUB_CENTER:
            return LinkSettings(node=node, role=Role.CENTER, host=node, zone=4, serves=self.deep)
        role = Role.DESK if node in self.desks else Role.PLANT
        return LinkSettings(node=node, role=role, host=node)


def plan(seed: int) -> Plan:
    """The plan of a seed."""
    rng = Seeded(f"{seed}/plan")
    drawn = _drawn(seed, rng)
    return replace(drawn, deep=drawn.relayed[-1:] if rng.random() < _DEEP else ())


def _drawn(seed: int, rng: random.Random) -> Plan:
    return Plan(
        seed=seed,
        desks=DESKS[: rng.choice((1, 1, 2))],
        direct=DIRECT[: rng.choice((1, 1, 2))],
        relayed=RELAYED[: rng.choice((1, 1, 2))],
        timers=rng.choice(_TIMERS),
        rules=_rules(rng),
        session_ms=rng.choice(_SESSIONS_MS),
        rough_for=rng.uniform(20, 60),
        faults=rng.choice((0, 4, 8, 12, 16)),
        fsync=rng.choice(_FSYNCS),
        aimed=rng.choice((0.0, 0.01, 0.03)),
        orders=rng.randint(3, 6),
        is_hostile=rng.random() < 0.4,
        is_tight=rng.random() < 0.3,
        heightened=_heightened(rng),
        deep=(),
    )


def _heightened(rng: random.Random) -> tuple[float, float]:
    start = rng.uniform(-20, 30)
    return (start, start + rng.uniform(10, 90)) if rng.random() < 0.4 else (0.0, 0.0)


def _rules(rng: random.Random) -> Rules:
    return Rules(answer_within_ms=rng.randint(2_000, 20_000), lost_after_ms=rng.randint(6_000, 15_000))
