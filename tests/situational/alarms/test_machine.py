"""situational/alarms/machine.py"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from situational.alarms import (
    Alarm,
    AlarmClockError,
    AlarmError,
    AlarmEvent,
    AlarmHistoryError,
    AlarmInputImpossibleError,
    AlarmInputMisfitError,
    AlarmTextError,
    Call,
    Input,
    MajorShelvedError,
    PersonMissingError,
    ReasonMissingError,
    ShelfNotOverError,
    ShelfTimeError,
    State,
    apply,
    follow,
)
from situational.alarms.machine import MAX_SHELF_MS
from situational.alarms.states import BY_CONDITION, BY_PERSON, SETTING_ASIDE, TRANSITIONS
from situational.hazard import Level
from tests.situational.alarms.support import (
    ADVISORY,
    HIGH,
    HOUR,
    KEY,
    MAJOR,
    MEDIUM,
    OTHER,
    WHO,
    WHY,
    alarm_in,
    call_for,
)

NOW = 2000
MOVES = list(TRANSITIONS)


def move(state: State, given: Input) -> tuple[Alarm, Alarm, AlarmEvent]:
    before = alarm_in(state)
    now_ms = NOW + HOUR if given is Input.SHELF_OVER else NOW
    after, event = apply(before, given, call_for(given, now_ms, incident=2), now_ms)
    return before, after, event


@pytest.mark.parametrize(("state", "given"), MOVES)
def test_each_transition_tells_one_event_that_leads_to_the_same_alarm(state: State, given: Input) -> None:
    before, after, event = move(state, given)
    assert (event.key, event.given, event.before, event.after) == (
        KEY,
        given,
        state,
        TRANSITIONS[state, given],
    )
    assert after.state is event.after
    assert follow(before, event) == after


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("given", Input)
def test_what_the_table_does_not_have_is_refused(state: State, given: Input) -> None:
    if (state, given) in TRANSITIONS:
        return
    with pytest.raises(AlarmInputImpossibleError, match=f"'{given.value}'.*'{state.value}'"):
        apply(alarm_in(state), given, call_for(given, NOW), NOW)


@pytest.mark.parametrize(("state", "given"), [move for move in MOVES if move[1] in BY_PERSON])
@pytest.mark.parametrize("person", [None, "", "  ", "\u3000"])
def test_what_a_person_does_needs_the_person(state: State, given: Input, person: str | None) -> None:
    with pytest.raises(PersonMissingError, match="log in"):
        apply(alarm_in(state), given, call_for(given, NOW)._replace(person=person), NOW)


@pytest.mark.parametrize(("state", "given"), [move for move in MOVES if move[1] in SETTING_ASIDE])
@pytest.mark.parametrize("reason", [None, "", " \u3000"])
def test_setting_aside_needs_a_reason(state: State, given: Input, reason: str | None) -> None:
    with pytest.raises(ReasonMissingError, match="write one"):
        apply(alarm_in(state), given, call_for(given, NOW)._replace(reason=reason), NOW)


@pytest.mark.parametrize("reason", ["two\nlines", "turned \u202e round", "x" * 501])
def test_a_reason_that_could_fake_a_line_of_the_ledger_is_refused(reason: str) -> None:
    with pytest.raises(AlarmTextError, match=f"reason of {len(reason)} characters"):
        apply(alarm_in(State.NORMAL), Input.SHELVE, Call(None, None, WHO, reason, NOW + 1), NOW)


def test_a_reason_typed_on_a_chinese_keyboard_is_taken() -> None:
    reason = "传感器\u3000更换中"
    alarm, _ = apply(alarm_in(State.NORMAL), Input.REMOVE, Call(person="李伟", reason=reason), NOW)
    assert alarm.aside
    assert (alarm.aside.person, alarm.aside.reason) == ("李伟", reason)


def test_an_acknowledgement_may_carry_a_reason_and_need_not() -> None:
    alarm, event = apply(alarm_in(State.UNACKNOWLEDGED), Input.ACKNOWLEDGE, Call(person=WHO, reason=WHY), NOW)
    assert (alarm.acknowledged_by, event.reason) == (WHO, WHY)
    with pytest.raises(ReasonMissingError):
        apply(alarm_in(State.UNACKNOWLEDGED), Input.ACKNOWLEDGE, Call(person=WHO, reason=" "), NOW)


@pytest.mark.parametrize(("state", "given"), [move for move in MOVES if move[1] not in BY_PERSON])
def test_what_no_person_does_takes_no_person(state: State, given: Input) -> None:
    now_ms = NOW + HOUR
    with pytest.raises(AlarmInputMisfitError, match="no person"):
        apply(alarm_in(state), given, call_for(given, now_ms)._replace(person=WHO), now_ms)
    with pytest.raises(AlarmInputMisfitError, match="no person"):
        apply(alarm_in(state), given, call_for(given, now_ms)._replace(reason=WHY), now_ms)


@pytest.mark.parametrize(("state", "given"), MOVES)
def test_the_condition_comes_with_the_inputs_that_are_about_it_and_no_other(
    state: State, given: Input
) -> None:
    condition = None if given in BY_CONDITION else MEDIUM
    call = call_for(given, NOW)._replace(condition=condition)
    with pytest.raises(AlarmInputMisfitError, match="condition of"):
        apply(alarm_in(state), given, call, NOW)


@pytest.mark.parametrize(("state", "given"), MOVES)
def test_an_incident_is_numbered_when_it_is_raised_and_never_else(state: State, given: Input) -> None:
    call = call_for(given, NOW)._replace(incident=None if given is Input.RAISE else 7)
    with pytest.raises(AlarmInputMisfitError, match="incident of"):
        apply(alarm_in(state), given, call, NOW)


@pytest.mark.parametrize(
    ("given", "level"),
    [
        (Input.ESCALATE, Level.MEDIUM),
        (Input.ESCALATE, Level.ADVISORY),
        (Input.EASE, Level.MEDIUM),
        (Input.EASE, Level.HIGH),
        (Input.EASE, Level.LIFTING),
    ],
)
def test_escalating_goes_up_and_easing_goes_down_but_not_below_advisory(given: Input, level: Level) -> None:
    with pytest.raises(AlarmInputMisfitError, match=f"another than {level.name} after MEDIUM"):
        apply(alarm_in(State.UNACKNOWLEDGED), given, Call(replace(MEDIUM, level=level)), NOW)


@pytest.mark.parametrize("level", [Level.NORMAL, Level.LIFTING])
def test_nothing_is_raised_below_advisory(level: Level) -> None:
    with pytest.raises(AlarmInputMisfitError, match=level.name):
        apply(alarm_in(State.NORMAL), Input.RAISE, Call(replace(MEDIUM, level=level), 1), NOW)


def test_a_shelf_is_broken_for_a_major_alarm_only() -> None:
    with pytest.raises(AlarmInputMisfitError, match="HIGH"):
        apply(alarm_in(State.SHELVED_ACTIVE), Input.BREAK_SHELF, Call(HIGH), NOW)


@pytest.mark.parametrize("state", [State.UNACKNOWLEDGED, State.ACKNOWLEDGED, State.RETURNED])
def test_a_major_alarm_cannot_be_shelved(state: State) -> None:
    alarm = alarm_in(state, condition=MAJOR)
    with pytest.raises(MajorShelvedError, match="act on it"):
        apply(alarm, Input.SHELVE, call_for(Input.SHELVE, NOW), NOW)


@pytest.mark.parametrize(
    ("state", "given"), [(State.SHELVED, Input.RAISE), (State.SHELVED_ACTIVE, Input.ESCALATE)]
)
def test_nothing_becomes_major_on_the_shelf(state: State, given: Input) -> None:
    with pytest.raises(MajorShelvedError):
        apply(alarm_in(state), given, call_for(given, NOW)._replace(condition=MAJOR), NOW)


def test_an_alarm_that_becomes_major_on_the_shelf_is_off_it_and_announced_in_one_step() -> None:
    _, after, event = move(State.SHELVED_ACTIVE, Input.BREAK_SHELF)
    assert (after.state, after.level, after.aside) == (State.UNACKNOWLEDGED, Level.MAJOR, None)
    assert event.announces
    assert event.incident == 1


@pytest.mark.parametrize("until_ms", [None, 0, NOW, NOW + MAX_SHELF_MS + 1])
def test_a_shelf_has_an_end_ahead_and_not_too_far(until_ms: int | None) -> None:
    with pytest.raises(ShelfTimeError, match="name an end"):
        apply(alarm_in(State.NORMAL), Input.SHELVE, Call(None, None, WHO, WHY, until_ms), NOW)


@pytest.mark.parametrize("until_ms", [NOW + 1, NOW + MAX_SHELF_MS])
def test_a_shelf_may_last_as_long_as_is_allowed(until_ms: int) -> None:
    alarm, _ = apply(alarm_in(State.NORMAL), Input.SHELVE, Call(None, None, WHO, WHY, until_ms), NOW)
    assert alarm.aside
    assert (alarm.aside.since_ms, alarm.aside.until_ms) == (NOW, until_ms)


def test_only_a_shelf_has_an_end() -> None:
    with pytest.raises(AlarmInputMisfitError, match="only a shelf"):
        apply(alarm_in(State.NORMAL), Input.REMOVE, Call(None, None, WHO, WHY, NOW + 1), NOW)


@pytest.mark.parametrize("state", [State.SHELVED, State.SHELVED_ACTIVE])
def test_a_shelf_is_not_over_before_its_time(state: State) -> None:
    alarm = alarm_in(state)
    assert alarm.aside
    assert alarm.aside.until_ms
    with pytest.raises(ShelfNotOverError):
        apply(alarm, Input.SHELF_OVER, Call(), alarm.aside.until_ms - 1)
    after, _ = apply(alarm, Input.SHELF_OVER, Call(), alarm.aside.until_ms)
    assert not after.is_aside


@pytest.mark.parametrize(("state", "given"), [move for move in MOVES if move[0] is not State.NORMAL])
def test_time_never_goes_back(state: State, given: Input) -> None:
    with pytest.raises(AlarmClockError, match="never goes back"):
        apply(alarm_in(state), given, call_for(given, NOW), 999)


def test_a_new_incident_has_its_own_number_beginning_and_count() -> None:
    _, after, event = move(State.RETURNED, Input.RAISE)
    assert after.incident
    assert (after.incident.number, after.incident.began_ms, after.incident.announced) == (2, NOW, 1)
    assert event.incident == 2


def test_the_end_of_an_incident_names_the_incident_that_ended() -> None:
    for state, given in MOVES:
        if given is Input.CLEAR or (state, given) == (State.RETURNED, Input.ACKNOWLEDGE):
            _, _, event = move(state, given)
            assert (event.incident, event.condition) == (1, MEDIUM)


def test_escalating_an_acknowledged_alarm_calls_again_and_forgets_who_acknowledged() -> None:
    _, after, event = move(State.ACKNOWLEDGED, Input.ESCALATE)
    assert event.announces
    assert (after.state, after.level, after.acknowledged_by) == (State.UNACKNOWLEDGED, Level.HIGH, None)
    assert after.incident
    assert after.incident.announced == 2


def test_easing_keeps_the_state_its_beginning_and_who_acknowledged() -> None:
    before, after, event = move(State.ACKNOWLEDGED, Input.EASE)
    assert not event.announces
    assert (after.state, after.since_ms) == (before.state, before.since_ms)
    assert (after.level, after.acknowledged_by) == (Level.ADVISORY, WHO)


def test_coming_and_going_on_the_shelf_leaves_who_why_and_until_as_they_are() -> None:
    for given in (Input.CLEAR, Input.ESCALATE, Input.EASE):
        before, after, _ = move(State.SHELVED_ACTIVE, given)
        assert after.aside == before.aside
        assert after.aside


def test_suppressing_what_is_shelved_replaces_who_why_and_until() -> None:
    alarm, _ = apply(
        alarm_in(State.SHELVED), Input.SUPPRESS, Call(person="rule-7", reason="line is dead"), NOW
    )
    assert alarm.aside
    assert (alarm.aside.person, alarm.aside.until_ms) == ("rule-7", None)


FORGERIES: dict[str, Callable[[AlarmEvent], AlarmEvent]] = {
    "another alarm": lambda event: replace(event, key=OTHER),
    "another state before": lambda event: replace(event, before=State.NORMAL),
    "another state after": lambda event: replace(event, after=State.NORMAL),
    "an impossible input": lambda event: replace(event, given=Input.UNSHELVE),
    "a time before the state": lambda event: replace(event, at_ms=1),
    "another incident": lambda event: replace(event, incident=9),
    "no incident": lambda event: replace(event, incident=None),
    "another condition": lambda event: replace(event, condition=ADVISORY),
    "no condition": lambda event: replace(event, condition=None),
    "nobody": lambda event: replace(event, person=None),
    "an end": lambda event: replace(event, until_ms=NOW + 5),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_an_event_that_cannot_have_happened_is_not_followed(
    forge: Callable[[AlarmEvent], AlarmEvent],
) -> None:
    before, _, event = move(State.UNACKNOWLEDGED, Input.ACKNOWLEDGE)
    with pytest.raises(AlarmHistoryError, match="does not follow"):
        follow(before, forge(event))


def test_a_recorded_shelf_of_a_major_alarm_is_not_followed() -> None:
    before, _, event = move(State.UNACKNOWLEDGED, Input.SHELVE)
    major, _ = apply(before, Input.ESCALATE, Call(MAJOR), NOW)
    with pytest.raises(AlarmHistoryError, match="cannot be shelved"):
        follow(major, replace(event, condition=MAJOR))


def test_a_recorded_shelf_that_ends_before_it_begins_is_not_followed() -> None:
    before, _, event = move(State.UNACKNOWLEDGED, Input.SHELVE)
    with pytest.raises(AlarmHistoryError, match="end that is ahead"):
        follow(before, replace(event, until_ms=NOW))


def test_a_shelf_recorded_under_a_longer_limit_is_followed() -> None:
    alarm, call = Alarm(KEY), call_for(Input.SHELVE, NOW)._replace(until_ms=NOW + 9 * MAX_SHELF_MS)
    after, event = apply(alarm, Input.SHELVE, call, NOW, max_shelf_ms=9 * MAX_SHELF_MS)
    assert follow(alarm, event) == after


def test_a_refusal_is_always_an_alarm_error() -> None:
    for error in (AlarmInputImpossibleError, AlarmHistoryError, AlarmClockError, MajorShelvedError):
        assert issubclass(error, AlarmError)
