"""Alarms at headquarters: what was found becomes an alarm, what people do with it a line in the ledger.

The board survives a restart in the journal; each transition is written there with it, in one commit.
Its clock is the wall clock read once at the start and counted on by the monotonic one: a wall clock that is
set must neither silence alarms nor end a shelf.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import structlog

from protocol.aio.station import Station
from situational import Level
from situational.alarms import (
    AlarmBoard,
    AlarmError,
    AlarmEvent,
    AlarmKey,
    AnnouncementLog,
    BoardSettings,
    Condition,
    Input,
    board_from_plain,
    board_to_plain,
    event_to_plain,
)
from situational.alarms.debounce import Drift, Track

ACTIONS: Mapping[str, Input] = MappingProxyType(
    {
        "acknowledge": Input.ACKNOWLEDGE,
        "shelve": Input.SHELVE,
        "unshelve": Input.UNSHELVE,
        "suppress": Input.SUPPRESS,
        "unsuppress": Input.UNSUPPRESS,
        "remove": Input.REMOVE,
        "return": Input.RETURN,
    }
)
_KEPT = "alarms"  # the journal's name for the board
_log = structlog.get_logger("alarms")


class Alarms:
    """One headquarters' or center's alarms."""

    def __init__(self, station: Station, settings: BoardSettings, *, operators: int) -> None:
        self._station = station
        self._operators = operators
        self._loop = asyncio.get_running_loop()
        self._started_ms, self._started_s = station.wall_ms(), self._loop.time()
        self.board = self._restored(settings, self._started_ms)
        self.log = AnnouncementLog(self._started_ms)

    def _restored(self, settings: BoardSettings, now_ms: int) -> AlarmBoard:
        kept = self._station.meta.get(_KEPT)
        if kept is None:
            return AlarmBoard(settings)
        try:
            return board_from_plain(json.loads(kept), now_ms, settings)
        except (AlarmError, ValueError, RecursionError) as error:
            _log.error("the alarms of the last run cannot be read: they begin anew", why=str(error))
            return AlarmBoard(settings)

    @property
    def known(self) -> Set[AlarmKey]:
        """What is on the board, or waits for a delay to get there."""
        return self.board.alarms.keys() | self.board.tracks.keys()

    def update(
        self,
        conditions: Mapping[AlarmKey, Condition],
        unknown: Iterable[AlarmKey] = (),
        *,
        proven: Iterable[AlarmKey] = (),
    ) -> None:
        """Take in everything that was found now; a key in neither is clear, one in `unknown` stays.

        What is `proven` needs no second look: it counts without on-delay.
        """
        board = self._without_delay({key: conditions[key] for key in proven})
        self._adopt(*board.update(conditions, self._now(), unknown=frozenset(unknown)))

    def _without_delay(self, proven: Mapping[AlarmKey, Condition]) -> AlarmBoard:
        since_ms = self._now() - self.board.settings.delays.on_ms
        tracks = {
            key: replace(self.board.tracks.get(key, Track()), rising=Drift(since_ms, condition))
            for key, condition in proven.items()
        }
        return replace(self.board, tracks={**self.board.tracks, **tracks}) if tracks else self.board

    def act(
        self, key: AlarmKey, given: Input, *, person: str, reason: str | None, until_ms: int | None
    ) -> None:
        """What a person does; `until_ms` by the station's wall clock. Raises AlarmError."""
        now_ms = self._now()
        until_ms = None if until_ms is None else until_ms + now_ms - self._station.wall_ms()
        self._adopt(*self.board.act(key, given, now_ms, person=person, reason=reason, until_ms=until_ms))

    def _now(self) -> int:
        return self._started_ms + int((self._loop.time() - self._started_s) * 1000)

    def _adopt(self, board: AlarmBoard, events: tuple[AlarmEvent, ...]) -> None:
        if events:
            work = self._station.work()
            for event in events:
                facts = {name: value for name, value in event_to_plain(event).items() if value is not None}
                subject, facts["alarm"] = str(facts.pop("node")), facts.pop("kind")
                work.note("alarm", subject, **facts)
            work.batch.meta[_KEPT] = json.dumps(board_to_plain(board), ensure_ascii=False).encode()
            self._station.commit(work)
            self.log.take(events)
        self.board = board
        for event in events:
            _tell(event)

    def view(self) -> dict[str, Any]:
        """What people see, as plain data."""
        figures = self.log.figures(self._now(), operators=self._operators)
        return {
            "alarms": [
                {
                    "node": alarm.key.node,
                    "kind": alarm.key.kind,
                    "state": alarm.state.value,
                    "since_ms": alarm.since_ms,
                    "level": alarm.level.name.lower(),
                    "code": alarm.incident.condition.code if alarm.incident else "",
                    "detail": alarm.incident.condition.detail if alarm.incident else "",
                    "began_ms": alarm.incident.began_ms if alarm.incident else None,
                    "incident": alarm.incident.number if alarm.incident else None,
                    "acknowledged_by": alarm.acknowledged_by,
                    "set_aside_by": alarm.aside.person if alarm.aside else None,
                    "reason": alarm.aside.reason if alarm.aside else None,
                    "until_ms": alarm.aside.until_ms if alarm.aside else None,
                }
                for alarm in self.board.shown()
            ],
            "no_room_for": len(self.board.left_out),
            "rate": {
                f"{window.window_ms // 60_000} min": {
                    "count": window.count,
                    "per_10_min": round(window.average, 3),
                    "peak": window.peak,
                    "band": window.band.value,
                }
                for window in figures.windows
            },
        }

    def counts(self) -> dict[str, int]:
        """How many alarms are in each state, and how many want acknowledgement, for one line of status."""
        counts = {state.value: count for state, count in self.board.counts().items() if count}
        return {"unacknowledged in all": sum(self.board.unacknowledged().values()), **counts}

    @property
    def worst(self) -> Level:
        """The highest level of any alarm that is active and not set aside."""
        levels = [a.level for a in self.board.alarms.values() if a.is_active and not a.is_aside]
        return max(levels, default=Level.NORMAL)


def _tell(event: AlarmEvent) -> None:
    if event.announces:
        condition = event.condition
        _log.warning(
            "alarm",
            about=event.key.node,
            alarm=event.key.kind,
            severity=condition.level.name.lower() if condition else "",  # `level` is the log line's own
            code=condition.code if condition else "",
        )
