"""Ten bins of [0, 1], the paper's Table 4, and Pearson's chi-square with its critical values."""

from math import asin, erfc, exp, pi, sqrt
from typing import Final, TypeAlias

import numpy as np

from chaos_cipher.figures.orbits import Floats, Integers

BINS: Final = 10
FREEDOM: Final = BINS - 1
LEVELS: Final = (0.05, 0.01, 0.001)
TABLE_4: Final = (4419, 2985, 2517, 2439, 2190, 2274, 2538, 2910, 3333, 4395)  # P1 section 2.2
VALUES: Final = sum(TABLE_4)  # 30,000
Shares: TypeAlias = tuple[float, ...]  # BINS probabilities that sum to 1

UNIFORM: Final[Shares] = (1 / BINS,) * BINS
# a byte b is the value b/256, and 256 is no multiple of 10: six bins hold 26 bytes and four hold 25
BYTES_UNIFORM: Final[Shares] = tuple(sum(b * BINS // 256 == i for b in range(256)) / 256 for i in range(BINS))
# the map's invariant distribution at mu = 4 is P(x <= t) = 2/pi * asin(sqrt(t)) (Ulam and von Neumann 1947)
ARCSINE: Final[Shares] = tuple(
    2 / pi * (asin(sqrt((i + 1) / BINS)) - asin(sqrt(i / BINS))) for i in range(BINS)
)


def counts(values: Floats) -> Integers:
    """How many values of [0, 1] fall in each of the ten bins; 1 itself counts in the last."""
    return np.bincount(np.minimum((values * BINS).astype(np.int64), FREEDOM), minlength=BINS)


def byte_counts(data: bytes) -> Integers:
    """As counts(), for each byte b read as b/256, but exact."""
    return np.bincount(np.frombuffer(data, dtype=np.uint8).astype(np.int64) * BINS // 256, minlength=BINS)


def chi_square(observed: Floats | Integers, expected: Shares) -> float:
    """Pearson's statistic of ten counts against ten probabilities, nine degrees of freedom."""
    wanted = np.asarray(expected) * observed.sum()
    return float(((observed - wanted) ** 2 / wanted).sum())


def tail(statistic: float) -> float:
    """P(chi-square with nine degrees of freedom > statistic), in closed form as nine is odd."""
    x = statistic
    series = 1 + x / 3 + x * x / 15 + x * x * x / 105
    return erfc(sqrt(x / 2)) + sqrt(2 * x / pi) * exp(-x / 2) * series


def critical(level: float) -> float:
    """The statistic that chance exceeds with this probability, by bisection of tail()."""
    low, high = 0.0, 1000.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) > level else (low, middle)
    return high
