"""The board under anything that persons, conditions, time and restarts do to it."""

from __future__ import annotations

import json

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from typing_extensions import override

from situational.alarms import (
    AlarmBoard,
    AlarmError,
    AlarmEvent,
    AlarmKey,
    BoardSettings,
    Condition,
    Delays,
    Input,
    State,
    board_from_plain,
    board_to_plain,
    next_state,
    replay,
)
from situational.alarms.states import BY_PERSON
from situational.hazard import Level
from tests.situational.alarms.support import ADVISORY, HIGH, MAJOR, MEDIUM

KEYS = [AlarmKey("plant-1", "hazard"), AlarmKey("plant-1", "silent"), AlarmKey("plant-2", "hazard")]
LIFTING = Condition(Level.LIFTING, "falling")
FOUND = [None, LIFTING, ADVISORY, MEDIUM, HIGH, MAJOR]
ON, OFF, SHELF = 3, 10, 25
SETTINGS = BoardSettings(Delays(on_ms=ON, off_ms=OFF), max_shelf_ms=SHELF)
IN_SERVICE = {State.UNACKNOWLEDGED, State.ACKNOWLEDGED}


class Board(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.board = AlarmBoard(SETTINGS)
        self.now = 1
        self.events: list[AlarmEvent] = []
        # What was found of each key, by the millisecond; an oracle that knows nothing of tracks.
        self.holds_since: dict[AlarmKey, int] = {}
        self.clear_since: dict[AlarmKey, int] = {}
        self.last: dict[AlarmKey, Condition] = {}
        self.found_at = 0

    def took(self, board: AlarmBoard, events: tuple[AlarmEvent, ...]) -> None:
        """Each change of a state is told by exactly one event, and each event is a move of the table."""
        states = {key: alarm.state for key, alarm in self.board.alarms.items()}
        for event in events:
            assert event.at_ms == self.now
            assert event.before is states.get(event.key, State.NORMAL)
            assert event.after is next_state(event.before, event.given)
            states[event.key] = event.after
        after = {key: alarm.state for key, alarm in board.alarms.items()}
        assert {key: state for key, state in states.items() if state is not State.NORMAL} == after
        self.board = board
        self.events += events

    @rule(
        found=st.fixed_dictionaries({key: st.sampled_from(FOUND) for key in KEYS}), ticks=st.integers(1, 15)
    )
    def finds(self, found: dict[AlarmKey, Condition | None], ticks: int) -> None:
        conditions = {key: condition for key, condition in found.items() if condition}
        for _ in range(ticks):
            self.now += 1
            self.took(*self.board.update(conditions, self.now))
            self._remember(conditions)

    def _remember(self, conditions: dict[AlarmKey, Condition]) -> None:
        self.found_at = self.now
        self.last = {key: found for key, found in conditions.items() if found.level >= Level.ADVISORY}
        for key in KEYS:
            started, ended = (
                (self.holds_since, self.clear_since)
                if key in self.last
                else (self.clear_since, self.holds_since)
            )
            started.setdefault(key, self.now)
            ended.pop(key, None)

    @rule(ticks=st.integers(1, 2 * OFF))
    def cannot_judge(self, ticks: int) -> None:
        """Nothing can be judged: nothing is raised and nothing clears, but shelves end."""
        for _ in range(ticks):
            self.now += 1
            board, events = self.board.update({}, self.now, unknown=set(KEYS))
            assert {event.given for event in events} <= {Input.SHELF_OVER}
            self.took(board, events)
        self.clear_since.clear()

    @rule(
        key=st.sampled_from(KEYS), given=st.sampled_from(sorted(BY_PERSON)), length=st.integers(-1, SHELF + 2)
    )
    def a_person_acts(self, key: AlarmKey, given: Input, length: int) -> None:
        until_ms = self.now + length if given is Input.SHELVE else None
        before = self.board
        alarm = before.alarms.get(key)
        try:
            board, events = before.act(
                key, given, self.now, person="li.wei", reason="a reason", until_ms=until_ms
            )
        except AlarmError:
            assert self.board is before
            return
        assert len(events) == 1
        if given is Input.SHELVE:
            assert 0 < length <= SHELF
            assert not (alarm and alarm.level is Level.MAJOR)
        self.took(board, events)

    @precondition(lambda self: self.events)
    @rule()
    def restarts(self) -> None:
        plain = json.loads(json.dumps(board_to_plain(self.board)))
        board = board_from_plain(plain, self.now, SETTINGS)
        assert board.alarms == self.board.alarms
        self.board = board
        self.holds_since.clear()
        self.clear_since.clear()

    @invariant()
    def a_condition_that_lasts_is_never_lost(self) -> None:
        for key, since in self.holds_since.items():
            if self.found_at - since < ON and self.last[key] != MAJOR:
                continue
            alarm = self.board.alarms[key]
            assert alarm.is_active
            assert alarm.is_aside or alarm.state in IN_SERVICE

    @invariant()
    def a_condition_that_is_gone_for_long_does_not_stand(self) -> None:
        for key, since in self.clear_since.items():
            # It may ease level by level, and each step waits for the off-delay and one tick.
            if self.now - since > 4 * (OFF + 1):
                assert key not in self.board.alarms or not self.board.alarms[key].is_active

    @invariant()
    def a_major_condition_is_never_shelved(self) -> None:
        for key, alarm in self.board.alarms.items():
            if alarm.state in {State.SHELVED, State.SHELVED_ACTIVE}:
                assert alarm.level is not Level.MAJOR
                assert not (key in self.holds_since and self.last[key] == MAJOR)

    @invariant()
    def a_shelf_ends_in_time(self) -> None:
        for alarm in self.board.alarms.values():
            if alarm.aside and alarm.aside.until_ms is not None:
                assert alarm.aside.until_ms - alarm.aside.since_ms <= SHELF
                assert self.now <= alarm.aside.until_ms

    @invariant()
    def each_incident_is_raised_once_and_ends_at_most_once(self) -> None:
        raised = [event.incident for event in self.events if event.given is Input.RAISE]
        assert raised == list(range(1, len(raised) + 1))
        ended = [event.incident for event in self.events if event.given is Input.CLEAR]
        assert len(set(ended)) == len(ended)
        assert set(ended) <= set(raised)

    @invariant()
    def within_one_incident_the_operator_is_called_again_only_for_a_reason(self) -> None:
        for event in self.events:
            if event.announces and event.given is not Input.RAISE:
                back = event.before not in IN_SERVICE
                assert back or event.given is Input.ESCALATE

    @invariant()
    def nothing_is_waited_for_without_need(self) -> None:
        for key in self.board.tracks:
            assert key in KEYS

    @override
    def teardown(self) -> None:
        """The events alone lead to the same board."""
        again = replay(self.events, SETTINGS)
        assert again.alarms == self.board.alarms
        assert again.incidents == self.board.incidents


Board.TestCase.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
TestBoard = Board.TestCase
