from itertools import groupby, product

import numpy as np
import pytest
from hypothesis import given

from chaos_cipher.quality.bits import Bits, class_p_value
from chaos_cipher.quality.runs import classes_for, longest_run, longest_run_counts, longest_run_law, runs
from tests.chaos_cipher.quality.expansions import EXPANSIONS, HUNDRED, bits_of, e
from tests.chaos_cipher.quality.support import bit_strings, printed
from tests.chaos_cipher.support import few

PRINTED_LAW = (0.0882, 0.2092, 0.2483, 0.1933, 0.1208, 0.0675, 0.0727)  # of 10,000 bits; appendix B uses it
EXAMPLE = (
    "11001100000101010110110001001100111000000000001001001101010100010001001111010110"
    "100000001101011111001100111001101101100010110010"
)


def test_runs_of_section_2_3_4() -> None:
    assert runs(bits_of("1001101011")) == printed(0.147232)


def test_runs_of_section_2_3_8() -> None:
    assert runs(HUNDRED) == printed(0.500798)


def test_runs_are_hopeless_when_the_frequency_is_as_section_2_3_4_step_2_says() -> None:
    assert runs(bits_of("1" * 90 + "0" * 10)) == (0.0,)


def test_longest_run_of_section_2_4_8() -> None:
    assert list(longest_run_counts(bits_of(EXAMPLE), 8, 1, 4)) == [4, 9, 3, 0]
    assert longest_run(bits_of(EXAMPLE)) == printed(0.180609)


def test_runs_of_e_in_appendix_b() -> None:
    assert runs(e()) == printed(0.561917)


def test_longest_run_of_e_in_appendix_b() -> None:
    assert class_p_value(longest_run_counts(e(), 10_000, 10, 16), PRINTED_LAW) == pytest.approx(
        0.718945, abs=6e-7
    )
    assert longest_run(e())[0] == pytest.approx(0.718945, abs=1e-3)  # by the exact law instead


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "of_runs", "longest"),
    [("pi", 0.419268, 0.024390), ("sqrt2", 0.313427, 0.012117), ("sqrt3", 0.261123, 0.446726)],
)
def test_other_constants_of_appendix_b(name: str, of_runs: float, longest: float) -> None:
    bits = EXPANSIONS[name]()
    assert runs(bits) == printed(of_runs)
    assert class_p_value(longest_run_counts(bits, 10_000, 10, 16), PRINTED_LAW) == pytest.approx(
        longest, abs=6e-7
    )


@pytest.mark.parametrize(
    ("block", "low", "high", "law"),
    [
        (8, 1, 4, (0.2148, 0.3672, 0.2305, 0.1875)),
        (128, 4, 9, (0.1174, 0.2430, 0.2493, 0.1752, 0.1027, 0.1124)),
    ],
)
def test_the_exact_law_rounds_to_the_table_of_section_3_4(
    block: int, low: int, high: int, law: tuple[float, ...]
) -> None:
    assert longest_run_law(block, low, high) == pytest.approx(law, abs=1e-4)


def test_for_ten_thousand_bits_the_printed_law_is_off_by_up_to_two_thousandths() -> None:
    assert longest_run_law(10_000, 10, 16) == pytest.approx(PRINTED_LAW, abs=2e-3)


def test_the_exact_law_is_that_of_all_strings() -> None:
    strings = np.array(list(product((0, 1), repeat=12)), dtype=np.uint8)
    counted = longest_run_counts(strings.ravel(), 12, 1, 5)
    assert counted / 4_096 == pytest.approx(longest_run_law(12, 1, 5))


@few
@given(bit_strings(40, 80))
def test_the_longest_run_is_that_of_a_plain_count(bits: Bits) -> None:
    blocks = bits[: len(bits) // 20 * 20].reshape(-1, 20)
    longest = [max((len(list(run)) for bit, run in groupby(block) if bit), default=0) for block in blocks]
    assert list(longest_run_counts(bits, 20, 0, 20)) == [longest.count(length) for length in range(21)]


@pytest.mark.parametrize(
    ("n", "block"), [(128, 8), (6_271, 8), (6_272, 128), (749_999, 128), (750_000, 10_000)]
)
def test_the_block_is_that_of_section_2_4_2(n: int, block: int) -> None:
    assert classes_for(n)[0] == block


def test_fewer_than_128_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="127"):
        longest_run(bits_of("01" * 63 + "0"))
