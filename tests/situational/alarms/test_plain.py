"""situational/alarms/plain.py: what survives a restart, and what a damaged or forged copy comes to."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational.alarms import (
    AlarmBoard,
    AlarmKey,
    AlarmStateError,
    BoardSettings,
    Delays,
    Input,
    State,
    board_from_plain,
    board_to_plain,
    event_from_plain,
    event_to_plain,
)
from situational.alarms.states import TRANSITIONS
from tests.situational.alarms.support import HIGH, HOUR, KEY, MAJOR, MEDIUM, MINUTE, OTHER, Desk
from tests.situational.support import unhurried

ON = Delays().on_ms
EXTRA = tuple(AlarmKey(f"plant-{i}", "hazard") for i in range(3, 7))


def full_desk() -> Desk:
    """All ways in which an alarm can be on the board."""
    desk = Desk()
    active = {KEY: MEDIUM, OTHER: HIGH} | dict.fromkeys(EXTRA, MAJOR)
    desk.find(active, after_ms=ON)
    desk.find({OTHER: HIGH} | dict.fromkeys(EXTRA, MAJOR))
    desk.find(active)
    desk.act(Input.SHELVE)
    desk.act(Input.ACKNOWLEDGE, key=OTHER)
    desk.act(Input.SUPPRESS, key=EXTRA[0])
    desk.act(Input.REMOVE, key=EXTRA[1])
    desk.find({key: found for key, found in active.items() if key != EXTRA[2]}, after_ms=125_000)
    desk.act(Input.SHELVE, key=AlarmKey("plant-9", "hazard"))
    return desk


DESK = full_desk()
PLAIN = board_to_plain(DESK.board)


def test_the_desk_of_these_tests_has_every_kind_of_alarm() -> None:
    assert {alarm.state for alarm in DESK.board.alarms.values()} == {
        State.UNACKNOWLEDGED,
        State.ACKNOWLEDGED,
        State.RETURNED,
        State.SHELVED,
        State.SHELVED_ACTIVE,
        State.SUPPRESSED_ACTIVE,
        State.OUT_OF_SERVICE_ACTIVE,
    }


def test_alarms_shelves_and_flutters_survive_a_restart() -> None:
    again = board_from_plain(json.loads(json.dumps(PLAIN)), DESK.now_ms)
    assert (again.alarms, again.incidents, again.at_ms) == (
        DESK.board.alarms,
        DESK.board.incidents,
        DESK.board.at_ms,
    )
    assert again.tracks[KEY].flutters == DESK.board.tracks[KEY].flutters == 1
    assert board_to_plain(again) == PLAIN


def test_an_empty_board_survives_a_restart() -> None:
    assert board_from_plain(board_to_plain(AlarmBoard()), 0) == AlarmBoard()


def test_a_shelf_whose_time_passed_during_the_restart_ends_with_the_first_update() -> None:
    later = DESK.now_ms + 2 * HOUR
    board = board_from_plain(PLAIN, later)
    assert KEY in board.due(later)
    board, events = board.update({}, later, unknown=set(board.alarms))
    assert [event.given for event in events] == [Input.SHELF_OVER] * 2
    assert board.alarms[KEY].state is State.UNACKNOWLEDGED


def test_a_clock_set_back_during_the_restart_neither_stops_the_board_nor_prolongs_a_shelf() -> None:
    back = DESK.now_ms - 15 * MINUTE
    board = board_from_plain(PLAIN, back)
    assert board.at_ms == back
    before, after = DESK.board.alarms[KEY].aside, board.alarms[KEY].aside
    assert before
    assert before.until_ms
    assert after
    assert after.until_ms == before.until_ms - 15 * MINUTE
    assert board_from_plain(board_to_plain(board), back).alarms == board.alarms


def test_a_clock_set_back_to_its_beginning_leaves_a_board_that_can_be_stored_again() -> None:
    board = board_from_plain(PLAIN, 0)
    assert board_from_plain(board_to_plain(board), 0).alarms == board.alarms


def test_a_stored_shelf_lasts_no_longer_than_the_settings_allow_now() -> None:
    board = board_from_plain(PLAIN, DESK.now_ms, BoardSettings(max_shelf_ms=MINUTE))
    assert KEY in board.due(DESK.now_ms + MINUTE)


def test_a_restored_board_goes_on_where_it_was() -> None:
    board = board_from_plain(PLAIN, DESK.now_ms)
    board, events = board.act(OTHER, Input.REMOVE, DESK.now_ms, person="li.wei", reason="test")
    assert board.alarms[OTHER].state is State.OUT_OF_SERVICE_ACTIVE
    assert events[0].before is State.ACKNOWLEDGED


def at(state: State) -> int:
    rows: Any = PLAIN["alarms"]
    return next(i for i, row in enumerate(rows) if row["state"] == state.value)


Damage = Callable[[dict[str, Any]], object]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "version": (lambda p: p.update(version=2), "version: must be 1"),
    "no version": (lambda p: p.pop("version"), "version: must be there"),
    "extra field": (lambda p: p.update(admin="yes"), "do not belong"),
    "extra field of an alarm": (lambda p: p["alarms"][0].update(admin="yes"), "do not belong"),
    "negative time": (lambda p: p.update(at_ms=-1), "whole number"),
    "endless time": (lambda p: p.update(at_ms=2**60), "whole number"),
    "time as text": (lambda p: p.update(at_ms="5"), "whole number"),
    "time as float": (lambda p: p.update(at_ms=5.0), "whole number"),
    "true for one": (lambda p: p.update(incidents=True), "whole number"),
    "alarms as mapping": (lambda p: p.update(alarms={}), "a list"),
    "an alarm as text": (lambda p: p["alarms"].append("alarm"), "a mapping"),
    "the same alarm twice": (lambda p: p["alarms"].append(p["alarms"][0]), "key of its own"),
    "state": (lambda p: p["alarms"][0].update(state="asleep"), "one of normal"),
    "normal": (
        lambda p: p["alarms"][at(State.SHELVED)].update(
            state="normal", person=None, reason=None, aside_ms=None, until_ms=None
        ),
        "not normal",
    ),
    "future": (lambda p: p["alarms"][0].update(since_ms=p["at_ms"] + 1), "not of the future"),
    "state of another": (
        lambda p: p["alarms"][at(State.SHELVED_ACTIVE)].update(state="normal"),
        "consistent",
    ),
    "major on the shelf": (
        lambda p: p["alarms"][at(State.SHELVED_ACTIVE)].update(level="major"),
        "below major",
    ),
    "level": (lambda p: p["alarms"][at(State.RETURNED)].update(level="worst"), "one of normal"),
    "no level": (lambda p: p["alarms"][at(State.RETURNED)].update(level=None), "with all its fields"),
    "no incident": (lambda p: p["alarms"][at(State.RETURNED)].update(incident=None), "with all its fields"),
    "an incident not counted": (lambda p: p.update(incidents=0), "a number of its own"),
    "one incident of two": (
        lambda p: p["alarms"][at(State.RETURNED)].update(
            incident=p["alarms"][at(State.ACKNOWLEDGED)]["incident"]
        ),
        "a number of its own",
    ),
    "a shelf of nobody": (
        lambda p: p["alarms"][at(State.SHELVED)].update(person=None),
        "with all its fields",
    ),
    "a shelf without end": (lambda p: p["alarms"][at(State.SHELVED)].update(until_ms=None), "an end"),
    "a blank reason": (lambda p: p["alarms"][at(State.SHELVED)].update(reason=" "), "line of text"),
    "a reason of two lines": (lambda p: p["alarms"][at(State.SHELVED)].update(reason="a\nb"), "line of text"),
    "a detail of two lines": (
        lambda p: p["alarms"][at(State.RETURNED)].update(detail="a\nb"),
        "line of text",
    ),
    "a number for a name": (lambda p: p["alarms"][0].update(node=7), "must be text"),
    "a long name": (lambda p: p["alarms"][0].update(node="x" * 129), "line of text"),
    "acknowledged by nobody": (
        lambda p: p["alarms"][at(State.ACKNOWLEDGED)].update(acknowledged_by=None),
        "who acknowledged",
    ),
}


@pytest.mark.parametrize(("damage", "need"), DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_board_is_refused_by_name(damage: Damage, need: str) -> None:
    plain = copy.deepcopy(PLAIN)
    damage(plain)
    with pytest.raises(AlarmStateError, match=need):
        board_from_plain(plain, DESK.now_ms)


@pytest.mark.parametrize("plain", [None, [], "board", 7])
def test_what_is_no_board_at_all_is_refused(plain: object) -> None:
    with pytest.raises(AlarmStateError, match="a mapping"):
        board_from_plain(plain, 0)


def test_more_alarms_than_the_board_may_hold_are_refused_before_any_is_read() -> None:
    plain = board_to_plain(AlarmBoard()) | {"alarms": ["unread"] * 3}
    with pytest.raises(AlarmStateError, match="at most 2: see max_alarms"):
        board_from_plain(plain, 0, BoardSettings(max_alarms=2))


def test_every_event_is_of_strings_integers_and_none_and_comes_back_the_same() -> None:
    assert {event.given for event in DESK.events} >= {Input.RAISE, Input.SHELVE, Input.CLEAR}
    for event in DESK.events:
        plain = event_to_plain(event)
        assert {type(value) for value in plain.values()} <= {str, int, type(None)}
        assert event_from_plain(json.loads(json.dumps(plain))) == event


def test_every_event_has_the_same_fields() -> None:
    assert len({tuple(event_to_plain(event)) for event in DESK.events}) == 1


EVENT = event_to_plain(DESK.events[0])


@pytest.mark.parametrize("name", EVENT)
def test_an_event_without_one_of_its_fields_is_refused(name: str) -> None:
    with pytest.raises(AlarmStateError, match=f"event, {name}: must be there"):
        event_from_plain({field: value for field, value in EVENT.items() if field != name})


@pytest.mark.parametrize("name", EVENT)
@pytest.mark.parametrize("value", [1.5, True, ["x"], {}, -1, "", "a\nb"])
def test_an_event_with_a_field_of_another_kind_is_refused(name: str, value: object) -> None:
    if (name, value) == ("detail", ""):
        return
    with pytest.raises(AlarmStateError):
        event_from_plain(EVENT | {name: value})


def test_an_event_with_a_field_too_many_is_refused() -> None:
    with pytest.raises(AlarmStateError, match="1 fields that do not belong"):
        event_from_plain(EVENT | {"admin": "yes"})


NAMES = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=40)


@unhurried
@given(NAMES, NAMES, NAMES, st.sampled_from(sorted(TRANSITIONS)), st.integers(0, 2**53), st.integers(0, 9))
def test_any_event_that_can_be_made_comes_back_the_same(
    node: str, person: str, reason: str, move: tuple[State, Input], at_ms: int, flutters: int
) -> None:
    state, given_input = move
    event = replace(
        DESK.events[0],
        key=AlarmKey(node, "hazard"),
        before=state,
        given=given_input,
        after=TRANSITIONS[move],
        person=person,
        reason=reason,
        until_ms=at_ms,
        flutters=flutters,
    )
    assert event_from_plain(event_to_plain(event)) == event
