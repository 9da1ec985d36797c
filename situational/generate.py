"""Made-up windows with a known class, for measuring the classifier. All randomness comes from `rng`.

Curvature is the largest distance between a curve and its chord, as a share of its range. SNR is the range of
the curve divided by the standard deviation of the noise. A is a level with noise of standard deviation 1/SNR.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from situational.letters import FloatArray, IntArray, Letter

Form = Callable[[FloatArray, FloatArray], FloatArray]


REGULAR: FloatArray = np.linspace(0.0, 1.0, 60)


class Family(NamedTuple):
    """Curves from 0 to 1 over u in [0, 1] that rise faster and faster, and parameters from mild to strong."""

    form: Form
    parameters: FloatArray


# The four that the targets name, then two that the classifier knows nothing of.
FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "exponential": Family(lambda u, k: np.expm1(k * u) / np.expm1(k), np.geomspace(0.05, 12.0, 300)),
        "power": Family(lambda u, p: u**p, np.geomspace(1.01, 15.0, 300)),
        "hyperbolic": Family(lambda u, d: u * d / (1.0 + d - u), np.geomspace(50.0, 0.01, 300)),
        "logarithmic": Family(
            lambda u, d: 1.0 - np.log1p((1.0 - u) / d) / np.log1p(1.0 / d), np.geomspace(50.0, 1e-7, 300)
        ),
        "sinh": Family(lambda u, k: np.sinh(k * u) / np.sinh(k), np.geomspace(0.05, 12.0, 300)),
        "offset power": Family(
            lambda u, p: ((u + 0.2) ** p - 0.2**p) / (1.2**p - 0.2**p), np.geomspace(1.01, 15.0, 300)
        ),
    }
)
NAMED = ("exponential", "power", "hyperbolic", "logarithmic")
HELD_OUT = ("sinh", "offset power")

CURVATURES: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"mild": (0.10, 0.20), "moderate": (0.20, 0.35), "strong": (0.35, 0.55)}
)

MODELLED = (Letter.A, Letter.B, Letter.C, Letter.D, Letter.E, Letter.F, Letter.G)


def with_curvature(name: str, curvature: FloatArray) -> FloatArray:
    """The parameters with which the family of this name has these curvatures."""
    return np.asarray(np.interp(curvature, _reached(name), FAMILIES[name].parameters))


@lru_cache(maxsize=len(FAMILIES))
def _reached(name: str) -> FloatArray:
    """The curvatures of the family's parameters."""
    u, family = np.linspace(0.0, 1.0, 1001), FAMILIES[name]
    return np.asarray((u - family.form(u, family.parameters[:, None])).max(axis=1))


def accelerating(
    rng: np.random.Generator,
    u: FloatArray,
    rows: int,
    curvature: tuple[float, float],
    families: Sequence[str],
) -> FloatArray:
    """Rows of class B at times u (n,), range one: (rows, n)."""
    drawn = rng.integers(0, len(families), rows)
    bend = rng.uniform(*curvature, rows)
    curves = np.empty((rows, len(u)))
    for i, name in enumerate(families):
        own = np.flatnonzero(drawn == i)
        curves[own] = FAMILIES[name].form(u, with_curvature(name, bend[own])[:, None])
    return curves


def of_letter(
    rng: np.random.Generator,
    letter: Letter,
    rows: int,
    *,
    curvature: tuple[float, float],
    u: FloatArray = REGULAR,
    families: Sequence[str] = NAMED,
) -> FloatArray:
    """Clean windows (rows, n) of a letter at times u (n,) in [0, 1], range one; A and NONE are zero."""
    slope, bend = letter.signs or (0, 0)
    if not bend:
        return np.asarray(np.tile(slope * u, (rows, 1)), dtype=np.float64)
    if slope * bend > 0:
        return np.asarray(slope * accelerating(rng, u, rows, curvature, families))
    return np.asarray(slope * (1.0 - accelerating(rng, 1.0 - u, rows, curvature, families)))


def labelled(
    rng: np.random.Generator,
    rows: int,
    *,
    curvature: tuple[float, float],
    snr: float,
    u: FloatArray = REGULAR,
    families: Sequence[str] = NAMED,
) -> tuple[FloatArray, IntArray]:
    """`rows` noisy windows of each of the seven letters, and the codes of their letters."""
    clean = [of_letter(rng, letter, rows, curvature=curvature, u=u, families=families) for letter in MODELLED]
    y = np.concatenate(clean)
    return y + rng.normal(0.0, 1.0 / snr, y.shape), np.repeat(np.arange(len(MODELLED)), rows)


def with_outliers(rng: np.random.Generator, y: FloatArray, share: float, size: float) -> FloatArray:
    """Each sample is moved with this probability, up or down by `size` to three times that."""
    struck = rng.random(y.shape) < share
    return np.asarray(y + struck * rng.choice([-1.0, 1.0], y.shape) * rng.uniform(size, 3.0 * size, y.shape))


def with_spike(rng: np.random.Generator, y: FloatArray, size: float) -> FloatArray:
    """One sample of each window is moved up or down by `size`."""
    spiked = y.copy()
    spiked[np.arange(len(y)), rng.integers(0, y.shape[1], len(y))] += size * rng.choice([-1.0, 1.0], len(y))
    return spiked


def correlated(rng: np.random.Generator, rows: int, phi: float, *, n: int = 60) -> FloatArray:
    """Quiet windows, x[i] = phi x[i−1] + noise, after their start has been forgotten."""
    steps = rng.normal(size=(200 + n, rows))
    for i in range(1, len(steps)):
        steps[i] += phi * steps[i - 1]
    return steps[200:].T.copy()


def flat_then_linear(rng: np.random.Generator, rows: int, snr: float, *, n: int = 60) -> FloatArray:
    """A level until somewhere between 0.3 and 0.7 of the window, then a straight rise of one to its end."""
    u, bend = np.linspace(0.0, 1.0, n), rng.uniform(0.3, 0.7, (rows, 1))
    return np.maximum(u - bend, 0.0) / (1.0 - bend) + rng.normal(0.0, 1.0 / snr, (rows, n))


def stepped(rng: np.random.Generator, rows: int, snr: float, *, n: int = 60) -> FloatArray:
    """A level, and from somewhere between 0.15 and 0.85 of the window one that is higher by one."""
    u, place = np.linspace(0.0, 1.0, n), rng.uniform(0.15, 0.85, (rows, 1))
    return (u > place).astype(np.float64) + rng.normal(0.0, 1.0 / snr, (rows, n))
