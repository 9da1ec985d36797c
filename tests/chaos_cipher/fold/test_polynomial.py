from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from chaos_cipher.fold.polynomial import (
    FRACTION_BITS,
    NEGLIGIBLE,
    UNIT,
    Polynomial,
    linear,
    mapped,
    middle,
    product,
    radius,
)
from tests.chaos_cipher.support import few

coefficients = st.integers(-UNIT, UNIT)
monomials = st.tuples(st.integers(0, 4), st.integers(0, 4))
polynomials = st.dictionaries(monomials, coefficients, max_size=8)
places = st.fractions(-1, 1, max_denominator=64)
ROUNDED = Fraction(1, 2**240)  # 64 dropped or rounded coefficients, each below 2^-256, and to spare


def value(p: Polynomial, u: Fraction, v: Fraction) -> Fraction:
    return sum((Fraction(c, UNIT) * u**i * v**j for (i, j), c in p.items()), Fraction(0))


@few
@given(polynomials, polynomials, places, places)
def test_the_value_of_a_product_is_the_product_of_the_values(
    p: Polynomial, q: Polynomial, u: Fraction, v: Fraction
) -> None:
    assert abs(value(product(p, q), u, v) - value(p, u, v) * value(q, u, v)) < ROUNDED


@few
@given(st.integers(0, 2**64 - 1), st.integers(1, 2**64), places, places)
def test_the_map_of_a_polynomial_has_the_map_of_its_values(
    low: int, width: int, u: Fraction, v: Fraction
) -> None:
    x = linear(low, low + width, 65, variable=(1, 0))
    mu = linear(2**66 - 2**34, 2**66 - 2**33, 64, variable=(0, 1))
    at = value(x, u, v)
    assert abs(value(mapped(x, mu), u, v) - value(mu, u, v) * at * (1 - at)) < ROUNDED


@few
@given(polynomials, places, places)
def test_no_value_is_further_from_the_middle_than_the_radius(p: Polynomial, u: Fraction, v: Fraction) -> None:
    assert abs(value(p, u, v) - Fraction(middle(p), UNIT)) <= Fraction(radius(p), UNIT)


@few
@given(st.integers(0, 2**128 - 1), st.integers(1, 2**64))
def test_a_range_begins_at_minus_one_and_ends_at_one(low: int, width: int) -> None:
    p = linear(low, low + width, 128, variable=(0, 1))
    assert value(p, Fraction(0), Fraction(-1)) == Fraction(low, 2**128)
    assert value(p, Fraction(0), Fraction(1)) == Fraction(low + width, 2**128)


def test_what_is_below_a_unit_of_the_state_is_dropped() -> None:
    one = {(0, 0): UNIT}
    assert product(one, {(1, 0): NEGLIGIBLE - 1, (0, 1): NEGLIGIBLE}) == {(0, 1): NEGLIGIBLE}
    assert FRACTION_BITS > 256
