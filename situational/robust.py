"""Windows brought to size one, and spikes in them put back where their neighbours are.

Everything here is a matter of order, sums and ratios, so that scaling, shifting, negating and reversing a
window do the same to the result.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from situational.letters import FloatArray, IntArray

_MARGIN = 1e-9  # of the range: comparisons must not hang on the last digit
_COARSEST = (
    0.29  # a grain of a third of the range or more: steps between two to four levels, no counting noise
)
_ULPS = 8 * np.finfo(np.float64).eps

# A spike is further than this many standard deviations of the noise from the median of five around it: 1 of
# 5,000 normal samples is.
_SPIKE = 4.0
_MOST_SPIKES = 0.2  # of the samples; beyond that nothing tells spikes from signal


class Scaled(NamedTuple):
    """y = middle + size · z with z of shape (m, n) in [−½, ½]; where `flat`, z is 0 and y does not vary."""

    z: FloatArray
    middle: FloatArray
    size: FloatArray
    flat: npt.NDArray[np.bool_]
    spikes: IntArray
    grain: FloatArray  # smallest difference of successive samples: the counting unit, if there is one


def scaled(y: FloatArray) -> Scaled:
    """Clean and normalise windows y of shape (m, n), n >= 5, finite, with a range that does not overflow."""
    middle, size = _frame(y)
    flat = size <= _ULPS * np.abs(y).max(axis=1)
    size[flat] = 1.0
    z = np.where(flat[:, None], 0.0, (y - middle[:, None]) / size[:, None])
    z, spikes = _despiked(z)
    if spikes.any():
        inner, left = _frame(z)
        flat |= left <= _MARGIN
        left[flat] = 1.0
        z = np.where(flat[:, None], 0.0, (z - inner[:, None]) / left[:, None])
        middle, size = middle + size * inner, size * left
    return Scaled(z, middle, size, flat, spikes, _grain(z))


def _frame(y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Middle and range; halved before they are added, so that the largest numbers do not overflow."""
    high, low = y.max(axis=1), y.min(axis=1)
    return np.where(high > low, high / 2 + low / 2, high), high - low


def _despiked(z: FloatArray) -> tuple[FloatArray, IntArray]:
    """Put single samples that stand out from the four around them at the median of the five."""
    median = _median_of_five(z)
    away = np.abs(z - median)
    limit = _SPIKE * noise(z)[:, None] + _steepness(median) + _MARGIN
    spike = away > limit * (1.0 + _MARGIN)
    spikes = spike.sum(axis=1)
    spike[spikes > _MOST_SPIKES * z.shape[1]] = False
    return np.where(spike, median, z), spike.sum(axis=1)


def _median_of_five(z: FloatArray) -> FloatArray:
    """Running median; beyond its ends a window is continued by its mirror image."""
    wide = np.concatenate([z[:, 2:0:-1], z, z[:, -2:-4:-1]], axis=1)
    n = z.shape[1]
    a, b, c, d, e = (wide[:, i : i + n] for i in range(5))
    lower = np.maximum(np.minimum(a, b), np.minimum(d, e))
    upper = np.minimum(np.maximum(a, b), np.maximum(d, e))
    return np.asarray(np.maximum(np.minimum(lower, upper), np.minimum(np.maximum(lower, upper), c)))


def noise(z: FloatArray) -> FloatArray:
    """Standard deviation of what is left of a curve by its neighbours; a few spikes do not move it."""
    bend = np.abs(z[:, 1:-1] - 0.5 * (z[:, 2:] + z[:, :-2]))
    middle = bend.shape[1] // 2
    return np.asarray(np.partition(bend, middle, axis=1)[:, middle] / (0.6745 * 1.5**0.5))


def _steepness(median: FloatArray) -> FloatArray:
    """How much the median itself moves over five samples: what a clean but steep curve may do in one."""
    moved = np.abs(median[:, 4:] - median[:, :-4])
    return np.concatenate([moved[:, :1], moved[:, :1], moved, moved[:, -1:], moved[:, -1:]], axis=1)


def _grain(z: FloatArray) -> FloatArray:
    steps = np.abs(np.diff(z, axis=1))
    least = np.where(steps > _MARGIN, steps, 1.0).min(axis=1)
    return np.asarray(np.where(least < _COARSEST, least, 0.0))
