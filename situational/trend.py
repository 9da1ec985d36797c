"""Perception: which of the classes A … G a window of samples is, or that it cannot be told (P1 §2.3)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from situational import breaks, fit, robust
from situational.basis import build, regular
from situational.errors import WindowShapeError
from situational.fit import Smooth
from situational.letters import NO_TREND, NONE_CODE, Curve, FloatArray, IntArray, Letter, Trend, Trends
from situational.robust import Scaled
from situational.series import Window

__all__ = ["NO_TREND", "Curve", "Letter", "Trend", "Trends", "classify", "classify_batch", "classify_windows"]

Key = TypeVar("Key", bound=Hashable)

MIN_SAMPLES = 10
MAX_SAMPLES = 2_000

_MIN_TO_BREAK = 2 * MIN_SAMPLES  # shorter windows hold no two regimes that could be told
WHOLE = 0  # samples that follow no break
_CUTS = 2  # a window may be broken and its last part once more
# Times off a regular grid by less than this share of a step are taken for regular: the error in the values
# is below the tolerance of the fit.
_JITTER = 0.2
_CHUNK, _OWN_TIMES_CHUNK = 512, 32  # windows fitted at once: bounds memory to some 20 MB


def classify(t: npt.ArrayLike, y: npt.ArrayLike) -> Trend:
    """Classify one window of shape (n,); samples that are not finite are left out, the order is free.

    Of more than MAX_SAMPLES the means of equally many neighbours are classified. Raises WindowShapeError.
    """
    times, values = np.asarray(t, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if times.ndim != 1 or times.shape != values.shape:
        raise WindowShapeError(times.shape, values.shape)
    if len(times) > MAX_SAMPLES:
        times, values = _thinned(times, values)
    return classify_batch(times, values[None])[0]


def classify_batch(t: npt.ArrayLike, y: npt.ArrayLike) -> Trends:
    """Classify m windows, y of shape (m, n), at common times (n,) or times of their own (m, n), in seconds.

    Samples that are not finite are left out. A window with fewer than MIN_SAMPLES others, or in which no time
    passes, is NONE. Raises WindowShapeError.
    """
    times, values = np.atleast_2d(np.asarray(t, dtype=np.float64)), np.asarray(y, dtype=np.float64)
    if values.ndim != 2 or times.ndim != 2 or times.shape not in {values.shape, (1, values.shape[1])}:
        raise WindowShapeError(times.shape, values.shape)
    trends = Trends.empty(len(values))
    usable = np.isfinite(times) & np.isfinite(values)
    trends.n[:] = usable.sum(axis=1)
    for n in np.unique(trends.n[trends.n >= MIN_SAMPLES]):
        rows = np.flatnonzero(trends.n == n)
        if n == values.shape[1]:
            part = times if len(times) == 1 else times[rows], values[rows]
        else:
            kept = usable[rows]
            part = np.broadcast_to(times, values.shape)[rows][kept], values[rows][kept]
            part = part[0].reshape(-1, n), part[1].reshape(-1, n)
        trends.put(rows, _of_length(*part))
    return trends


def _thinned(t: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means of neighbours, the newest complete: a long recording needs no more memory than a window."""
    usable = np.flatnonzero(np.isfinite(t) & np.isfinite(y))
    usable = usable[np.argsort(t[usable], kind="stable")]
    each = -(-len(usable) // MAX_SAMPLES) or 1
    kept = usable[len(usable) % each :].reshape(-1, each)
    return t[kept].mean(axis=1), y[kept].mean(axis=1)


def classify_windows(windows: Mapping[Key, Window]) -> dict[Key, Trend]:
    """Classify all windows of a tick, whatever their lengths, in as few batches as they have lengths."""
    by_length: dict[int, list[Key]] = {}
    for key, window in windows.items():
        by_length.setdefault(len(window.y), []).append(key)
    trends: dict[Key, Trend] = {}
    for keys in by_length.values():
        t = np.stack([windows[key].t for key in keys])
        y = np.stack([windows[key].y for key in keys])
        trends.update(zip(keys, classify_batch(t, y), strict=True))
    return {key: trends[key] for key in windows}


def _of_length(t: FloatArray, y: FloatArray) -> Trends:
    """Windows of finite samples, as many in each: bring them in order, fit those alike together."""
    t, y = _ordered(t, y)
    trends = Trends.empty(len(y))
    trends.n[:] = y.shape[1]
    with np.errstate(over="ignore", invalid="ignore"):
        span = t[:, -1] - t[:, 0]
        usable = np.isfinite(y.max(axis=1) - y.min(axis=1)) & np.isfinite(span) & (span > 0)
        u = (t - t[:, :1]) / span[:, None]
        even = np.linspace(0.0, 1.0, y.shape[1])
        on_grid = (np.abs(u - even) <= _JITTER * even[1]).all(axis=1)
    for rows, regular_times in (
        (np.flatnonzero(usable & on_grid), True),
        (np.flatnonzero(usable & ~on_grid), False),
    ):
        if len(rows):
            own = t if len(t) == 1 else t[rows]
            trends.put(rows, _alike(own, y[rows], regular_times=regular_times))
    return trends


def _ordered(t: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    if (t[:, 1:] >= t[:, :-1]).all():
        return t, y
    order = np.argsort(t, axis=1, kind="stable")
    y = np.take_along_axis(y, np.broadcast_to(order, y.shape), axis=1)
    return np.take_along_axis(t, order, axis=1), y


def _alike(t: FloatArray, y: FloatArray, *, regular_times: bool) -> Trends:
    """Fit whole windows, then what follows their break, and once more what follows a break in that."""
    n = y.shape[1]
    trends, rest = _fitted(t, y, regular_times=regular_times, cuts=_CUTS)
    contradicted = (rest != WHOLE) & (trends.shape == 0)  # what breaks is not unchanged
    trends.shape[contradicted], trends.confidence[contradicted] = NONE_CODE, 0.0
    for cut in range(_CUTS):
        pending, rest = rest, np.full(len(y), WHOLE)
        for length in np.unique(pending[pending != WHOLE]):
            rows = np.flatnonzero(pending == length)
            first = n - length
            trends.break_s[rows] = t[rows % len(t), first]
            trends.put_regime(rows, Trends.empty(len(rows)))
            rows = rows[t[rows % len(t), -1] > t[rows % len(t), first]]
            if length >= MIN_SAMPLES and len(rows):
                part = t[:, first:] if len(t) == 1 else t[rows, first:]
                last, rest[rows] = _fitted(
                    part, y[rows, first:], regular_times=regular_times, cuts=_CUTS - 1 - cut
                )
                trends.put_regime(rows, last)
    return trends


def _fitted(t: FloatArray, y: FloatArray, *, regular_times: bool, cuts: int) -> tuple[Trends, IntArray]:
    """Fit windows y (m, n), t (1, n) or (m, n); also how many samples follow the break, WHOLE without one."""
    m, n = y.shape
    breakable = cuts > 0 and n >= _MIN_TO_BREAK
    trends, rest = Trends.empty(m), np.full(m, WHOLE)
    size = _CHUNK if regular_times else _OWN_TIMES_CHUNK
    for first in range(0, m, size):
        rows = slice(first, first + size)
        own = t if len(t) == 1 else t[rows]
        u = (own - own[:, :1]) / (own[:, -1:] - own[:, :1])
        basis = regular(n, breaks=breakable) if regular_times else build(u, breaks=breakable)
        scaled = robust.scaled(y[rows])
        found = fit.smooth(basis, scaled)
        trends.put(rows, _told(own, u, scaled, found, after_break=cuts < _CUTS))
        if basis.breaks is not None:
            place = breaks.find(basis, basis.breaks, scaled, found)
            lost = (place == breaks.NOT_BROKEN) & (trends.shape[rows] == NONE_CODE)
            place[lost] = breaks.jumps(scaled.z[lost])
            rest[rows] = np.where(place == breaks.NOT_BROKEN, WHOLE, n - place)
    return trends, rest


def _told(t: FloatArray, u: FloatArray, scaled: Scaled, found: Smooth, *, after_break: bool) -> Trends:
    """What the smooth fit of whole windows says, in the metric's units."""
    m, n = scaled.z.shape
    decision, n_effective = fit.decide(found, scaled, after_break=after_break)
    curve = fit.curves(u, scaled.z, found, decision.letter)
    columns = np.empty((m, 5))
    columns[:, 0] = scaled.middle + scaled.size * curve.start
    columns[:, 1] = scaled.size * curve.rise
    columns[:, 2] = curve.k
    columns[:, 3] = t[:, 0]
    columns[:, 4] = t[:, -1] - t[:, 0]
    return Trends(
        shape=decision.letter,
        regime=decision.letter,
        posterior=decision.posterior,
        regime_posterior=decision.posterior,
        confidence=decision.confidence,
        regime_confidence=decision.confidence,
        curve=columns,
        regime_curve=columns,
        r2=curve.r2,
        noise=scaled.size * curve.noise,
        n=n - scaled.spikes,
        n_effective=n_effective,
        break_s=np.full(m, np.nan),
    )
