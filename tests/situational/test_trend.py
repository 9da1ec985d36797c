from collections.abc import Callable, Iterable
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import (
    NO_TREND,
    Letter,
    Trend,
    Window,
    WindowShapeError,
    classify,
    classify_batch,
    classify_windows,
)
from situational.generate import CURVATURES, HELD_OUT, NAMED, labelled
from situational.letters import NONE_CODE, Curve, FloatArray, paper_parameters
from situational.trend import MAX_SAMPLES, MIN_SAMPLES
from tests.situational.support import MODELLED, NEGATED, REVERSED, autoregressive, clean, noisy, unhurried

STEADY_TICKS = np.arange(0.0, 300.0, 5.0)

Function = Callable[[FloatArray], FloatArray]


@st.composite
def windows(draw: st.DrawFn) -> tuple[FloatArray, FloatArray]:
    """Either a curve of the family with noise, or whole numbers with no order in them at all."""
    n = draw(st.integers(MIN_SAMPLES, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        letter, snr = draw(st.sampled_from(MODELLED)), draw(st.sampled_from([1.0, 3.0, 10.0, 1e9]))
        t, y = noisy(letter, rng, rows=1, n=n, snr=snr)
        return t, y[0]
    whole = draw(st.lists(st.integers(-5, 5), min_size=n, max_size=n))
    return np.arange(n, dtype=np.float64), np.array(whole, dtype=np.float64)


@unhurried
@given(windows(), st.floats(1e-9, 1e12), st.floats(-1e3, 1e3))
def test_scaling_and_shifting_the_values_keeps_the_letter(
    window: tuple[FloatArray, FloatArray], scale: float, shift: float
) -> None:
    t, y = window
    told, scaled = classify(t, y), classify(t, scale * (y + shift))
    assert (scaled.shape, scaled.regime) == (told.shape, told.regime)


@unhurried
@given(windows(), st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
def test_scaling_and_shifting_the_times_keeps_the_letter(
    window: tuple[FloatArray, FloatArray], scale: float, shift: float
) -> None:
    t, y = window
    told, scaled = classify(t, y), classify(scale * (t + shift), y)
    assert (scaled.shape, scaled.regime) == (told.shape, told.regime)


@unhurried
@given(windows())
def test_negated_values_swap_b_with_g_c_with_f_and_d_with_e(window: tuple[FloatArray, FloatArray]) -> None:
    t, y = window
    told, negated = classify(t, y), classify(t, -y)
    assert negated.shape is NEGATED.get(told.shape, told.shape)
    assert negated.regime is NEGATED.get(told.regime, told.regime)


@unhurried
@given(windows())
def test_reversed_time_swaps_b_with_e_c_with_f_and_d_with_g(window: tuple[FloatArray, FloatArray]) -> None:
    t, y = window
    shape = classify(t, y).shape
    assert classify(-t, y).shape is REVERSED.get(shape, shape)


@unhurried
@given(windows(), st.randoms())
def test_the_order_in_which_samples_are_handed_in_does_not_matter(
    window: tuple[FloatArray, FloatArray], random: Random
) -> None:
    t, y = window
    order = list(range(len(t)))
    random.shuffle(order)
    assert classify(t[order], y[order]) == classify(t, y)


@unhurried
@given(st.floats(1e-9, 1e12), st.floats(-1e8, 1e8), st.sampled_from(MODELLED), st.floats(0.8, 7.0))
def test_clean_curves_keep_their_letter_at_any_scale_and_offset(
    scale: float, shift: float, letter: Letter, bend: float
) -> None:
    y = scale * (clean(letter, np.linspace(0.0, 1.0, 60), bend) + shift)
    assert classify(STEADY_TICKS, y).letter is letter


@unhurried
@given(st.floats(-1e12, 1e12), st.integers(MIN_SAMPLES, 80))
def test_a_constant_series_is_a(value: float, n: int) -> None:
    trend = classify(np.arange(n), np.full(n, value))
    assert trend.letter is Letter.A
    assert trend.confidence == pytest.approx(1.0)
    assert (trend.start, trend.rise, trend.noise) == (value, 0.0, 0.0)


def test_a_trend_s_curve_is_in_the_units_of_the_metric_and_in_seconds() -> None:
    u = STEADY_TICKS / STEADY_TICKS[-1]
    trend = classify(STEADY_TICKS + 1e5, 8e9 + 3e9 * clean(Letter.B, u, 2.0) + 2e8 * (-1.0) ** np.arange(60))
    assert trend.letter is Letter.B
    assert trend.start == pytest.approx(8e9, rel=0.01)
    assert trend.rise == pytest.approx(3e9, rel=0.02)
    assert trend.k == pytest.approx(2.0, rel=0.2)
    assert trend.noise == pytest.approx(2e8, rel=0.02)
    assert (trend.n, trend.span_s) == (60, 295.0)


SMOOTH: dict[str, tuple[Function, Letter]] = {
    "a square": (lambda u: u**2, Letter.B),
    "a cube": (lambda u: u**3, Letter.B),
    "a logarithm": (lambda u: np.log(u + 0.05), Letter.D),
    "a root": (np.sqrt, Letter.D),
    "a hyperbola": (lambda u: 1.0 / (u + 0.1), Letter.E),
    "the paper's b·e^(a/x)": (lambda u: np.exp(1.0 / (1.0 + u)), Letter.E),
    "a falling square": (lambda u: -(u**2), Letter.G),
    "the paper's −a^x + b": (lambda u: 9.0 - 5.0**u, Letter.G),
}


@pytest.mark.parametrize("n", [MIN_SAMPLES, 20, 60, 200])
@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_curves_outside_the_family_get_the_letter_of_their_signs(name: str, n: int) -> None:
    curve, letter = SMOOTH[name]
    u = np.linspace(0.0, 1.0, n)
    assert classify(u, curve(u)).letter is letter


SHAPELESS: dict[str, Function] = {
    "a wave": lambda u: np.sin(2.0 * np.pi * u),
    "a valley": lambda u: np.abs(2.0 * u - 1.0),
    "a step": lambda u: np.where(u > 0.5, 1.0, 0.0),
}


@pytest.mark.parametrize("snr", [10.0, np.inf])
@pytest.mark.parametrize("n", [20, 60, 200])
@pytest.mark.parametrize("name", SHAPELESS)
def test_data_that_follows_no_model_is_none_and_not_a(name: str, n: int, snr: float) -> None:
    u = np.linspace(0.0, 1.0, n)
    y = SHAPELESS[name](u) + np.random.default_rng(11).normal(0.0, 1.0, n) / snr
    trend = classify(u, y)
    assert trend.letter is Letter.NONE
    assert (trend.confidence, trend.rise, trend.k, trend.r2) == (0.0, 0.0, 0.0, 0.0)
    if trend.n == n:  # else spikes were moved
        assert trend.start == pytest.approx(y.mean())
        assert trend.noise == pytest.approx(y.std())


@pytest.mark.parametrize("n", range(MIN_SAMPLES))
def test_fewer_than_ten_samples_are_none(n: int) -> None:
    trend = classify(np.arange(n), np.arange(n))
    assert (trend.letter, trend.n) == (Letter.NONE, n)


def test_samples_that_are_not_finite_are_not_usable() -> None:
    t, y = np.arange(14.0), np.arange(14.0)
    y[3], y[7], t[9] = np.nan, np.inf, np.nan
    assert (classify(t, y).letter, classify(t, y).n) == (Letter.C, 11)
    y[4] = y[5] = -np.inf
    assert (classify(t, y).letter, classify(t, y).n) == (Letter.NONE, 9)


def test_a_window_in_which_no_time_passes_is_none() -> None:
    assert classify(np.full(20, 3.0), np.arange(20)).letter is Letter.NONE


def test_numbers_too_far_apart_to_subtract_are_none() -> None:
    apart = np.concatenate([np.full(10, -1.7e308), np.full(10, 1.7e308)])
    assert classify(np.arange(20), apart).letter is Letter.NONE
    assert classify(apart, np.arange(20)).letter is Letter.NONE


def test_rounding_in_the_last_digits_is_no_trend() -> None:
    level = 8e9
    y = level + np.spacing(level) * np.arange(60) / 20
    assert classify(STEADY_TICKS, y).letter is Letter.A


def test_one_bad_row_leaves_the_others_of_the_batch_alone() -> None:
    t, y = noisy(Letter.B, np.random.default_rng(3), rows=5, n=60, snr=20.0)
    y[2, 9:] = np.nan
    y[3, 30:33] = np.nan, np.inf, -np.inf
    trends = classify_batch(t, y)
    assert [trend.letter for trend in trends] == [Letter.B, Letter.B, Letter.NONE, Letter.B, Letter.B]
    assert [trend.n for trend in trends] == [60, 60, 9, 57, 60]


def test_a_batch_says_what_the_single_windows_say() -> None:
    rng = np.random.default_rng(4)
    rows = [noisy(letter, rng, rows=50, n=60, snr=5.0)[1] for letter in MODELLED]
    y = np.concatenate(rows)
    singly = [classify(STEADY_TICKS, row) for row in y]
    assert_alike(classify_batch(STEADY_TICKS, y), singly)
    assert_alike(classify_batch(np.tile(STEADY_TICKS, (len(y), 1)), y), singly)


def test_windows_of_all_lengths_are_classified_in_the_order_of_their_keys() -> None:
    rng = np.random.default_rng(5)
    lengths = [60, 5, 30, 60, 0, 30]
    windows = {}
    for key, n in enumerate(lengths):
        t, y = noisy(MODELLED[key], rng, rows=1, n=max(n, 2), snr=20.0)
        windows[key] = Window(t[:n], y[0, :n])
    trends = classify_windows(windows)
    assert list(trends) == list(windows)
    assert_alike(list(trends.values()), [classify(*window) for window in windows.values()])


@pytest.mark.parametrize("n", [2_001, 5_000, 100_003])
def test_of_a_long_recording_the_means_of_neighbours_are_classified(n: int) -> None:
    u = np.linspace(0.0, 1.0, n)
    y = np.expm1(3.0 * u) + np.random.default_rng(13).normal(0.0, 1.0, n)
    y[::7] = np.nan
    order = np.random.default_rng(14).permutation(n)
    trend = classify(300.0 * u[order], y[order])
    assert trend.shape is trend.regime is Letter.B
    assert trend.k == pytest.approx(3.0, rel=0.1)
    assert MAX_SAMPLES / 2 <= trend.n <= MAX_SAMPLES
    assert trend.begin_s + trend.span_s == pytest.approx(300.0, rel=0.01)


def test_nothing_to_classify_gives_nothing() -> None:
    assert classify_windows({}) == {}
    assert list(classify_batch(STEADY_TICKS, np.empty((0, 60)))) == []


@pytest.mark.parametrize(
    ("times", "values"), [((60,), (3, 59)), ((2, 60), (3, 60)), ((60,), (60,)), ((1, 3, 60), (3, 60))]
)
def test_a_batch_whose_times_do_not_belong_to_its_values_is_refused(
    times: tuple[int, ...], values: tuple[int, ...]
) -> None:
    with pytest.raises(WindowShapeError):
        classify_batch(np.zeros(times), np.zeros(values))


@pytest.mark.parametrize(("times", "values"), [((9,), (10,)), ((2, 10), (2, 10)), ((), ())])
def test_a_window_whose_times_do_not_belong_to_its_values_is_refused(
    times: tuple[int, ...], values: tuple[int, ...]
) -> None:
    with pytest.raises(WindowShapeError) as caught:
        classify(np.zeros(times), np.zeros(values))
    assert (caught.value.times, caught.value.values) == (times, values)


def test_a_trend_tells_the_paper_s_parameters_of_its_letter() -> None:
    t = STEADY_TICKS
    square = (-1.0) ** np.arange(60) * 1e-3
    assert classify(t, 4.0 + 0.0 * t).paper == (0.0, 4.0)
    assert classify(t, 7.0 + 0.02 * t + square).paper == pytest.approx((0.02, 7.0), rel=1e-2)
    assert classify(t, 7.0 - 0.02 * t + square).paper == pytest.approx((0.02, 7.0), rel=1e-2)
    assert classify(t, 2.0 * np.exp(0.01 * t) + square).paper == pytest.approx((0.01, 2.0), rel=2e-2)
    assert classify(t, 5.0 * np.exp(-0.01 * t) + square).paper == pytest.approx((0.01, 5.0), rel=2e-2)
    falling = classify(t, 40.0 - 1.01**t + square).paper
    assert falling == pytest.approx((1.01, 40.0), rel=2e-2)
    slowing = classify(t, 3.0 + np.log(t + 60.0) / np.log(1.5) + square)
    assert slowing.shape is Letter.D
    assert slowing.paper is not None
    base, level = slowing.paper
    x = 295.0 / np.expm1(-slowing.k) + t
    assert np.log(x) / np.log(base) + level == pytest.approx(slowing.curve.at(t), abs=0.4)
    assert NO_TREND.paper is None


def test_numbers_that_the_paper_s_form_cannot_hold_are_none() -> None:
    curve = Curve(0.0, 1e-9, -3.0, 0.0, 295.0)
    assert paper_parameters(Letter.D, curve) is None
    assert paper_parameters(Letter.C, Curve(1.0, 1.0, 0.0, 0.0, 0.0)) is None


def test_rows_of_a_batch_are_the_same_one_by_one_and_in_order() -> None:
    rng = np.random.default_rng(6)
    y = np.concatenate([noisy(letter, rng, rows=3, n=60, snr=4.0)[1] for letter in MODELLED])
    y[::2, 30:] += 3.0
    trends = classify_batch(STEADY_TICKS, y)
    assert [trends[row] for row in range(len(y))] == list(trends)
    assert len(trends) == len(y)


# Measured with 7,000 windows: see the README's table. Thresholds are a little below.
@pytest.mark.parametrize(
    ("curvature", "snr", "least"),
    [
        ("moderate", 5.0, 0.89),
        ("moderate", 10.0, 0.975),
        ("moderate", 20.0, 0.985),
        ("strong", 5.0, 0.945),
        ("mild", 10.0, 0.89),
    ],
)
@pytest.mark.parametrize("families", [NAMED, HELD_OUT])
def test_letters_are_told_right_at_the_measured_rate(
    curvature: str, snr: float, least: float, families: tuple[str, ...]
) -> None:
    rng = np.random.default_rng(20230801)
    y, truth = labelled(rng, 150, curvature=CURVATURES[curvature], snr=snr, families=families)
    assert np.mean(classify_batch(STEADY_TICKS, y).shape == truth) >= least


@pytest.mark.parametrize(
    ("phi", "most"), [(0.0, 0.004), (0.5, 0.015), (0.6, 0.02), (0.9, 0.04), (0.97, 0.08)]
)
def test_quiet_but_correlated_windows_are_seldom_called_a_trend(phi: float, most: float) -> None:
    quiet = autoregressive(np.random.default_rng(7), rows=2000, n=60, phi=phi)
    trends = classify_batch(STEADY_TICKS, quiet)
    for letters in (trends.shape, trends.regime):
        assert np.mean((letters != 0) & (letters != NONE_CODE)) <= most


@pytest.mark.parametrize("snr", [3.0, 10.0])
def test_growth_is_never_called_decrease(snr: float) -> None:
    rng = np.random.default_rng(12)
    for letter in (Letter.B, Letter.C, Letter.D):
        t, y = noisy(letter, rng, rows=200, n=60, snr=snr)
        told = {trend.shape for trend in classify_batch(t, y)}
        assert not told & {Letter.E, Letter.F, Letter.G}


def assert_alike(left: Iterable[Trend], right: Iterable[Trend]) -> None:
    """Equal but for rounding: a matrix product may sum in another order when it has more rows."""
    for one, other in zip(left, right, strict=True):
        assert (one.shape, one.regime, one.n, one.break_s) == (
            other.shape,
            other.regime,
            other.n,
            other.break_s,
        )
        assert [one.confidence, one.start, one.rise, one.k, one.noise, one.r2] == pytest.approx(
            [other.confidence, other.start, other.rise, other.k, other.noise, other.r2], abs=1e-6
        )
