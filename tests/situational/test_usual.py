import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from situational import DEFAULT_LIMITS, METRICS, Baseline, Limits
from situational.usual import line_of, maybe_large
from tests.situational.support import unhurried

NOON = 1_700_006_400.0 + 43_200.0
LIMITS = Limits(floor=10.0, ceiling=5_000.0)
ALL = dict.fromkeys(DEFAULT_LIMITS, LIMITS)


def learned(hours: int, level: float) -> Baseline:
    baseline, rng = Baseline(), np.random.default_rng(hours)
    for minute in range(60 * hours):
        value = level * float(rng.normal(1.0, 0.1))
        baseline.update(value, NOON - 3600.0 * hours + 60.0 * minute, utc_offset_s=0.0)
    return baseline


BASELINES = [learned(hours, 100.0) for hours in (0, 5, 30, 80)]


def test_of_less_than_a_day_there_is_no_line() -> None:
    assert all(map(math.isnan, line_of(BASELINES[1], LIMITS, NOON, 0.0)))
    assert not any(map(math.isnan, line_of(BASELINES[2], LIMITS, NOON, 0.0)))


@unhurried
@given(st.sampled_from(BASELINES), st.floats(-50.0, 400.0), st.floats(0.0, 6_000.0))
def test_the_lines_say_what_the_baseline_would_say(baseline: Baseline, rise: float, level: float) -> None:
    line = line_of(baseline, LIMITS, NOON, 0.0)
    lines = np.broadcast_to(np.array(line), (1, len(METRICS), 2))
    screened = maybe_large(np.full((1, 4), rise), np.full((1, 4), level), lines, ALL)
    verdict = baseline.is_large(rise, level, NOON, LIMITS, utc_offset_s=0.0)
    assert screened.tolist() == [[verdict.large] * 4]
