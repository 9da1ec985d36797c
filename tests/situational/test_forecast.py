import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational.crossing import FloatArray
from situational.errors import BadSettingError, WindowShapeError
from situational.forecast import MIN_SAMPLES, Direction, Forecast, Outcome, forecast
from situational.forecast_check import Row, Shape, evaluate, generate
from tests.situational.support import autoregressive, unhurried

SPAN = 295.0
U: FloatArray = np.linspace(0.0, 1.0, 60)
T: FloatArray = SPAN * U


def curve(k: float, u: FloatArray | float) -> FloatArray:
    return np.asarray(np.expm1(k * np.asarray(u)) / math.expm1(k))


def noisy(k: float, seed: int = 0, noise: float = 0.05) -> FloatArray:
    return curve(k, U) + np.random.default_rng(seed).normal(0.0, noise, len(U))


def threshold_at(k: float, windows_ahead: float) -> float:
    return float(curve(k, 1.0 + windows_ahead))


def test_an_exact_exponential_is_forecast_to_the_second() -> None:
    got = forecast(T, curve(2.0, U), threshold_at(2.0, 1.0))
    assert (got.outcome, got.direction) == (Outcome.WILL_CROSS, Direction.RISING)
    assert got.median_s == pytest.approx(SPAN, rel=2e-3)
    assert got.lower_s <= SPAN <= got.upper_s
    assert got.upper_s - got.lower_s < 0.02 * SPAN
    assert got.probability == pytest.approx(1.0)


def test_an_exact_line_is_forecast_to_the_second() -> None:
    got = forecast(T, 3.0 + 2.0 * U, 7.0)
    assert got.median_s == pytest.approx(SPAN, rel=2e-3)


@pytest.fixture(scope="module")
def rows() -> dict[tuple[Shape, float], Row]:
    return {(row.shape, row.snr): row for row in evaluate(cases=100, seed=11)}


@pytest.mark.parametrize("shape", [Shape.B, Shape.C])
@pytest.mark.parametrize("snr", [10.0, 20.0])
def test_an_interval_of_eighty_percent_holds(
    rows: dict[tuple[Shape, float], Row], shape: Shape, snr: float
) -> None:
    # Two standard errors of a hundred cases beyond .75 to .90.
    assert 0.67 <= rows[shape, snr].coverage <= 0.96
    assert rows[shape, snr].unknown == 0


def test_for_accelerating_growth_the_median_is_close_where_a_line_is_many_times_too_late(
    rows: dict[tuple[Shape, float], Row],
) -> None:
    assert rows[Shape.B, 20.0].median_error <= 0.075
    assert rows[Shape.B, 20.0].linear > 6


def test_a_threshold_above_what_a_saturating_curve_can_reach_is_never_crossed(
    rows: dict[tuple[Shape, float], Row],
) -> None:
    assert rows[Shape.D_BELOW, 10.0].never >= 0.85
    assert rows[Shape.D_BELOW, 20.0].never >= 0.93


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
def test_the_forecasts_hold_on_thousands_of_curves(seed: int) -> None:
    for row in evaluate(cases=1000, seed=seed):
        print(row)
        assert row.shape is Shape.D_BELOW or 0.75 <= row.coverage <= 0.90
        assert (row.shape, row.snr) != (Shape.B, 20.0) or row.median_error <= 0.06
        assert row.shape is not Shape.D_BELOW or row.never >= 0.9


def test_the_same_seed_draws_the_same_cases() -> None:
    first, second = (generate(Shape.B, 10.0, np.random.default_rng(5)) for _ in range(2))
    assert first.crossing_s == second.crossing_s
    assert first.y.tolist() == second.y.tolist()


def test_an_evaluation_of_no_cases_is_refused() -> None:
    with pytest.raises(BadSettingError):
        next(evaluate(cases=0, seed=0))


def as_tuple(got: Forecast) -> tuple[float, ...]:
    return (got.median_s, got.lower_s, got.upper_s, got.probability)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e12])
@pytest.mark.parametrize("offset", [0.0, 1e3, -1e6])
@pytest.mark.parametrize("k", [2.0, -0.4])
def test_units_and_offsets_do_not_matter(scale: float, offset: float, k: float) -> None:
    y, threshold = noisy(k), threshold_at(k, 0.7)
    plain = forecast(T, y, threshold)
    moved = forecast(T, scale * (y + offset), scale * (threshold + offset))
    assert moved.outcome is plain.outcome
    assert as_tuple(moved) == pytest.approx(as_tuple(plain), rel=1e-4)


def test_seconds_scale_with_the_times() -> None:
    y, threshold = noisy(2.0), threshold_at(2.0, 1.0)
    plain, slow = forecast(T, y, threshold), forecast(1e9 + 60.0 * T, y, threshold)
    assert slow.median_s == pytest.approx(60.0 * plain.median_s, rel=1e-4)
    assert slow.upper_s == pytest.approx(60.0 * plain.upper_s, rel=1e-4)


@unhurried
@given(st.floats(-5.0, 5.0), st.floats(0.2, 3.0), st.integers(0, 1000))
def test_a_falling_curve_is_a_rising_one_upside_down(k: float, threshold: float, seed: int) -> None:
    y = noisy(k or 1e-6, seed)
    up = forecast(T, y, threshold, direction=Direction.RISING)
    down = forecast(T, -y, -threshold, direction=Direction.FALLING)
    assert down.outcome is up.outcome
    assert as_tuple(down) == pytest.approx(as_tuple(up), rel=1e-9, nan_ok=True)


def test_the_direction_is_the_one_from_the_beginning_towards_the_threshold() -> None:
    rising = noisy(2.0)
    assert forecast(T, rising, 3.0).direction is Direction.RISING
    assert forecast(T, rising, -3.0).direction is Direction.FALLING
    assert forecast(T, rising, -3.0).outcome is Outcome.NEVER
    assert forecast(T, -rising, -3.0).outcome is Outcome.WILL_CROSS


@pytest.mark.parametrize("k", [2.0, -2.0, 1e-6])
def test_a_curve_past_its_threshold_has_crossed(k: float) -> None:
    got = forecast(T, noisy(k), 0.7)
    assert (got.outcome, got.median_s, got.lower_s) == (Outcome.CROSSED, 0.0, 0.0)


def test_a_single_last_spike_past_the_threshold_is_no_crossing() -> None:
    y = noisy(1e-6, noise=0.02)
    y[-1] = 50.0
    got = forecast(T, y, 2.0)
    assert got.outcome is Outcome.WILL_CROSS
    assert got.median_s == pytest.approx(SPAN, rel=0.3)


def test_beyond_the_horizon_the_time_is_told_but_the_outcome_says_so() -> None:
    y, threshold = noisy(1e-6, noise=0.001), 4.0
    near = forecast(T, y, threshold, horizon_s=4 * SPAN)
    far = forecast(T, y, threshold, horizon_s=2 * SPAN)
    assert (near.outcome, far.outcome) == (Outcome.WILL_CROSS, Outcome.BEYOND)
    assert near.median_s == far.median_s == pytest.approx(3 * SPAN, rel=0.1)
    assert near.probability > 0.9
    assert far.probability < 0.1


@pytest.mark.parametrize("where", [(30,), (0,), (59,), (10, 25, 40)])
@pytest.mark.parametrize("size", [10.0, -10.0, 1e6])
def test_spikes_hardly_move_a_forecast(where: tuple[int, ...], size: float) -> None:
    y, threshold = noisy(2.0, noise=0.02), threshold_at(2.0, 1.0)
    plain = forecast(T, y, threshold)
    y[list(where)] += size
    spiked = forecast(T, y, threshold)
    assert spiked.outcome is Outcome.WILL_CROSS
    assert spiked.median_s == pytest.approx(plain.median_s, rel=0.1)


def test_missing_samples_gaps_and_disorder_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    y, threshold = noisy(2.0), threshold_at(2.0, 1.0)
    kept = np.r_[0:20, 32:60]
    t_gap, y_gap = T.copy(), y.copy()
    y_gap[20:26], t_gap[26:32] = math.nan, math.inf
    order = rng.permutation(len(T))
    assert forecast(t_gap[order], y_gap[order], threshold) == forecast(T[kept], y[kept], threshold)


def test_quiet_noise_is_not_forecast_to_cross_anything() -> None:
    rng = np.random.default_rng(6)
    outcomes = [
        forecast(T, rng.normal(0.0, 1.0, 60), 6.0, direction=Direction.RISING).outcome for _ in range(60)
    ]
    assert set(outcomes) == {Outcome.NEVER}


def test_wandering_that_follows_no_curve_is_mostly_unknown() -> None:
    windows = autoregressive(np.random.default_rng(8), rows=60, n=60, phi=0.9)
    outcomes = [forecast(T, row, 15.0, direction=Direction.RISING).outcome for row in windows]
    assert outcomes.count(Outcome.UNKNOWN) > 45
    assert outcomes.count(Outcome.WILL_CROSS) < 4


@pytest.mark.parametrize("y", [np.sin(12.0 * U), (U > 0.5).astype(np.float64)])
def test_a_wave_or_a_step_is_unknown(y: FloatArray) -> None:
    got = forecast(T, y + np.random.default_rng(1).normal(0.0, 0.03, 60), 5.0)
    assert got.outcome is Outcome.UNKNOWN
    assert math.isnan(got.median_s)
    assert (got.lower_s, got.upper_s) == (0.0, math.inf)


@pytest.mark.parametrize("n", [0, 1, MIN_SAMPLES - 1])
def test_fewer_than_ten_usable_samples_are_unknown(n: int) -> None:
    y = curve(2.0, U)
    y[n:] = math.nan
    got = forecast(T, y, 5.0)
    assert (got.outcome, got.n) == (Outcome.UNKNOWN, n)


def test_ten_samples_are_enough() -> None:
    u = np.linspace(0.0, 1.0, MIN_SAMPLES)
    assert forecast(SPAN * u, curve(2.0, u), 5.0).outcome is Outcome.WILL_CROSS


def test_samples_at_one_instant_or_beyond_all_bounds_are_unknown() -> None:
    assert forecast(np.zeros(60), curve(2.0, U), 5.0).outcome is Outcome.UNKNOWN
    assert forecast(T, 1e308 * (2.0 * U - 1.0) * 1.7, 5.0).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("threshold", "direction", "outcome"),
    [
        (8.0, None, Outcome.NEVER),
        (6.0, None, Outcome.NEVER),
        (7.0, None, Outcome.CROSSED),
        (6.0, Direction.RISING, Outcome.CROSSED),
        (8.0, Direction.FALLING, Outcome.CROSSED),
    ],
)
def test_a_value_that_never_changes_stays_where_it_is(
    threshold: float, direction: Direction | None, outcome: Outcome
) -> None:
    assert forecast(T, np.full(60, 7.0), threshold, direction=direction).outcome is outcome


def test_a_higher_level_gives_a_wider_interval_about_the_same_median() -> None:
    y, threshold = noisy(2.0), threshold_at(2.0, 1.0)
    narrow, wide = forecast(T, y, threshold, level=0.5), forecast(T, y, threshold, level=0.95)
    assert wide.lower_s < narrow.lower_s < narrow.median_s == wide.median_s < narrow.upper_s < wide.upper_s


EXTREME = st.floats(-1e300, 1e300) | st.sampled_from([0.0, 1.0, 1e-300, math.nan, math.inf])


@unhurried
@given(st.lists(EXTREME, min_size=0, max_size=24), st.floats(-1e300, 1e300))
def test_whatever_comes_the_answer_is_in_order(values: list[float], threshold: float) -> None:
    got = forecast(5.0 * np.arange(len(values)), values, threshold)
    if got.outcome is Outcome.UNKNOWN:
        assert math.isnan(got.median_s)
        return
    assert 0.0 <= got.lower_s <= got.median_s <= got.upper_s
    assert 0.0 <= got.probability <= 1.0


@pytest.mark.parametrize(
    ("threshold", "level", "horizon_s"),
    [
        (math.nan, 0.8, None),
        (math.inf, 0.8, None),
        (1.0, 0.0, None),
        (1.0, 1.0, None),
        (1.0, math.nan, None),
        (1.0, 0.8, 0.0),
        (1.0, 0.8, math.inf),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    threshold: float, level: float, horizon_s: float | None
) -> None:
    with pytest.raises(BadSettingError):
        forecast(T, U, threshold, level=level, horizon_s=horizon_s)


def test_times_that_do_not_belong_to_the_values_are_refused() -> None:
    with pytest.raises(WindowShapeError):
        forecast(T[:-1], U, 1.0)
    with pytest.raises(WindowShapeError):
        forecast(np.stack([T, T]), np.stack([U, U]), 1.0)
