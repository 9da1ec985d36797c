import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch_server.counters import Counters
from dispatch_server.ops.lag import EVERY, STALLED, Longest, LoopLag


def test_nothing_taken_is_no_stall() -> None:
    longest = Longest()
    assert (longest.last_minute(100.0), longest.ever) == (0.0, 0.0)


def test_the_longest_of_the_last_minute_is_forgotten_after_it_but_not_for_ever() -> None:
    longest = Longest()
    longest.take(10.0, 3.0)
    longest.take(10.5, 1.0)
    longest.take(50.0, 2.0)
    assert longest.last_minute(69.0) == 3.0
    assert longest.last_minute(80.0) == 2.0
    assert longest.last_minute(200.0) == 0.0
    assert longest.ever == 3.0


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 10)), min_size=1, max_size=200))
def test_it_agrees_with_looking_at_everything_and_keeps_a_minute_at_most(
    steps: list[tuple[float, float]],
) -> None:
    longest, taken, now = Longest(), [], 0.0
    for step, value in steps:
        now += step
        longest.take(now, value)
        taken.append((now, value))
    assert longest.last_minute(now) == max(v for at, v in taken if int(at) >= int(now) - 60)
    assert longest.ever == max(v for _, v in taken)
    assert len(longest._seconds) <= 61


def hold(seconds: float) -> None:
    time.sleep(seconds)


class Clock:
    """Goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_lateness_is_what_the_clock_says_beyond_the_pause() -> None:
    counters, clock = Counters(), Clock()
    lag = LoopLag(counters, clock)
    lag.start()
    clock.now += EVERY + 0.02
    lag._turn()
    lag.stop()
    assert lag.ever == pytest.approx(0.02)
    assert lag.last_minute == pytest.approx(0.02)
    assert lag.beat == clock.now
    assert counters.snapshot()["loop_stalls"] == 0
    clock.now += 120
    assert lag.last_minute == 0.0


async def test_a_turn_that_comes_early_is_not_late() -> None:
    lag = LoopLag(Counters(), Clock())
    lag.start()
    lag._turn()
    lag.stop()
    assert lag.ever == 0.0


async def test_a_loop_that_is_held_is_counted_as_stalled_once() -> None:
    counters = Counters()
    lag = LoopLag(counters)
    lag.start()
    await asyncio.sleep(0)
    hold(EVERY + STALLED + 0.05)
    await asyncio.sleep(2 * EVERY)
    lag.stop()
    assert lag.ever > STALLED
    assert lag.last_minute == lag.ever
    assert counters.snapshot()["loop_stalls"] == 1
    assert sum(counters.histogram("loop_lag").counts) >= 2


async def test_when_it_is_stopped_nothing_is_measured_any_more() -> None:
    counters = Counters()
    lag = LoopLag(counters)
    lag.start()
    lag.stop()
    await asyncio.sleep(3 * EVERY)
    assert sum(counters.histogram("loop_lag").counts) == 0
