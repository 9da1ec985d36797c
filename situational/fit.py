"""The numeric core: one family of curves, fitted to many windows at once.

    y = c + β (e^{ku} − 1)/(e^k − 1),   u = time scaled to the window [0, 1],   k → 0: a straight line

All seven classes of P1 §2.3 are members. The first derivative has the sign of β, the second the sign of
β·k. For each k of a grid the best c and β are a projection (variable projection), so that fitting is two
matrix products. Models compete by BIC: constant; straight; curved with either sign of k.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from situational.series import FloatArray

IntArray = npt.NDArray[np.intp]

# Below 0.5 a bend cannot be told from a line at telemetry's noise; above 8 the whole rise sits in the last
# few samples, where one outlier would be a curve.
_CURVES = 16
_BENDS = np.geomspace(0.5, 8.0, _CURVES)
GRID: FloatArray = np.concatenate(([0.0], _BENDS, -_BENDS))
_LINE, _CONVEX, _CONCAVE = slice(0, 1), slice(1, 1 + _CURVES), slice(1 + _CURVES, None)

# Candidates in the order of the letters A … G: the part of the grid, and the sign of β.
_CANDIDATES = ((_CONVEX, 1), (_LINE, 1), (_CONCAVE, 1), (_CONCAVE, -1), (_LINE, -1), (_CONVEX, -1))
_EXTRA_PARAMETERS = np.array([0, 2, 1, 2, 2, 1, 2])

# Both relative to the window's range. Differences below the first are rounding, not evidence; residuals
# below the second are the family's own misfit to another smooth curve, not serial correlation.
_RESOLUTION = 1e-6
_TOLERANCE = 0.02

_MAX_CORRELATION = 0.95


class Fits(NamedTuple):
    """Per window, shape (m,): the best letter's index in A … G and its model, in the units of z."""

    letter: IntArray
    confidence: FloatArray  # posterior of that letter among the seven
    start: FloatArray  # fitted value at u = 0
    rise: FloatArray  # β, the fitted change over the window
    k: FloatArray
    noise: FloatArray  # root mean square of the residuals
    explained: FloatArray  # share of the variance, 0 … 1
    n_effective: FloatArray


def fit(u: FloatArray, z: FloatArray) -> Fits:
    """Fit windows z of shape (m, n), range about 1, at scaled times u of shape (1, n) or (m, n)."""
    n = z.shape[1]
    rows = np.arange(z.shape[0])
    curves, means, lengths = _basis(u)
    basis_row = rows % u.shape[0]

    middle = z.mean(axis=1)
    centred = z - middle[:, None]
    total = np.square(centred).sum(axis=1)
    projected = np.matmul(curves, centred[:, :, None])[:, :, 0] / lengths
    floor = n * _RESOLUTION**2
    costs = np.maximum(total[:, None] - np.square(projected), 0.0) + floor

    best = costs.argmin(axis=1)
    at = (basis_row, best)
    unit = (curves[at] - means[at][:, None]) / lengths[at][:, None]
    n_effective = _effective_size(centred - projected[rows, best][:, None] * unit)

    cost, member = _candidates(costs, projected, total + floor)
    posterior = _posterior(cost, n, n_effective)
    letter = posterior.argmax(axis=1)
    chosen = member[rows, letter]
    rise = np.where(letter == 0, 0.0, projected[rows, chosen] / lengths[basis_row, chosen])
    left = np.maximum(cost[rows, letter] - floor, 0.0)
    return Fits(
        letter=letter,
        confidence=posterior[rows, letter],
        start=middle - rise * means[basis_row, chosen],
        rise=rise,
        k=np.where(letter == 0, 0.0, GRID[chosen]),
        noise=np.sqrt(left / n),
        explained=1.0 - left / np.maximum(total, floor),
        n_effective=n_effective,
    )


def _basis(u: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Per grid value of k: the curve with β = 1, c = 0, its mean, and its length once centred."""
    k = GRID[:, None]
    with np.errstate(invalid="ignore"):  # 0/0 at k = 0, replaced by the limit
        curves = np.expm1(k * u[:, None, :]) / np.expm1(k)
    curves[:, 0] = u
    means = curves.mean(axis=2)
    lengths = np.sqrt(np.einsum("rkn,rkn->rk", curves, curves) - u.shape[1] * np.square(means))
    return curves, means, lengths


def _candidates(
    costs: FloatArray, projected: FloatArray, constant: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Per letter A … G the least cost of a member with that letter's signs, and the member's grid index."""
    cost, member = [constant], [np.zeros(len(costs), dtype=np.intp)]
    for part, sign in _CANDIDATES:
        allowed = np.where(projected[:, part] * sign > 0, costs[:, part], np.inf)
        cost.append(allowed.min(axis=1))
        member.append(allowed.argmin(axis=1) + part.start)
    return np.stack(cost, axis=1), np.stack(member, axis=1)


def _effective_size(residuals: FloatArray) -> FloatArray:
    """How many independent samples the window is worth: n (1 − r)/(1 + r), r = lag-1 autocorrelation.

    r is corrected for its bias in short series, about −(1 + 3r)/n (Kendall 1954, Marriott & Pope 1954).
    """
    n = residuals.shape[1]
    power = np.square(residuals).sum(axis=1)
    raw = (residuals[:, 1:] * residuals[:, :-1]).sum(axis=1) / np.maximum(power, np.finfo(np.float64).tiny)
    unbiased = raw + (1.0 + 3.0 * np.maximum(raw, 0.0)) / n
    beyond_tolerance = power / (power + n * _TOLERANCE**2)
    r = np.clip(unbiased * beyond_tolerance, 0.0, _MAX_CORRELATION)
    size: FloatArray = n * (1.0 - r) / (1.0 + r)
    return size


def _posterior(cost: FloatArray, n: int, n_effective: FloatArray) -> FloatArray:
    """BIC weights of the seven letters; correlated samples count as fewer, the penalty stays that of n."""
    bic = n_effective[:, None] * np.log(cost / n) + _EXTRA_PARAMETERS * np.log(n)
    weight = np.exp(-0.5 * (bic - bic.min(axis=1, keepdims=True)))
    posterior: FloatArray = weight / weight.sum(axis=1, keepdims=True)
    return posterior
