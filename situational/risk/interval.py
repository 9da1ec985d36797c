"""Interval numbers: product, weighted average, possibility degree, ranking vector (P2, steps 2–4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from situational.risk.errors import BadIntervalError, BadShapeError, BadWeightsError
from situational.series import FloatArray

# Beyond this, sums of a few bounds could overflow and infinite widths would compare as anything.
LARGEST = 1e300
_SUM_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Interval:
    """[lower, upper] with 0 <= lower <= upper <= 1e300. Raises BadIntervalError."""

    lower: float
    upper: float

    def __post_init__(self) -> None:
        if not 0 <= self.lower <= self.upper <= LARGEST:  # NaN fails every comparison
            raise BadIntervalError(self.lower, self.upper)

    @property
    def middle(self) -> float:
        return self.lower + (self.upper - self.lower) / 2

    def __mul__(self, other: Interval) -> Interval:
        """The interval product; both are non-negative, so bounds multiply with bounds."""
        return Interval(self.lower * other.lower, self.upper * other.upper)


def check_weights(weights: Sequence[float], items: int) -> None:
    """Raises BadWeightsError unless there are `items` weights, none negative, with the sum 1."""
    fine = len(weights) == items and all(0 <= weight <= 1 for weight in weights)
    if not fine or abs(sum(weights) - 1) > _SUM_TOLERANCE:
        raise BadWeightsError(tuple(weights), items)


def weighted_average(intervals: Sequence[Interval], weights: Sequence[float] | None = None) -> Interval:
    """The WAA operator: Σ w·a, bound by bound; equal weights when none are given. Raises BadWeightsError."""
    if weights is None:
        weights = [1 / len(intervals)] * len(intervals)
    check_weights(weights, len(intervals))
    lower = sum(weight * interval.lower for weight, interval in zip(weights, intervals, strict=True))
    upper = sum(weight * interval.upper for weight, interval in zip(weights, intervals, strict=True))
    return Interval(lower, upper)


def possibility(a: Interval, b: Interval) -> float:
    """p(a >= b), 0 … 1; p(a >= b) + p(b >= a) = 1. Two points: 1, ½ or 0. At least ½ iff a's middle is."""
    widths = (a.upper - a.lower) + (b.upper - b.lower)
    if widths == 0:
        return 0.5 * ((a.lower > b.lower) + (a.lower >= b.lower))
    return max(1 - max((b.upper - a.lower) / widths, 0.0), 0.0)


def possibility_matrix(intervals: Sequence[Interval]) -> FloatArray:
    """p[i, j] = p(i >= j), shape (n, n); p + pᵀ = 1 exactly, the diagonal is ½."""
    n = len(intervals)
    p: FloatArray = np.full((n, n), 0.5)
    for i in range(n):
        for j in range(i):
            p[i, j] = possibility(intervals[i], intervals[j])
            p[j, i] = 1 - p[i, j]
    return p


def ranking_vector(intervals: Sequence[Interval]) -> FloatArray:
    """ρ_i = (Σ_j p_ij + n/2 − 1)/(n(n − 1)), shape (n,), with the sum 1; one item alone has 1.

    Raises BadShapeError when there is nothing to rank.
    """
    n = len(intervals)
    if n == 0:
        raise BadShapeError("items to rank", "none", "at least one")
    if n == 1:
        return np.ones(1)
    rho: FloatArray = (possibility_matrix(intervals).sum(axis=1) + n / 2 - 1) / (n * (n - 1))
    return rho


def ranks(rho: FloatArray) -> list[int]:
    """1 is the most important; equal values (to rounding) share the better rank."""
    return [1 + int((rho > value + 1e-12).sum()) for value in rho]
