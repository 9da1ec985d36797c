"""The three functions of SP 800-22 rev 1a section 5.5.3 that turn a test statistic into a P-value."""

import math
from typing import Final

TINY: Final = 1e-300
PRECISION: Final = 1e-15
MOST_TERMS: Final = 1_000_000


def igamc(a: float, x: float) -> float:
    """Regularised upper incomplete gamma function Q(a, x) for a > 0, x >= 0; accurate to about 1e-10 * Q.

    A chi-square of value c with f degrees of freedom has the P-value igamc(f / 2, c / 2).
    Raises ValueError outside that range.
    """
    if not (a > 0 and x >= 0 and math.isfinite(a) and math.isfinite(x)):
        raise ValueError(f"igamc({a}, {x}): needs a > 0 and x >= 0, both finite")
    if x == 0:
        return 1.0
    scale = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        return max(0.0, 1.0 - scale * _lower_series(a, x))
    return min(1.0, scale * _upper_fraction(a, x))


def _lower_series(a: float, x: float) -> float:
    """Sum over n of x^n / (a (a+1) ... (a+n)) (Abramowitz and Stegun 6.5.29); its terms fall as x < a + 1."""
    term = total = 1.0 / a
    for n in range(1, MOST_TERMS):
        term *= x / (a + n)
        total += term
        if term < total * PRECISION:
            break
    return total


def _upper_fraction(a: float, x: float) -> float:
    """The continued fraction of Abramowitz and Stegun 6.5.31 by Lentz's method."""
    b = x + 1.0 - a
    c, d = 1.0 / TINY, 1.0 / b
    value = d
    for n in range(1, MOST_TERMS):
        factor = n * (a - n)
        b += 2.0
        d = 1.0 / _away_from_zero(b + factor * d)
        c = _away_from_zero(b + factor / c)
        change = c * d
        value *= change
        if abs(change - 1.0) < PRECISION:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > TINY else TINY


def normal_cdf(z: float) -> float:
    """Standard normal distribution function."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def two_sided(z: float) -> float:
    """P-value of a standard normal z: the chance of a distance from 0 of at least |z|."""
    return math.erfc(abs(z) / math.sqrt(2.0))
