import itertools

import pytest

from protocol import timeline as module
from protocol.lifecycle import Input, State
from protocol.timeline import Timeline
from tests.protocol.parties import Chain


def ticking() -> Timeline:
    """A timeline on a clock that goes on by one at each look."""
    ticks = itertools.count(1.5)
    return Timeline(lambda: next(ticks))


def test_an_event_is_seen_when_its_order_first_shows_it() -> None:
    timeline, chain = ticking(), Chain()
    timeline.on_order(chain.record)
    issue = chain.add(Input.ISSUE)
    timeline.on_order(chain.record)
    timeline.on_order(chain.record)
    first, second = (timeline.seen_ms(event.hash) for event in chain.record.events)
    assert first == 1.5
    assert second is not None
    assert second > first
    assert timeline.seen_ms(issue.hash) == second


def test_signing_and_seeing_are_told_apart() -> None:
    timeline, event = ticking(), Chain().record.events[0]
    assert (timeline.signed_ms(event.hash), timeline.seen_ms(event.hash)) == (None, None)
    timeline.on_signed(event.hash)
    timeline.on_signed(event.hash)
    assert (timeline.signed_ms(event.hash), timeline.seen_ms(event.hash)) == (1.5, None)


def test_only_the_latest_events_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_KEPT", 3)
    timeline = ticking()
    events = Chain.at(State.CLOSED).record.events
    for event in events:
        timeline.on_signed(event.hash)
    assert [timeline.signed_ms(event.hash) is not None for event in events[-4:]] == [False, True, True, True]
