"""situational/alarms/debounce.py"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import BadSettingError
from situational.alarms import Condition, Delays
from situational.alarms.debounce import Track, level_of
from situational.hazard import Level
from tests.situational.alarms.support import ADVISORY, HIGH, MAJOR, MEDIUM
from tests.situational.support import unhurried

DELAYS = Delays(on_ms=10, off_ms=100)
CLEAR = None


def counted(*found: tuple[int, Condition | None], held: Condition | None = None) -> list[Condition | None]:
    """What counts after each finding (time, condition)."""
    track, history = Track(), []
    for now_ms, condition in found:
        track, drift = track.found(level_of(held), condition, now_ms, DELAYS)
        held = drift.condition if drift else held
        history.append(held)
    return history


def test_a_rise_counts_when_it_has_lasted_for_the_on_delay() -> None:
    assert counted((0, HIGH), (9, HIGH), (10, HIGH)) == [None, None, HIGH]


def test_a_rise_that_is_interrupted_begins_anew() -> None:
    assert counted((0, HIGH), (9, CLEAR), (10, HIGH), (19, HIGH), (20, HIGH)) == [None] * 4 + [HIGH]


def test_a_rise_counts_at_the_lowest_level_that_it_had_all_the_time() -> None:
    assert counted((0, HIGH), (5, MEDIUM), (10, HIGH), (15, HIGH), (25, HIGH)) == [
        None,
        None,
        MEDIUM,
        MEDIUM,
        HIGH,
    ]


def test_major_counts_at_once_from_wherever_it_comes() -> None:
    assert counted((0, MAJOR)) == [MAJOR]
    assert counted((0, HIGH), (5, MAJOR)) == [None, MAJOR]
    assert counted((0, MAJOR), held=ADVISORY) == [MAJOR]


def test_a_fall_counts_when_it_has_lasted_for_the_off_delay() -> None:
    assert counted((0, CLEAR), (99, CLEAR), (100, CLEAR), held=HIGH) == [HIGH, HIGH, None]


def test_a_fall_that_is_interrupted_begins_anew() -> None:
    assert counted((0, CLEAR), (99, HIGH), (100, CLEAR), (199, CLEAR), held=HIGH) == [HIGH] * 4


def test_a_fall_counts_at_the_highest_level_that_it_had_all_the_time() -> None:
    assert counted((0, CLEAR), (50, MEDIUM), (99, CLEAR), (100, CLEAR), held=HIGH) == [HIGH] * 3 + [MEDIUM]


def test_a_level_below_advisory_is_no_condition() -> None:
    for level in (Level.NORMAL, Level.LIFTING):
        quiet = Condition(level, "falling")
        assert counted((0, quiet), (50, quiet)) == [None, None]
        assert level_of(counted((0, quiet), (100, quiet), held=HIGH)[-1]) is Level.NORMAL


def test_what_cannot_be_judged_does_not_clear() -> None:
    track, _ = Track().found(Level.HIGH, CLEAR, 0, DELAYS)
    track, drift = track.unknown().found(Level.HIGH, CLEAR, 150, DELAYS)
    assert drift is None
    assert track.falling
    assert track.falling.since_ms == 150


def test_what_cannot_be_judged_does_not_hold_up_a_rise() -> None:
    track, _ = Track().found(Level.NORMAL, HIGH, 0, DELAYS)
    _, drift = track.unknown().found(Level.NORMAL, HIGH, 10, DELAYS)
    assert drift
    assert drift.condition == HIGH


def test_each_return_during_the_off_delay_is_counted_as_a_flutter() -> None:
    track = Track()
    for i in range(5):
        track, _ = track.found(Level.MEDIUM, CLEAR, 20 * i, DELAYS)
        track, _ = track.found(Level.MEDIUM, MEDIUM if i % 2 else HIGH, 20 * i + 5, DELAYS)
    assert track.flutters == 5


@pytest.mark.parametrize("delays", [{"on_ms": -1}, {"off_ms": -1}])
def test_a_delay_cannot_be_negative(delays: dict[str, int]) -> None:
    with pytest.raises(BadSettingError, match="0 or more"):
        Delays(**delays)


LEVELS = [None, ADVISORY, MEDIUM, HIGH, MAJOR]


@unhurried
@given(st.lists(st.sampled_from(LEVELS), max_size=60), st.integers(0, 4), st.integers(0, 30))
def test_what_counts_was_found_for_as_long_as_its_delay(
    found: list[Condition | None], on_ticks: int, off_ticks: int
) -> None:
    delays, track, held = Delays(on_ms=on_ticks, off_ms=off_ticks), Track(), Level.NORMAL
    for now, condition in enumerate(found):
        track, drift = track.found(held, condition, now, delays)
        if drift:
            level = level_of(drift.condition)
            ticks = on_ticks if level > held else off_ticks
            lasted = [level_of(c) for c in found[max(0, now - ticks) : now + 1]]
            if level > held:
                assert level is Level.MAJOR or (len(lasted) == on_ticks + 1 and min(lasted) >= level)
            else:
                assert len(lasted) == off_ticks + 1
                assert max(lasted) <= level < held
            held = level
        # And what lasts does count: at most one delay for each level in between.
        if now >= 5 * max(on_ticks, off_ticks, 1):
            recent = {level_of(c) for c in found[now - 5 * max(on_ticks, off_ticks, 1) : now + 1]}
            if len(recent) == 1:
                assert {held} == recent
