"""situational/outlook.py: only what follows the last break says how a curve goes on."""

import numpy as np
import pytest

from situational.errors import WindowShapeError
from situational.forecast import Outcome, forecast
from situational.outlook import outlook, since_break

T = np.arange(0.0, 300.0, 5.0)


def hinge(seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Level for half of the window, then 0.2 a second: from 50 it is at 120 after 500 s."""
    noise = np.random.default_rng(seed).normal(0.0, 1.0, len(T))
    return np.where(T < 150, 50.0, 50.0 + 0.2 * (T - 150)) + noise


def test_a_level_that_began_to_rise_is_forecast_by_its_rise_alone() -> None:
    true_s = 205.0  # after the last sample
    cut = [outlook(T, hinge(seed), 120.0) for seed in range(40)]
    whole = [forecast(T, hinge(seed), 120.0) for seed in range(40)]
    assert sum(told.lower_s <= true_s <= told.upper_s for told in cut) >= 26  # 80 % would be 32
    assert 180 < np.median([told.median_s for told in cut]) < 240
    assert np.median([told.median_s for told in whole]) < 100  # across the break: far too early


def test_without_a_break_it_is_the_forecast_of_the_whole_window() -> None:
    y = 10.0 + 0.1 * T + np.random.default_rng(1).normal(0.0, 0.5, len(T))
    assert outlook(T, y, 60.0) == forecast(T, y, 60.0)
    assert all(np.array_equal(a, b) for a, b in zip(since_break(T, y), (T, y), strict=True))


def test_right_after_a_break_nothing_is_known() -> None:
    y = np.where(T < 270, 50.0, 80.0) + np.random.default_rng(2).normal(0.0, 0.3, len(T))
    times, _ = since_break(T, y)
    assert 250 <= times[0] <= 290
    assert outlook(T, y, 120.0).outcome is Outcome.UNKNOWN


def test_times_and_values_of_different_lengths_are_refused() -> None:
    with pytest.raises(WindowShapeError):
        outlook(T, hinge(0)[:-1], 1.0)
