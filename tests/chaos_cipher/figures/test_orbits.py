import warnings
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_cipher.figures.orbits import advance, attractor, exponents, periods


@pytest.mark.parametrize(
    ("mu", "cycle"),
    [
        (2.9, [0.655172]),
        (3.2, [0.513045, 0.799455]),
        (3.5, [0.382820, 0.500884, 0.826941, 0.874997]),
        (3.83, [0.156149, 0.504666, 0.957417]),
    ],
)
def test_the_papers_orbits_settle_on_the_known_cycles(mu: float, cycle: list[float]) -> None:
    settled = attractor(np.array([mu]), 0.1, 300, 80)
    assert settled.shape == (80, 1)
    distances = np.abs(settled - np.array(cycle))
    assert distances.min(axis=1).max() < 2e-6
    assert distances.min(axis=0).max() < 2e-6


def test_the_attractor_starts_right_after_the_transient() -> None:
    mu = np.array([3.9, 3.2])
    first = attractor(mu, 0.1, 7, 2)
    assert first[0].tolist() == advance(np.full(2, 0.1), mu, 8).tolist()
    assert first[1].tolist() == advance(np.full(2, 0.1), mu, 9).tolist()


@given(st.floats(0.01, 4.0), st.floats(0.0, 1.0))
def test_no_orbit_leaves_the_unit_interval(mu: float, x0: float) -> None:
    orbit = attractor(np.array([mu]), x0, 0, 50)
    assert orbit.min() >= 0
    assert orbit.max() <= 1


def test_known_windows_have_their_periods() -> None:
    mu = np.array([2.9, 3.2, 3.5, 3.55, 3.83, 3.845, 3.9057, 3.96025])
    assert periods(mu, 5000, 64).tolist() == [1, 2, 4, 8, 3, 6, 5, 4]


def test_chaos_has_no_period_and_neither_has_a_float_orbit_stuck_at_zero() -> None:
    assert periods(np.array([3.9999, 3.99, 3.9, 3.7, 4.0]), 5000, 512).tolist() == [0] * 5


def test_a_superstable_cycle_is_periodic_with_a_very_small_exponent_and_no_warning() -> None:
    mu = np.array([1 + 5**0.5])  # the critical point lies on the cycle of length 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert periods(mu, 1000, 8).tolist() == [2]
        assert exponents(mu, 1000, 160)[0] < -2
        assert exponents(np.array([2.0]), 100, 160)[0] < -2  # the slope is exactly 0


def test_a_cycle_longer_than_asked_for_is_not_reported() -> None:
    assert periods(np.array([3.5]), 5000, 3).tolist() == [0]


def test_the_exponent_of_a_fixed_point_is_the_logarithm_of_its_slope() -> None:
    mu = np.array([1.5, 2.5, 2.9, 3.0 - 1e-3])
    assert exponents(mu, 20_000, 160) == pytest.approx(np.log(np.abs(2 - mu)), abs=1e-9)


def test_the_exponent_at_4_is_ln_2() -> None:
    assert exponents(np.array([4.0]), 100, 20_000, x0=0.1)[0] == pytest.approx(log(2), abs=2e-3)


def test_the_exponent_is_negative_just_where_there_is_a_cycle() -> None:
    mu = np.round(np.arange(3.4, 3.99, 0.0037), 4)
    assert ((exponents(mu, 5000, 8000) < 0) == (periods(mu, 20_000, 512) > 0)).all()
