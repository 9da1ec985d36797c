"""Lines that level and growth must pass to be large, asked of the baselines now and then and kept in columns.

They spare asking every baseline at every poll: below its lines nothing is large, above them
`Baseline.is_large` decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from situational.adoption import Flags
from situational.baseline import Baseline
from situational.large import Basis, Check, Limits
from situational.letters import FloatArray
from situational.series import METRICS, Metric

REFRESH_S = 300.0

_LEVELS = (Check.LEVEL_AT_THIS_HOUR, Check.LEVEL_IN_LAST_DAY)
_GROWTHS = (Check.GROWTH_AT_THIS_HOUR, Check.GROWTH_IN_LAST_DAY)
_HUGE = 1e300


class Line(NamedTuple):
    """NaN where less than a day is known."""

    level: float
    growth: float


def line_of(baseline: Baseline, limits: Limits, at_s: float, utc_offset_s: float) -> Line:
    """What level and growth over five minutes must reach to be large by history alone."""
    level = min(_HUGE, math.nextafter(limits.ceiling, 0.0))
    verdict = baseline.is_large(_HUGE, level, at_s, limits, utc_offset_s=utc_offset_s)
    if verdict.basis is not Basis.HISTORY:
        return Line(math.nan, math.nan)
    levels = [reason.limit for reason in verdict.reasons if reason.check in _LEVELS]
    growths = [reason.limit for reason in verdict.reasons if reason.check in _GROWTHS]
    return Line(max(levels, default=limits.floor), max(growths, default=0.0))


def maybe_large(
    rise: FloatArray, level: FloatArray, lines: FloatArray, limits: Mapping[Metric, Limits]
) -> Flags:
    """Whether rises to levels, shape (rows, 4), may be large; lines (rows, 4, 2)."""
    floor, ceiling, relative = (
        np.array([getattr(limits[metric], name) for metric in METRICS])
        for name in ("floor", "ceiling", "relative")
    )
    cold = np.isnan(lines[..., 0])
    with np.errstate(invalid="ignore"):
        usual = (level >= lines[..., 0]) & (rise >= lines[..., 1])
        by_share = rise >= relative * np.maximum(level - rise, floor)
        return np.asarray(
            (rise > 0) & (level >= floor) & (np.where(cold, by_share, usual) | (level >= ceiling))
        )
