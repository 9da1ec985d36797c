import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational.errors import BadSettingError
from situational.large import FIRM_DAYS, ROBUST_DAYS, Basis, Check, Highs, LargeVerdict, Limits, judge
from tests.situational.support import unhurried

LIMITS = Limits(floor=10.0, ceiling=10_000.0, growth_margin=1.5)
USUAL = [(100.0, 20.0)]


def judged(rise: float, level: float, *, days: Highs = USUAL, hours: Highs = USUAL) -> LargeVerdict:
    return judge(rise, level, LIMITS, days=days, hours=hours, cold=False)


def test_level_and_growth_beyond_all_that_is_usual_are_large() -> None:
    verdict = judged(31.0, 126.0)
    assert (verdict.large, verdict.basis) == (True, Basis.HISTORY)
    assert {(reason.check, reason.limit) for reason in verdict.reasons} == {
        (Check.LEVEL_AT_THIS_HOUR, 125.0),
        (Check.GROWTH_AT_THIS_HOUR, 30.0),
        (Check.LEVEL_IN_LAST_DAY, 125.0),
        (Check.GROWTH_IN_LAST_DAY, 30.0),
    }


@pytest.mark.parametrize(
    ("rise", "level", "days", "hours", "spared_by"),
    [
        (29.0, 126.0, USUAL, [(1.0, 1.0)], Check.GROWTH_AT_THIS_HOUR),
        (31.0, 124.0, USUAL, [(1.0, 1.0)], Check.LEVEL_AT_THIS_HOUR),
        (29.0, 126.0, [(1.0, 1.0)], USUAL, Check.GROWTH_IN_LAST_DAY),
        (31.0, 124.0, [(1.0, 1.0)], USUAL, Check.LEVEL_IN_LAST_DAY),
    ],
)
def test_one_thing_that_is_usual_spares_it_and_is_named(
    rise: float, level: float, days: Highs, hours: Highs, spared_by: Check
) -> None:
    verdict = judged(rise, level, days=days, hours=hours)
    assert not verdict.large
    assert [reason.check for reason in verdict.reasons if not reason.over] == [spared_by]


def test_once_an_hour_is_known_for_days_a_surge_by_night_need_not_reach_the_day_s_peak() -> None:
    night, peak = [(100.0, 5.0)] * FIRM_DAYS, [(500.0, 5.0)]
    assert judged(60.0, 160.0, days=night, hours=peak).large
    assert not judged(60.0, 160.0, days=night[1:], hours=peak).large


def test_of_many_days_the_oddest_one_teaches_nothing() -> None:
    odd = (1000.0, 500.0)
    assert judged(40.0, 140.0, days=[*USUAL * (ROBUST_DAYS - 1), odd]).large
    assert not judged(40.0, 140.0, days=[*USUAL * (ROBUST_DAYS - 2), odd]).large
    assert not judged(40.0, 140.0, days=[*USUAL * ROBUST_DAYS, odd, odd]).large


def test_growth_that_never_was_is_measured_against_a_share_of_the_floor() -> None:
    still = [(20.0, 0.0)]
    assert not judged(4.9, 30.0, days=still, hours=still).large
    assert judged(5.0, 30.0, days=still, hours=still).large


@pytest.mark.parametrize("cold", [True, False])
def test_the_absolute_limits_come_first(cold: bool) -> None:
    def one(rise: float, level: float) -> tuple[bool, Basis, Check]:
        verdict = judge(rise, level, LIMITS, days=[(1e6, 1e6)], hours=[], cold=cold)
        return verdict.large, verdict.basis, verdict.reasons[0].check

    assert one(9.0, 9.9) == (False, Basis.ABSOLUTE, Check.FLOOR)
    assert one(0.1, 10_000.0) == (True, Basis.ABSOLUTE, Check.CEILING)
    assert one(0.0, 10_000.0) == (False, Basis.ABSOLUTE, Check.GROWING)
    assert one(-5.0, 50.0) == (False, Basis.ABSOLUTE, Check.GROWING)


def test_without_history_growth_is_measured_against_the_level_it_began_at_and_says_so() -> None:
    verdict = judge(50.0, 150.0, LIMITS, days=USUAL, hours=USUAL, cold=True)
    assert (verdict.large, verdict.basis) == (True, Basis.COLD_START)
    assert verdict.reasons[0].check is Check.RELATIVE_GROWTH
    assert not judge(49.9, 149.9, LIMITS, days=[], hours=[], cold=True).large
    assert judge(5.0, 11.0, LIMITS, days=[], hours=[], cold=False).basis is Basis.COLD_START


HIGHS = st.lists(st.tuples(st.floats(-1e12, 1e12), st.floats(0, 1e12)), max_size=13)
SIZES = st.floats(-1e12, 1e12)


@unhurried
@given(SIZES, SIZES, HIGHS, HIGHS, st.booleans(), st.floats(0, 1e12))
def test_growing_more_from_the_same_level_never_makes_it_less_large(
    rise: float, start: float, days: Highs, hours: Highs, cold: bool, more: float
) -> None:
    first = judge(rise, start + rise, LIMITS, days=days, hours=hours, cold=cold)
    second = judge(rise + more, start + rise + more, LIMITS, days=days, hours=hours, cold=cold)
    assert second.large >= first.large


@pytest.mark.parametrize(
    "settings",
    [
        {"floor": 0.0},
        {"floor": math.nan},
        {"floor": 1.0, "relative": 0.0},
        {"floor": 1.0, "relative": math.inf},
        {"floor": 1.0, "level_margin": 0.9},
        {"floor": 1.0, "growth_margin": math.nan},
        {"floor": 1.0, "ceiling": 1.0},
        {"floor": 1.0, "ceiling": math.nan},
    ],
)
def test_limits_that_could_never_tell_large_from_small_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(BadSettingError):
        Limits(**settings)
