from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_cipher.fold.equations import LEAST_BITS, PUBLIC_BITS, Leading, equations, system
from chaos_cipher.fold.errors import HintError
from chaos_cipher.fold.keystream import fold, states
from tests.chaos_cipher.support import few, highest_a, lowest_a, usable_a, usable_x0


@few
@given(usable_x0, usable_a, st.integers(48, 100))
def test_every_equation_is_true_of_the_state_that_gave_the_block(x0: int, a: int, bits: int) -> None:
    true = list(islice(states(x0, a), 12))
    found = list(equations([fold(x) for x in true], Leading.of(true[0] >> 128, bits), Leading.of(a, bits)))
    assert [equation.place for equation in found] == list(range(len(found)))
    assert found[0].bits >= bits
    assert all(equation.holds(true[equation.place]) for equation in found)


def test_an_equation_is_not_true_of_another_low_half() -> None:
    x = next(states(2**254 + 2**31, lowest_a))
    (equation,) = equations([fold(x)], Leading.of(x >> 128, 60), Leading.of(lowest_a, 60))
    assert equation.holds(x)
    assert not equation.holds(x ^ 1 << 127)
    assert not equation.holds(x ^ 1 << 128 - equation.bits)
    assert equation.holds(x ^ (1 << 128 - equation.bits) - 1)


def test_equations_end_where_nothing_of_the_state_is_known_any_more() -> None:
    true = list(islice(states(2**254 + 2**31, lowest_a), 60))
    blocks = [fold(x) for x in true]
    found = list(equations(blocks, Leading.of(true[0] >> 128, 40), Leading.of(lowest_a, 40)))
    assert 20 < len(found) < 45
    assert all(equation.bits >= LEAST_BITS for equation in system(found).equations)


def test_33_bits_of_every_a_are_public() -> None:
    assert lowest_a >> 128 - PUBLIC_BITS == highest_a - 1 >> 128 - PUBLIC_BITS
    assert lowest_a >> 127 - PUBLIC_BITS != highest_a - 1 >> 127 - PUBLIC_BITS


@few
@given(st.integers(0, 2**128 - 1), st.integers(1, 127))
def test_leading_bits_bound_the_number_that_they_were_taken_from(number: int, bits: int) -> None:
    leading = Leading.of(number, bits)
    assert leading.low <= number < leading.high
    assert leading.high - leading.low == 1 << 128 - bits
    assert f"{leading.value}" not in repr(leading).replace(f"bits={bits}", "")


@pytest.mark.parametrize(("value", "bits"), [(0, 0), (0, 128), (-1, 8), (256, 8)])
def test_leading_bits_out_of_range_are_refused_by_name(value: int, bits: int) -> None:
    with pytest.raises(HintError, match="out of range"):
        Leading(value, bits)


@pytest.mark.parametrize("value", [0, 2**40 - 2**8 - 1, 2**40 - 1])
def test_leading_bits_that_no_a_begins_with_are_refused_by_name(value: int) -> None:
    with pytest.raises(HintError, match="a's 40 leading bits is out of range"):
        list(equations([0, 0], Leading(5, 40), Leading(value, 40)))
