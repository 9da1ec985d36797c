from dataclasses import FrozenInstanceError
from fractions import Fraction
from math import floor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaos_cipher import ChaosParameterError, Parameters, Weakness, step
from tests.chaos_cipher import reference
from tests.chaos_cipher.make_vectors import GOOD_A, LANDS_ON_FIXED_POINT, QUARTER
from tests.chaos_cipher.support import highest_a, lowest_a, many, states, usable_a, usable_x0

TOP = 2**256 - 2**223


@many
@given(states, usable_a)
def test_a_step_is_the_floor_of_the_exact_formula(x: int, a: int) -> None:
    exact = reference.iterate(x * reference.UNIT, a * reference.MU_STEP)
    assert step(x, a) == floor(exact / reference.UNIT)


@pytest.mark.parametrize("a", [lowest_a, highest_a])
@pytest.mark.parametrize(
    "x", [0, 1, 2, 2**224, 2**255 - 1, 2**255, 2**256 - 2**223 - 1, 2**256 - 2, 2**256 - 1]
)
def test_a_step_is_the_floor_of_the_exact_formula_at_the_ends_of_every_range(x: int, a: int) -> None:
    assert step(x, a) == floor(Fraction(4 * a * x * (2**256 - 1 - x), 2 ** (128 + 256)))


@many
@given(states, usable_a)
@example(2**255, highest_a)
@example(2**255 - 1, highest_a)
def test_no_step_leaves_the_range_or_comes_within_2_to_the_minus_33_of_one(x: int, a: int) -> None:
    assert 0 <= step(x, a) < TOP


def test_at_mu_4_two_steps_from_one_half_end_near_zero_which_is_why_mu_stays_below() -> None:
    assert step(step(2**255, 2**128), 2**128) < 4
    assert step(step(2**255, highest_a), highest_a) > 2**224


@many
@given(usable_x0, usable_a)
@example(2**31, highest_a)
@example(2**31, lowest_a)
def test_the_warm_up_lifts_every_start_out_of_the_small_numbers_for_good(x0: int, a: int) -> None:
    x = x0
    for _ in range(97):
        x = step(x, a)
    for _ in range(203):
        assert 2**224 < x < TOP
        x = step(x, a)


@many
@given(states, usable_a)
def test_x_and_one_minus_x_have_the_same_image_so_only_the_lower_half_holds_keys(x: int, a: int) -> None:
    assert step(x, a) == step(2**256 - 1 - x, a)


@many
@given(st.integers(0, 2**223 - 2**189 - 2**158), usable_a)
def test_guard_bits_keep_neighbouring_starts_apart_all_but_2_to_the_minus_34_of_them(
    top: int, a: int
) -> None:
    x0 = top * 2**32 + 2**31
    assert step(x0, a) < step(x0 + 2**32, a)


def test_without_guard_bits_neighbouring_starts_would_merge() -> None:
    x0 = 7 * 2**252  # slope of the map here: 1/2
    images = {step(x0 + i, GOOD_A) for i in range(1_000)}
    assert len(images) < 510


numbers = st.integers(-(2**32), 2**256) | usable_x0
multipliers = st.integers(0, 2**129) | usable_a


@many
@given(numbers, multipliers)
@example(2**31, lowest_a)
@example(2**31, lowest_a - 1)
@example(2**31, highest_a)
@example(2**31, highest_a + 1)
@example(2**255 - 2**31, highest_a)
@example(2**255, highest_a)
@example(*LANDS_ON_FIXED_POINT)
def test_parameters_exist_exactly_where_the_reference_finds_no_weakness(x0: int, a: int) -> None:
    expected = reference.weakness(x0 * reference.UNIT, a * reference.MU_STEP)
    if expected is None:
        assert (Parameters(x0, a).x0, Parameters(x0, a).a) == (x0, a)
    else:
        with pytest.raises(ChaosParameterError) as refused:
            Parameters(x0, a)
        assert refused.value.weakness == expected


def test_the_neighbours_of_a_start_that_lands_on_a_fixed_point_are_usable() -> None:
    x0, a = LANDS_ON_FIXED_POINT
    assert step(step(x0, a), a) == step(x0, a)
    for near in (Parameters(x0 + 2**32, a), Parameters(x0 - 2**32, a), Parameters(x0, a + 1)):
        assert step(step(near.x0, near.a), near.a) != step(near.x0, near.a)


def test_parameters_cannot_be_changed() -> None:
    parameters = Parameters(QUARTER, GOOD_A)
    for name in ("x0", "a"):
        with pytest.raises(FrozenInstanceError):
            setattr(parameters, name, 0)


def test_parameters_hide_their_secret_in_repr() -> None:
    assert repr(Parameters(QUARTER, GOOD_A)) == "Parameters()"


def test_every_weakness_has_a_name_of_its_own() -> None:
    assert len({str(ChaosParameterError(weakness)) for weakness in Weakness}) == len(Weakness) == 6
