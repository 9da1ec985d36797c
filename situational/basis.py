"""The columns that windows are projected on: smooth curves and breaks, as orthonormal vectors.

Smooth, all normalised to 0 … 1 over the window: the straight line; the family (e^{ku} − 1)/(e^k − 1) with
k = ±0.5 … ±12; and the paper's other forms of the same letters, powers, hyperbolas and logarithms (P1 §2.3).
A curve bent the other way is the same one read backwards. Breaks: see `Breaks`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from situational.letters import FloatArray, IntArray

BENDS: FloatArray = np.arange(0.5, 12.25, 0.5)  # |k|: curvature 0.06 … 0.70
_POWERS = np.array([2.0, 3.0, 4.0, 6.0, 9.0])
_POLES = np.array([0.05, 0.1, 0.2, 0.4])  # 1/(1 + d − u)
_LOGARITHMS = np.array([0.003, 0.01, 0.03, 0.1, 0.3])  # −ln(1 − u + d)

EXPONENTIALS = len(BENDS)
CURVES = EXPONENTIALS + len(_POWERS) + len(_POLES) + len(_LOGARITHMS)  # bent one way
LINE, CONVEX, CONCAVE = 0, slice(1, 1 + CURVES), slice(1 + CURVES, 1 + 2 * CURVES)

_EDGE = 3  # no part of a broken window is shorter
_KEPT_UP_TO = 240  # samples: bounds what is kept to some 60 MB
_PLACES = 60  # for steps; the dearer kinds are tried at half as many


class Breaks(NamedTuple):
    """Orthonormal columns (r, c, n): each a kind of break at one place.

    Two levels; a level then straight; straight then a level; those are orthogonal to 1. Two straight parts
    that meet; one slope on two levels; those also to the line, which is fitted beside them (`sloped`).
    """

    columns: FloatArray
    first: IntArray  # the first sample after the break
    sloped: npt.NDArray[np.bool_]
    share: FloatArray  # of its kind, 1 / places


class Basis(NamedTuple):
    """For windows with common times r = 1; with times of their own r = m. smooth: (r, 1 + 2 CURVES, n)."""

    u: FloatArray
    smooth: FloatArray
    breaks: Breaks | None


def build(u: FloatArray, *, breaks: bool) -> Basis:
    """Columns at scaled times u of shape (r, n), from 0 to 1, in order."""
    smooth = _unit(_centred(np.concatenate([u[:, None], bent(u), -bent(1.0 - u)], axis=1)))
    return Basis(u, smooth, _breaks(u, smooth[:, LINE]) if breaks else None)


def regular(n: int, *, breaks: bool) -> Basis:
    """Columns of n regular times; those of usual lengths are kept for later windows."""
    return _kept(n, breaks=breaks) if n <= _KEPT_UP_TO else _of_regular(n, breaks=breaks)


def _of_regular(n: int, *, breaks: bool) -> Basis:
    return build(np.linspace(0.0, 1.0, n)[None], breaks=breaks)


_kept = lru_cache(maxsize=128)(_of_regular)


def bent(u: FloatArray) -> FloatArray:
    """Curves that rise faster and faster, at u of shape (r, n): (r, CURVES, n)."""
    at = u[:, None]
    k = BENDS[:, None]
    return np.concatenate(
        [
            np.expm1(k * at) / np.expm1(k),
            at ** _POWERS[:, None],
            1.0 / (1.0 + _POLES[:, None] - at),
            -np.log(1.0 - at + _LOGARITHMS[:, None]),
        ],
        axis=1,
    )


def _breaks(u: FloatArray, line: FloatArray) -> Breaks:
    n = u.shape[1]
    every = max(1, n // _PLACES)
    steps, jumps, knots = _places(n, every), _places(n, 2 * every), _places(n - 1, 2 * every)
    beyond = u[:, None] - u[:, knots, None]
    late, early = _centred(np.maximum(beyond, 0.0)), _centred(np.minimum(beyond, 0.0))
    kinds = (
        (_stepping(u, steps), steps, False),
        (late, knots, False),
        (early, knots, False),
        (_without(line, late), knots, True),
        (_without(line, _stepping(u, jumps)), jumps, True),
    )
    return Breaks(
        columns=_unit(np.concatenate([columns for columns, _, _ in kinds], axis=1)),
        first=np.concatenate([places for _, places, _ in kinds]),
        sloped=np.concatenate([np.full(len(places), sloped) for _, places, sloped in kinds]),
        share=np.concatenate([np.full(len(places), 1.0 / len(places)) for _, places, _ in kinds]),
    )


def _places(mirror: int, every: int) -> IntArray:
    """Places from both ends inwards, so that a window read backwards breaks at `mirror` − place."""
    early = np.arange(_EDGE, mirror // 2 + 1, every)
    return np.union1d(early, mirror - early)


def _stepping(u: FloatArray, places: IntArray) -> FloatArray:
    step = (np.arange(u.shape[1]) >= places[:, None]).astype(np.float64)
    return _centred(np.broadcast_to(step, (len(u), *step.shape)))


def _centred(columns: FloatArray) -> FloatArray:
    return np.asarray(columns - columns.mean(axis=2, keepdims=True))


def _without(line: FloatArray, columns: FloatArray) -> FloatArray:
    return np.asarray(columns - np.matmul(columns, line[:, :, None]) * line[:, None])


def _unit(columns: FloatArray) -> FloatArray:
    """Columns of length one; one that vanishes (samples at one time only) stays zero and explains nothing."""
    length = np.sqrt(np.einsum("rcn,rcn->rc", columns, columns))[:, :, None]
    return np.asarray(columns / np.where(length > 1e-9, length, np.inf))
