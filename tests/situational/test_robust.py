import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import Letter, classify, classify_batch
from situational.evaluate import TICKS
from situational.robust import scaled
from tests.situational.support import MODELLED, clean, noisy, unhurried

U = TICKS / TICKS[-1]


@unhurried
@given(st.integers(0, 2**32 - 1), st.integers(10, 60), st.floats(1e-9, 1e12), st.floats(-1e3, 1e3))
def test_a_window_is_brought_to_size_one_and_can_be_brought_back(
    seed: int, n: int, scale: float, shift: float
) -> None:
    y = scale * (np.random.default_rng(seed).normal(size=(3, n)) + shift)
    window = scaled(y)
    assert window.z.max(axis=1) == pytest.approx(np.full(3, 0.5))
    assert window.z.min(axis=1) == pytest.approx(np.full(3, -0.5))
    back = window.middle[:, None] + window.size[:, None] * window.z
    moved = np.abs(back - y) > 1e-9 * np.abs(y).max()
    assert (moved.sum(axis=1) == window.spikes).all()


@unhurried
@given(st.integers(0, 2**32 - 1), st.integers(-20, 20))
def test_scaling_by_powers_of_two_negating_and_reversing_do_the_same_to_the_scaled_window(
    seed: int, power: int
) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(4, 60)) + 30.0 * (rng.random((4, 60)) < 0.03)
    window = scaled(y)
    assert np.array_equal(scaled(y * 2.0**power).z, window.z)
    assert np.array_equal(scaled(-y).z, -window.z)
    assert np.array_equal(scaled(y[:, ::-1]).z, window.z[:, ::-1])


@pytest.mark.parametrize("size", [0.6, -0.6, 10.0, -10.0, 1e6, -1e6])
@pytest.mark.parametrize("at", [0, 1, 29, 58, 59])
def test_one_spike_is_put_back_where_its_neighbours_are(size: float, at: int) -> None:
    rng = np.random.default_rng(at)
    y = U + rng.normal(0.0, 0.05, 60)
    clean_window = classify(TICKS, y)
    y[at] += size
    trend = classify(TICKS, y)
    assert trend.shape is trend.regime is Letter.C
    assert trend.n == clean_window.n - 1
    assert trend.rise == pytest.approx(clean_window.rise, abs=0.03)


@pytest.mark.parametrize("letter", MODELLED)
@pytest.mark.parametrize("bend", [1.0, 4.0, 8.0])
def test_no_sample_of_a_clean_curve_is_taken_for_a_spike(letter: Letter, bend: float) -> None:
    assert scaled(clean(letter, U, bend)[None]).spikes.tolist() == [0]


def test_a_level_step_is_not_a_spike() -> None:
    assert scaled((U > 0.4).astype(np.float64)[None]).spikes.tolist() == [0]


def test_where_a_third_of_the_samples_stands_out_nothing_is_moved() -> None:
    y = np.where(np.arange(60) % 3 == 0, 100.0, np.random.default_rng(1).normal(size=60))
    window = scaled(y[None])
    assert window.spikes.tolist() == [0]
    assert classify(TICKS, y).n == 60


def test_a_count_that_is_one_higher_once_is_unchanged() -> None:
    y = np.full(60, 7.0)
    y[31] = 8.0
    trend = classify(TICKS, y)
    assert (trend.shape, trend.start, trend.n) == (Letter.A, 7.0, 59)


def test_counts_that_rise_in_whole_numbers_are_a_rise() -> None:
    for top in (4, 10, 40):
        assert classify(TICKS, np.round(top * U)).shape is Letter.C


@pytest.mark.parametrize("share", [0.02, 0.05])
@pytest.mark.parametrize("size", [0.5, 2.0])
def test_outliers_leave_the_letters_right_in_97_of_100_windows(share: float, size: float) -> None:
    rng = np.random.default_rng(17)
    right = []
    for letter in MODELLED:
        t, y = noisy(letter, rng, rows=150, n=60, snr=20.0)
        struck = rng.random(y.shape) < share
        y += struck * rng.choice([-1.0, 1.0], y.shape) * rng.uniform(size, 3.0 * size, y.shape)
        right += [trend.shape is letter for trend in classify_batch(t, y)]
    assert np.mean(right) >= 0.97
