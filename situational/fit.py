"""The numeric core: which letter a window is, by the evidence for each (P1 §2.3, figure 8).

A letter is a pair of signs. Its members are the curves of `situational.basis` with those signs; their best
amplitude and base line are a projection, so that fitting all of them to many windows is one matrix product.
A letter's evidence is the mean likelihood of its members, not that of the best one: bends that the data
cannot tell apart then do not count as many chances.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from situational.basis import BENDS, CONCAVE, CONVEX, CURVES, EXPONENTIALS, LINE, Basis
from situational.letters import MODELLED, NONE_CODE, FloatArray, IntArray
from situational.robust import Scaled

# Misfit below this share of the window's range is not evidence: real curves are no member of any family,
# and clocks are not exact.
TOLERANCE = 0.01
# Nor is it serial correlation below this share.
_SERIAL_TOLERANCE = 0.02
_MAX_CORRELATION = 0.95

# A trend must beat "unchanged" by e⁵ beside the penalty of its slope: 4 in 10,000 quiet windows do.
_QUIET = 5.0
# What follows a break was chosen by looking at the data, and is short.
_QUIET_AFTER_BREAK = 8.0
MIN_CONFIDENCE = 0.5
# Two letters as likely as each other are no answer, whatever rounding says.
_TIE = 1e-6
# A window whose samples mostly repeat their neighbours (r > 0.54) follows no curve of the family, unless the
# curve explains nearly everything.
_MIN_INDEPENDENT_SHARE = 0.3
_FITS_ANYWAY = 0.9


# A letter has many ways to be bent and one to be straight: odds in favour of the bent ones.
_BENT_ODDS = 1.14
_OTHERS = 0.25


def _weights() -> FloatArray:
    """Shares of the members of a bent letter: the exponentials even in curvature, _OTHERS to the other forms.

    Curvature: the largest distance between a curve and its chord, as a share of its range.
    """
    at = np.log(np.expm1(BENDS) / BENDS) / BENDS
    curvature = at - np.expm1(BENDS * at) / np.expm1(BENDS)
    middles = (curvature[1:] + curvature[:-1]) / 2
    widths = np.diff(np.concatenate([[curvature[0] / 2], middles, [curvature[-1]]]))
    others = CURVES - EXPONENTIALS
    exponentials = (1.0 - _OTHERS) * widths / widths.sum()
    return _BENT_ODDS * np.concatenate([exponentials, np.full(others, _OTHERS / others)])


_WEIGHTS = _weights()


class Smooth(NamedTuple):
    """Per window, shape (m,) or (m, columns): what the projections leave and who is best."""

    centred: FloatArray
    total: FloatArray
    along: FloatArray  # projections on the smooth columns
    logs: FloatArray  # log of the mean square that each column leaves
    quiet: FloatArray  # the same of "unchanged"
    correlation: FloatArray  # of what the best column leaves


class Decision(NamedTuple):
    letter: IntArray  # codes
    posterior: FloatArray  # (m, 7)
    confidence: FloatArray


def project(z: FloatArray, columns: FloatArray) -> FloatArray:
    """Products of rows z (m, n) with columns (r, c, n), r = 1 or m: (m, c)."""
    if len(columns) == 1:
        return np.asarray(z @ columns[0].T)
    return np.asarray(np.matmul(columns, z[:, :, None])[:, :, 0])


def mean_left(power: FloatArray, along: FloatArray, n: int) -> FloatArray:
    """Mean square that projections (m, c) leave of power (m, c) or (m, 1), and TOLERANCE² of misfit."""
    left = np.asarray(power - np.square(along))
    np.maximum(left, 0.0, out=left)
    left /= n
    left += TOLERANCE**2
    return left


def smooth(basis: Basis, scaled: Scaled) -> Smooth:
    n = scaled.z.shape[1]
    centred = scaled.z - scaled.z.mean(axis=1, keepdims=True)
    total = np.square(centred).sum(axis=1)
    along = project(centred, basis.smooth)
    logs = np.log(mean_left(total[:, None], along, n))
    best = logs.argmin(axis=1)
    rows = np.arange(len(centred))
    column = basis.smooth[rows % len(basis.smooth), best]
    left = centred - along[rows, best, None] * column
    quiet = np.log(total / n + TOLERANCE**2)
    return Smooth(centred, total, along, logs, quiet, correlation(left, scaled.grain))


def correlation(left: FloatArray, grain: FloatArray) -> FloatArray:
    """Lag-1 correlation of residuals (m, n), less its bias in short series, −(1 + 3r)/n (Kendall 1954).

    Shrunk towards 0 by what white noise shows; what counting (grain²/12) and misfit leave does not count.
    """
    n = left.shape[1]
    power = np.einsum("mn,mn->m", left, left)
    lagged = np.einsum("mn,mn->m", left[:, 1:], left[:, :-1])
    raw = lagged / np.maximum(power, np.finfo(np.float64).tiny)
    r = raw + (1.0 + 3.0 * np.maximum(raw, 0.0)) / n
    r *= power / (power + n * (_SERIAL_TOLERANCE**2 + np.square(grain) / 12.0))
    shrunk = np.where(r > 0.0, r - 1.0 / (n * np.maximum(r, 1e-9)), 0.0)
    return np.asarray(np.clip(shrunk, 0.0, _MAX_CORRELATION))


def independent(n: int, r: FloatArray) -> FloatArray:
    """How many independent samples n with lag-1 correlation r are worth."""
    return np.asarray(n * (1.0 - r) / (1.0 + r))


def exponent(size: FloatArray) -> FloatArray:
    """Power of the mean square in a likelihood whose level, slope and noise are estimated, too."""
    return np.asarray(-0.5 * np.maximum(size - 3.0, 1.0))


def posterior(
    found: Smooth, n: int, size: FloatArray, quiet_odds: float = _QUIET
) -> tuple[FloatArray, FloatArray]:
    """Shares of the seven letters (m, 7) and the log of their summed evidence, with n worth `size` (m,)."""
    half = exponent(size)
    logs, quiet = found.logs * half[:, None], found.quiet * half
    top = np.maximum(logs.max(axis=1), quiet)
    weight = np.exp(logs - top[:, None])
    rising = found.along > 0.0
    up = np.where(rising, weight, 0.0)
    down = weight - up
    slope = 0.5 * np.log(n)
    evidence = np.stack(
        [
            np.exp(quiet - top + slope + quiet_odds),
            up[:, CONVEX] @ _WEIGHTS,
            up[:, LINE],
            up[:, CONCAVE] @ _WEIGHTS,
            down[:, CONCAVE] @ _WEIGHTS,
            down[:, LINE],
            down[:, CONVEX] @ _WEIGHTS,
        ],
        axis=1,
    )
    whole = evidence.sum(axis=1)
    return evidence / whole[:, None], np.log(whole) + top - slope


def decide(found: Smooth, scaled: Scaled, *, after_break: bool = False) -> tuple[Decision, FloatArray]:
    """The letters of windows, NONE where the data cannot tell, and what their samples are worth."""
    n = scaled.z.shape[1]
    size = independent(n - scaled.spikes, found.correlation)
    shares, _ = posterior(found, n, size, _QUIET_AFTER_BREAK if after_break else _QUIET)
    shares[scaled.flat] = np.eye(MODELLED)[0]
    letter = shares.argmax(axis=1)
    confidence = shares.max(axis=1)
    lost = np.where(letter == 0, 1.0, np.exp(found.logs.min(axis=1) - found.quiet))
    wandering = (size < _MIN_INDEPENDENT_SHARE * n) & (lost > 1.0 - _FITS_ANYWAY)
    told = (confidence > MIN_CONFIDENCE + _TIE) & (~wandering | scaled.flat)
    return Decision(np.where(told, letter, NONE_CODE), shares, np.where(told, confidence, 0.0)), size


class Fitted(NamedTuple):
    """Least-squares curves in units of z, shape (m,)."""

    start: FloatArray
    rise: FloatArray
    k: FloatArray
    noise: FloatArray
    r2: FloatArray


def curves(u: FloatArray, z: FloatArray, found: Smooth, letter: IntArray) -> Fitted:
    """The curve of each window's letter; a level for A and NONE."""
    m, n = z.shape
    fitted = Fitted(z.mean(axis=1), np.zeros(m), np.zeros(m), np.sqrt(found.total / n), np.zeros(m))
    sloped = np.flatnonzero((letter != 0) & (letter != NONE_CODE))
    if len(sloped) == 0:
        return fitted
    k = _bend(found, letter)[sloped]
    shape = _curve(u if len(u) == 1 else u[sloped], k[:, None])
    mean = shape.mean(axis=1)
    shape -= mean[:, None]
    centred, total = found.centred[sloped], found.total[sloped]
    rise = np.einsum("mn,mn->m", shape, centred) / np.einsum("mn,mn->m", shape, shape)
    left = np.square(centred - rise[:, None] * shape).sum(axis=1)
    fitted.start[sloped] -= rise * mean
    fitted.rise[sloped] = rise
    fitted.k[sloped] = k
    fitted.noise[sloped] = np.sqrt(left / n)
    fitted.r2[sloped] = np.clip(1.0 - left / total, 0.0, 1.0)
    return fitted


def _curve(u: FloatArray, k: FloatArray) -> FloatArray:
    """The family from 0 to 1 at u (1, n) or (m, n) with bends k (m, 1): (m, n)."""
    bent = np.where(k == 0.0, 1.0, k)
    return np.asarray(np.where(k == 0.0, u, np.expm1(bent * u) / np.expm1(bent)))


_BENT: dict[int, tuple[slice, float, int]] = {
    1: (CONVEX, 1.0, 1),
    3: (CONCAVE, -1.0, 1),
    4: (CONCAVE, -1.0, -1),
    6: (CONVEX, 1.0, -1),
}


def _bend(found: Smooth, letter: IntArray) -> FloatArray:
    """k of the best exponential with the letter's signs, refined by a parabola through its neighbours."""
    k = np.zeros(len(letter))
    for code, (part, sign, slope) in _BENT.items():
        rows = np.flatnonzero(letter == code)
        own = slice(part.start, part.start + EXPONENTIALS)
        logs = np.where(found.along[rows, own] * slope > 0.0, found.logs[rows, own], np.inf)
        best = logs.argmin(axis=1)
        k[rows] = sign * (BENDS[best] + _vertex(logs, best) * (BENDS[1] - BENDS[0]))
    return k


def _vertex(logs: FloatArray, best: IntArray) -> npt.NDArray[np.float64]:
    """Where between its neighbours the least value lies, −½ … ½; 0 at the ends."""
    rows = np.arange(len(best))
    inner = (best > 0) & (best < logs.shape[1] - 1)
    middle = np.clip(best, 1, logs.shape[1] - 2)
    before, at, after = (np.exp(logs[rows, middle + i]) for i in (-1, 0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        shift = 0.5 * (before - after) / (before - 2.0 * at + after)
    return np.asarray(np.where(inner & np.isfinite(shift), np.clip(shift, -0.5, 0.5), 0.0))
