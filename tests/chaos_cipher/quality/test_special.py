import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_cipher.quality.special import igamc, normal_cdf, two_sided
from tests.chaos_cipher.support import many

arguments = st.floats(0, 300, allow_subnormal=False)
shapes = st.floats(0.25, 200)


def close(expected: float) -> object:
    return pytest.approx(expected, rel=1e-9, abs=1e-13)


@many
@given(arguments)
def test_with_shape_one_it_is_the_exponential(x: float) -> None:
    assert igamc(1.0, x) == close(math.exp(-x))


@many
@given(arguments)
def test_with_shape_one_half_it_is_erfc_of_the_root(x: float) -> None:
    assert igamc(0.5, x) == close(math.erfc(math.sqrt(x)))


@many
@given(st.integers(1, 40), arguments)
def test_with_a_whole_shape_it_is_the_poisson_sum(shape: int, x: float) -> None:
    poisson = math.exp(-x) * math.fsum(x**k / math.factorial(k) for k in range(shape))
    assert igamc(float(shape), x) == close(poisson)


@many
@given(shapes, st.floats(0.001, 300))
def test_the_recurrence_between_shapes_holds(shape: float, x: float) -> None:
    step = math.exp(shape * math.log(x) - x - math.lgamma(shape + 1))
    assert igamc(shape + 1, x) == close(igamc(shape, x) + step)


@many
@given(shapes, arguments, arguments)
def test_it_falls_from_one_towards_zero(shape: float, x: float, more: float) -> None:
    assert 0.0 <= igamc(shape, x + more) <= igamc(shape, x) + 1e-12 <= 1.0 + 1e-12
    assert igamc(shape, 0.0) == 1.0


@pytest.mark.parametrize("shape", [8_192.0, 16_384.0])
def test_the_large_shapes_of_the_serial_test_follow_the_normal_law(shape: float) -> None:
    for z in (-3.0, -1.0, 0.0, 1.0, 3.0):  # Wilson and Hilferty's cube root
        x = shape * (1 - 1 / (9 * shape) + z / (3 * math.sqrt(shape))) ** 3
        assert igamc(shape, x) == pytest.approx(1 - normal_cdf(z), abs=2e-5)


@pytest.mark.parametrize(
    ("shape", "x"), [(0.0, 1.0), (-1.0, 1.0), (1.0, -1e-9), (1.0, math.nan), (math.inf, 1.0)]
)
def test_what_lies_outside_its_range_is_refused(shape: float, x: float) -> None:
    with pytest.raises(ValueError, match="igamc"):
        igamc(shape, x)


def test_the_normal_tails_are_those_of_the_tables() -> None:
    assert normal_cdf(1.959963984540054) == pytest.approx(0.975, abs=1e-12)
    assert two_sided(-2.5758293035489004) == pytest.approx(0.01, abs=1e-12)
