import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from dispatch_server.counters import Counters
from dispatch_server.ops.lag import EVERY, STALLED, LoopLag
from dispatch_server.ops.watchdog import Quota, Watchdog, stack_of

SECRET = "correct horse"


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with capture_logs() as found:
        yield found


@pytest.fixture
def watched() -> Iterator[LoopLag]:
    lag = LoopLag(Counters())
    watchdog = Watchdog(lambda: lag.beat)
    watchdog.start()
    yield lag
    watchdog.stop()
    assert "watchdog" not in {thread.name for thread in threading.enumerate()}


def hold_the_loop(seconds: float, password: str) -> None:
    """Something that forgets that others wait."""
    assert password
    time.sleep(seconds)


def held(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["event"] == "the loop is held"]


async def test_what_holds_the_loop_is_told_while_it_does_and_only_once(
    watched: LoopLag, lines: list[Any]
) -> None:
    watched.start()
    await asyncio.sleep(2 * EVERY)
    hold_the_loop(STALLED + 6 * EVERY, SECRET)
    seen = held(lines)
    assert len(seen) == 1
    (line,) = seen
    assert line["at"][0].startswith("dispatch_server/ops/test_watchdog.py:")
    assert line["at"][0].endswith(" hold_the_loop")
    assert any("test_what_holds_the_loop" in frame for frame in line["at"])
    assert line["for_s"] > STALLED
    assert SECRET not in repr(lines)
    await asyncio.sleep(2 * EVERY)
    hold_the_loop(STALLED + 6 * EVERY, SECRET)
    watched.stop()
    assert len(held(lines)) == 2  # another stall


async def test_a_loop_that_turns_is_not_told_of(watched: LoopLag, lines: list[Any]) -> None:
    watched.start()
    await asyncio.sleep(STALLED + 4 * EVERY)
    watched.stop()
    assert not held(lines)


async def test_its_lines_name_the_node_although_they_come_from_another_thread(lines: list[Any]) -> None:
    told: list[Any] = []

    def merge(_: object, __: str, event: Any) -> Any:
        told.append(structlog.contextvars.merge_contextvars(None, "", dict(event)))
        raise structlog.DropEvent

    before = structlog.get_config()["processors"]
    structlog.configure(processors=[merge])
    structlog.contextvars.bind_contextvars(node="hq")
    beat = time.monotonic()
    watchdog = Watchdog(lambda: beat)
    watchdog.start()
    hold_the_loop(STALLED + 6 * EVERY, SECRET)
    watchdog.stop()
    structlog.contextvars.clear_contextvars()
    structlog.configure(processors=before)
    assert [line["node"] for line in told] == ["hq"]


def test_a_quota_allows_so_many_in_its_span_and_then_none_until_the_next() -> None:
    quota = Quota(2, 60.0)
    assert [quota.allows(at) for at in (0.0, 1.0, 2.0, 59.0, 60.0, 61.0, 62.0)] == (
        [True, True, False, False, True, True, False]
    )


def test_a_stack_names_places_innermost_first_and_no_values() -> None:
    def inner(password: str) -> list[str]:
        return list(stack_of(sys._getframe()))

    places = inner(SECRET)
    assert places[0].endswith("inner")
    assert "test_a_stack_names_places" in places[1]
    assert SECRET not in repr(places)


def test_an_endless_stack_is_cut() -> None:
    def deeper(levels: int) -> list[str]:
        return deeper(levels - 1) if levels else list(stack_of(sys._getframe()))

    assert len(deeper(200)) == 40


def test_a_thread_that_has_ended_has_no_stack() -> None:
    assert list(stack_of(None)) == []
