import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_cipher.quality.bits import Bits, circular_counts, shorter
from chaos_cipher.quality.patterns import (
    approximate_entropy,
    serial,
    universal,
    universal_block,
    universal_law,
    universal_p_value,
    universal_sum,
)
from tests.chaos_cipher.quality.expansions import EXPANSIONS, HUNDRED, bits_of, e
from tests.chaos_cipher.quality.support import bit_strings, printed
from tests.chaos_cipher.support import few

MILLION_BLOCKS = 1_000_000 // 7
PRINTED_LAW = (6.1962507, 3.125)  # of blocks of seven bits
TABLE = {  # section 2.9.4
    6: (5.2177052, 2.954), 7: PRINTED_LAW, 8: (7.1836656, 3.238), 9: (8.1764248, 3.311),
    10: (9.1723243, 3.356), 11: (10.170032, 3.384), 12: (11.168765, 3.401), 13: (12.168070, 3.410),
}  # fmt: skip


def test_universal_sum_of_section_2_9_4() -> None:
    assert universal_sum(bits_of("01011010011101010111"), 2, 4) == pytest.approx(7.169925002)


def test_universal_of_section_2_9_8() -> None:
    assert universal_p_value(919_924.038020, 148_516, 7, *PRINTED_LAW) == pytest.approx(0.427733, abs=6e-7)


def test_universal_of_e_in_appendix_b() -> None:
    count = MILLION_BLOCKS - 1_280
    p_value = universal_p_value(universal_sum(e(), 7, 1_280), count, 7, *PRINTED_LAW)
    assert p_value == pytest.approx(0.282568, abs=6e-7)
    assert universal(e())[0] == pytest.approx(0.282568, abs=1e-4)  # by the exact law instead


@pytest.mark.parametrize("block", TABLE)
def test_the_exact_law_is_that_of_the_table_of_section_2_9_4(block: int) -> None:
    mean, variance = universal_law(block)
    assert mean == pytest.approx(TABLE[block][0], abs=6e-7)
    assert variance == pytest.approx(TABLE[block][1], abs=1e-3)


@pytest.mark.parametrize(("n", "block"), [(387_840, 6), (904_959, 6), (904_960, 7), (1_059_061_760, 16)])
def test_the_block_is_that_of_section_2_9_7(n: int, block: int) -> None:
    assert universal_block(n) == block


def test_too_few_bits_are_refused() -> None:
    with pytest.raises(ValueError, match="387839"):
        universal_block(387_839)


@few
@given(bit_strings(30, 200), st.integers(1, 3), st.integers(1, 8))
def test_the_universal_sum_is_that_of_a_plain_walk(bits: Bits, block: int, start: int) -> None:
    last: Counter[str] = Counter()
    total = 0.0
    for place in range(1, len(bits) // block + 1):
        value = "".join(map(str, bits[(place - 1) * block : place * block]))
        if place > start:
            total += math.log2(place - last[value])
        last[value] = place
    assert universal_sum(bits, block, start) == pytest.approx(total)


def test_serial_of_section_2_11_6() -> None:
    assert serial(bits_of("0011011101"), 3) == printed(0.808792, 0.670320)


def test_serial_counts_of_section_2_11_8() -> None:
    assert list(circular_counts(e(), 2)) == [250_116, 249_855, 249_855, 250_174]


def test_serial_of_section_2_11_8() -> None:
    assert serial(e(), 2) == printed(0.843764, 0.561915)


def test_serial_of_e_in_appendix_b() -> None:
    assert serial(e())[0] == pytest.approx(0.766182, abs=6e-7)


def test_approximate_entropy_of_section_2_12_4() -> None:
    assert approximate_entropy(bits_of("0100110101"), 3) == printed(0.261961)


def test_approximate_entropy_of_section_2_12_8() -> None:
    assert approximate_entropy(HUNDRED, 2) == printed(0.235301)


def test_approximate_entropy_of_e_in_appendix_b() -> None:
    assert approximate_entropy(e()) == printed(0.700073)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "maurer", "serially", "entropy"),
    [
        ("pi", 0.669012, 0.143005, 0.361595),
        ("sqrt2", 0.130805, 0.861925, 0.884740),
        ("sqrt3", 0.165981, 0.157500, 0.180481),
    ],
)
def test_other_constants_of_appendix_b(name: str, maurer: float, serially: float, entropy: float) -> None:
    bits = EXPANSIONS[name]()
    p_value = universal_p_value(universal_sum(bits, 7, 1_280), MILLION_BLOCKS - 1_280, 7, *PRINTED_LAW)
    assert p_value == pytest.approx(maurer, abs=6e-7)
    assert serial(bits)[0] == pytest.approx(serially, abs=6e-7)
    assert approximate_entropy(bits) == printed(entropy)


@few
@given(bit_strings(20, 100), st.integers(2, 16))
def test_circular_counts_are_those_of_a_plain_walk(bits: Bits, width: int) -> None:
    ring = "".join(map(str, bits)) * 2
    plain = Counter(int(ring[place : place + width], 2) for place in range(len(bits)))
    counts = circular_counts(bits, width)
    assert {code: int(count) for code, count in enumerate(counts) if count} == plain
    assert list(shorter(counts)) == list(circular_counts(bits, width - 1))
