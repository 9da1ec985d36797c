"""dispatch_server/awareness/alarms.py: what happens to an alarm is in the ledger, and survives a restart."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
from structlog.testing import capture_logs

from dispatch_server.awareness.alarms import ACTIONS, Alarms
from protocol.journal.batch import Notice
from situational import Level
from situational.alarms import (
    AlarmKey,
    BoardFullError,
    BoardSettings,
    Condition,
    Delays,
    Input,
    MajorShelvedError,
    ReasonMissingError,
    ShelfTimeError,
    State,
)
from tests.dispatch_server.links.support import virtually
from tests.protocol.parties import HQ
from tests.support.pki import NOW_MS
from tests.support.stations import Clock, Node

KEY, OTHER = AlarmKey("plant-1", "hazard"), AlarmKey("plant-2", "link")
MEDIUM = {KEY: Condition(Level.MEDIUM, "growth-large", "network_flow B")}
HIGH = {KEY: Condition(Level.HIGH, "growth-large", "memory_used B")}
MAJOR = {KEY: Condition(Level.MAJOR, "all-surging", "all B")}
NOTHING: Mapping[AlarmKey, Condition] = {}
SETTINGS = BoardSettings(Delays(on_ms=10_000, off_ms=60_000), max_shelf_ms=3_600_000)


class Desk:
    """Alarms over a journal."""

    def __init__(self, settings: BoardSettings = SETTINGS) -> None:
        self.node = Node(HQ, clock=Clock())
        self.settings = settings
        self.alarms = self._opened()

    def _opened(self) -> Alarms:
        return Alarms(self.node.station, self.settings, operators=1)

    def restart(self) -> None:
        """A new process over the same journal."""
        self.node.restart()
        self.alarms = self._opened()

    async def pass_time(self, seconds: float) -> None:
        """Both clocks go on."""
        self.node.clock.advance(seconds)
        await asyncio.sleep(seconds)

    async def find(
        self, conditions: Mapping[AlarmKey, Condition], seconds: float = 0.0, *unknown: AlarmKey
    ) -> None:
        """Something is found now and for so long."""
        self.alarms.update(conditions, unknown)
        for _ in range(round(seconds / 5)):
            await self.pass_time(5)
            self.alarms.update(conditions, unknown)

    def act(self, name: str, *, for_s: float | None = None, reason: str | None = "tests") -> None:
        """What a person does, as the command of the control socket passes it on."""
        until_ms = None if for_s is None else self.node.clock.ms + round(for_s * 1000)
        self.alarms.act(KEY, ACTIONS[name], person="zhao", reason=reason, until_ms=until_ms)

    def state(self) -> State:
        """Of the one alarm."""
        alarm = self.alarms.board.alarms.get(KEY)
        return alarm.state if alarm else State.NORMAL

    def notes(self) -> list[dict[str, str]]:
        """What was written down since the last look."""
        return self.node.decision().notes("alarm")

    def inputs(self) -> list[str]:
        """Of the notes."""
        return [note["input"] for note in self.notes()]


@contextmanager
def desk_of(settings: BoardSettings = SETTINGS) -> Iterator[Desk]:
    desk = Desk(settings)
    try:
        yield desk
    finally:
        desk.node.close()


# --- the ledger ---


@virtually
async def test_an_alarm_is_raised_once_and_written_down_with_all_that_an_auditor_needs() -> None:
    with desk_of() as desk:
        await desk.find(MEDIUM, 60)
        (note,) = desk.notes()
        assert note == {
            "subject": "plant-1",
            "alarm": "hazard",
            "input": "raise",
            "before": "normal",
            "after": "unacknowledged",
            "at_ms": str(NOW_MS + 10_000),
            "incident": "1",
            "level": "medium",
            "code": "growth-large",
            "detail": "network_flow B",
            "flutters": "0",
        }


@virtually
async def test_each_transition_is_in_the_same_commit_as_the_board_that_it_leads_to() -> None:
    with desk_of() as desk:
        await desk.find(MEDIUM, 15)
        await desk.find(HIGH, 15)
        desk.act("acknowledge")
        desk.act("shelve", for_s=60)
        await desk.find(HIGH, 120)
        desk.act("suppress")
        desk.act("unsuppress")
        desk.act("remove")
        desk.act("return")
        await desk.find(NOTHING, 120)
        batches = desk.node.decision().batches
        told = []
        for batch in batches:
            events = [dict(Notice.decode(entry.body).facts) for entry in batch.entries]
            board = json.loads(batch.meta["alarms"])
            (alarm,) = board["alarms"] or [{"state": "normal"}]
            assert alarm["state"] == events[-1]["after"]
            told += [event["input"] for event in events]
        assert told == [
            *("raise", "escalate", "acknowledge", "shelve", "shelf-over", "suppress", "unsuppress"),
            *("remove-from-service", "return-to-service", "clear"),
        ]


@virtually
async def test_what_changes_nothing_writes_nothing() -> None:
    with desk_of() as desk:
        await desk.find(MEDIUM, 600)
        desk.node.decision()
        await desk.find(MEDIUM, 600)
        await desk.find({KEY: Condition(Level.MEDIUM, "growth-large", "another detail")}, 600)
        assert desk.node.decision().batches == ()


@virtually
async def test_what_a_person_does_is_written_with_name_and_reason() -> None:
    with desk_of() as desk:
        await desk.find(MEDIUM, 15)
        desk.act("shelve", for_s=600, reason="the meter is being changed")
        note = desk.notes()[-1]
        assert (note["person"], note["reason"]) == ("zhao", "the meter is being changed")
        assert int(note["until_ms"]) - int(note["at_ms"]) == 600_000


@virtually
async def test_what_a_person_may_not_do_changes_and_writes_nothing() -> None:
    with desk_of() as desk:
        await desk.find(MEDIUM, 15)
        desk.notes()
        before = desk.alarms.board
        with pytest.raises(ReasonMissingError):
            desk.act("shelve", for_s=60, reason=None)
        with pytest.raises(ShelfTimeError):
            desk.act("shelve", for_s=7200)
        assert desk.alarms.board is before
        assert desk.notes() == []


@virtually
async def test_a_board_that_is_full_says_what_it_had_no_room_for() -> None:
    with desk_of(BoardSettings(Delays(0, 0), max_alarms=1)) as desk:
        await desk.find(MAJOR | {OTHER: Condition(Level.MEDIUM, "link-down")}, 5)
        assert desk.state() is State.UNACKNOWLEDGED
        assert desk.alarms.view()["no_room_for"] == 1
        with pytest.raises(BoardFullError):
            desk.alarms.act(OTHER, Input.SUPPRESS, person="zhao", reason="tests", until_ms=None)


def test_each_thing_that_a_person_can_do_has_a_name() -> None:
    assert set(ACTIONS.values()) == {
        *(Input.ACKNOWLEDGE, Input.SHELVE, Input.UNSHELVE, Input.SUPPRESS),
        *(Input.UNSUPPRESS, Input.REMOVE, Input.RETURN),
    }


# --- delays ---


@virtually
async def test_a_reading_alone_calls_nobody() -> None:
    with desk_of() as desk:
        await desk.find(HIGH, 5)
        await desk.find(NOTHING, 60)
        assert desk.notes() == []


@virtually
async def test_what_is_proven_needs_no_second_look() -> None:
    with desk_of() as desk:
        desk.alarms.update(HIGH, proven=[KEY])
        assert desk.inputs() == ["raise"]
        desk.alarms.update(HIGH, proven=[KEY])
        assert desk.notes() == []


@virtually
async def test_what_is_proven_of_one_key_leaves_the_delay_of_the_others() -> None:
    with desk_of() as desk:
        down = {OTHER: Condition(Level.MEDIUM, "link-down")}
        await desk.find(down, 5)
        desk.alarms.update(HIGH | down, proven=[KEY])
        assert set(desk.alarms.board.alarms) == {KEY}
        await desk.find(HIGH | down, 5)
        assert set(desk.alarms.board.alarms) == {KEY, OTHER}


@virtually
async def test_what_is_proven_escalates_at_once_too() -> None:
    with desk_of() as desk:
        await desk.find(MEDIUM, 15)
        desk.alarms.update(HIGH, proven=[KEY])
        assert desk.inputs() == ["raise", "escalate"]


@virtually
async def test_what_cannot_be_judged_keeps_its_alarm_for_as_long_as_that_lasts() -> None:
    with desk_of() as desk:
        await desk.find(MEDIUM, 15)
        await desk.find(NOTHING, 55)
        await desk.find(NOTHING, 3600, KEY)
        await desk.find(NOTHING, 55)
        assert desk.state() is State.UNACKNOWLEDGED
        await desk.find(NOTHING, 10)
        assert desk.inputs() == ["raise", "clear"]


# --- restarts ---


@virtually
async def test_a_restart_keeps_alarms_shelves_and_the_number_of_the_last_incident() -> None:
    with desk_of() as desk:
        await desk.find(MEDIUM, 15)
        desk.act("shelve", for_s=600)
        desk.restart()
        assert desk.state() is State.SHELVED_ACTIVE
        (alarm,) = desk.alarms.view()["alarms"]
        assert (alarm["set_aside_by"], alarm["reason"], alarm["incident"]) == ("zhao", "tests", 1)
        assert alarm["until_ms"] == desk.node.clock.ms + 600_000
        desk.notes()
        await desk.find(MEDIUM, 595)
        assert desk.notes() == []
        await desk.find(MEDIUM, 10)
        assert desk.inputs() == ["shelf-over"]
        await desk.find(MEDIUM | {OTHER: Condition(Level.MEDIUM, "link-down")}, 15)
        assert desk.notes()[-1]["incident"] == "2"


@virtually
async def test_a_restart_does_not_raise_again_what_goes_on() -> None:
    with desk_of() as desk:
        await desk.find(HIGH, 15)
        desk.act("acknowledge")
        desk.restart()
        desk.notes()
        await desk.find(HIGH, 300)
        assert desk.notes() == []
        assert desk.state() is State.ACKNOWLEDGED


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"version": 2, "at_ms": 0, "incidents": 0, "alarms": []}',
        b'{"version": 1, "at_ms": 0, "incidents": 0, "alarms": [{}]}',
        b'{"version": 1, "at_ms": 1e999, "incidents": 0, "alarms": []}',
        b"[" * 100_000,
    ],
)
def test_a_board_that_cannot_be_read_begins_anew_and_says_so(damaged: bytes) -> None:
    @virtually
    async def check() -> None:
        with desk_of() as desk, capture_logs() as logs:
            desk.node.station.meta["alarms"] = damaged
            alarms = Alarms(desk.node.station, SETTINGS, operators=1)
            assert [log["log_level"] for log in logs] == ["error"]
            alarms.update(HIGH, proven=[KEY])
            assert [note["input"] for note in desk.notes()] == ["raise"]

    check()


# --- major ---


@virtually
async def test_major_calls_at_once_cannot_be_shelved_and_breaks_a_shelf() -> None:
    with desk_of() as desk:
        desk.act("shelve", for_s=600)
        await desk.find(MAJOR)
        assert desk.inputs() == ["shelve", "break-shelf", "raise"]
        with pytest.raises(MajorShelvedError):
            desk.act("shelve", for_s=60)
        assert desk.state() is State.UNACKNOWLEDGED
        assert desk.alarms.worst is Level.MAJOR


@virtually
async def test_the_worst_leaves_out_what_is_set_aside_or_over() -> None:
    with desk_of() as desk:
        await desk.find(HIGH, 15)
        worst = [desk.alarms.worst]
        desk.act("suppress")
        worst.append(desk.alarms.worst)
        desk.act("unsuppress")
        await desk.find(NOTHING, 65)
        worst.append(desk.alarms.worst)
        assert worst == [Level.HIGH, Level.NORMAL, Level.NORMAL]
        assert desk.alarms.counts() == {"unacknowledged in all": 1, "returned-unacknowledged": 1}


# --- clocks that are set ---


@pytest.mark.parametrize("step_s", [-86_400.0, -2.0, 2.0, 86_400.0])
def test_a_wall_clock_that_is_set_silences_no_alarm(step_s: float) -> None:
    @virtually
    async def check() -> None:
        with desk_of() as desk:
            await desk.find(NOTHING, 60)
            desk.node.clock.advance(step_s)
            await desk.find(MEDIUM, 5)
            assert desk.notes() == []
            await desk.find(MEDIUM, 5)
            assert desk.inputs() == ["raise"]
            await desk.find(NOTHING, 65)
            assert desk.inputs() == ["clear"]

    check()


@pytest.mark.parametrize("step_s", [-86_400.0, 86_400.0])
def test_a_wall_clock_that_is_set_neither_ends_nor_prolongs_a_shelf(step_s: float) -> None:
    @virtually
    async def check() -> None:
        with desk_of() as desk:
            await desk.find(MEDIUM, 15)
            desk.act("shelve", for_s=300)
            desk.node.clock.advance(step_s)
            await desk.find(MEDIUM, 290)
            assert desk.state() is State.SHELVED_ACTIVE
            await desk.find(MEDIUM, 15)
            assert desk.state() is State.UNACKNOWLEDGED

    check()


@pytest.mark.parametrize("step_s", [-86_400.0, 86_400.0])
def test_a_shelf_can_be_asked_for_by_a_wall_clock_that_was_set(step_s: float) -> None:
    @virtually
    async def check() -> None:
        with desk_of() as desk:
            await desk.find(MEDIUM, 15)
            desk.node.clock.advance(step_s)
            desk.act("shelve", for_s=300)
            await desk.find(MEDIUM, 290)
            assert desk.state() is State.SHELVED_ACTIVE
            await desk.find(MEDIUM, 15)
            assert desk.state() is State.UNACKNOWLEDGED

    check()


@virtually
async def test_a_clock_that_was_set_back_over_a_restart_leaves_of_a_shelf_what_was_left() -> None:
    with desk_of() as desk:
        await desk.find(MEDIUM, 15)
        desk.act("shelve", for_s=300)
        desk.node.clock.advance(-86_400)
        desk.restart()
        await desk.find(MEDIUM, 290)
        assert desk.state() is State.SHELVED_ACTIVE
        await desk.find(MEDIUM, 15)
        assert desk.state() is State.UNACKNOWLEDGED


# --- what people see ---


@virtually
async def test_people_see_the_gravest_first_and_how_much_it_asks_of_them() -> None:
    with desk_of() as desk:
        await desk.find(HIGH | {OTHER: Condition(Level.MEDIUM, "link-down")}, 15)
        seen = desk.alarms.view()
        assert [(row["node"], row["kind"], row["level"]) for row in seen["alarms"]] == [
            ("plant-1", "hazard", "high"),
            ("plant-2", "link", "medium"),
        ]
        assert seen["rate"]["10 min"]["count"] == 2
        json.dumps(seen)


@virtually
async def test_who_reads_the_log_sees_each_call_with_its_severity() -> None:
    with desk_of() as desk, capture_logs() as logs:
        await desk.find(MEDIUM, 15)
        desk.act("acknowledge")
        await desk.find(MAJOR)
        seen = [(log["about"], log["alarm"], log["severity"], log["code"]) for log in logs]
        assert seen == [
            ("plant-1", "hazard", "medium", "growth-large"),
            ("plant-1", "hazard", "major", "all-surging"),
        ]
