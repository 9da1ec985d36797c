"""Comprehension: the four metrics' trends of a node, fused into one level of hazard (P1 §2.3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from types import MappingProxyType

from situational.errors import BadSettingError
from situational.series import METRICS, Metric
from situational.trend import NO_TREND, Letter, Trend


class Level(IntEnum):
    """Ordered by how much attention it takes."""

    NORMAL = 0
    LIFTING = 1
    ADVISORY = 2
    MEDIUM = 3
    HIGH = 4
    MAJOR = 5


class ReasonCode(Enum):
    ALL_SURGING = "all-surging"  # all four metrics are B with large growth
    GROWTH_LARGE = "growth-large"
    GROWTH_SMALL = "growth-small"
    FALLING = "falling"
    STEADY = "steady"
    CANNOT_TELL = "cannot-tell"


# While growing B > C > D, while falling the danger lifts G > F > E; then what says least.
SEVERITY: tuple[Letter, ...] = (
    Letter.B,
    Letter.C,
    Letter.D,
    Letter.G,
    Letter.F,
    Letter.E,
    Letter.A,
    Letter.NONE,
)

# What large growth means when one metric shows it alone, and when a second one is at least as bad.
ALONE: Mapping[Letter, Level] = MappingProxyType(
    {Letter.B: Level.MEDIUM, Letter.C: Level.ADVISORY, Letter.D: Level.ADVISORY}
)
TOGETHER: Mapping[Letter, Level] = MappingProxyType(
    {Letter.B: Level.HIGH, Letter.C: Level.MEDIUM, Letter.D: Level.ADVISORY}
)

DEFAULT_FLOORS: Mapping[Metric, float] = MappingProxyType(
    {
        Metric.LOGGED_IN_NODES: 4.0,
        Metric.NETWORK_FLOW: 10e3,
        Metric.EXTERNAL_CONNECTIONS: 10.0,
        Metric.MEMORY_USED: 64e6,
    }
)


@dataclass(frozen=True, slots=True)
class GrowthGate:
    """Growth is large when the rise over the window is at least `relative` of the level that it began at.

    Below its floor a metric's level counts as the floor: from one login to two is no surge.
    """

    relative: float = 0.5
    floors: Mapping[Metric, float] = field(default_factory=lambda: DEFAULT_FLOORS)

    def __post_init__(self) -> None:
        if not (self.relative > 0 and math.isfinite(self.relative)):
            raise BadSettingError("relative", self.relative, "a positive number")
        for metric in METRICS:
            floor = self.floors.get(metric, math.nan)
            if not (floor > 0 and math.isfinite(floor)):
                raise BadSettingError(f"floor of {metric}", floor, "a positive number")

    def growth(self, metric: Metric, trend: Trend) -> float:
        """Rise over the window as a share of the level at its beginning."""
        return trend.rise / max(trend.start, self.floors[metric])


DEFAULT_GATE = GrowthGate()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, as data; `situational.texts` makes sentences of it. No metric: it speaks of all four."""

    code: ReasonCode
    metric: Metric | None
    letter: Letter
    growth: float


@dataclass(frozen=True, slots=True)
class Hazard:
    """`leading` is the letter that says most; `judged` tells how many of the four metrics had a letter.

    NORMAL with `judged` 0 means that nothing is known, not that nothing happens.
    """

    level: Level
    leading: Letter
    judged: int
    reasons: tuple[Reason, ...]


def fuse(trends: Mapping[Metric, Trend], gate: GrowthGate = DEFAULT_GATE) -> Hazard:
    """Fuse one node's trends; a metric without a trend counts as not judged."""
    reasons = tuple(_reason(metric, trends.get(metric, NO_TREND), gate) for metric in METRICS)
    letters = [reason.letter for reason in reasons]
    leading = min(letters, key=SEVERITY.index)
    judged = sum(letter is not Letter.NONE for letter in letters)
    surging = [r.growth for r in reasons if r.code is ReasonCode.GROWTH_LARGE and r.letter is Letter.B]
    if len(surging) == len(METRICS):
        surge = Reason(ReasonCode.ALL_SURGING, None, Letter.B, min(surging))
        return Hazard(Level.MAJOR, leading, judged, (surge, *reasons))
    return Hazard(_level(reasons), leading, judged, reasons)


def _reason(metric: Metric, trend: Trend, gate: GrowthGate) -> Reason:
    growth = gate.growth(metric, trend)
    large = growth >= gate.relative
    return Reason(_code(trend.letter, large=large), metric, trend.letter, growth)


def _code(letter: Letter, *, large: bool) -> ReasonCode:
    match letter:
        case Letter.B | Letter.C | Letter.D:
            return ReasonCode.GROWTH_LARGE if large else ReasonCode.GROWTH_SMALL
        case Letter.E | Letter.F | Letter.G:
            return ReasonCode.FALLING
        case Letter.A:
            return ReasonCode.STEADY
        case Letter.NONE:
            return ReasonCode.CANNOT_TELL


def _level(reasons: tuple[Reason, ...]) -> Level:
    codes = {reason.code for reason in reasons}
    large = sorted(
        (reason.letter for reason in reasons if reason.code is ReasonCode.GROWTH_LARGE), key=SEVERITY.index
    )
    if len(large) > 1:
        return max(ALONE[large[0]], TOGETHER[large[1]])
    if large:
        return ALONE[large[0]]
    if ReasonCode.GROWTH_SMALL in codes:
        return Level.ADVISORY
    return Level.LIFTING if ReasonCode.FALLING in codes else Level.NORMAL
