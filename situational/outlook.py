"""Forecasts of a window that may have broken: only what follows its last break says how it goes on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from situational.forecast import Direction, Forecast, forecast
from situational.letters import FloatArray
from situational.trend import classify


def since_break(t: npt.ArrayLike, y: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Times and values (n,) from the last break on; all of them without a break. Raises WindowShapeError."""
    times, values = np.asarray(t, dtype=np.float64), np.asarray(y, dtype=np.float64)
    begin_s = classify(times, values).break_s
    if begin_s is None:
        return times, values
    kept = times >= begin_s
    return times[kept], values[kept]


def outlook(
    t: npt.ArrayLike,
    y: npt.ArrayLike,
    threshold: float,
    *,
    direction: Direction | None = None,
    level: float = 0.8,
    horizon_s: float | None = None,
) -> Forecast:
    """As `forecast`, of the samples since the last break; UNKNOWN when those are fewer than 10.

    A curve fitted across a break is answered with confidence and far too early or too late.
    Raises WindowShapeError, BadSettingError.
    """
    times, values = since_break(t, y)
    return forecast(times, values, threshold, direction=direction, level=level, horizon_s=horizon_s)
