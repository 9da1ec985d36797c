"""When growth is large: against what is usual or, while that is not known, against the level itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from situational.errors import BadSettingError

FIRM_DAYS = 2  # days after which this hour's level needs no second opinion
ROBUST_DAYS = 5  # from here on the highest of the days is left out: one odd day teaches nothing

Highs = Sequence[tuple[float, float]]  # highest level and highest growth, of a day's hour or of an hour


class Basis(Enum):
    ABSOLUTE = "absolute"  # floor, ceiling, or nothing grows
    COLD_START = "cold-start"  # less than a day is known: growth as a share of the level
    HISTORY = "history"


class Check(Enum):
    GROWING = "growing"
    FLOOR = "floor"
    CEILING = "ceiling"
    RELATIVE_GROWTH = "relative-growth"
    LEVEL_AT_THIS_HOUR = "level-at-this-hour"
    GROWTH_AT_THIS_HOUR = "growth-at-this-hour"
    LEVEL_IN_LAST_DAY = "level-in-last-day"
    GROWTH_IN_LAST_DAY = "growth-in-last-day"


@dataclass(frozen=True, slots=True)
class LargeReason:
    """`value` was compared with `limit`; `over` tells how it came out."""

    check: Check
    value: float
    limit: float
    over: bool


@dataclass(frozen=True, slots=True)
class LargeVerdict:
    """`days` and `hours` tell how much history this hour and the last day had."""

    large: bool
    basis: Basis
    reasons: tuple[LargeReason, ...]
    days: int
    hours: int


@dataclass(frozen=True, slots=True)
class Limits:
    """In the metric's units. Below `floor` nothing is large; from `ceiling` on all growth is.

    `relative` is the share of the level that is large while no history is known. With history, level and
    growth must be beyond what is usual by the margins, and growth at least `relative` of the floor.
    """

    floor: float
    ceiling: float = math.inf
    relative: float = 0.5
    level_margin: float = 1.25
    growth_margin: float = 1.25

    def __post_init__(self) -> None:
        for name in ("floor", "relative"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise BadSettingError(name, value, "a positive number")
        for name in ("level_margin", "growth_margin"):
            value = getattr(self, name)
            if not 1 <= value < math.inf:
                raise BadSettingError(name, value, "at least 1")
        if not self.ceiling > self.floor:
            raise BadSettingError("ceiling", self.ceiling, f"above the floor of {self.floor}")


def judge(
    rise: float, level: float, limits: Limits, *, days: Highs, hours: Highs, cold: bool
) -> LargeVerdict:
    """Judge a rise to `level`; `days` are this hour on the days before, `hours` those of the last day."""
    basis, large, reasons = Basis.ABSOLUTE, False, _absolutely(rise, level, limits)
    if reasons:
        large = reasons[0].check is Check.CEILING
    elif cold or not (days or hours):
        basis, limit = Basis.COLD_START, limits.relative * max(level - rise, limits.floor)
        reasons = [_over(Check.RELATIVE_GROWTH, rise, limit)]
        large = reasons[0].over
    else:
        basis, reasons = Basis.HISTORY, _against_history(rise, level, limits, days, hours)
        large = all(reason.over for reason in reasons)
    return LargeVerdict(large, basis, tuple(reasons), len(days), len(hours))


def _over(check: Check, value: float, limit: float) -> LargeReason:
    return LargeReason(check, value, limit, value >= limit)


def _absolutely(rise: float, level: float, limits: Limits) -> list[LargeReason]:
    """What decides alone, if anything does."""
    if rise <= 0:
        return [LargeReason(Check.GROWING, rise, 0.0, over=False)]
    if level < limits.floor:
        return [_over(Check.FLOOR, level, limits.floor)]
    return [_over(Check.CEILING, level, limits.ceiling)] if level >= limits.ceiling else []


def _against_history(
    rise: float,
    level: float,
    limits: Limits,
    days: Highs,
    hours: Highs,
) -> list[LargeReason]:
    """All must be over. The last day's level counts only while this hour is not known well: a surge by night
    need not reach the day's peak to be one."""

    def beyond(usual: float) -> float:
        return usual + (limits.level_margin - 1.0) * abs(usual)

    def faster(usual: float) -> float:
        return max(limits.growth_margin * usual, limits.relative * limits.floor)

    reasons = []
    if days:
        usual_level, usual_growth = _usual([d[0] for d in days]), _usual([d[1] for d in days])
        reasons.append(_over(Check.LEVEL_AT_THIS_HOUR, level, beyond(usual_level)))
        reasons.append(_over(Check.GROWTH_AT_THIS_HOUR, rise, faster(usual_growth)))
    if hours:
        if len(days) < FIRM_DAYS:
            reasons.append(_over(Check.LEVEL_IN_LAST_DAY, level, beyond(max(h[0] for h in hours))))
        reasons.append(_over(Check.GROWTH_IN_LAST_DAY, rise, faster(max(h[1] for h in hours))))
    return reasons


def _usual(highs: Sequence[float]) -> float:
    """The highest of the days; of many days the second highest."""
    return sorted(highs)[-2 if len(highs) >= ROBUST_DAYS else -1]
