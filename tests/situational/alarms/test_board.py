"""situational/alarms/board.py: what a shift sees."""

import pytest

from situational import BadSettingError
from situational.alarms import (
    AlarmBoard,
    AlarmClockError,
    AlarmError,
    AlarmHistoryError,
    AlarmInputImpossibleError,
    AlarmInputMisfitError,
    AlarmKey,
    BoardFullError,
    BoardSettings,
    Condition,
    Delays,
    Input,
    MajorShelvedError,
    ShelfTimeError,
    State,
    chattering,
    replay,
)
from situational.alarms.states import BY_PERSON
from situational.hazard import Level
from tests.situational.alarms.support import (
    ADVISORY,
    HIGH,
    HOUR,
    KEY,
    MAJOR,
    MEDIUM,
    MINUTE,
    OTHER,
    WHO,
    WHY,
    Desk,
)

ON, OFF = Delays().on_ms, Delays().off_ms


def desk_in(state: State, condition: Condition = MEDIUM) -> Desk:
    desk = Desk()
    if state in {State.UNACKNOWLEDGED, State.ACKNOWLEDGED, State.RETURNED}:
        desk.find({KEY: condition}, after_ms=ON)
    match state:
        case State.ACKNOWLEDGED:
            desk.act(Input.ACKNOWLEDGE)
        case State.RETURNED:
            desk.find({}, after_ms=OFF + 5000)
        case State.SHELVED:
            desk.act(Input.SHELVE)
        case _:
            pass
    assert desk.state() is state
    return desk


def test_an_alarm_goes_from_raised_to_acknowledged_to_normal() -> None:
    desk = Desk()
    desk.find({KEY: MEDIUM}, after_ms=ON)
    assert desk.state() is State.UNACKNOWLEDGED
    desk.act(Input.ACKNOWLEDGE)
    assert desk.state() is State.ACKNOWLEDGED
    desk.find({}, after_ms=OFF)
    assert desk.state() is State.NORMAL
    assert desk.inputs() == [Input.RAISE, Input.ACKNOWLEDGE, Input.CLEAR]


def test_an_alarm_whose_condition_went_before_it_was_seen_still_wants_acknowledgement() -> None:
    desk = desk_in(State.RETURNED)
    desk.find({}, after_ms=HOUR)
    assert desk.state() is State.RETURNED
    desk.act(Input.ACKNOWLEDGE)
    assert desk.board.alarms == {}


def test_a_condition_that_flickers_for_an_hour_is_one_incident_raised_once() -> None:
    desk = desk_in(State.UNACKNOWLEDGED)
    for _ in range(30):
        desk.find({}, after_ms=MINUTE)
        desk.find({KEY: MEDIUM}, after_ms=MINUTE)
    assert desk.inputs() == [Input.RAISE]
    ((alarm, flutters),) = chattering(desk.board)
    assert (alarm.key, flutters) == (KEY, 30)
    desk.find({}, after_ms=OFF + 5000)
    assert desk.events[-1].given is Input.CLEAR
    assert (desk.events[-1].incident, desk.events[-1].flutters) == (1, 30)


def test_flutters_are_those_of_one_incident() -> None:
    desk = desk_in(State.ACKNOWLEDGED)
    desk.find({}, after_ms=MINUTE)
    desk.find({KEY: MEDIUM})
    desk.find({}, after_ms=OFF + 5000)
    desk.find({KEY: MEDIUM}, after_ms=ON)
    assert [(event.incident, event.flutters) for event in desk.events] == [(1, 0), (1, 0), (1, 1), (2, 0)]


def test_a_reading_of_one_poll_alone_calls_nobody() -> None:
    desk = Desk()
    desk.find({KEY: HIGH})
    desk.find({}, after_ms=HOUR)
    assert desk.events == []
    assert desk.board.tracks == {}


def test_a_node_that_cannot_be_judged_keeps_its_alarm() -> None:
    desk = desk_in(State.UNACKNOWLEDGED)
    for minute in range(60):
        desk.board, events = desk.board.update({}, desk.now_ms + minute * MINUTE, unknown={KEY})
        assert events == ()
    assert desk.state() is State.UNACKNOWLEDGED


def test_a_condition_that_comes_back_after_the_off_delay_is_a_new_incident() -> None:
    desk = desk_in(State.RETURNED)
    desk.find({KEY: MEDIUM}, after_ms=ON)
    assert desk.state() is State.UNACKNOWLEDGED
    assert [e.incident for e in desk.events if e.given is Input.RAISE] == [1, 2]


def test_an_acknowledged_alarm_that_gets_worse_calls_again_in_the_same_incident() -> None:
    desk = desk_in(State.ACKNOWLEDGED)
    desk.find({KEY: HIGH}, after_ms=ON)
    assert desk.state() is State.UNACKNOWLEDGED
    assert desk.inputs() == [Input.RAISE, Input.ACKNOWLEDGE, Input.ESCALATE]
    assert {event.incident for event in desk.events} == {1}


def test_an_alarm_that_eases_calls_nobody_and_calls_again_when_it_gets_worse_again() -> None:
    desk = desk_in(State.ACKNOWLEDGED, HIGH)
    desk.find({KEY: ADVISORY}, after_ms=OFF)
    assert (desk.state(), desk.board.alarms[KEY].level) == (State.ACKNOWLEDGED, Level.ADVISORY)
    assert not desk.events[-1].announces
    desk.find({KEY: HIGH}, after_ms=ON)
    assert desk.state() is State.UNACKNOWLEDGED


def test_a_level_that_flickers_calls_once() -> None:
    desk = desk_in(State.ACKNOWLEDGED)
    for _ in range(20):
        desk.find({KEY: HIGH}, after_ms=MINUTE)
        desk.find({KEY: MEDIUM}, after_ms=MINUTE)
    assert desk.inputs() == [Input.RAISE, Input.ACKNOWLEDGE, Input.ESCALATE]


def test_a_shelved_alarm_returns_unacknowledged_when_its_time_is_over() -> None:
    desk = desk_in(State.UNACKNOWLEDGED)
    desk.act(Input.SHELVE, for_ms=HOUR)
    desk.find({KEY: MEDIUM}, after_ms=HOUR - 5000)
    assert desk.state() is State.SHELVED_ACTIVE
    assert desk.board.due(desk.now_ms) == ()
    assert desk.board.due(desk.now_ms + 5000) == (KEY,)
    desk.find({KEY: MEDIUM}, after_ms=5000)
    assert desk.state() is State.UNACKNOWLEDGED
    assert desk.events[-1].given is Input.SHELF_OVER
    assert desk.events[-1].announces


@pytest.mark.parametrize(
    ("aside", "back"),
    [
        (Input.SHELVE, Input.UNSHELVE),
        (Input.SUPPRESS, Input.UNSUPPRESS),
        (Input.REMOVE, Input.RETURN),
    ],
)
def test_what_came_while_set_aside_is_unacknowledged_on_return_and_what_went_is_normal(
    aside: Input, back: Input
) -> None:
    desk = Desk()
    desk.act(aside)
    desk.find({KEY: HIGH}, after_ms=ON)
    assert not any(event.announces for event in desk.events)
    desk.act(back)
    assert desk.state() is State.UNACKNOWLEDGED
    assert desk.events[-1].announces
    desk.act(aside)
    desk.find({}, after_ms=OFF + 5000)
    desk.act(back)
    assert desk.state() is State.NORMAL
    assert desk.inputs() == [aside, Input.RAISE, back, aside, Input.CLEAR, back]


def test_a_shelved_alarm_that_gets_worse_below_major_stays_on_the_shelf() -> None:
    desk = desk_in(State.UNACKNOWLEDGED)
    desk.act(Input.SHELVE)
    desk.find({KEY: HIGH}, after_ms=ON)
    assert (desk.state(), desk.board.alarms[KEY].level) == (State.SHELVED_ACTIVE, Level.HIGH)


def test_a_shelved_alarm_that_becomes_major_is_raised_again_at_once() -> None:
    desk = desk_in(State.UNACKNOWLEDGED)
    desk.act(Input.SHELVE)
    desk.find({KEY: MAJOR})
    assert (desk.state(), desk.board.alarms[KEY].level) == (State.UNACKNOWLEDGED, Level.MAJOR)
    assert desk.inputs() == [Input.RAISE, Input.SHELVE, Input.BREAK_SHELF]
    assert desk.events[-1].announces


def test_a_major_condition_that_comes_to_an_empty_shelf_breaks_it_and_is_raised() -> None:
    desk = desk_in(State.SHELVED)
    desk.find({KEY: MAJOR})
    assert (desk.state(), desk.board.alarms[KEY].level) == (State.UNACKNOWLEDGED, Level.MAJOR)
    assert desk.inputs() == [Input.SHELVE, Input.BREAK_SHELF, Input.RAISE]


def test_a_major_alarm_that_has_just_eased_cannot_be_shelved_yet() -> None:
    desk = desk_in(State.UNACKNOWLEDGED, MAJOR)
    desk.find({KEY: ADVISORY}, after_ms=OFF - 5000)
    with pytest.raises(MajorShelvedError):
        desk.act(Input.SHELVE)
    desk.find({KEY: ADVISORY}, after_ms=5000)
    desk.act(Input.SHELVE)
    assert desk.state() is State.SHELVED_ACTIVE


def test_the_longest_shelf_is_a_setting() -> None:
    desk = Desk(AlarmBoard(BoardSettings(max_shelf_ms=MINUTE)))
    with pytest.raises(ShelfTimeError):
        desk.act(Input.SHELVE, for_ms=MINUTE + 1)
    desk.act(Input.SHELVE, for_ms=MINUTE)
    assert desk.state() is State.SHELVED


def test_a_refused_act_leaves_the_board_as_it_was() -> None:
    desk = desk_in(State.UNACKNOWLEDGED, MAJOR)
    before = desk.board
    with pytest.raises(MajorShelvedError):
        desk.act(Input.SHELVE)
    with pytest.raises(AlarmInputImpossibleError):
        desk.act(Input.ACKNOWLEDGE, key=OTHER)
    assert desk.board is before
    assert before.alarms[KEY].state is State.UNACKNOWLEDGED
    assert OTHER not in before.alarms


@pytest.mark.parametrize("given", sorted(set(Input) - BY_PERSON))
def test_no_person_gives_what_time_or_the_condition_gives(given: Input) -> None:
    with pytest.raises(AlarmInputMisfitError, match="never a person"):
        AlarmBoard().act(KEY, given, 1, person=WHO)


def test_an_event_tells_who_why_and_until_when() -> None:
    desk = desk_in(State.SHELVED)
    (event,) = desk.events
    assert (event.person, event.reason, event.until_ms) == (WHO, WHY, desk.now_ms + HOUR)


def test_time_never_goes_back() -> None:
    board, _ = AlarmBoard().update({}, 100)
    with pytest.raises(AlarmClockError):
        board.update({}, 99)
    with pytest.raises(AlarmClockError):
        board.act(KEY, Input.REMOVE, 99, person=WHO, reason=WHY)


def key(i: int) -> AlarmKey:
    return AlarmKey(f"plant-{i}", "hazard")


def test_memory_is_bounded_and_the_most_severe_have_the_room() -> None:
    desk = Desk(AlarmBoard(BoardSettings(max_alarms=3)))
    found = {key(i): ADVISORY for i in range(5)} | {key(9): MAJOR}
    desk.find(found, after_ms=ON)
    assert set(desk.board.alarms) == {key(0), key(1), key(9)}
    assert desk.board.left_out == (key(2), key(3), key(4))
    with pytest.raises(BoardFullError, match="raise the limit"):
        desk.act(Input.SUPPRESS, key=key(7))
    desk.act(Input.ACKNOWLEDGE, key=key(0))
    assert desk.board.left_out == (key(2), key(3), key(4))
    desk.find({key(9): MAJOR}, after_ms=OFF + 5000)
    assert len(desk.board.left_out) == 0


def test_room_that_becomes_free_is_given_to_what_was_left_out() -> None:
    desk = Desk(AlarmBoard(BoardSettings(max_alarms=1)))
    desk.find({key(0): MEDIUM}, after_ms=ON)
    desk.act(Input.ACKNOWLEDGE, key=key(0))
    desk.find({key(1): MEDIUM}, after_ms=OFF + ON + 10_000)
    assert set(desk.board.alarms) == {key(1)}


def test_settings_without_sense_are_refused() -> None:
    with pytest.raises(BadSettingError, match="max_alarms = 0 must be at least 1"):
        BoardSettings(max_alarms=0)
    with pytest.raises(BadSettingError, match="max_shelf_ms = 0 must be at least 1"):
        BoardSettings(max_shelf_ms=0)


def test_the_display_begins_with_the_unacknowledged_major_and_ends_with_what_is_set_aside() -> None:
    desk = Desk()
    levels = {key(0): ADVISORY, key(1): MAJOR, key(2): HIGH, key(3): HIGH, key(4): MAJOR, key(5): MEDIUM}
    desk.find(levels | {key(6): HIGH}, after_ms=ON)
    desk.find(levels, after_ms=OFF)
    for i in (3, 4):
        desk.act(Input.ACKNOWLEDGE, key=key(i))
    desk.act(Input.SHELVE, key=key(5))
    assert [alarm.key for alarm in desk.board.shown()] == [key(i) for i in (1, 2, 6, 0, 4, 3, 5)]


def test_the_counts_tell_each_state_and_what_wants_acknowledgement_by_level() -> None:
    desk = Desk()
    desk.find({key(0): MAJOR, key(1): HIGH, key(2): HIGH}, after_ms=ON)
    desk.act(Input.ACKNOWLEDGE, key=key(1))
    desk.act(Input.SUPPRESS, key=key(5))
    counts = {state: count for state, count in desk.board.counts().items() if count}
    assert counts == {State.UNACKNOWLEDGED: 2, State.ACKNOWLEDGED: 1, State.SUPPRESSED: 1}
    assert list(desk.board.unacknowledged().items()) == [
        (Level.MAJOR, 1),
        (Level.HIGH, 1),
        (Level.MEDIUM, 0),
        (Level.ADVISORY, 0),
    ]


def shift() -> Desk:
    desk = Desk()
    desk.find({KEY: MEDIUM, OTHER: HIGH}, after_ms=ON)
    desk.act(Input.ACKNOWLEDGE)
    desk.act(Input.SHELVE, key=OTHER)
    desk.find({OTHER: HIGH}, after_ms=OFF)
    desk.find({KEY: MAJOR, OTHER: HIGH}, after_ms=ON)
    return desk


def test_the_events_alone_lead_to_the_same_board() -> None:
    desk = shift()
    again = replay(desk.events, desk.board.settings)
    assert (again.alarms, again.incidents) == (desk.board.alarms, desk.board.incidents)


@pytest.mark.parametrize("missing", [0, 1, 2, 4])
def test_events_without_one_that_others_build_on_do_not_follow_each_other(missing: int) -> None:
    events = shift().events
    assert len(events) == 6
    with pytest.raises(AlarmError, match="does not follow"):
        replay(events[:missing] + events[missing + 1 :])


def test_events_in_another_order_do_not_follow_each_other() -> None:
    events = shift().events
    with pytest.raises(AlarmHistoryError, match="before it is of"):
        replay([*events[:3], events[4], events[3]])


def test_an_incident_raised_twice_does_not_follow() -> None:
    events = shift().events
    with pytest.raises(AlarmHistoryError, match="next incident is"):
        replay([*events, events[-1]])
