"""Boards and events as plain dicts of strings, integers and None, and back.

What comes back was in a file or a ledger that others can reach: every key, type and bound is checked, and a
record whose parts contradict each other is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import TypeVar

from situational.alarms.board import AlarmBoard, BoardSettings
from situational.alarms.debounce import Track
from situational.alarms.errors import AlarmError, AlarmStateError
from situational.alarms.record import (
    LONGEST_NAME,
    LONGEST_TEXT,
    Alarm,
    AlarmEvent,
    AlarmKey,
    Aside,
    Condition,
    Incident,
    check_text,
)
from situational.alarms.states import Input, State
from situational.hazard import Level

VERSION = 1

Plain = dict[str, str | int | None]
Coded = TypeVar("Coded", bound=StrEnum)

_LEVELS: Mapping[str, Level] = MappingProxyType({level.name.lower(): level for level in Level})
_LARGEST = 2**53  # every JSON reader keeps integers up to here


def event_to_plain(event: AlarmEvent) -> Plain:
    """For the ledger: always the same keys, so that canonical bytes of it are the same everywhere."""
    condition = event.condition
    return {
        "node": event.key.node,
        "kind": event.key.kind,
        "input": event.given.value,
        "before": event.before.value,
        "after": event.after.value,
        "at_ms": event.at_ms,
        "incident": event.incident,
        "level": condition.level.name.lower() if condition else None,
        "code": condition.code if condition else None,
        "detail": condition.detail if condition else None,
        "person": event.person,
        "reason": event.reason,
        "until_ms": event.until_ms,
        "flutters": event.flutters,
    }


def event_from_plain(plain: object) -> AlarmEvent:
    """Raises AlarmStateError. Whether it can have happened is for `machine.follow` to judge."""
    fields = _Fields(plain, "event")
    event = AlarmEvent(
        key=fields.key(),
        given=fields.coded("input", Input),
        before=fields.coded("before", State),
        after=fields.coded("after", State),
        at_ms=fields.whole("at_ms"),
        incident=fields.maybe_whole("incident"),
        condition=fields.maybe_condition(),
        person=fields.maybe_text("person", LONGEST_NAME),
        reason=fields.maybe_text("reason", LONGEST_TEXT),
        until_ms=fields.maybe_whole("until_ms"),
        flutters=fields.whole("flutters"),
    )
    fields.done()
    return event


def board_to_plain(board: AlarmBoard) -> dict[str, object]:
    """What must survive a restart. What waits for a delay does not: evidence has a gap then."""
    return {
        "version": VERSION,
        "at_ms": board.at_ms,
        "incidents": board.incidents,
        "alarms": [
            _alarm_to_plain(board.alarms[key], board.tracks.get(key, Track())) for key in sorted(board.alarms)
        ],
    }


def board_from_plain(plain: object, now_ms: int, settings: BoardSettings | None = None) -> AlarmBoard:
    """The board as it was, its shelves never longer than the settings allow. Raises AlarmStateError.

    Time that passed meanwhile counts. When the clock has been set back behind the stored times, they are all
    set back with it, so that a shelf lasts no longer than what was left of it.
    """
    settings = settings or BoardSettings()
    fields = _Fields(plain, "board")
    if fields.whole("version") != VERSION:
        raise AlarmStateError("board, version", f"{VERSION}")
    stored_ms, incidents = fields.whole("at_ms"), fields.whole("incidents")
    rows = fields.rows("alarms", settings.max_alarms)
    fields.done()
    back_ms = max(0, stored_ms - now_ms)
    alarms: dict[AlarmKey, Alarm] = {}
    tracks: dict[AlarmKey, Track] = {}
    numbers: set[int] = set()
    for i, row in enumerate(rows):
        alarm, flutters = _alarm_from_plain(
            _Fields(row, f"alarm {i}", back_ms), now_ms + settings.max_shelf_ms
        )
        number = alarm.incident.number if alarm.incident else 0
        if alarm.key in alarms or alarm.state is State.NORMAL or alarm.since_ms > stored_ms - back_ms:
            raise AlarmStateError(f"alarm {i}", "of a key of its own, not normal, not of the future")
        if number > incidents or number in numbers:
            raise AlarmStateError(f"alarm {i}, incident", f"a number of its own, at most {incidents}")
        numbers |= {number} - {0}
        alarms[alarm.key] = alarm
        if flutters:
            tracks[alarm.key] = Track(flutters=flutters)
    return AlarmBoard(
        settings, MappingProxyType(alarms), MappingProxyType(tracks), incidents, stored_ms - back_ms
    )


def _alarm_to_plain(alarm: Alarm, track: Track) -> Plain:
    incident, aside = alarm.incident, alarm.aside
    condition = incident.condition if incident else None
    return {
        "node": alarm.key.node,
        "kind": alarm.key.kind,
        "state": alarm.state.value,
        "since_ms": alarm.since_ms,
        "incident": incident.number if incident else None,
        "began_ms": incident.began_ms if incident else None,
        "announced": incident.announced if incident else None,
        "level": condition.level.name.lower() if condition else None,
        "code": condition.code if condition else None,
        "detail": condition.detail if condition else None,
        "flutters": track.flutters,
        "acknowledged_by": alarm.acknowledged_by,
        "person": aside.person if aside else None,
        "reason": aside.reason if aside else None,
        "aside_ms": aside.since_ms if aside else None,
        "until_ms": aside.until_ms if aside else None,
    }


def _alarm_from_plain(fields: _Fields, latest_ms: int) -> tuple[Alarm, int]:
    key, state, since_ms = fields.key(), fields.coded("state", State), fields.time("since_ms")
    incident, aside = _incident_from_plain(fields), _aside_from_plain(fields, latest_ms)
    acknowledged_by = fields.maybe_text("acknowledged_by", LONGEST_NAME)
    flutters = fields.whole("flutters")
    fields.done()
    try:
        return Alarm(key, state, since_ms, incident, acknowledged_by, aside), flutters
    except AlarmError as error:
        raise AlarmStateError(fields.where, f"consistent ({error})") from error


def _incident_from_plain(fields: _Fields) -> Incident | None:
    number, began_ms = fields.maybe_whole("incident"), fields.maybe_time("began_ms")
    announced, condition = fields.maybe_whole("announced"), fields.maybe_condition()
    if number is not None and began_ms is not None and announced is not None and condition is not None:
        return Incident(number, began_ms, condition, announced)
    fields.all_none("incident", number, began_ms, announced, condition)
    return None


def _aside_from_plain(fields: _Fields, latest_ms: int) -> Aside | None:
    person, reason = fields.maybe_text("person", LONGEST_NAME), fields.maybe_text("reason", LONGEST_TEXT)
    since_ms, until_ms = fields.maybe_time("aside_ms"), fields.maybe_time("until_ms")
    if person is not None and reason is not None and since_ms is not None:
        return Aside(person, reason, since_ms, None if until_ms is None else min(until_ms, latest_ms))
    fields.all_none("setting aside", person, reason, since_ms, until_ms)
    return None


class _Fields:
    """Takes the fields out of one plain dict, one by one; what is left over is refused."""

    def __init__(self, plain: object, where: str, back_ms: int = 0) -> None:
        if not isinstance(plain, Mapping):
            raise AlarmStateError(where, "a mapping")
        self.where = where
        self._left = dict(plain)
        self._back_ms = back_ms

    def _take(self, name: str) -> object:
        try:
            return self._left.pop(name)
        except KeyError:
            raise AlarmStateError(f"{self.where}, {name}", "there") from None

    def done(self) -> None:
        if self._left:
            raise AlarmStateError(self.where, f"without {len(self._left)} fields that do not belong there")

    def whole(self, name: str) -> int:
        return self._whole(name, self._take(name))

    def maybe_whole(self, name: str) -> int | None:
        value = self._take(name)
        return None if value is None else self._whole(name, value)

    def _whole(self, name: str, value: object) -> int:
        if type(value) is not int or not 0 <= value <= _LARGEST:
            raise AlarmStateError(f"{self.where}, {name}", f"a whole number from 0 to {_LARGEST}")
        return value

    def time(self, name: str) -> int:
        return max(0, self.whole(name) - self._back_ms)

    def maybe_time(self, name: str) -> int | None:
        value = self.maybe_whole(name)
        return None if value is None else max(0, value - self._back_ms)

    def text(self, name: str, longest: int) -> str:
        return self._text(name, self._take(name), longest)

    def maybe_text(self, name: str, longest: int) -> str | None:
        value = self._take(name)
        return None if value is None else self._text(name, value, longest)

    def _text(self, name: str, value: object, longest: int) -> str:
        if not isinstance(value, str):
            raise AlarmStateError(f"{self.where}, {name}", "text")
        try:
            check_text(name, value, longest)
        except AlarmError as error:
            raise AlarmStateError(f"{self.where}, {name}", f"a line of text ({error})") from error
        return value

    def coded(self, name: str, codes: type[Coded]) -> Coded:
        value = self.text(name, LONGEST_NAME)
        if value not in {code.value for code in codes}:
            raise AlarmStateError(f"{self.where}, {name}", f"one of {', '.join(codes)}")
        return codes(value)

    def key(self) -> AlarmKey:
        return AlarmKey(self.text("node", LONGEST_NAME), self.text("kind", LONGEST_NAME))

    def maybe_condition(self) -> Condition | None:
        level, code = self.maybe_text("level", LONGEST_NAME), self.maybe_text("code", LONGEST_NAME)
        detail = self._take("detail")
        if level is None or code is None or detail is None:
            self.all_none("condition", level, code, detail)
            return None
        if level not in _LEVELS:
            raise AlarmStateError(f"{self.where}, level", f"one of {', '.join(_LEVELS)}")
        return Condition(
            _LEVELS[level], code, "" if detail == "" else self._text("detail", detail, LONGEST_TEXT)
        )

    def all_none(self, name: str, *values: object) -> None:
        """Raises AlarmStateError when some are there and some are not."""
        if any(value is not None for value in values):
            raise AlarmStateError(f"{self.where}, {name}", "there with all its fields, or with none")

    def rows(self, name: str, longest: int) -> list[object]:
        value = self._take(name)
        if not isinstance(value, list) or len(value) > longest:
            raise AlarmStateError(f"{self.where}, {name}", f"a list of at most {longest}: see max_alarms")
        return value
