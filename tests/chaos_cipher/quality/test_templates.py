import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_cipher.quality.bits import Bits, class_p_value
from chaos_cipher.quality.special import igamc
from chaos_cipher.quality.templates import (
    aperiodic_templates,
    non_overlapping_templates,
    overlapping_counts,
    overlapping_law,
    overlapping_templates,
    template_p_values,
)
from tests.chaos_cipher.quality.expansions import EXPANSIONS, bits_of, e
from tests.chaos_cipher.quality.support import bit_strings, printed
from tests.chaos_cipher.support import few

CORRECTED_LAW = (0.364091, 0.185659, 0.139381, 0.100571, 0.070432, 0.139865)


def old_law() -> tuple[float, ...]:
    """Section 3.8's approximation for eta = 1, with which 2.8.8 and appendix B were computed."""
    shares = [
        math.exp(-1) / 2**u * sum(math.comb(u - 1, k - 1) / math.factorial(k) for k in range(1, u + 1))
        for u in range(1, 5)
    ]
    return (math.exp(-1), *shares, 1 - math.exp(-1) - sum(shares))


@pytest.mark.parametrize(
    ("width", "count"), [(2, 2), (3, 4), (4, 6), (5, 12), (6, 20), (7, 40), (8, 74), (9, 148)]
)
def test_there_are_as_many_aperiodic_templates_as_section_2_7_lists(width: int, count: int) -> None:
    assert len(aperiodic_templates(width)) == count


def test_non_overlapping_of_section_2_7_4() -> None:
    assert template_p_values(bits_of("10100100101110010110"), 3, 2, (0b001,)) == printed(0.344154)


def test_overlapping_counts_of_section_2_8_8() -> None:
    # printed as 329, 164, 150, 111, 78, 136
    assert list(overlapping_counts(e(), 9, 1_032)) == [329, 164, 150, 111, 78, 136]


def test_overlapping_of_section_2_8_8_and_of_e_in_appendix_b() -> None:
    assert class_p_value(overlapping_counts(e(), 9, 1_032), old_law()) == pytest.approx(0.110434, abs=6e-7)


def test_overlapping_of_e_by_the_corrected_law() -> None:
    exact = class_p_value(overlapping_counts(e(), 9, 1_032), CORRECTED_LAW)
    assert overlapping_templates(e()) == printed(exact, within=1e-4)


def test_the_corrected_law_of_section_2_8_4_is_the_exact_one_rounded() -> None:
    assert overlapping_law(9, 1_032) == printed(*CORRECTED_LAW)


def test_non_overlapping_of_e_in_appendix_b() -> None:
    assert non_overlapping_templates(e())[0] == pytest.approx(0.078790, abs=6e-7)  # template 000000001


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "apart", "overlapping"),
    [("pi", 0.165757, 0.296897), ("sqrt2", 0.569461, 0.791982), ("sqrt3", 0.532235, 0.082716)],
)
def test_other_constants_of_appendix_b(name: str, apart: float, overlapping: float) -> None:
    bits = EXPANSIONS[name]()
    assert non_overlapping_templates(bits)[0] == pytest.approx(apart, abs=6e-7)
    assert class_p_value(overlapping_counts(bits, 9, 1_032), old_law()) == pytest.approx(
        overlapping, abs=6e-7
    )


def test_the_exact_law_is_that_of_all_strings() -> None:
    strings = np.array(list(product((0, 1), repeat=12)), dtype=np.uint8)
    assert overlapping_counts(strings.ravel(), 3, 12) / 4_096 == pytest.approx(overlapping_law(3, 12))


@few
@given(bit_strings(100, 160), st.sampled_from(aperiodic_templates(4)))
def test_counting_all_matches_is_the_scan_of_section_2_7_4(bits: Bits, template: int) -> None:
    size = len(bits) // 2
    mean, variance = (size - 3) / 16, size * (1 / 16 - 7 / 256)
    counts = [_scanned(bits[start : start + size], template, 4) for start in (0, size)]
    statistic = sum((count - mean) ** 2 for count in counts) / variance
    assert template_p_values(bits, 4, 2, (template,)) == pytest.approx((igamc(1.0, statistic / 2),))


def _scanned(block: Bits, template: int, width: int) -> int:
    """Jumps over each match."""
    text, wanted = "".join(map(str, block)), f"{template:0{width}b}"
    place = found = 0
    while place + width <= len(block):
        matches = text.startswith(wanted, place)
        found += matches
        place += width if matches else 1
    return found
