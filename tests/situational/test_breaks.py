import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import Letter, classify, classify_batch
from situational.basis import regular
from situational.breaks import NOT_BROKEN, jumps
from situational.evaluate import TICKS
from situational.generate import CURVATURES, flat_then_linear, labelled, stepped
from situational.letters import LETTERS, FloatArray
from tests.situational.support import noisy, unhurried

U = TICKS / TICKS[-1]
CODE = {letter: code for code, letter in enumerate(LETTERS)}


def noise(seed: int, size: float = 0.02) -> FloatArray:
    return np.asarray(np.random.default_rng(seed).normal(0.0, size, 60))


@pytest.mark.parametrize("n", [20, 24, 60, 200])
def test_break_columns_have_length_one_and_the_sloped_ones_are_orthogonal_to_the_line(n: int) -> None:
    basis = regular(n, breaks=True)
    assert basis.breaks is not None
    (columns,) = basis.breaks.columns
    assert np.square(columns).sum(axis=1) == pytest.approx(np.ones(len(columns)))
    assert columns.sum(axis=1) == pytest.approx(np.zeros(len(columns)), abs=1e-9)
    assert columns[basis.breaks.sloped] @ basis.smooth[0, 0] == pytest.approx(0.0, abs=1e-9)
    assert basis.breaks.share.sum() == pytest.approx(5.0)


@pytest.mark.parametrize("place", [12, 25, 40, 49])
@pytest.mark.parametrize("height", [1.0, -1.0])
def test_after_a_level_step_the_regime_is_unchanged_and_the_break_is_where_it_stepped(
    place: int, height: float
) -> None:
    trend = classify(TICKS, np.where(np.arange(60) >= place, height, 0.0) + noise(place))
    assert trend.regime is Letter.A
    assert trend.break_s == TICKS[place]
    assert trend.regime_curve.start == pytest.approx(height, abs=0.02)
    assert (trend.regime_curve.begin_s, trend.regime_curve.span_s) == (TICKS[place], TICKS[-1] - TICKS[place])
    assert trend.shape is not Letter.A


def test_flat_then_linear_is_c_since_the_bend() -> None:
    trend = classify(TICKS, np.maximum(U - 0.4, 0.0) + noise(3, 0.01))
    assert trend.regime is Letter.C
    assert trend.break_s == pytest.approx(0.4 * TICKS[-1], abs=20.0)
    assert trend.regime_curve.rise == pytest.approx(0.6, abs=0.05)


def test_what_a_quiet_window_turns_into_is_the_regime() -> None:
    turned = np.where(U < 0.5, 0.0, np.expm1(6.0 * (U - 0.5)) / np.expm1(3.0))
    assert classify(TICKS, np.where(U < 0.5, 3.0, 0.0) + 2.0 * turned + noise(4)).regime is Letter.B
    assert classify(TICKS, np.where(U < 0.5, 0.0, 2.0 - turned) + noise(4)).regime is Letter.G


@pytest.mark.parametrize("size", [0.02, 0.05])
def test_after_a_pulse_the_regime_is_unchanged_although_no_single_break_explains_the_window(
    size: float,
) -> None:
    for seed in range(20):
        trend = classify(TICKS, ((U > 0.3) & (U < 0.6)) + noise(seed, size))
        assert trend.shape is Letter.NONE
        assert trend.regime in {Letter.A, Letter.NONE}
        if trend.break_s is not None:
            assert trend.break_s == TICKS[np.argmax(U >= 0.6)]


def test_a_steep_curve_is_not_a_sudden_change() -> None:
    for k in (4.0, 8.0, 12.0):
        assert jumps(np.expm1(k * U)[None] / np.expm1(k)).tolist() == [NOT_BROKEN]
    walk = np.cumsum(np.random.default_rng(10).normal(size=(2000, 60)), axis=1)
    assert np.mean(jumps(walk) != NOT_BROKEN) <= 0.01


def test_of_two_steps_the_regime_is_what_followed_the_last() -> None:
    y = np.where(U < 0.3, 0.0, np.where(U < 0.6, 1.0, 0.4)) + noise(5)
    trend = classify(TICKS, y)
    assert (trend.regime, trend.break_s) == (Letter.A, TICKS[np.argmax(U >= 0.6)])
    assert trend.regime_curve.start == pytest.approx(0.4, abs=0.03)


def test_a_break_too_near_the_end_to_judge_what_followed_leaves_the_regime_none() -> None:
    trend = classify(TICKS, np.where(np.arange(60) >= 54, 1.0, 0.0) + noise(6))
    assert (trend.regime, trend.break_s) == (Letter.NONE, TICKS[54])
    assert (trend.regime_confidence, sum(trend.regime_posterior)) == (0.0, 0.0)


def test_a_window_that_breaks_is_not_unchanged() -> None:
    y = np.abs(2.0 * U - 1.0) + noise(7, 0.05)
    trend = classify(TICKS, y)
    assert (trend.shape, trend.regime) == (Letter.NONE, Letter.C)


@unhurried
@given(st.integers(0, 2**32 - 1))
def test_a_window_without_a_break_has_one_answer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, _ = labelled(rng, 2, curvature=CURVATURES["moderate"], snr=15.0)
    for trend in classify_batch(TICKS, y):
        if trend.break_s is None:
            assert trend.regime is trend.shape
            assert trend.regime_curve == trend.curve
            assert (trend.regime_posterior, trend.regime_confidence) == (trend.posterior, trend.confidence)
        else:
            assert trend.regime_curve.begin_s in {0.0, trend.break_s}


# Measured with 7,000 windows: see the README's table. Thresholds are a little below.
def test_regimes_after_breaks_are_told_at_the_measured_rate() -> None:
    bent = classify_batch(TICKS, flat_then_linear(np.random.default_rng(1), 1000, 20.0))
    assert np.mean(bent.regime == CODE[Letter.B]) <= 0.04
    assert np.mean(bent.regime == CODE[Letter.C]) >= 0.94
    moved = classify_batch(TICKS, stepped(np.random.default_rng(2), 1000, 20.0))
    assert not np.any(moved.regime == CODE[Letter.B])
    assert np.mean(moved.regime == CODE[Letter.A]) >= 0.98


def test_smooth_curves_are_seldom_broken() -> None:
    for name, snr in (("moderate", 10.0), ("strong", 20.0), ("strong", 200.0)):
        y, truth = labelled(np.random.default_rng(3), 100, curvature=CURVATURES[name], snr=snr)
        found = classify_batch(TICKS, y)
        assert np.mean(np.isfinite(found.break_s)) <= 0.02
        assert np.mean(found.regime == truth) >= 0.96


def test_breaks_are_found_at_times_of_one_s_own() -> None:
    rng = np.random.default_rng(8)
    t = np.sort(rng.uniform(0.0, 300.0, (20, 60)), axis=1)
    trends = classify_batch(t, (t > 150.0) + rng.normal(0.0, 0.03, t.shape))
    assert [trend.regime for trend in trends] == [Letter.A] * 20
    for row, trend in zip(t, trends, strict=True):
        assert trend.break_s == row[row > 150.0][0]


def test_a_regime_in_which_no_time_passes_is_none_and_its_neighbours_in_the_batch_keep_theirs() -> None:
    rng = np.random.default_rng(11)
    t = np.sort(rng.uniform(0.0, 300.0, (2, 60)), axis=1)
    t[1, 40:] = t[1, 40]
    y = (np.arange(60) >= 40) + rng.normal(0.0, 0.02, (2, 60))
    first, second = classify_batch(t, y)
    assert (first.regime, first.break_s) == (Letter.A, t[0, 40])
    assert (second.regime, second.break_s) == (Letter.NONE, t[1, 40])


def test_short_windows_are_not_broken() -> None:
    t, y = noisy(Letter.A, np.random.default_rng(9), rows=50, n=19, snr=20.0)
    y[:, 9:] += 1.0
    assert all(math.isnan(at) for at in classify_batch(t, y).break_s)
