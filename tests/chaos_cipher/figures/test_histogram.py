from math import pi

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_cipher.figures import histogram
from chaos_cipher.figures.histogram import ARCSINE, BYTES_UNIFORM, TABLE_4, UNIFORM


def test_the_papers_table_counts_30_000_values() -> None:
    assert sum(TABLE_4) == histogram.VALUES == 30_000


def test_all_counts_of_the_papers_table_are_multiples_of_3() -> None:
    assert np.gcd.reduce(TABLE_4) == 3


@given(st.lists(st.floats(0, 1), max_size=50))
def test_every_value_is_counted_once(values: list[float]) -> None:
    assert histogram.counts(np.array(values, dtype=np.float64)).sum() == len(values)


def test_a_value_on_a_bins_edge_belongs_to_the_upper_bin_and_1_to_the_last() -> None:
    assert histogram.counts(np.array([0.0, 0.0999, 0.5, 0.9, 1.0])).tolist() == [2, 0, 0, 0, 0, 1, 0, 0, 0, 2]


def test_the_bytes_bins_hold_25_or_26_of_256_bytes() -> None:
    assert histogram.byte_counts(bytes(range(256))).tolist() == [share * 256 for share in BYTES_UNIFORM]
    assert sorted(share * 256 for share in BYTES_UNIFORM) == [25] * 4 + [26] * 6


def test_the_arcsine_shares_sum_to_1_and_are_symmetric() -> None:
    assert sum(ARCSINE) == pytest.approx(1, abs=1e-12)
    assert np.allclose(ARCSINE, ARCSINE[::-1], rtol=0, atol=1e-12)


def test_samples_of_sin_squared_follow_the_arcsine_shares_and_not_the_uniform_ones() -> None:
    rng = np.random.default_rng(7)
    sample = histogram.counts(np.sin(pi / 2 * rng.random(100_000)) ** 2)
    assert histogram.chi_square(sample, ARCSINE) < histogram.critical(0.001)
    assert histogram.chi_square(sample, UNIFORM) > 100 * histogram.critical(0.001)


def test_equally_spaced_angles_give_the_arcsine_shares_exactly() -> None:
    angles = (np.arange(1_000_000) + 0.5) / 1_000_000
    sample = histogram.counts(np.sin(pi / 2 * angles) ** 2) / 1_000_000
    assert sample == pytest.approx(np.array(ARCSINE), abs=2e-6)


def test_chi_square_is_0_where_counts_are_as_expected_and_right_where_not() -> None:
    assert histogram.chi_square(np.full(10, 7), UNIFORM) == pytest.approx(0)
    assert histogram.chi_square(np.array([20, 0, *[10] * 8]), UNIFORM) == pytest.approx(20)


@pytest.mark.parametrize(("level", "printed"), [(0.05, 16.919), (0.01, 21.666), (0.001, 27.877)])
def test_critical_values_are_those_of_printed_tables(level: float, printed: float) -> None:
    assert histogram.critical(level) == pytest.approx(printed, abs=6e-4)


def test_chance_exceeds_the_critical_value_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    sums = (rng.standard_normal((200_000, 9)) ** 2).sum(axis=1)
    assert (sums > histogram.critical(0.05)).mean() == pytest.approx(0.05, abs=0.002)


def test_the_papers_table_rejects_uniformity_itself() -> None:
    assert histogram.chi_square(np.array(TABLE_4), UNIFORM) == pytest.approx(2007.81)
