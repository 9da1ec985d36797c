"""Entropy weights of the factors of one link, over the experts' values (P2, step 5)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from situational.risk.errors import BadShapeError
from situational.risk.interval import Interval
from situational.series import FloatArray


class Entropy(StrEnum):
    """P2's improved entropy uses both bounds; the traditional ones see the lower or the upper alone."""

    IMPROVED = "improved"
    LOWER = "lower"
    UPPER = "upper"


# d of unanimous experts is rounding; shared out as weights it would be noise that looks like knowledge.
_UNANIMOUS = 1e-12


def entropy_weights(values: Sequence[Sequence[Interval]], entropy: Entropy = Entropy.IMPROVED) -> FloatArray:
    """ω = d/Σd with d = 1 − H; `values[i][j]` is expert i's value of factor j, the result has shape (n,).

    Equal weights when all experts agree on every factor, and for one expert. Raises BadShapeError.
    """
    if not values or not values[0] or any(len(row) != len(values[0]) for row in values):
        sizes = ", ".join(str(len(row)) for row in values)
        raise BadShapeError("experts' rows", f"lengths {sizes or 'none'}", "experts x factors, none empty")
    seen = [Entropy.LOWER, Entropy.UPPER] if entropy is Entropy.IMPROVED else [entropy]
    h = sum(_entropy(_bounds(values, bound)) for bound in seen) / len(seen)
    d = np.where(1 - h > _UNANIMOUS, 1 - h, 0.0)
    total = d.sum()
    if total == 0:
        return np.full(len(d), 1 / len(d))
    weights: FloatArray = d / total
    return weights


def _bounds(values: Sequence[Sequence[Interval]], bound: Entropy) -> FloatArray:
    upper = bound is Entropy.UPPER
    return np.array([[cell.upper if upper else cell.lower for cell in row] for row in values])


def _entropy(x: FloatArray) -> FloatArray:
    """H_j = −(1/ln m) Σ_i p ln p of each column's proportions; 0·ln 0 = 0; a column of zeros agrees: 1."""
    m = len(x)
    if m == 1:  # ln 1 = 0: one expert cannot disagree
        return np.ones(x.shape[1])
    largest = x.max(axis=0)
    scaled = x / np.where(largest > 0, largest, 1.0)  # sums cannot overflow
    p = np.where(largest > 0, scaled / np.maximum(scaled.sum(axis=0), 1.0), 1 / m)
    logs = np.log(p, where=p > 0, out=np.zeros_like(p))
    h: FloatArray = -(p * logs).sum(axis=0) / np.log(m)
    return h
