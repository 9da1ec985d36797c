"""Comprehension: the four metrics' trends of a node, fused into one level of hazard (P1 §2.3).

Only regimes count in here, the letters after a window's last break: a step is no growth. Shapes are for
display. What is told after a danger, that it holds, lifts or is over, is `situational.danger`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType

from situational.large import LargeVerdict, Limits
from situational.letters import NO_TREND, Letter, Trend
from situational.series import METRICS, Metric


class Level(IntEnum):
    """Ordered by how much attention it takes."""

    NORMAL = 0
    LIFTING = 1
    ADVISORY = 2
    MEDIUM = 3
    HIGH = 4
    MAJOR = 5


# From here on a node is in danger: it is remembered, and what is usual is not learned.
DANGER = Level.MEDIUM


class ReasonCode(Enum):
    ALL_SURGING = "all-surging"  # all four metrics are B with large growth
    GROWTH_LARGE = "growth-large"
    GROWTH_SMALL = "growth-small"
    FALLING = "falling"
    STEADY = "steady"
    CANNOT_TELL = "cannot-tell"
    GROWTH_EARLY = "growth-early"  # large in the short window that only gives an early word
    GROWTH_SLOW = "growth-slow"  # over half an hour or five hours, to a level that is not usual
    DANGER_HOLDS = "danger-holds"  # nothing says that the danger ended
    DANGER_LIFTING = "danger-lifting"
    DANGER_OVER = "danger-over"


GROWING: tuple[Letter, ...] = (Letter.B, Letter.C, Letter.D)
FALLING: tuple[Letter, ...] = (Letter.G, Letter.F, Letter.E)

# While growing B > C > D, while falling the danger lifts G > F > E; then what says least.
SEVERITY: tuple[Letter, ...] = (*GROWING, *FALLING, Letter.A, Letter.NONE)

# What large growth means when one metric shows it alone, and when a second one is at least as bad.
ALONE: Mapping[Letter, Level] = MappingProxyType(
    {Letter.B: Level.MEDIUM, Letter.C: Level.ADVISORY, Letter.D: Level.ADVISORY}
)
TOGETHER: Mapping[Letter, Level] = MappingProxyType(
    {Letter.B: Level.HIGH, Letter.C: Level.MEDIUM, Letter.D: Level.ADVISORY}
)

# When growth is large (`situational.large`), in the metrics' units. Memory moves little, so a little tells.
DEFAULT_LIMITS: Mapping[Metric, Limits] = MappingProxyType(
    {
        Metric.LOGGED_IN_NODES: Limits(floor=6.0),
        Metric.NETWORK_FLOW: Limits(floor=10e3),
        Metric.EXTERNAL_CONNECTIONS: Limits(floor=10.0),
        Metric.MEMORY_USED: Limits(floor=64e6, level_margin=1.15),
    }
)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why, as data; `situational.texts` makes sentences of it. No metric: it speaks of all four.

    `growth` is a share of the level at which the curve began; `verdict` tells what it was measured against.
    """

    code: ReasonCode
    metric: Metric | None
    letter: Letter
    growth: float
    verdict: LargeVerdict | None = None


@dataclass(frozen=True, slots=True)
class Hazard:
    """`leading` is the letter that says most; `judged` tells how many of the four metrics had a letter.

    NORMAL with `judged` 0 means that nothing is known, not that nothing happens. `peak` is the worst level of
    a danger that still counts or has just ended; NORMAL when there was none.
    """

    level: Level
    leading: Letter
    judged: int
    reasons: tuple[Reason, ...]
    peak: Level = Level.NORMAL

    @property
    def is_safe_again(self) -> bool:
        """Whether a danger has just ended."""
        return any(reason.code is ReasonCode.DANGER_OVER for reason in self.reasons)


def fuse(
    trends: Mapping[Metric, Trend],
    large: Mapping[Metric, LargeVerdict],
    hints: Sequence[Reason] = (),
) -> Hazard:
    """Fuse one node's trends; a metric without a trend is not judged, one without a verdict is not large.

    `hints`, from shorter and longer windows, make it ADVISORY at most. Never LIFTING: see `danger`.
    """
    reasons = tuple(_reason(metric, trends.get(metric, NO_TREND), large.get(metric)) for metric in METRICS)
    letters = [reason.letter for reason in reasons]
    leading = min(letters, key=SEVERITY.index)
    judged = sum(letter is not Letter.NONE for letter in letters)
    surging = [r.growth for r in reasons if r.code is ReasonCode.GROWTH_LARGE and r.letter is Letter.B]
    if len(surging) == len(METRICS):
        surge = Reason(ReasonCode.ALL_SURGING, None, Letter.B, min(surging))
        return Hazard(Level.MAJOR, leading, judged, (surge, *reasons, *hints))
    level = max(_level(reasons), Level.ADVISORY if hints else Level.NORMAL)
    return Hazard(level, leading, judged, (*reasons, *hints))


def growth(metric: Metric, trend: Trend) -> float:
    """Rise of the regime as a share of the level at its beginning, which counts as the floor below that."""
    curve = trend.regime_curve
    return curve.rise / max(curve.start, DEFAULT_LIMITS[metric].floor)


def _reason(metric: Metric, trend: Trend, verdict: LargeVerdict | None) -> Reason:
    large = verdict is not None and verdict.large
    return Reason(_code(trend.regime, large=large), metric, trend.regime, growth(metric, trend), verdict)


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
    large = sorted(
        (reason.letter for reason in reasons if reason.code is ReasonCode.GROWTH_LARGE), key=SEVERITY.index
    )
    if len(large) > 1:
        return max(ALONE[large[0]], TOGETHER[large[1]])
    return ALONE[large[0]] if large else Level.NORMAL
