import pytest

from chaos_cipher.quality.frequency import block_frequency, cumulative_sums, frequency
from tests.chaos_cipher.quality.expansions import EXPANSIONS, HUNDRED, bits_of, e
from tests.chaos_cipher.quality.support import printed


def test_frequency_of_section_2_1_4() -> None:
    assert frequency(bits_of("1011010101")) == printed(0.527089)


def test_frequency_of_section_2_1_8() -> None:
    assert frequency(HUNDRED) == printed(0.109599)


def test_block_frequency_of_section_2_2_4() -> None:
    assert block_frequency(bits_of("0110011010"), 3) == printed(0.801252)


def test_block_frequency_of_section_2_2_8() -> None:
    assert block_frequency(HUNDRED, 10) == printed(0.706438)


def test_cumulative_sums_of_section_2_13_4() -> None:
    # printed: 0.4116588; what its formula gives, with an exact normal law, is 0.4115847
    assert cumulative_sums(bits_of("1011010111"))[0] == pytest.approx(0.4116588, abs=1e-4)


def test_cumulative_sums_of_section_2_13_8() -> None:
    assert cumulative_sums(HUNDRED) == printed(0.219194, 0.114866)


def test_frequency_of_e_in_appendix_b() -> None:
    assert frequency(e()) == printed(0.953749)


def test_block_frequency_of_e_in_appendix_b() -> None:
    assert block_frequency(e()) == printed(0.211072)


def test_cumulative_sums_of_e_in_appendix_b() -> None:
    assert cumulative_sums(e()) == printed(0.669887, 0.724266, within=1.5e-6)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "whole", "blocks", "forward", "backward"),
    [
        ("pi", 0.578211, 0.380615, 0.628308, 0.663369),
        ("sqrt2", 0.811881, 0.833222, 0.879009, 0.957206),
        ("sqrt3", 0.610051, 0.473961, 0.917121, 0.689519),
    ],
)
def test_other_constants_of_appendix_b(
    name: str, whole: float, blocks: float, forward: float, backward: float
) -> None:
    bits = EXPANSIONS[name]()
    assert frequency(bits) == printed(whole)
    assert block_frequency(bits) == printed(blocks)
    assert cumulative_sums(bits) == printed(forward, backward, within=1.5e-6)


def test_a_walk_that_leaves_at_once_has_almost_no_chance() -> None:
    assert max(cumulative_sums(bits_of("1" * 1_000))) < 1e-12
