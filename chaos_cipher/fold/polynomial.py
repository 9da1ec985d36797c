"""The states that follow, as polynomials in what is not known of the first state and of mu.

Both unknowns are scaled to [-1, 1]: x_0 = c + r*u and mu = m + s*v. Coefficients are integers in units of
2^-320; one below 2^-256 is less than a unit of the state and is dropped.
"""

from collections.abc import Mapping
from typing import Final

Monomial = tuple[int, int]  # (exponent of u, exponent of v)
Polynomial = Mapping[Monomial, int]

FRACTION_BITS: Final = 320
UNIT: Final = 1 << FRACTION_BITS
NEGLIGIBLE: Final = 1 << (FRACTION_BITS - 256)
CONSTANT: Final[Monomial] = (0, 0)


def linear(low: int, high: int, bits: int, *, variable: Monomial) -> Polynomial:
    """The numbers between low and high, both in units of 2^-bits: their middle plus their radius times it."""
    shift = FRACTION_BITS - bits - 1
    return {CONSTANT: low + high << shift, variable: high - low << shift}


def product(p: Polynomial, q: Polynomial) -> Polynomial:
    """p*q, each coefficient rounded down."""
    total: dict[Monomial, int] = {}
    for (i, j), left in p.items():
        for (k, m), right in q.items():
            total[i + k, j + m] = total.get((i + k, j + m), 0) + left * right
    scaled = {monomial: value >> FRACTION_BITS for monomial, value in total.items()}
    return {monomial: value for monomial, value in scaled.items() if abs(value) >= NEGLIGIBLE}


def mapped(x: Polynomial, mu: Polynomial) -> Polynomial:
    """mu*x*(1 - x). What LM256 rounds and XORs after it is below the accuracy needed here."""
    mirrored = {monomial: -value for monomial, value in x.items()}
    mirrored[CONSTANT] = mirrored.get(CONSTANT, 0) + UNIT
    return product(mu, product(x, mirrored))


def middle(p: Polynomial) -> int:
    return p.get(CONSTANT, 0)


def radius(p: Polynomial) -> int:
    """How far p can be from its middle while both unknowns are in [-1, 1]."""
    return sum(abs(value) for monomial, value in p.items() if monomial != CONSTANT)
