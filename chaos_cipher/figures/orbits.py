"""The Logistic map in float64, many orbits at once, in the paper's form u.*(x-x.^2). For figures only.

Floats round: two machines may differ, so nothing here ever enters the cipher (see the package README).
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

CHAOS_FROM: Final = 3.5699456  # P1 section 2.2
CRITICAL_POINT: Final = 0.5  # its orbit finds the attracting cycle wherever there is one (Singer 1978)
CLOSE: Final = 1e-9  # a return this close is judged by its multiplier, so its exact size hardly matters
_FACTORS: Final = 16  # slopes multiplied before one logarithm: 4^16 at most, far from overflow
_TINY: Final = 1e-300  # stands for a slope of 0 (a superstable cycle), whose logarithm is minus infinity


def advance(x: Floats, mu: Floats, steps: int) -> Floats:
    """x after so many iterations; x and mu have the same shape."""
    for _ in range(steps):
        x = mu * (x - x * x)
    return x


def attractor(mu: Floats, x0: float, transient: int, keep: int) -> Floats:
    """The iterates that follow the transient: shape (keep, len(mu))."""
    x = advance(np.full_like(mu, x0), mu, transient)
    kept = np.empty((keep, len(mu)))
    for row in kept:
        x = mu * (x - x * x)
        row[:] = x
    return kept


def exponents(mu: Floats, transient: int, steps: int, x0: float = CRITICAL_POINT) -> Floats:
    """Lyapunov exponents (nats per iteration) of the orbits of x0, over steps rounded up to 16."""
    x = advance(np.full_like(mu, x0), mu, transient + 1)
    total = np.zeros_like(mu)
    rounds = -(-steps // _FACTORS)
    for _ in range(rounds):
        product = np.ones_like(mu)
        for _ in range(_FACTORS):
            product *= mu * (1.0 - 2.0 * x)
            x = mu * (x - x * x)
        total += np.log(np.maximum(np.abs(product), _TINY))
    return total / (rounds * _FACTORS)


def periods(mu: Floats, transient: int, longest: int) -> Integers:
    """The attracting cycle's length per mu, 0 where none up to longest is found.

    A cycle counts only if the orbit returns and the slope along it (the multiplier) is below 1: chaos comes
    back close now and then, but never with a multiplier below 1.
    """
    reference = advance(np.full_like(mu, CRITICAL_POINT), mu, transient)
    found = np.zeros(len(mu), dtype=np.int64)
    x, multiplier = reference, np.ones_like(mu)
    for period in range(1, longest + 1):
        # a chaotic multiplier grows without bound; cut where it has lost any chance, before it overflows
        multiplier = np.clip(multiplier * mu * (1.0 - 2.0 * x), -1e100, 1e100)
        x = mu * (x - x * x)
        returned = (found == 0) & (np.abs(x - reference) < CLOSE) & (np.abs(multiplier) < 1.0)
        found[returned] = period
    return found
