import math
from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import (
    METRICS,
    NO_TREND,
    BadSettingError,
    GrowthGate,
    Hazard,
    Letter,
    Level,
    Metric,
    ReasonCode,
    Trend,
    fuse,
)
from situational.hazard import DEFAULT_FLOORS
from tests.situational.support import unhurried

GROWING = (Letter.B, Letter.C, Letter.D)
FALLING = (Letter.E, Letter.F, Letter.G)
LARGE, SMALL = 0.8, 0.1
START = 1e9  # above every floor


def trend_of(letter: Letter, growth: float = 0.0) -> Trend:
    return replace(NO_TREND, letter=letter, confidence=0.9, start=START, rise=growth * START, n=60)


def hazard_of(*trends: Trend) -> Hazard:
    return fuse(dict(zip(METRICS, trends, strict=True)))


STEADY = trend_of(Letter.A)
SURGE = trend_of(Letter.B, LARGE)


def test_all_four_metrics_b_with_large_growth_are_a_major_hidden_danger() -> None:
    hazard = hazard_of(SURGE, SURGE, trend_of(Letter.B, 0.6), SURGE)
    assert (hazard.level, hazard.leading, hazard.judged) == (Level.MAJOR, Letter.B, 4)
    whole = hazard.reasons[0]
    assert (whole.code, whole.metric) == (ReasonCode.ALL_SURGING, None)
    assert whole.growth == pytest.approx(0.6)
    assert [reason.metric for reason in hazard.reasons[1:]] == list(METRICS)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    "spoiler",
    [trend_of(Letter.B, SMALL), trend_of(Letter.C, LARGE), STEADY, trend_of(Letter.F, -0.5), NO_TREND],
)
def test_one_metric_that_does_not_surge_makes_it_high_at_most(metric: Metric, spoiler: Trend) -> None:
    trends = {**dict.fromkeys(METRICS, SURGE), metric: spoiler}
    assert fuse(trends).level is Level.HIGH


def test_a_metric_that_is_missing_is_not_taken_for_a_surge() -> None:
    trends = dict.fromkeys(METRICS[:3], SURGE)
    hazard = fuse(trends)
    assert (hazard.level, hazard.judged) == (Level.HIGH, 3)
    assert hazard.reasons[3].code is ReasonCode.CANNOT_TELL


@pytest.mark.parametrize(
    ("letter", "alone", "together"),
    [
        (Letter.B, Level.MEDIUM, Level.HIGH),
        (Letter.C, Level.ADVISORY, Level.MEDIUM),
        (Letter.D, Level.ADVISORY, Level.ADVISORY),
    ],
)
def test_one_metric_alone_never_gives_more_than_its_letter_s_level_and_a_second_one_confirms_it(
    letter: Letter, alone: Level, together: Level
) -> None:
    for first, second in permutations(METRICS, 2):
        one = {**dict.fromkeys(METRICS, STEADY), first: trend_of(letter, LARGE)}
        assert fuse(one).level is alone
        assert fuse({**one, second: trend_of(letter, LARGE)}).level is together


def test_a_second_metric_confirms_the_letter_that_both_reach() -> None:
    b, c, d = (trend_of(letter, LARGE) for letter in GROWING)
    assert hazard_of(b, c, STEADY, STEADY).level is Level.MEDIUM
    assert hazard_of(b, d, d, d).level is Level.MEDIUM
    assert hazard_of(c, d, STEADY, STEADY).level is Level.ADVISORY
    assert hazard_of(b, b, d, STEADY).level is Level.HIGH


@pytest.mark.parametrize("letter", GROWING)
def test_growth_that_is_not_large_is_advisory_however_many_metrics_show_it(letter: Letter) -> None:
    small = trend_of(letter, SMALL)
    assert hazard_of(small, STEADY, STEADY, STEADY).level is Level.ADVISORY
    assert hazard_of(small, small, small, small).level is Level.ADVISORY


def test_while_growing_b_is_worse_than_c_and_c_than_d() -> None:
    levels = [hazard_of(*[trend_of(letter, LARGE)] * 4).level for letter in GROWING]
    assert levels == [Level.MAJOR, Level.MEDIUM, Level.ADVISORY]


@pytest.mark.parametrize("letter", FALLING)
def test_a_fall_with_no_growth_beside_it_means_that_danger_is_lifting(letter: Letter) -> None:
    hazard = hazard_of(trend_of(letter, -0.4), STEADY, NO_TREND, STEADY)
    assert (hazard.level, hazard.leading) == (Level.LIFTING, letter)
    assert hazard.reasons[0].code is ReasonCode.FALLING


def test_among_falling_letters_g_leads_before_f_and_f_before_e() -> None:
    e, f, g = (trend_of(letter, -0.4) for letter in FALLING)
    assert hazard_of(e, f, g, STEADY).leading is Letter.G
    assert hazard_of(e, f, e, STEADY).leading is Letter.F


@pytest.mark.parametrize("letter", GROWING)
def test_growth_in_one_metric_outweighs_falls_in_the_others(letter: Letter) -> None:
    fall = trend_of(Letter.G, -0.9)
    hazard = hazard_of(fall, fall, fall, trend_of(letter, SMALL))
    assert (hazard.level, hazard.leading) == (Level.ADVISORY, letter)


def test_four_steady_metrics_are_normal() -> None:
    hazard = hazard_of(*[STEADY] * 4)
    assert (hazard.level, hazard.leading, hazard.judged) == (Level.NORMAL, Letter.A, 4)


def test_knowing_nothing_is_told_apart_from_knowing_that_nothing_happens() -> None:
    hazard = fuse({})
    assert (hazard.level, hazard.leading, hazard.judged) == (Level.NORMAL, Letter.NONE, 0)
    assert {reason.code for reason in hazard.reasons} == {ReasonCode.CANNOT_TELL}


def test_the_gate_opens_at_exactly_its_threshold() -> None:
    gate = GrowthGate(relative=0.25)
    at, below = trend_of(Letter.B, 0.25), trend_of(Letter.B, 0.249)
    assert fuse(dict.fromkeys(METRICS, at), gate).level is Level.MAJOR
    assert fuse(dict.fromkeys(METRICS, below), gate).level is Level.ADVISORY


@pytest.mark.parametrize("start", [-1e12, 0.0, 1.0])
@pytest.mark.parametrize("metric", METRICS)
def test_growth_from_next_to_nothing_is_measured_against_the_floor(metric: Metric, start: float) -> None:
    trend = replace(NO_TREND, letter=Letter.B, start=start, rise=1.0)
    assert GrowthGate().growth(metric, trend) == pytest.approx(1.0 / DEFAULT_FLOORS[metric])


@pytest.mark.parametrize("relative", [0.0, -1.0, math.nan, math.inf])
def test_a_gate_that_could_never_tell_large_from_small_is_refused(relative: float) -> None:
    with pytest.raises(BadSettingError):
        GrowthGate(relative=relative)


@pytest.mark.parametrize(
    "floors",
    [{}, {**DEFAULT_FLOORS, Metric.MEMORY_USED: 0.0}, {**DEFAULT_FLOORS, Metric.NETWORK_FLOW: math.nan}],
)
def test_a_gate_without_a_positive_floor_for_each_metric_is_refused(floors: Mapping[Metric, float]) -> None:
    with pytest.raises(BadSettingError):
        GrowthGate(floors=floors)


TRENDS = st.builds(
    lambda letter, size: trend_of(letter, size if letter in GROWING else -size if letter in FALLING else 0.0),
    st.sampled_from(list(Letter)),
    st.floats(0.01, 3.0),
)


@unhurried
@given(st.lists(TRENDS, min_size=4, max_size=4), st.integers(0, 3))
def test_a_metric_that_grows_in_a_worse_way_never_lowers_the_level(trends: list[Trend], which: int) -> None:
    worse = {Letter.D: Letter.C, Letter.C: Letter.B}
    letter = worse.get(trends[which].letter, Letter.B)
    risen = list(trends)
    risen[which] = trend_of(letter, max(GrowthGate().growth(METRICS[which], trends[which]), 0.01))
    assert hazard_of(*risen).level >= hazard_of(*trends).level


@unhurried
@given(st.lists(TRENDS, min_size=4, max_size=4), st.permutations(range(4)))
def test_which_metric_shows_which_trend_does_not_change_the_level(
    trends: list[Trend], order: list[int]
) -> None:
    assert hazard_of(*trends).level is hazard_of(*(trends[i] for i in order)).level
