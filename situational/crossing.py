"""The numeric core of the forecasts: the distribution of the time at which a curve crosses a level.

    y = c + β (e^{ku} − 1)/(e^k − 1) + noise,   u = time scaled to the window [0, 1]

For each k of a grid c and β are a projection, and their uncertainty is that of a linear model. A growing
curve has crossed T by time u when it stands above T at u, so that the distribution needs no sampling:

    F(u) = Σ_k w_k · P(c + β g_k(u) ≥ T | k),   w_k ∝ the likelihood of k with c, β, σ at their best

A constant competes as a model that never crosses. Correlated samples count as fewer.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_MAX_BEND = 12.0
_COARSE: FloatArray = np.linspace(-_MAX_BEND, _MAX_BEND, 97)
_FINE = 97
_NEGLIGIBLE = 12.0  # log-weights this far below the best do not matter
_MAX_EXPONENT = 500.0

# Relative to the window's range: no telemetry is exact to better than this, nor any curve to the family.
_RESOLUTION = 1e-3
_CLIP = 3.0  # robust standard deviations; what lies beyond is pulled in
_REFITS = 4

_MAX_CORRELATION = 0.95
_MIN_EFFECTIVE = 5.0

_FARTHEST = 1e6  # windows; a quantile beyond is "never" for anybody who has to act
_HALVINGS = 24  # of 28 natural logarithms: two parts in a million


class Fit(NamedTuple):
    """Per k of a grid, shape (K,), the curve middle + slope (g_k − mean), in the units of z."""

    k: FloatArray
    mean: FloatArray
    length: FloatArray
    slope: FloatArray
    weight: FloatArray
    middle: float
    error: FloatArray  # standard error of one sample, made larger by what correlation takes away
    freedom: float
    n: int
    n_effective: float
    constant_weight: float
    explained: float


def running_median(y: FloatArray) -> FloatArray:
    """Over five samples; stands against single spikes whatever their size. The ends are mirrored."""
    padded = np.pad(y, 2, mode="reflect")
    median: FloatArray = np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1)
    return median


def winsorised(u: FloatArray, z: FloatArray, smooth: FloatArray) -> FloatArray:
    """Pull samples that are far from the curve to three robust standard deviations from it."""
    pulled = smooth
    for _ in range(_REFITS):
        curve = _best_curve(u, pulled)
        left = z - curve
        reach = _CLIP * (1.4826 * float(np.median(np.abs(left))) + _RESOLUTION)
        pulled = curve + np.clip(left, -reach, reach)
    return pulled


def _best_curve(u: FloatArray, z: FloatArray) -> FloatArray:
    curves = _curves(_COARSE, u)
    centred = curves - curves.mean(axis=1, keepdims=True)
    lengths = np.square(centred).sum(axis=1)
    projected = centred @ z
    best = int(np.argmax(np.square(projected) / lengths))
    curve: FloatArray = z.mean() + projected[best] / lengths[best] * centred[best]
    return curve


def _curves(k: FloatArray, u: FloatArray) -> FloatArray:
    """g_k(u), shape (K, n); at u = ∞ the limit, which is finite for k < 0."""
    bend = np.where(np.abs(k) < 1e-6, 1e-6, k)[:, None]
    exponent = np.minimum(bend * u[None, :], _MAX_EXPONENT)
    curves: FloatArray = np.expm1(exponent) / np.expm1(bend)
    return curves


def fit_curves(u: FloatArray, z: FloatArray) -> Fit:
    """Profile likelihood over k: a coarse grid finds where the weight is, a fine one lies over that part."""
    coarse = _fit_grid(u, z, _COARSE)
    alive = np.flatnonzero(np.log(np.maximum(coarse.weight, 1e-300)) > -_NEGLIGIBLE)
    first, last = max(alive[0] - 1, 0), min(alive[-1] + 1, len(_COARSE) - 1)
    return _fit_grid(u, z, np.linspace(_COARSE[first], _COARSE[last], _FINE))


def _fit_grid(u: FloatArray, z: FloatArray, k: FloatArray) -> Fit:
    n = len(u)
    curves = _curves(k, u)
    mean = curves.mean(axis=1)
    centred = curves - mean[:, None]
    length = np.sqrt(np.square(centred).sum(axis=1))
    middle = float(z.mean())
    slope = centred @ z / np.square(length)
    total = float(np.square(z - middle).sum())
    floor = n * _RESOLUTION**2
    cost = np.maximum(total - np.square(slope * length), 0.0) + floor

    best = int(cost.argmin())
    n_effective = _effective_size(z - middle - slope[best] * centred[best])
    freedom = max(n_effective - 3.0, 2.0)
    log_weight = -0.5 * freedom * np.log(cost / cost[best])
    # Averaged over the whole range of k, one unit of information for β (Schwarz 1978).
    family = np.exp(log_weight).sum() * (k[1] - k[0]) / (2 * _MAX_BEND) / math.sqrt(n)
    constant = math.exp(-0.5 * freedom * math.log((total + floor) / cost[best]))
    return Fit(
        k=k,
        mean=mean,
        length=length,
        slope=slope,
        weight=np.exp(log_weight),
        middle=middle,
        error=np.sqrt(cost / freedom),
        freedom=freedom,
        n=n,
        n_effective=n_effective,
        constant_weight=float(constant / (constant + family)),
        explained=1.0 - float(cost[best]) / (total + floor),
    )


def _effective_size(residuals: FloatArray) -> float:
    """n (1 − r)/(1 + r), r the lag-1 correlation corrected for its bias in short series."""
    n = len(residuals)
    power = float(np.square(residuals).sum()) + n * _RESOLUTION**2
    r = float((residuals[1:] * residuals[:-1]).sum()) / power
    r = min(max(r + (1.0 + 3.0 * max(r, 0.0)) / n, 0.0), _MAX_CORRELATION)
    return max(n * (1.0 - r) / (1.0 + r), _MIN_EFFECTIVE)


def value_at(fit: Fit, u: float) -> float:
    """The curve of the best k at u."""
    best = int(fit.weight.argmax())
    g = float(_curves(fit.k[best : best + 1], np.array([u]))[0, 0])
    return fit.middle + float(fit.slope[best]) * (g - float(fit.mean[best]))


def crossed_by(fit: Fit, aim: float, upwards: float, u: FloatArray) -> FloatArray:
    """F at times u, in windows from the window's beginning, shape (m,)."""
    away = _curves(fit.k, u) - fit.mean[:, None]
    over = upwards * (fit.middle - aim + fit.slope[:, None] * away)
    spread = fit.error[:, None] * np.hypot(1.0 / math.sqrt(fit.n), away / fit.length[:, None])
    by_k = fit.weight @ _student(over / spread, fit.freedom) / fit.weight.sum()
    constantly = float(upwards * (fit.middle - aim) >= 0)
    crossed: FloatArray = fit.constant_weight * constantly + (1.0 - fit.constant_weight) * by_k
    return crossed


def quantiles(fit: Fit, aim: float, upwards: float, shares: FloatArray) -> FloatArray:
    """Windows after the last sample by which F reaches each share; bisection on a logarithmic scale."""
    low, high = np.full(len(shares), math.log(1e-6)), np.full(len(shares), math.log(_FARTHEST))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        reached = crossed_by(fit, aim, upwards, 1.0 + np.exp(middle)) >= shares
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    at_once, at_last = crossed_by(fit, aim, upwards, np.array([1.0, 1.0 + _FARTHEST]))
    after = np.where(at_last >= shares, np.exp(high), math.inf)
    found: FloatArray = np.where(at_once >= shares, 0.0, after)
    return found


def _student(x: FloatArray, freedom: float) -> FloatArray:
    """Student's distribution function by a normal one (Abramowitz & Stegun 26.7.8, 7.1.26; good to 1e-2)."""
    with np.errstate(over="ignore"):
        x = np.clip(x, -1e6, 1e6)
    z = x * (1.0 - 1.0 / (4.0 * freedom)) / np.sqrt(1.0 + np.square(x) / (2.0 * freedom))
    t = 1.0 / (1.0 + 0.3275911 * np.abs(z) / math.sqrt(2.0))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    upper = 0.5 * series * np.exp(-np.square(z) / 2.0)
    probability: FloatArray = np.where(z >= 0, 1.0 - upper, upper)
    return probability
