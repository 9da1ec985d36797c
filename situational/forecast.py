"""When a curve will cross a threshold, with an interval that holds; `situational.crossing` has the method.

The interval is honest for curves of the one family (exponential, straight, saturating) with noise about them.
Power laws and logarithms bend otherwise: what is extrapolated far for them is a guess. Cut a window at its
break first; a hinge is no curve.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import numpy.typing as npt

from situational.crossing import (
    FloatArray,
    crossed_by,
    fit_curves,
    quantiles,
    running_median,
    value_at,
    winsorised,
)
from situational.errors import BadSettingError, WindowShapeError

MIN_SAMPLES = 10
HORIZON_WINDOWS = 10.0  # the default horizon; farther than that a curve's form is a guess

# Samples that mostly repeat their neighbours follow no curve, unless the curve explains nearly everything.
_MIN_INDEPENDENT_SHARE = 0.25
_FITS_ANYWAY = 0.9
_NOTHING = 1e-12  # of a window's range
_FAR = 1e100  # windows' ranges to the threshold; no curve gets there
_ULPS = 8 * np.finfo(np.float64).eps


class Outcome(Enum):
    CROSSED = "crossed"  # the curve is past the threshold already
    WILL_CROSS = "will-cross"  # the median is within the horizon
    BEYOND = "beyond"  # it crosses, but the median is after the horizon
    NEVER = "never"  # more likely than not it never crosses
    UNKNOWN = "unknown"  # too few samples, or they follow no curve of the family


class Direction(Enum):
    RISING = "rising"
    FALLING = "falling"


@dataclass(frozen=True, slots=True)
class Forecast:
    """Seconds count from the last sample. `inf` means never, within the part of the probability concerned.

    `probability` is that of having crossed by the horizon. For UNKNOWN median and probability are NaN and the
    interval is everything.
    """

    outcome: Outcome
    direction: Direction | None
    median_s: float
    lower_s: float
    upper_s: float
    probability: float
    level: float
    horizon_s: float
    n: int
    n_effective: float


def forecast(
    t: npt.ArrayLike,
    y: npt.ArrayLike,
    threshold: float,
    *,
    direction: Direction | None = None,
    level: float = 0.8,
    horizon_s: float | None = None,
) -> Forecast:
    """Forecast from one window: t in seconds and y, both of shape (n,), in any order; NaN is left out.

    Without a direction it is the one from the window's beginning towards the threshold. The default horizon
    is ten windows. Raises WindowShapeError, BadSettingError.
    """
    times, values = np.asarray(t, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if times.ndim != 1 or times.shape != values.shape:
        raise WindowShapeError(times.shape, values.shape)
    _check_settings(threshold, level, horizon_s)
    usable = np.isfinite(times) & np.isfinite(values)
    order = np.argsort(times[usable], kind="stable")
    times, values = times[usable][order], values[usable][order]
    with np.errstate(over="ignore"):
        span, size = (float(np.ptp(x)) if len(x) else 0.0 for x in (times, values))
    horizon = HORIZON_WINDOWS * span if horizon_s is None else horizon_s
    nan = math.nan
    blank = Forecast(Outcome.UNKNOWN, direction, nan, 0.0, math.inf, nan, level, horizon, len(times), 0.0)
    if len(times) < MIN_SAMPLES or not (0 < span < math.inf and size < math.inf):
        return blank
    if size <= _ULPS * float(np.abs(values).max()):
        return _constant(float(values[0]), threshold, blank)
    return _from_window((times - times[0]) / span, values, threshold, span, blank)


def _check_settings(threshold: float, level: float, horizon_s: float | None) -> None:
    if not math.isfinite(threshold):
        raise BadSettingError("threshold", threshold, "a finite number")
    if not 0 < level < 1:
        raise BadSettingError("level", level, "between 0 and 1")
    if horizon_s is not None and not (0 < horizon_s < math.inf):
        raise BadSettingError("horizon_s", horizon_s, "a positive number of seconds")


def _from_window(u: FloatArray, y: FloatArray, threshold: float, span: float, blank: Forecast) -> Forecast:
    base, smooth = float(np.median(y)), running_median(y)
    smooth_size, size = float(np.ptp(smooth)), float(np.ptp(y))
    unit = smooth_size if smooth_size > _NOTHING * size else size
    fit = fit_curves(u, winsorised(u, (y - base) / unit, (smooth - base) / unit))
    blank = replace(blank, n_effective=fit.n_effective)
    if fit.n_effective < _MIN_INDEPENDENT_SHARE * len(u) and fit.explained < _FITS_ANYWAY:
        return blank

    with np.errstate(over="ignore"):
        aim = float(np.clip((threshold - base) / unit, -_FAR, _FAR))
    direction = blank.direction or (Direction.RISING if aim > value_at(fit, 0.0) else Direction.FALLING)
    upwards = 1.0 if direction is Direction.RISING else -1.0
    when = np.array([1.0, 1.0 + blank.horizon_s / span, math.inf])
    now, within, ever = crossed_by(fit, aim, upwards, when).tolist()
    tail = (1.0 - blank.level) / 2.0
    shares = np.array([tail, 0.5, 1.0 - tail])
    lower, median, upper = (span * quantiles(fit, aim, upwards, shares)).tolist()
    return replace(
        blank,
        outcome=_outcome(now, ever, median, blank.horizon_s),
        direction=direction,
        median_s=median,
        lower_s=lower,
        upper_s=upper,
        probability=within,
    )


def _outcome(now: float, ever: float, median: float, horizon_s: float) -> Outcome:
    if now >= 0.5:
        return Outcome.CROSSED
    if ever < 0.5 or math.isinf(median):
        return Outcome.NEVER
    return Outcome.WILL_CROSS if median <= horizon_s else Outcome.BEYOND


def _constant(value: float, threshold: float, blank: Forecast) -> Forecast:
    """Samples without any variation: the threshold is met, or nothing moves towards it."""
    direction = blank.direction or (Direction.RISING if threshold >= value else Direction.FALLING)
    crossed = value >= threshold if direction is Direction.RISING else value <= threshold
    when = 0.0 if crossed else math.inf
    return replace(
        blank,
        outcome=Outcome.CROSSED if crossed else Outcome.NEVER,
        direction=direction,
        median_s=when,
        lower_s=when,
        upper_s=when,
        probability=float(crossed),
        n_effective=float(blank.n),
    )
