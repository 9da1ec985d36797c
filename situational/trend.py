"""Perception: which of the classes A … G a window of samples is, or that it cannot be told (P1 §2.3)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from situational.errors import WindowShapeError
from situational.fit import fit
from situational.series import FloatArray, Window

Key = TypeVar("Key", bound=Hashable)

MIN_SAMPLES = 10
MIN_CONFIDENCE = 0.55
# A window whose samples mostly repeat their neighbours (r > 0.6) follows no curve of the family, unless the
# curve explains nearly everything.
MIN_INDEPENDENT_SHARE = 0.25
FITS_ANYWAY = 0.9

_CHUNK = 256  # windows fitted at once: bounds the memory of a tick to some 20 MB
_ULPS = 8 * np.finfo(np.float64).eps


class Letter(Enum):
    """Classes by the signs of the first and the second derivative (P1 figure 8); NONE: cannot be told."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    F = "F"
    G = "G"
    NONE = "none"

    @property
    def signs(self) -> tuple[int, int] | None:
        return _SIGNS.get(self)


_LETTERS = (Letter.A, Letter.B, Letter.C, Letter.D, Letter.E, Letter.F, Letter.G)
_SIGNS = {
    Letter.A: (0, 0),
    Letter.B: (1, 1),
    Letter.C: (1, 0),
    Letter.D: (1, -1),
    Letter.E: (-1, 1),
    Letter.F: (-1, 0),
    Letter.G: (-1, -1),
}


@dataclass(frozen=True, slots=True)
class Trend:
    """A window's letter and the curve `start + rise (e^{ku} − 1)/(e^k − 1)`, in the units of the metric.

    For NONE, confidence, rise and k are 0, start is the mean and noise the standard deviation.
    """

    letter: Letter
    confidence: float
    start: float
    rise: float
    k: float
    noise: float
    n: int
    n_effective: float
    span_s: float


NO_TREND = Trend(Letter.NONE, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0)


def classify(t: npt.ArrayLike, y: npt.ArrayLike) -> Trend:
    """Classify one window of shape (n,); samples that are not finite are left out, the order is free.

    Raises WindowShapeError.
    """
    times, values = np.asarray(t, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if times.ndim != 1 or times.shape != values.shape:
        raise WindowShapeError(times.shape, values.shape)
    usable = np.isfinite(times) & np.isfinite(values)
    return classify_batch(times[usable], values[usable][None, :])[0]


def classify_batch(t: npt.ArrayLike, y: npt.ArrayLike) -> list[Trend]:
    """Classify m windows, y of shape (m, n), at common times (n,) or times of their own (m, n).

    A row with anything not finite is NONE. Raises WindowShapeError.
    """
    times, values = np.atleast_2d(np.asarray(t, dtype=np.float64)), np.asarray(y, dtype=np.float64)
    if values.ndim != 2 or times.ndim != 2 or times.shape not in {values.shape, (1, values.shape[1])}:
        raise WindowShapeError(times.shape, values.shape)
    if values.shape[1] < MIN_SAMPLES:
        return [_unusable(values.shape[1])] * len(values)
    trends: list[Trend] = []
    for first in range(0, len(values), _CHUNK):
        rows = slice(first, first + _CHUNK)
        trends += _classify_rows(times if len(times) == 1 else times[rows], values[rows])
    return trends


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


def _classify_rows(t: FloatArray, y: FloatArray) -> list[Trend]:
    order = np.argsort(t, axis=1, kind="stable")
    t = np.take_along_axis(t, order, axis=1)
    y = np.take_along_axis(y, np.broadcast_to(order, y.shape), axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        span = t[:, -1] - t[:, 0]
        scale = y.max(axis=1) - y.min(axis=1)
        usable = np.isfinite(y).all(axis=1) & np.isfinite(scale) & np.isfinite(span) & (span > 0)
    trends = [_unusable(y.shape[1])] * len(y)
    if usable.any():
        own_times = len(t) == len(y)
        fitted = _fit_rows(t[usable] if own_times else t, y[usable], scale[usable])
        for row, trend in zip(np.flatnonzero(usable), fitted, strict=True):
            trends[row] = trend
    return trends


def _fit_rows(t: FloatArray, y: FloatArray, scale: FloatArray) -> list[Trend]:
    """Bring times and values to windows of size one, fit, and bring the curves back."""
    n = y.shape[1]
    span = t[:, -1] - t[:, 0]
    varies = scale > _ULPS * np.abs(y).max(axis=1)
    unit = np.where(varies, scale, 1.0)
    z = np.where(varies[:, None], (y - y[:, :1]) / unit[:, None], 0.0)
    fits = fit((t - t[:, :1]) / span[:, None], z)

    few = fits.n_effective < max(MIN_SAMPLES, MIN_INDEPENDENT_SHARE * n)
    kept = (fits.confidence >= MIN_CONFIDENCE) & ~(few & (fits.explained < FITS_ANYWAY))
    letters = [_LETTERS[i] if keep else Letter.NONE for i, keep in zip(fits.letter, kept, strict=True)]
    columns = (
        np.where(kept, fits.confidence, 0.0),
        y[:, 0] + unit * np.where(kept, fits.start, z.mean(axis=1)),
        np.where(kept, unit * fits.rise, 0.0),
        np.where(kept, fits.k, 0.0),
        unit * np.where(kept, fits.noise, z.std(axis=1)),
        np.full(len(y), n),
        fits.n_effective,
        np.broadcast_to(span, len(y)),
    )
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return [Trend(letter, *row) for letter, row in zip(letters, rows, strict=True)]


def _unusable(n: int) -> Trend:
    return replace(NO_TREND, n=n)
