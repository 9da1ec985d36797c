"""What the simulation measured, beside its targets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from situational.errors import BadSettingError
from situational.hazard import Level
from situational.simulation.run import WARM_DAYS, Nodes, Progress, silent
from situational.simulation.scenarios import STORM_S, Kind, Told, play
from situational.simulation.telemetry import TICKS, Telemetry

YEAR = 365.25
MOST_NODES = 100
_TOLD = (Level.ADVISORY, Level.MEDIUM, Level.HIGH, Level.MAJOR)


@dataclass(frozen=True, slots=True)
class Row:
    """`target` None: told for information."""

    name: str
    value: float
    target: float | None
    at_least: bool = False

    @property
    def passed(self) -> bool:
        if self.target is None:
            return True
        return self.value >= self.target if self.at_least else self.value <= self.target


@dataclass(frozen=True, slots=True)
class Quiet:
    """How often each level was reached from below in `node_days` days of nodes on which nothing happens."""

    node_days: float
    raises: dict[Level, int]

    def per_year(self, level: Level) -> float:
        return self.raises[level] / self.node_days * YEAR


def quiet(
    *, node_days: int, seed: int, progress: Progress = silent, warm_days: int = WARM_DAYS, ticks: int = TICKS
) -> Quiet:
    """At most MOST_NODES nodes, as many days as it takes. `ticks`: of each day only the first so many.

    Raises BadSettingError.
    """
    if node_days < 1:
        raise BadSettingError("node_days", node_days, "at least 1")
    days = math.ceil(node_days / MOST_NODES)
    nodes = math.ceil(node_days / days)
    grid = Nodes(Telemetry(seed, nodes), progress, warm_days=warm_days)
    raises, last = dict.fromkeys(_TOLD, 0), dict.fromkeys(grid.names, Level.NORMAL)
    for day in range(days):
        for tick, told in grid.live(grid.telemetry.day(grid.day)[:ticks]):
            for name, hazard in told.items():
                for level in _TOLD:
                    raises[level] += last[name] < level <= hazard.level
                last[name] = hazard.level
            if tick % (TICKS // 24) == 0:
                progress(f"quiet: {nodes} nodes, day {day + 1} of {days}, hour {tick * 24 // TICKS}")
        grid.day += 1
    return Quiet(nodes * days * ticks / TICKS, raises)


def rows(*, node_days: int, nodes: int, seed: int, progress: Progress = silent) -> Iterator[Row]:
    """Everything; `nodes` play each scenario. Raises BadSettingError."""
    if nodes < 1:
        raise BadSettingError("nodes", nodes, "at least 1")
    yield from _of_quiet(quiet(node_days=node_days, seed=seed, progress=progress))
    for i, kind in enumerate(Kind, start=1):
        told = play(kind, nodes=nodes, seed=seed + 1000 * i, progress=progress)
        yield from (_of_storm(told) if kind is Kind.STORM else _of(kind, told))


def _of_quiet(measured: Quiet) -> Iterator[Row]:
    yield Row("quiet: node-days", measured.node_days, None)
    yield Row("quiet: MAJOR raised", measured.raises[Level.MAJOR], 0.0)
    yield Row("quiet: HIGH or more raised, per node-year", measured.per_year(Level.HIGH), 5.0)
    yield Row("quiet: MEDIUM or more raised, per node-year", measured.per_year(Level.MEDIUM), None)
    yield Row("quiet: ADVISORY or more raised, per node-year", measured.per_year(Level.ADVISORY), None)


def _of_storm(told: Sequence[Told]) -> Iterator[Row]:
    major = [one.first(Level.MAJOR) for one in told]
    reached = [at for at in major if at is not None and at <= STORM_S]
    yield Row("storm: share at MAJOR within 300 s", len(reached) / len(told), 1.0, at_least=True)
    yield Row("storm: seconds to MAJOR, median", _median(reached), None)
    yield Row("storm: seconds to MAJOR, longest", max(reached, default=math.inf), 300.0)
    yield Row("storm: most raises to MAJOR on a node", max(one.raises(Level.MAJOR) for one in told), 1.0)
    lifted = [at - STORM_S for one in told if (at := one.first_since(Level.LIFTING, STORM_S)) is not None]
    yield Row("decay: share told to be lifting", len(lifted) / len(told), 1.0, at_least=True)
    yield Row("decay: seconds to lifting, median", _median(lifted), None)
    yield Row("decay: seconds to lifting, longest", max(lifted, default=math.inf), 60.0)
    over = sum(one.levels[-1][1] < Level.LIFTING for one in told)
    yield Row("decay: share told to be safe at last", over / len(told), None)


def _of(kind: Kind, told: Sequence[Told]) -> Iterator[Row]:
    if kind is Kind.STEP:
        dangerous = sum(one.raises(Level.MEDIUM) > 0 for one in told)
        yield Row("step: share at MEDIUM or more", dangerous / len(told), 0.0)
        advised = sum(one.raises(Level.ADVISORY) > 0 for one in told)
        yield Row("step: share at ADVISORY or more", advised / len(told), None)
        return
    found = [one.found_s for one in told if one.found_s is not None]
    yield Row(f"{kind.value}: share found", len(found) / len(told), 1.0, at_least=True)
    yield Row(f"{kind.value}: minutes until found, median", _median(found) / 60.0, None)
    yield Row(f"{kind.value}: minutes until found, longest", max(found, default=math.inf) / 60.0, None)


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else math.inf
