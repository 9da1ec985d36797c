"""What must be found, on top of quiet telemetry, and what must not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np

from situational.hazard import Hazard, Level, ReasonCode
from situational.letters import FloatArray
from situational.series import Metric
from situational.simulation.run import WARM_DAYS, Nodes, Progress, silent
from situational.simulation.telemetry import PERIOD_S, TICKS, Telemetry

DOUBLING_S = 90.0
STORM_S = 300.0  # of growth, then it decays as fast
_HOUR = 3600 // PERIOD_S
_BEFORE = _HOUR // 6
_FOUND = (ReasonCode.GROWTH_LARGE, ReasonCode.GROWTH_EARLY, ReasonCode.GROWTH_SLOW)

Shaped = Callable[[FloatArray], FloatArray]


class Kind(Enum):
    STORM = "storm"
    LEAK = "leak"
    SCAN = "scan"
    STEP = "step"


@dataclass(frozen=True, slots=True)
class Told:
    """One node's telling from `begin_s` on: seconds since then and the hazards at each change of level."""

    levels: tuple[tuple[float, Level], ...]
    found_s: float | None  # the metric concerned was named at ADVISORY or more

    def first(self, level: Level) -> float | None:
        """When a level was told first."""
        return next((at for at, told in self.levels if told is level), None)

    def first_since(self, level: Level, since_s: float) -> float | None:
        return next((at for at, told in self.levels if told is level and at >= since_s), None)

    def raises(self, level: Level) -> int:
        """How often the level rose to this one or above it."""
        before, count = Level.NORMAL, 0
        for _, told in self.levels:
            count += before < level <= told
            before = told
        return count


# Factors (seconds since the beginning, any shape) per metric; how many hours are looked at.
def _storm(s: FloatArray) -> FloatArray:
    rise = np.minimum(s, STORM_S) - np.clip(s - STORM_S, 0.0, STORM_S)
    return np.asarray(2.0 ** (np.maximum(rise, 0.0) / DOUBLING_S))


def _leak(s: FloatArray) -> FloatArray:
    return np.asarray(1.0 + 0.06 * np.maximum(s, 0.0) / 3600.0)


def _scan(s: FloatArray) -> FloatArray:
    return np.asarray(1.0 + 0.25 * np.clip(np.ceil(s / 60.0), 0.0, 20.0))


def _step(size: float) -> Shaped:
    return lambda s: np.asarray(1.0 + size * ((s >= 0.0) & (s < 3600.0)))


_SHAPES: dict[Kind, tuple[float, Metric | None, dict[Metric, Shaped]]] = {
    Kind.STORM: (0.75, None, dict.fromkeys(Metric, _storm)),
    Kind.LEAK: (12.0, Metric.MEMORY_USED, {Metric.MEMORY_USED: _leak}),
    Kind.SCAN: (1.0, Metric.EXTERNAL_CONNECTIONS, {Metric.EXTERNAL_CONNECTIONS: _scan}),
    Kind.STEP: (
        1.0,
        None,
        {
            Metric.LOGGED_IN_NODES: _step(0.3),
            Metric.NETWORK_FLOW: _step(1.0),
            Metric.EXTERNAL_CONNECTIONS: _step(0.6),
            Metric.MEMORY_USED: _step(0.15),
        },
    ),
}


def play(
    kind: Kind, *, nodes: int, seed: int, progress: Progress = silent, warm_days: int = WARM_DAYS
) -> list[Told]:
    """Play a scenario on nodes with a history, at another hour for each seed."""
    grid = Nodes(Telemetry(seed, nodes), progress, warm_days=warm_days)
    y = grid.telemetry.day(grid.day)
    hours, metric, shapes = _SHAPES[kind]
    span = round(hours * _HOUR)
    begin = int(np.random.default_rng([seed, 3]).integers(_HOUR, TICKS - span))
    since = PERIOD_S * (np.arange(TICKS, dtype=np.float64) - begin)
    for i, own in enumerate(Metric):
        if own in shapes:
            y[..., i] *= shapes[own](since)[:, None]
    for whole in (0, 2):
        y[..., whole] = np.round(y[..., whole])
    y[begin : begin + span] = np.where(
        np.isnan(y[begin : begin + span]), y[begin - 1], y[begin : begin + span]
    )
    levels: dict[str, list[tuple[float, Level]]] = {name: [] for name in grid.names}
    found: dict[str, float] = {}
    for tick, told in grid.live(y[begin - _BEFORE : begin + span], begin - _BEFORE):
        if tick < begin:
            continue
        at = float(since[tick])
        for name, hazard in told.items():
            if not levels[name] or levels[name][-1][1] is not hazard.level:
                levels[name].append((at, hazard.level))
            if metric and _names(hazard, metric):
                found.setdefault(name, at)
    progress(f"{kind.value}: {nodes} nodes played")
    return [Told(tuple(levels[name]), found.get(name)) for name in grid.names]


def _names(hazard: Hazard, metric: Metric) -> bool:
    named = any(reason.metric is metric and reason.code in _FOUND for reason in hazard.reasons)
    return named and hazard.level >= Level.ADVISORY
