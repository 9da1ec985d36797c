from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_cipher.quality.bits import Bits, class_p_value
from chaos_cipher.quality.structure import (
    COMPLEXITY_LAW,
    binary_ranks,
    complexity_counts,
    linear_complexity,
    matrix_rank,
    rank_law,
    register_lengths,
    spectral,
    spectral_p_value,
    spectral_peaks_below,
)
from tests.chaos_cipher.quality.expansions import EXPANSIONS, bits_of, e
from tests.chaos_cipher.quality.support import bit_strings, printed
from tests.chaos_cipher.support import few

# with the misprint 0.01047 for 1/96 = 0.010417, which 2.10.8 and appendix B were computed with
PRINTED_COMPLEXITY_LAW = (0.01047, 0.03125, 0.125, 0.5, 0.25, 0.0625, 0.020833)


def test_ranks_of_section_2_5_4() -> None:
    assert list(binary_ranks(bits_of("01011001001010101101"), 3)) == [2, 3]


def test_rank_of_section_2_5_8() -> None:
    assert matrix_rank(e(100_000)) == printed(0.532069)


def test_rank_of_e_in_appendix_b() -> None:
    assert matrix_rank(e()) == printed(0.306156)


def test_the_rank_law_rounds_to_the_figures_of_section_2_5_4() -> None:
    assert rank_law(32) == pytest.approx((0.2888, 0.5776, 0.1336), abs=5e-5)


def test_the_rank_law_is_that_of_all_small_matrices() -> None:
    matrices = np.array(list(product((0, 1), repeat=9)), dtype=np.uint8)
    ranks = binary_ranks(matrices.ravel(), 3)
    assert [float((ranks == 3).mean()), float((ranks == 2).mean())] == pytest.approx(rank_law(3)[:2])


@few
@given(st.integers(2, 8).flatmap(lambda size: bit_strings(size**2, size**2)))
def test_the_rank_is_that_of_plain_elimination(bits: Bits) -> None:
    size = round(len(bits) ** 0.5)
    rows = [int("".join(map(str, row)), 2) for row in bits.reshape(size, size)]
    assert list(binary_ranks(bits, size)) == [_rank(rows)]


def _rank(rows: list[int]) -> int:
    basis: list[int] = []
    for row in rows:
        left = row
        for each in basis:
            left = min(left, left ^ each)
        if left:
            basis.append(left)
    return len(basis)


@pytest.mark.parametrize(
    ("below", "n", "p_value"),
    [(4, 10, 0.029523), (46, 100, 0.168669)],  # sections 2.6.4 and 2.6.8
)
def test_the_spectral_p_value_of_the_peaks_that_the_standard_counts(
    below: int, n: int, p_value: float
) -> None:
    assert spectral_p_value(below, n) == pytest.approx(p_value, abs=6e-7)


def test_spectral_of_e_in_appendix_b() -> None:
    assert spectral(e()) == printed(0.847187)


@few
@given(bit_strings(16, 40))
def test_the_peaks_are_those_of_the_plain_transform(bits: Bits) -> None:
    n, x = len(bits), 2.0 * bits - 1.0
    angles = -2j * np.pi * np.outer(np.arange(n // 2), np.arange(n)) / n
    heights = np.abs(np.exp(angles) @ x)
    limit = np.sqrt(np.log(20) * n)
    assert (heights < limit - 1e-9).sum() <= spectral_peaks_below(bits) <= (heights < limit + 1e-9).sum()


def test_a_register_of_section_2_10_4() -> None:
    assert list(register_lengths(bits_of("1101011110001").reshape(1, -1))) == [4]


def test_complexity_counts_of_section_2_10_8() -> None:
    assert list(complexity_counts(e(), 1_000)) == [11, 31, 116, 501, 258, 57, 26]


def test_linear_complexity_of_section_2_10_8() -> None:
    p_value = class_p_value(complexity_counts(e(), 1_000), PRINTED_COMPLEXITY_LAW)
    assert p_value == pytest.approx(0.845406, abs=5e-6)
    assert linear_complexity(e(), 1_000)[0] == pytest.approx(0.845406, abs=1e-3)  # without the misprint


def test_linear_complexity_of_e_in_appendix_b() -> None:
    p_value = class_p_value(complexity_counts(e(), 500), PRINTED_COMPLEXITY_LAW)
    assert p_value == pytest.approx(0.826335, abs=5e-6)


def test_the_law_of_complexities_is_whole() -> None:
    assert sum(COMPLEXITY_LAW) == pytest.approx(1, abs=1e-15)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "rank", "peaks", "complexity"),
    [
        ("pi", 0.083553, 0.010186, 0.255475),
        ("sqrt2", 0.823810, 0.581909, 0.317127),
        ("sqrt3", 0.314498, 0.776046, 0.346469),
    ],
)
def test_other_constants_of_appendix_b(name: str, rank: float, peaks: float, complexity: float) -> None:
    bits = EXPANSIONS[name]()
    assert matrix_rank(bits) == printed(rank)
    assert spectral(bits) == printed(peaks)
    counts = complexity_counts(bits, 500)
    assert class_p_value(counts, PRINTED_COMPLEXITY_LAW) == pytest.approx(complexity, abs=5e-6)


@few
@given(st.lists(bit_strings(150, 150), min_size=1, max_size=3))
def test_register_lengths_are_those_of_the_plain_algorithm(blocks: list[Bits]) -> None:
    assert list(register_lengths(np.stack(blocks))) == [_register_length(block.tolist()) for block in blocks]


@few
@given(st.integers(1, 100).flatmap(lambda length: st.tuples(*[bit_strings(length, length)] * 2)))
def test_a_sequence_made_by_a_register_is_not_more_complex_than_it(register: tuple[Bits, Bits]) -> None:
    taps, start = register
    made = [int(bit) for bit in start]
    for place in range(500 - len(start)):
        made.append(sum(int(tap) & bit for tap, bit in zip(taps, made[place:], strict=False)) % 2)
    assert register_lengths(np.array([made], dtype=np.uint8))[0] <= len(taps)


@pytest.mark.parametrize(("place", "length"), [(1, 1), (64, 64), (65, 65), (128, 128), (500, 500)])
def test_a_first_one_after_zeros_takes_a_register_as_long_as_its_place(place: int, length: int) -> None:
    bits = np.zeros((1, 500), dtype=np.uint8)
    bits[0, place - 1] = 1
    assert list(register_lengths(bits)) == [length]


def _register_length(bits: list[int]) -> int:
    """Berlekamp and Massey's algorithm as textbooks print it, one coefficient at a time."""
    n = len(bits)
    c, b = [1] + [0] * n, [1] + [0] * n
    length, last = 0, -1
    for place in range(n):
        discrepancy = sum(c[i] & bits[place - i] for i in range(length + 1)) % 2
        if discrepancy:
            before = c.copy()
            for i in range(n - place + last + 1):
                c[i + place - last] ^= b[i]
            if 2 * length <= place:
                length, last, b = place + 1 - length, place, before
    return length
