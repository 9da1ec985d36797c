"""How much the alarms ask of an operator, held against EEMUA 191 (README.md says what is whose figure).

Counted is each time that an operator is called (`AlarmEvent.announces`); what operators do is no alarm.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile

import numpy as np
import numpy.typing as npt

from situational.alarms.board import AlarmBoard
from situational.alarms.errors import AlarmClockError
from situational.alarms.record import Alarm, AlarmEvent, AlarmKey
from situational.alarms.states import State
from situational.errors import BadSettingError

TEN_MINUTES_MS = 10 * 60 * 1000
HOUR_MS = 60 * 60 * 1000
DAY_MS = 24 * HOUR_MS
WINDOWS_MS = (TEN_MINUTES_MS, HOUR_MS, DAY_MS)

FLOOD_ABOVE = 10  # per 10 minutes and operator
WORST = 10
CHATTERING_FROM = 3  # comings and goings within one incident
STANDING_AFTER_MS = DAY_MS

Times = npt.NDArray[np.int64]


class Band(StrEnum):
    """EEMUA 191's names for a long-term average rate; the borders between its four marks are ours."""

    ACCEPTABLE = "very-likely-acceptable"  # below 1 in 10 minutes
    MANAGEABLE = "manageable"  # up to 2
    OVER_DEMANDING = "over-demanding"  # up to 10
    UNACCEPTABLE = "very-likely-unacceptable"  # above


def band_of(per_ten_minutes: float) -> Band:
    """The band of an average rate per operator."""
    if per_ten_minutes < 1:
        return Band.ACCEPTABLE
    if per_ten_minutes <= 2:
        return Band.MANAGEABLE
    return Band.OVER_DEMANDING if per_ten_minutes <= 10 else Band.UNACCEPTABLE


@dataclass(frozen=True, slots=True)
class WindowRate:
    """One sliding window that ends now. `observed_ms` is how much of it there was anything to observe.

    `average` and `peak` are announcements per 10 minutes and operator; `flood_share` (0 … 1) is the part of
    the observed time in which the 10 minutes before had more than 10 per operator.
    """

    window_ms: int
    observed_ms: int
    count: int
    average: float
    peak: float
    flood_share: float

    @property
    def band(self) -> Band:
        return band_of(self.average)


@dataclass(frozen=True, slots=True)
class RateFigures:
    """`windows`: 10 minutes, 1 hour, 24 hours. `worst`: the most frequent of the last 24 hours with counts.

    `complete` is False when the log was too small for the last 24 hours: the counts are then too low.
    """

    operators: int
    windows: tuple[WindowRate, ...]
    worst: tuple[tuple[AlarmKey, int], ...]
    complete: bool


class AnnouncementLog:
    """The announcements of the last 24 hours and 10 minutes, at most `capacity` of them.

    After a restart, take in again what the ledger has of that time, with `started_ms` where that begins.
    """

    def __init__(self, started_ms: int, *, capacity: int = 50_000) -> None:
        if capacity < 1:
            raise BadSettingError("capacity", capacity, "at least 1")
        self._started_ms = started_ms
        self._capacity = capacity
        self._kept: deque[tuple[int, AlarmKey]] = deque()
        self._last_ms = started_ms
        self._lost_ms: int | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, events: Iterable[AlarmEvent]) -> None:
        """Take events in, in their order. Raises AlarmClockError at the first that is older than the last."""
        for event in events:
            if event.at_ms < self._last_ms:
                raise AlarmClockError(self._last_ms, event.at_ms)
            self._last_ms = event.at_ms
            if event.announces:
                self._kept.append((event.at_ms, event.key))
                self._trim()

    def _trim(self) -> None:
        while self._kept[0][0] <= self._last_ms - DAY_MS - TEN_MINUTES_MS:
            self._kept.popleft()
        if len(self._kept) > self._capacity:
            self._lost_ms = self._kept.popleft()[0]

    def figures(self, now_ms: int, operators: int) -> RateFigures:
        """Raises AlarmClockError when `now_ms` is before the last event, BadSettingError below 1 operator."""
        if operators < 1:
            raise BadSettingError("operators", operators, "at least 1")
        if now_ms < self._last_ms:
            raise AlarmClockError(self._last_ms, now_ms)
        times = np.array([at_ms for at_ms, _ in self._kept], dtype=np.int64)
        last_day = takewhile(lambda kept: kept[0] > now_ms - DAY_MS, reversed(self._kept))
        counted = Counter(key for _, key in last_day)
        worst = sorted(counted.items(), key=lambda found: (-found[1], found[0]))[:WORST]
        return RateFigures(
            operators=operators,
            windows=tuple(self._window(times, now_ms, window_ms, operators) for window_ms in WINDOWS_MS),
            worst=tuple(worst),
            complete=self._lost_ms is None or self._lost_ms <= now_ms - DAY_MS - TEN_MINUTES_MS,
        )

    def _window(self, times: Times, now_ms: int, window_ms: int, operators: int) -> WindowRate:
        observed_ms = min(window_ms, now_ms - self._started_ms)
        count = len(times) - int(np.searchsorted(times, now_ms - window_ms, side="right"))
        # Nothing is called a rate on less than 10 minutes: the first alarm after a start would be a flood.
        tens = max(observed_ms, TEN_MINUTES_MS) / TEN_MINUTES_MS
        peak, flood_ms = _sweep(times, now_ms - observed_ms, now_ms, FLOOD_ABOVE * operators)
        return WindowRate(
            window_ms=window_ms,
            observed_ms=observed_ms,
            count=count,
            average=count / tens / operators,
            peak=peak / operators,
            flood_share=flood_ms / observed_ms if observed_ms else 0.0,
        )


def _sweep(times: Times, start_ms: int, end_ms: int, flood_above: int) -> tuple[int, int]:
    """The largest number in any 10 minutes that end in [start, end], and for how long it was a flood."""
    leaves = times + TEN_MINUTES_MS
    marks = np.concatenate((times, leaves, [start_ms, end_ms]))
    marks = np.unique(marks[(marks >= start_ms) & (marks <= end_ms)])
    running = np.searchsorted(times, marks, side="right") - np.searchsorted(leaves, marks, side="right")
    flood = running[:-1] > flood_above
    return int(running.max()), int(np.diff(marks)[flood].sum())


def chattering(board: AlarmBoard) -> list[tuple[Alarm, int]]:
    """Alarms whose condition comes and goes within one incident, with how often; the worst first."""
    found = [
        (alarm, board.tracks[key].flutters)
        for key, alarm in board.alarms.items()
        if key in board.tracks and board.tracks[key].flutters >= CHATTERING_FROM
    ]
    return sorted(found, key=lambda pair: (-pair[1], pair[0].key))


def standing(board: AlarmBoard, now_ms: int) -> list[Alarm]:
    """Alarms in service whose incident has gone on for more than 24 hours ("stale"); the oldest first."""
    found = [
        (alarm.incident.began_ms, alarm.key, alarm)
        for alarm in board.alarms.values()
        if alarm.incident and alarm.state in {State.UNACKNOWLEDGED, State.ACKNOWLEDGED}
    ]
    return [
        alarm
        for began_ms, _, alarm in sorted(found, key=lambda row: row[:2])
        if began_ms < now_ms - STANDING_AFTER_MS
    ]
