"""The board: all alarms of one operator's desk or one headquarters, an immutable value.

`update` takes in what was found and lets time pass, `act` what a person does, `replay` what was recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from situational.alarms.debounce import Delays, Track, level_of
from situational.alarms.errors import (
    AlarmClockError,
    AlarmHistoryError,
    AlarmInputMisfitError,
    BoardFullError,
)
from situational.alarms.machine import MAX_SHELF_MS, Call, apply, follow
from situational.alarms.record import Alarm, AlarmEvent, AlarmKey, Condition
from situational.alarms.states import BY_PERSON, SHELVED, Input, State
from situational.errors import BadSettingError
from situational.hazard import Level

_NO_TRACK = Track()


@dataclass(frozen=True, slots=True)
class BoardSettings:
    """`max_alarms` bounds memory: alarms that are not normal, and conditions that wait for their on-delay."""

    delays: Delays = field(default_factory=Delays)
    max_shelf_ms: int = MAX_SHELF_MS
    max_alarms: int = 20_000

    def __post_init__(self) -> None:
        for name, value in (("max_shelf_ms", self.max_shelf_ms), ("max_alarms", self.max_alarms)):
            if value < 1:
                raise BadSettingError(name, value, "at least 1")


@dataclass(frozen=True, slots=True)
class AlarmBoard:
    """Alarms that are not normal by key; `tracks` holds what waits for a delay.

    `incidents` is the number of the last incident. `left_out` are the keys whose condition found no room in
    the last update, which must be shown to people: the most severe conditions are taken in first.
    """

    settings: BoardSettings = field(default_factory=BoardSettings)
    alarms: Mapping[AlarmKey, Alarm] = field(default_factory=lambda: MappingProxyType({}))
    tracks: Mapping[AlarmKey, Track] = field(default_factory=lambda: MappingProxyType({}))
    incidents: int = 0
    at_ms: int = 0
    left_out: tuple[AlarmKey, ...] = ()

    def update(
        self,
        conditions: Mapping[AlarmKey, Condition],
        now_ms: int,
        *,
        unknown: AbstractSet[AlarmKey] = frozenset(),
    ) -> tuple[AlarmBoard, tuple[AlarmEvent, ...]]:
        """End shelves whose time is over, then take in what was found at `now_ms`.

        A key in neither is clear. A key in `unknown` could not be judged: its alarm stays as it is.
        Raises AlarmClockError.
        """
        draft = _Draft(self, now_ms)
        draft.end_shelves()
        keys = sorted({*conditions, *draft.alarms, *draft.tracks}, key=_most_severe_first(conditions))
        for key in keys:
            if key in unknown:
                draft.unknown(key)
            else:
                draft.found(key, conditions.get(key))
        return draft.finished()

    def act(
        self,
        key: AlarmKey,
        given: Input,
        now_ms: int,
        *,
        person: str,
        reason: str | None = None,
        until_ms: int | None = None,
    ) -> tuple[AlarmBoard, tuple[AlarmEvent, ...]]:
        """Take in what a person does. A key that is not on the board is normal, and can be set aside too.

        Raises an AlarmError (see `machine.apply`; BoardFullError); the board is then as before.
        """
        if given not in BY_PERSON:
            raise AlarmInputMisfitError(given.value, "origin", "time or the condition, never a person")
        draft = _Draft(self, now_ms)
        if not draft.has_room(key):
            raise BoardFullError(key.node, key.kind, self.settings.max_alarms)
        draft.apply(key, given, Call(person=person, reason=reason, until_ms=until_ms))
        board, events = draft.finished()
        return replace(board, left_out=self.left_out), events

    def due(self, now_ms: int) -> tuple[AlarmKey, ...]:
        """Shelves whose time is over, the earliest first; `update` ends them."""
        ends = sorted(
            (alarm.aside.until_ms, key)
            for key, alarm in self.alarms.items()
            if alarm.aside and alarm.aside.until_ms is not None
        )
        return tuple(key for until_ms, key in ends if until_ms <= now_ms)

    def shown(self) -> list[Alarm]:
        """For a list on a screen: what wants acknowledgement first, then by level; what is set aside last."""
        return sorted(self.alarms.values(), key=_display_order)

    def counts(self) -> dict[State, int]:
        """How many alarms are in each state but normal."""
        found: dict[State, int] = {state: 0 for state in State if state is not State.NORMAL}
        for alarm in self.alarms.values():
            found[alarm.state] += 1
        return found

    def unacknowledged(self) -> dict[Level, int]:
        """How many alarms want acknowledgement at each level, the most severe first."""
        found = {level: 0 for level in sorted(Level, reverse=True) if level >= Level.ADVISORY}
        for alarm in self.alarms.values():
            if alarm.wants_acknowledgement:
                found[alarm.level] += 1
        return found


def replay(events: Iterable[AlarmEvent], settings: BoardSettings | None = None) -> AlarmBoard:
    """The board that the events of a ledger lead to, without what waits for a delay.

    Raises AlarmHistoryError when they cannot have happened so: also when an incident is raised twice.
    """
    alarms: dict[AlarmKey, Alarm] = {}
    incidents, at_ms = 0, 0
    for event in events:
        if event.at_ms < at_ms:
            raise _broken(event, f"an event before it is of {at_ms} ms")
        if event.given is Input.RAISE:
            if event.incident != incidents + 1:
                raise _broken(event, f"the next incident is {incidents + 1}, not {event.incident}")
            incidents += 1
        _keep(alarms, follow(alarms.get(event.key, Alarm(event.key)), event))
        at_ms = event.at_ms
    return AlarmBoard(settings or BoardSettings(), MappingProxyType(alarms), incidents=incidents, at_ms=at_ms)


class _Draft:
    """The next board while it is being made."""

    def __init__(self, board: AlarmBoard, now_ms: int) -> None:
        if now_ms < board.at_ms:
            raise AlarmClockError(board.at_ms, now_ms)
        self.alarms = dict(board.alarms)
        self.tracks = dict(board.tracks)
        self._keys = self.alarms.keys() | self.tracks.keys()
        self._board = board
        self._now_ms = now_ms
        self._incidents = board.incidents
        self._events: list[AlarmEvent] = []
        self._left_out: list[AlarmKey] = []

    def has_room(self, key: AlarmKey) -> bool:
        return key in self._keys or len(self._keys) < self._board.settings.max_alarms

    def end_shelves(self) -> None:
        for key in self._board.due(self._now_ms):
            self.apply(key, Input.SHELF_OVER, Call())

    def unknown(self, key: AlarmKey) -> None:
        self._keep_track(key, self.tracks.get(key, _NO_TRACK).unknown())

    def found(self, key: AlarmKey, condition: Condition | None) -> None:
        if level_of(condition) and not self.has_room(key):
            self._left_out.append(key)
            return
        alarm = self.alarms.get(key)
        held = alarm.level if alarm and alarm.is_active else Level.NORMAL
        delays = self._board.settings.delays
        track, change = self.tracks.get(key, _NO_TRACK).found(held, condition, self._now_ms, delays)
        self._keep_track(key, track)
        if change:
            self._count(key, change.condition)

    def _count(self, key: AlarmKey, condition: Condition | None) -> None:
        """Bring the alarm to what counts from now on, which differs from what counted before."""
        if condition is None or level_of(condition) is Level.NORMAL:
            self.apply(key, Input.CLEAR, Call())
            self._keep_track(key, _NO_TRACK)
            return
        alarm = self.alarms.get(key, Alarm(key))
        if condition.level is Level.MAJOR and alarm.state in SHELVED:
            alarm = self.apply(key, Input.BREAK_SHELF, Call(condition))
        if not alarm.is_active:
            self._incidents += 1
            self.apply(key, Input.RAISE, Call(condition, self._incidents))
        elif alarm.level != condition.level:
            worse = condition.level > alarm.level
            self.apply(key, Input.ESCALATE if worse else Input.EASE, Call(condition))

    def apply(self, key: AlarmKey, given: Input, call: Call) -> Alarm:
        alarm, event = apply(
            self.alarms.get(key, Alarm(key)),
            given,
            call,
            self._now_ms,
            flutters=self.tracks.get(key, _NO_TRACK).flutters,
            max_shelf_ms=self._board.settings.max_shelf_ms,
        )
        _keep(self.alarms, alarm)
        self._count_key(key)
        self._events.append(event)
        return alarm

    def _keep_track(self, key: AlarmKey, track: Track) -> None:
        if track == _NO_TRACK:
            self.tracks.pop(key, None)
        else:
            self.tracks[key] = track
        self._count_key(key)

    def _count_key(self, key: AlarmKey) -> None:
        """Room is asked for at each key of an update, so it must not take a pass over the board."""
        if key in self.alarms or key in self.tracks:
            self._keys.add(key)
        else:
            self._keys.discard(key)

    def finished(self) -> tuple[AlarmBoard, tuple[AlarmEvent, ...]]:
        board = AlarmBoard(
            settings=self._board.settings,
            alarms=MappingProxyType(self.alarms),
            tracks=MappingProxyType(self.tracks),
            incidents=self._incidents,
            at_ms=self._now_ms,
            left_out=tuple(self._left_out),
        )
        return board, tuple(self._events)


def _keep(alarms: dict[AlarmKey, Alarm], alarm: Alarm) -> None:
    """An alarm that is normal is no longer kept: the ledger remembers it."""
    if alarm.state is State.NORMAL:
        alarms.pop(alarm.key, None)
    else:
        alarms[alarm.key] = alarm


def _most_severe_first(
    conditions: Mapping[AlarmKey, Condition],
) -> Callable[[AlarmKey], tuple[int, AlarmKey]]:
    return lambda key: (-level_of(conditions.get(key)), key)


def _display_order(alarm: Alarm) -> tuple[bool, bool, int, bool, int, AlarmKey]:
    over = not alarm.is_active
    return alarm.is_aside, not alarm.wants_acknowledgement, -alarm.level, over, alarm.since_ms, alarm.key


def _broken(event: AlarmEvent, found: str) -> AlarmHistoryError:
    return AlarmHistoryError(event.key.node, event.key.kind, event.at_ms, found)
