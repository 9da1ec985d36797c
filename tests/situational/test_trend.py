from collections import Counter
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import Letter, Trend, Window, WindowShapeError, classify, classify_batch, classify_windows
from situational.series import FloatArray
from situational.trend import MIN_SAMPLES
from tests.situational.support import MODELLED, NEGATED, REVERSED, autoregressive, clean, noisy, unhurried

STEADY_TICKS = np.arange(0.0, 300.0, 5.0)

Curve = Callable[[FloatArray], FloatArray]


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
    assert classify(t, scale * (y + shift)).letter is classify(t, y).letter


@unhurried
@given(windows(), st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
def test_scaling_and_shifting_the_times_keeps_the_letter(
    window: tuple[FloatArray, FloatArray], scale: float, shift: float
) -> None:
    t, y = window
    assert classify(scale * (t + shift), y).letter is classify(t, y).letter


@unhurried
@given(windows())
def test_negated_values_swap_b_with_g_c_with_f_and_d_with_e(window: tuple[FloatArray, FloatArray]) -> None:
    t, y = window
    letter = classify(t, y).letter
    assert classify(t, -y).letter is NEGATED.get(letter, letter)


@unhurried
@given(windows())
def test_reversed_time_swaps_b_with_e_c_with_f_and_d_with_g(window: tuple[FloatArray, FloatArray]) -> None:
    t, y = window
    letter = classify(t, y).letter
    assert classify(-t, y).letter is REVERSED.get(letter, letter)


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


SMOOTH: dict[str, tuple[Curve, Letter]] = {
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


SHAPELESS: dict[str, Curve] = {
    "a wave": lambda u: np.sin(2.0 * np.pi * u),
    "a valley": lambda u: np.abs(u - 0.5),
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
    assert (trend.confidence, trend.rise, trend.k) == (0.0, 0.0, 0.0)
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
    y[2, 30] = np.nan
    letters = [trend.letter for trend in classify_batch(t, y)]
    assert letters == [Letter.B, Letter.B, Letter.NONE, Letter.B, Letter.B]


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


def test_nothing_to_classify_gives_nothing() -> None:
    assert classify_windows({}) == {}
    assert classify_batch(STEADY_TICKS, np.empty((0, 60))) == []


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


# Measured with 1,000 rows per letter: see the README's table. Thresholds are a little below.
@pytest.mark.parametrize(
    ("snr", "mean", "curved", "straight", "steady"),
    [(10.0, 0.96, 0.98, 0.92, 0.89), (20.0, 0.97, 0.99, 0.94, 0.89)],
)
def test_moderate_curvature_is_told_right_at_the_measured_rate(
    snr: float, mean: float, curved: float, straight: float, steady: float
) -> None:
    rng = np.random.default_rng(20230801)
    right = {}
    for letter in MODELLED:
        found = Counter(
            trend.letter for trend in classify_batch(*noisy(letter, rng, rows=500, n=60, snr=snr))
        )
        right[letter] = found[letter] / 500
    assert sum(right.values()) / 7 >= mean
    assert min(right[letter] for letter in (Letter.B, Letter.D, Letter.E, Letter.G)) >= curved
    assert min(right[Letter.C], right[Letter.F]) >= straight
    assert right[Letter.A] >= steady


@pytest.mark.parametrize(
    ("phi", "most"), [(0.0, 0.03), (0.5, 0.075), (0.7, 0.08), (0.9, 0.05), (0.97, 0.065)]
)
def test_quiet_but_correlated_windows_are_seldom_called_a_trend(phi: float, most: float) -> None:
    quiet = autoregressive(np.random.default_rng(7), rows=2000, n=60, phi=phi)
    found = Counter(trend.letter for trend in classify_batch(STEADY_TICKS, quiet))
    assert 1.0 - (found[Letter.A] + found[Letter.NONE]) / 2000 <= most


def assert_alike(left: list[Trend], right: list[Trend]) -> None:
    """Equal but for rounding: a matrix product may sum in another order when it has more rows."""
    assert [trend.letter for trend in left] == [trend.letter for trend in right]
    for one, other in zip(left, right, strict=True):
        assert (one.n, one.k) == (other.n, other.k)
        assert [one.confidence, one.start, one.rise, one.noise] == pytest.approx(
            [other.confidence, other.start, other.rise, other.noise], abs=1e-9
        )
