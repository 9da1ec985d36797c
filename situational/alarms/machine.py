"""The state machine: `apply` takes an input in, `follow` a recorded event; both by the one table.

Following is applying again and comparing: whoever replays the events judges them by the same rules.
"""

from __future__ import annotations

from typing import NamedTuple

from situational.alarms.errors import (
    AlarmClockError,
    AlarmError,
    AlarmHistoryError,
    AlarmInputMisfitError,
    MajorShelvedError,
    PersonMissingError,
    ReasonMissingError,
    ShelfNotOverError,
    ShelfTimeError,
)
from situational.alarms.record import (
    LONGEST_NAME,
    LONGEST_TEXT,
    Alarm,
    AlarmEvent,
    Aside,
    Condition,
    Incident,
    check_text,
)
from situational.alarms.states import (
    ASIDE,
    BY_CONDITION,
    BY_PERSON,
    SETTING_ASIDE,
    SHELVED,
    WITH_INCIDENT,
    Input,
    State,
    next_state,
)
from situational.hazard import Level

# One shift: whoever takes the desk over decides afresh what stays out of sight.
MAX_SHELF_MS = 8 * 60 * 60 * 1000


class Call(NamedTuple):
    """What comes with an input: the condition and the incident's number; or person, reason and end."""

    condition: Condition | None = None
    incident: int | None = None
    person: str | None = None
    reason: str | None = None
    until_ms: int | None = None


def apply(
    alarm: Alarm,
    given: Input,
    call: Call,
    now_ms: int,
    *,
    flutters: int = 0,
    max_shelf_ms: int = MAX_SHELF_MS,
) -> tuple[Alarm, AlarmEvent]:
    """The alarm after `given`, and the event that says so. Raises an AlarmError; the alarm is then as before.

    AlarmInputImpossibleError, AlarmInputMisfitError, PersonMissingError, ReasonMissingError, AlarmTextError,
    MajorShelvedError, ShelfTimeError, ShelfNotOverError, AlarmClockError.
    """
    after = next_state(alarm.state, given)
    if now_ms < alarm.since_ms:
        raise AlarmClockError(alarm.since_ms, now_ms)
    _check_person(given, call)
    _check_condition(alarm, given, call)
    _check_shelf(alarm, given, call, now_ms, max_shelf_ms)
    concerned = None if given is Input.RAISE else alarm.incident
    event = AlarmEvent(
        key=alarm.key,
        given=given,
        before=alarm.state,
        after=after,
        at_ms=now_ms,
        incident=concerned.number if concerned else call.incident,
        condition=call.condition or (concerned.condition if concerned else None),
        person=call.person,
        reason=call.reason,
        until_ms=call.until_ms,
        flutters=flutters,
    )
    return _moved(alarm, event), event


def follow(alarm: Alarm, event: AlarmEvent) -> Alarm:
    """The alarm after an event that was recorded. Raises AlarmHistoryError when it cannot have happened so.

    How long a shelf may last is a setting and not judged again.
    """
    if event.key != alarm.key:
        raise _broken(event, f"it is not of {alarm.key.kind} of {alarm.key.node}")
    call = Call(
        condition=event.condition if event.given in BY_CONDITION else None,
        incident=event.incident if event.given is Input.RAISE else None,
        person=event.person,
        reason=event.reason,
        until_ms=event.until_ms,
    )
    longest_ms = max(0, (event.until_ms or 0) - event.at_ms)
    try:
        moved, expected = apply(
            alarm, event.given, call, event.at_ms, flutters=event.flutters, max_shelf_ms=longest_ms
        )
    except AlarmError as error:
        raise _broken(event, str(error)) from error
    if expected != event:
        raise _broken(event, "its states, incident or condition are not those of the alarm before it")
    return moved


def _moved(alarm: Alarm, event: AlarmEvent) -> Alarm:
    stays = event.before is event.after
    return Alarm(
        key=alarm.key,
        state=event.after,
        since_ms=alarm.since_ms if stays else event.at_ms,
        incident=_incident(alarm, event),
        acknowledged_by=_acknowledged_by(alarm, event),
        aside=_aside(alarm, event),
    )


def _incident(alarm: Alarm, event: AlarmEvent) -> Incident | None:
    if event.after not in WITH_INCIDENT or event.incident is None or event.condition is None:
        return None
    before = None if event.given is Input.RAISE else alarm.incident
    return Incident(
        number=event.incident,
        began_ms=before.began_ms if before else event.at_ms,
        condition=event.condition,
        announced=(before.announced if before else 0) + event.announces,
    )


def _acknowledged_by(alarm: Alarm, event: AlarmEvent) -> str | None:
    if event.after is not State.ACKNOWLEDGED:
        return None
    return event.person if event.given is Input.ACKNOWLEDGE else alarm.acknowledged_by


def _aside(alarm: Alarm, event: AlarmEvent) -> Aside | None:
    if event.given in SETTING_ASIDE and event.person and event.reason:
        return Aside(event.person, event.reason, event.at_ms, event.until_ms)
    return alarm.aside if event.after in ASIDE else None


def _check_person(given: Input, call: Call) -> None:
    if given not in BY_PERSON:
        if call.person is not None or call.reason is not None:
            raise AlarmInputMisfitError(given.value, "person and reason", "left out: no person does this")
        return
    if not (call.person and call.person.strip()):
        raise PersonMissingError(given.value)
    check_text("person", call.person, LONGEST_NAME)
    if call.reason is not None and call.reason.strip():
        check_text("reason", call.reason, LONGEST_TEXT)
    elif given in SETTING_ASIDE or call.reason is not None:
        raise ReasonMissingError(given.value)


def _check_condition(alarm: Alarm, given: Input, call: Call) -> None:
    if (given in BY_CONDITION) is not (call.condition is not None):
        need = "given" if given in BY_CONDITION else "left out"
        raise AlarmInputMisfitError(given.value, "condition", need)
    if (given is Input.RAISE) is not (call.incident is not None):
        need = "given" if given is Input.RAISE else "left out: it is the open one"
        raise AlarmInputMisfitError(given.value, "incident", need)
    if call.condition is None:
        return
    level, shelved = call.condition.level, alarm.state in SHELVED
    if shelved and level is Level.MAJOR and given is not Input.BREAK_SHELF:
        raise MajorShelvedError(alarm.key.node, alarm.key.kind)
    if not _level_fits(alarm.level, given, level):
        raise AlarmInputMisfitError(
            given.value, "level", f"another than {level.name} after {alarm.level.name}"
        )


def _level_fits(before: Level, given: Input, level: Level) -> bool:
    if given is Input.BREAK_SHELF:
        return level is Level.MAJOR
    if given is Input.ESCALATE:
        return level > before
    if given is Input.EASE:
        return Level.ADVISORY <= level < before
    return level >= Level.ADVISORY


def _check_shelf(alarm: Alarm, given: Input, call: Call, now_ms: int, longest_ms: int) -> None:
    if given is Input.SHELVE:
        if alarm.level is Level.MAJOR:
            raise MajorShelvedError(alarm.key.node, alarm.key.kind)
        if call.until_ms is None or not now_ms < call.until_ms <= now_ms + longest_ms:
            raise ShelfTimeError(call.until_ms, now_ms, longest_ms)
    elif call.until_ms is not None:
        raise AlarmInputMisfitError(given.value, "end", "left out: only a shelf has one")
    if given is Input.SHELF_OVER and alarm.aside and alarm.aside.until_ms is not None:
        until_ms = alarm.aside.until_ms
        if now_ms < until_ms:
            raise ShelfNotOverError(until_ms, now_ms)


def _broken(event: AlarmEvent, found: str) -> AlarmHistoryError:
    return AlarmHistoryError(event.key.node, event.key.kind, event.at_ms, found)
