"""How much of P1's range of mu is weak: periodic, too slow to mix 300 iterations, or lost to rounding.

Floats only; random numbers come in as a generator.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log, sqrt
from typing import Any, Final, TypeAlias

import numpy as np

from chaos_cipher.figures.orbits import Floats, exponents, periods
from chaos_cipher.stream import WARM_UP

STATE_BITS: Final = 256
MIXING_EXPONENT: Final = STATE_BITS * log(2) / WARM_UP  # below it a last bit does not reach the first in time
CHUNK: Final = 4096  # orbits at once: they stay in the cache
SHORT_CYCLE: Final = 5000
Generator: TypeAlias = np.random.Generator


@dataclass(frozen=True, slots=True)
class Depth:
    """Iterations per mu: dropped before looking for a cycle, its longest length, and of the exponent."""

    settle: int = 20_000
    longest: int = 1024
    averaged: int = 4000


@dataclass(frozen=True, slots=True)
class Share:
    """A share of mu in (low, high) with standard errors (binomial: upper bounds, as mu is stratified)."""

    low: float
    high: float
    samples: int
    periodic: float
    periodic_error: float
    too_slow: float  # the periodic ones included
    too_slow_error: float


@dataclass(frozen=True, slots=True)
class Collapse:
    """Random float orbits at mu = 4: what has become of them after so many iterations each."""

    precision: str
    orbits: int
    iterations: int
    at_zero: int
    cycling: int  # on a cycle of at most SHORT_CYCLE values; 0 itself is one


def stratified(low: float, high: float, count: int, rng: Generator) -> list[Floats]:
    """One random mu in each of count equal slices of (low, high), in chunks."""
    mu = high - (high - low) * (np.arange(count) + rng.random(count)) / count
    return np.array_split(mu, -(-count // CHUNK))


def share(low: float, high: float, chunks: Iterable[Floats], depth: Depth) -> Share:
    samples = periodic = slow = 0
    for mu in chunks:
        cycles = periods(mu, depth.settle, depth.longest) > 0
        samples += len(mu)
        periodic += int(cycles.sum())
        slow += int((cycles | (exponents(mu, depth.settle // 4, depth.averaged) < MIXING_EXPONENT)).sum())
    errors = [sqrt(k / samples * (1 - k / samples) / samples) for k in (periodic, slow)]
    return Share(low, high, samples, periodic / samples, errors[0], slow / samples, errors[1])


def collapse(
    precision: type[np.float32 | np.float64], orbits: int, ticks: Iterable[int], per_tick: int, rng: Generator
) -> Collapse:
    """Iterates x -> 4*(x - x*x) per_tick times for each tick and counts orbits at 0 and on short cycles."""
    x: np.ndarray[tuple[int], np.dtype[Any]] = rng.random(orbits).astype(precision)
    four = precision(4)
    iterations = 0
    for _ in ticks:
        for _ in range(per_tick):
            x = four * (x - x * x)
        iterations += per_tick
    at_zero = int((x == 0).sum())
    start, back = x, np.zeros(orbits, dtype=np.bool_)
    for _ in range(SHORT_CYCLE):
        x = four * (x - x * x)
        back |= x == start
    return Collapse(precision.__name__, orbits, iterations, at_zero, int(back.sum()))
