import numpy as np
import pytest

from tests.chaos_cipher.quality.expansions import HUNDRED, bits_of, e, pi, root


def test_the_hundred_bits_are_those_printed_in_section_2_1_8() -> None:
    printed = (
        "1100100100001111110110101010001000100001011010001100001000110100110001001100011001100010100010111000"
    )
    assert np.array_equal(HUNDRED, bits_of(printed))


def test_the_bits_of_e_are_those_of_its_double() -> None:
    assert int("".join(map(str, e(50))), 2) == int(2.718281828459045 * 2**48)


@pytest.mark.parametrize("count", [100, 5_000])
def test_fewer_bits_are_a_prefix_of_more(count: int) -> None:
    for make in (e, pi, lambda n: root(3, n)):
        assert np.array_equal(make(count), make(10_000)[:count])
