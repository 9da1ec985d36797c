"""situational/alarms/rate.py, against counting by hand."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import BadSettingError
from situational.alarms import (
    AlarmClockError,
    AlarmEvent,
    AlarmKey,
    AnnouncementLog,
    Band,
    Input,
    RateFigures,
    State,
    WindowRate,
    band_of,
    standing,
)
from situational.alarms.rate import DAY_MS, HOUR_MS, TEN_MINUTES_MS
from tests.situational.alarms.support import HIGH, HOUR, KEY, MAJOR, MEDIUM, MINUTE, OTHER, Desk
from tests.situational.support import unhurried


def announcement(at_ms: int, key: AlarmKey = KEY) -> AlarmEvent:
    return AlarmEvent(
        key, Input.RAISE, State.NORMAL, State.UNACKNOWLEDGED, at_ms, 1, MEDIUM, None, None, None
    )


def figures(times: list[int], now_ms: int, *, started_ms: int = 0, operators: int = 1) -> RateFigures:
    log = AnnouncementLog(started_ms)
    log.take(announcement(at_ms) for at_ms in times)
    return log.figures(now_ms, operators)


def day(times: list[int], now_ms: int, *, started_ms: int = 0, operators: int = 1) -> WindowRate:
    return figures(times, now_ms, started_ms=started_ms, operators=operators).windows[-1]


@pytest.mark.parametrize(
    ("rate", "band"),
    [
        (0.0, Band.ACCEPTABLE),
        (0.999, Band.ACCEPTABLE),
        (1.0, Band.MANAGEABLE),
        (2.0, Band.MANAGEABLE),
        (2.001, Band.OVER_DEMANDING),
        (5.0, Band.OVER_DEMANDING),
        (10.0, Band.OVER_DEMANDING),
        (10.001, Band.UNACCEPTABLE),
    ],
)
def test_a_rate_has_the_band_of_the_mark_that_it_does_not_exceed(rate: float, band: Band) -> None:
    assert band_of(rate) is band


def test_the_windows_are_ten_minutes_an_hour_and_a_day_and_count_what_lies_in_them() -> None:
    now_ms = 2 * DAY_MS
    back = [DAY_MS, DAY_MS - 1, HOUR_MS, HOUR_MS - 1, TEN_MINUTES_MS, TEN_MINUTES_MS - 1, 0]
    found = figures([now_ms - ms for ms in back], now_ms).windows
    assert [(rate.window_ms, rate.count) for rate in found] == [
        (TEN_MINUTES_MS, 2),
        (HOUR_MS, 4),
        (DAY_MS, 6),
    ]


def test_one_alarm_in_each_ten_minutes_is_a_rate_of_one() -> None:
    rate = day([i * TEN_MINUTES_MS for i in range(1, 145)], DAY_MS)
    assert (rate.average, rate.peak, rate.flood_share, rate.band) == (1.0, 1.0, 0.0, Band.MANAGEABLE)


def test_operators_share_the_alarms() -> None:
    times = [i * MINUTE for i in range(1, 25)]
    alone, together = day(times, DAY_MS), day(times, DAY_MS, operators=2)
    assert (together.average, together.peak) == (alone.average / 2, alone.peak / 2)


def test_the_average_is_over_the_time_that_was_observed() -> None:
    assert day([HOUR_MS] * 12, 2 * HOUR_MS).average == 1.0


def test_the_first_alarm_after_a_start_is_not_a_flood_of_its_own() -> None:
    rate = day([1000], 1000)
    assert (rate.average, rate.flood_share, rate.observed_ms) == (1.0, 0.0, 1000)


def test_nothing_observed_is_nothing_counted() -> None:
    assert day([], 5, started_ms=5) == WindowRate(DAY_MS, 0, 0, 0.0, 0.0, 0.0)


def test_the_peak_is_found_across_the_borders_of_fixed_ten_minutes() -> None:
    assert day([9 * MINUTE] * 4 + [11 * MINUTE] * 4, HOUR_MS).peak == 8.0


def test_a_flood_is_more_than_ten_in_ten_minutes_for_each_operator() -> None:
    ten, eleven = [HOUR_MS] * 10, [HOUR_MS] * 11
    assert day(ten, 2 * HOUR_MS).flood_share == 0.0
    assert day(eleven, 2 * HOUR_MS).flood_share == pytest.approx(10 / 120)
    assert day(eleven, 2 * HOUR_MS, operators=2).flood_share == 0.0


def test_a_flood_that_began_before_the_window_counts_in_it_as_long_as_it_lasts() -> None:
    hour = figures([HOUR_MS - 4 * MINUTE] * 11, 2 * HOUR_MS).windows[1]
    assert (hour.count, hour.peak) == (0, 11.0)
    assert hour.flood_share == pytest.approx(6 / 60)


@unhurried
@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 3))
def test_peak_and_flood_are_those_of_counting_at_every_minute(minutes: list[int], operators: int) -> None:
    times = sorted(minute * MINUTE for minute in minutes)
    rate = figures(times, 60 * MINUTE, operators=operators).windows[1]
    running = [sum(minute - 10 < m <= minute for m in minutes) for minute in range(61)]
    assert rate.peak == max(running) / operators
    flooded = sum(now > 10 * operators for now, _ in pairwise(running))
    assert rate.flood_share == pytest.approx(flooded / 60)


def test_what_operators_do_is_no_alarm_and_what_calls_them_is() -> None:
    desk = Desk()
    log = AnnouncementLog(desk.now_ms)
    desk.find({KEY: MEDIUM}, after_ms=10_000)
    desk.act(Input.ACKNOWLEDGE)
    desk.act(Input.SHELVE)
    desk.act(Input.UNSHELVE)
    desk.act(Input.ACKNOWLEDGE)
    desk.find({KEY: MAJOR})
    desk.act(Input.REMOVE)
    log.take(desk.events)
    assert len(desk.events) == 7
    assert log.figures(desk.now_ms, 1).windows[0].count == 3  # raised, back from the shelf, escalated


def test_the_worst_are_the_ten_most_frequent_of_the_last_day() -> None:
    keys = [AlarmKey(f"plant-{i:02}", "hazard") for i in range(12)]
    log = AnnouncementLog(0)
    log.take(announcement(1, OTHER) for _ in range(99))
    log.take(announcement(DAY_MS, key) for i, key in enumerate(keys) for _ in range(i + 1))
    worst = log.figures(DAY_MS + 1, 1).worst
    assert worst == tuple((keys[i], i + 1) for i in range(11, 1, -1))


def test_the_log_is_bounded_and_says_when_it_lost_something() -> None:
    log = AnnouncementLog(0, capacity=5)
    log.take(announcement(i) for i in range(5))
    assert log.figures(10, 1).complete
    log.take([announcement(10)])
    assert len(log) == 5
    assert not log.figures(10, 1).complete
    assert not log.figures(DAY_MS, 1).complete
    assert log.figures(DAY_MS + TEN_MINUTES_MS, 1).complete


def test_what_is_older_than_a_day_and_ten_minutes_is_forgotten() -> None:
    log = AnnouncementLog(0)
    log.take([announcement(0), announcement(1), announcement(DAY_MS + TEN_MINUTES_MS)])
    assert len(log) == 2


def test_time_never_goes_back() -> None:
    log = AnnouncementLog(5)
    with pytest.raises(AlarmClockError):
        log.take([announcement(4)])
    log.take([announcement(6)])
    with pytest.raises(AlarmClockError):
        log.figures(5, 1)


def test_settings_without_sense_are_refused() -> None:
    with pytest.raises(BadSettingError, match="capacity"):
        AnnouncementLog(0, capacity=0)
    with pytest.raises(BadSettingError, match="operators"):
        AnnouncementLog(0).figures(0, 0)


def test_an_alarm_in_service_for_more_than_a_day_is_standing() -> None:
    desk = Desk()
    found = {KEY: MEDIUM, OTHER: HIGH, AlarmKey("plant-3", "hazard"): HIGH}
    desk.find(found, after_ms=10_000)
    desk.act(Input.ACKNOWLEDGE, key=OTHER)
    desk.act(Input.REMOVE, key=AlarmKey("plant-3", "hazard"))
    began_ms = desk.now_ms
    desk.find(found, after_ms=24 * HOUR, every_ms=HOUR)
    assert standing(desk.board, began_ms + 24 * HOUR) == []
    assert [alarm.key for alarm in standing(desk.board, began_ms + 24 * HOUR + 1)] == [KEY, OTHER]
