from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import (
    METRICS,
    NO_TREND,
    Hazard,
    LargeVerdict,
    Letter,
    Level,
    Metric,
    Reason,
    ReasonCode,
    Trend,
    fuse,
)
from situational.large import Basis
from tests.situational.support import trend_of, unhurried

GROWING = (Letter.B, Letter.C, Letter.D)
FALLING = (Letter.E, Letter.F, Letter.G)

Shown = tuple[Trend, bool]  # a trend, and whether its growth is large


def verdict(*, large: bool) -> LargeVerdict:
    return LargeVerdict(large, Basis.HISTORY, (), 3, 24)


def hazard_of(*shown: Shown) -> Hazard:
    """Of the four metrics in order."""
    pairs = list(zip(METRICS, shown, strict=True))
    return fuse(
        {metric: trend for metric, (trend, _) in pairs},
        {metric: verdict(large=large) for metric, (_, large) in pairs},
    )


STEADY: Shown = (trend_of(Letter.A), False)
UNKNOWN: Shown = (NO_TREND, False)
SURGE: Shown = (trend_of(Letter.B), True)


def large(letter: Letter) -> Shown:
    return trend_of(letter), True


def small(letter: Letter) -> Shown:
    return trend_of(letter), False


def test_all_four_metrics_b_with_large_growth_are_a_major_hidden_danger() -> None:
    hazard = hazard_of(*[SURGE] * 4)
    assert (hazard.level, hazard.leading, hazard.judged) == (Level.MAJOR, Letter.B, 4)
    assert (hazard.reasons[0].code, hazard.reasons[0].metric) == (ReasonCode.ALL_SURGING, None)
    assert [reason.metric for reason in hazard.reasons[1:]] == list(METRICS)


@pytest.mark.parametrize("metric", range(4))
@pytest.mark.parametrize("spoiler", [small(Letter.B), large(Letter.C), STEADY, small(Letter.F), UNKNOWN])
def test_one_metric_that_does_not_surge_makes_it_high_at_most(metric: int, spoiler: Shown) -> None:
    shown = [SURGE] * 4
    shown[metric] = spoiler
    assert hazard_of(*shown).level is Level.HIGH


def test_a_metric_that_is_missing_is_not_taken_for_a_surge() -> None:
    three = METRICS[:3]
    hazard = fuse(dict.fromkeys(three, SURGE[0]), dict.fromkeys(METRICS, verdict(large=True)))
    assert (hazard.level, hazard.judged) == (Level.HIGH, 3)
    assert hazard.reasons[3].code is ReasonCode.CANNOT_TELL


def test_growth_without_a_verdict_is_not_large() -> None:
    assert fuse(dict.fromkeys(METRICS, SURGE[0]), {}).level is Level.NORMAL


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
    for first, second in permutations(range(4), 2):
        shown = [STEADY] * 4
        shown[first] = large(letter)
        assert hazard_of(*shown).level is alone
        shown[second] = large(letter)
        assert hazard_of(*shown).level is together


def test_a_second_metric_confirms_the_letter_that_both_reach() -> None:
    b, c, d = (large(letter) for letter in GROWING)
    assert hazard_of(b, c, STEADY, STEADY).level is Level.MEDIUM
    assert hazard_of(b, d, d, d).level is Level.MEDIUM
    assert hazard_of(c, d, STEADY, STEADY).level is Level.ADVISORY
    assert hazard_of(b, b, d, STEADY).level is Level.HIGH


@pytest.mark.parametrize("letter", GROWING)
def test_growth_that_is_not_large_is_named_but_alarms_nobody(letter: Letter) -> None:
    hazard = hazard_of(*[small(letter)] * 4)
    assert (hazard.level, hazard.leading) == (Level.NORMAL, letter)
    assert {reason.code for reason in hazard.reasons} == {ReasonCode.GROWTH_SMALL}


def test_while_growing_b_is_worse_than_c_and_c_than_d() -> None:
    levels = [hazard_of(*[large(letter)] * 4).level for letter in GROWING]
    assert levels == [Level.MAJOR, Level.MEDIUM, Level.ADVISORY]


@pytest.mark.parametrize("letter", FALLING)
def test_a_fall_without_a_danger_before_it_is_normal_and_is_told_as_a_fall(letter: Letter) -> None:
    hazard = hazard_of(small(letter), STEADY, UNKNOWN, STEADY)
    assert (hazard.level, hazard.leading) == (Level.NORMAL, letter)
    assert hazard.reasons[0].code is ReasonCode.FALLING


def test_among_falling_letters_g_leads_before_f_and_f_before_e() -> None:
    e, f, g = (small(letter) for letter in FALLING)
    assert hazard_of(e, f, g, STEADY).leading is Letter.G
    assert hazard_of(e, f, e, STEADY).leading is Letter.F


def test_the_regime_is_fused_and_not_the_shape_that_is_displayed() -> None:
    stepped = trend_of(Letter.B, Letter.A)
    assert hazard_of(*[(stepped, True)] * 4).level is Level.NORMAL
    hinged = trend_of(Letter.NONE, Letter.B)
    assert hazard_of(*[(hinged, True)] * 4).level is Level.MAJOR


def test_hints_of_other_windows_make_it_advisory_and_never_more() -> None:
    hints = [Reason(ReasonCode.GROWTH_SLOW, metric, Letter.C, 0.0) for metric in METRICS]
    steady = dict.fromkeys(METRICS, STEADY[0])
    assert fuse(steady, {}, hints[:1]).level is Level.ADVISORY
    assert fuse(steady, {}, hints).level is Level.ADVISORY
    assert fuse(steady, {}, hints).reasons[-4:] == tuple(hints)


def test_four_steady_metrics_are_normal() -> None:
    hazard = hazard_of(*[STEADY] * 4)
    assert (hazard.level, hazard.leading, hazard.judged) == (Level.NORMAL, Letter.A, 4)


def test_knowing_nothing_is_told_apart_from_knowing_that_nothing_happens() -> None:
    hazard = fuse({}, {})
    assert (hazard.level, hazard.leading, hazard.judged) == (Level.NORMAL, Letter.NONE, 0)
    assert {reason.code for reason in hazard.reasons} == {ReasonCode.CANNOT_TELL}


@pytest.mark.parametrize("metric", METRICS)
def test_a_reason_tells_growth_as_a_share_of_the_level_at_its_beginning(metric: Metric) -> None:
    trend = trend_of(Letter.B)
    grown = replace(trend, regime_curve=replace(trend.regime_curve, start=2e9, rise=1e9))
    (reason,) = (r for r in fuse({metric: grown}, {}).reasons if r.metric is metric)
    assert reason.growth == pytest.approx(0.5)


SHOWN = st.tuples(st.sampled_from(list(Letter)).map(trend_of), st.booleans())


@unhurried
@given(st.lists(SHOWN, min_size=4, max_size=4), st.integers(0, 3))
def test_a_metric_that_grows_in_a_worse_way_never_lowers_the_level(shown: list[Shown], which: int) -> None:
    worse = {Letter.D: Letter.C, Letter.C: Letter.B}
    risen = list(shown)
    risen[which] = large(worse.get(shown[which][0].regime, Letter.B))
    assert hazard_of(*risen).level >= hazard_of(*shown).level


@unhurried
@given(st.lists(SHOWN, min_size=4, max_size=4), st.permutations(range(4)))
def test_which_metric_shows_which_trend_does_not_change_the_level(
    shown: list[Shown], order: list[int]
) -> None:
    assert hazard_of(*shown).level is hazard_of(*(shown[i] for i in order)).level
