"""dispatch_server/server.py: the wiring of headquarters and of a center."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from dispatch_server.awareness.store import TelemetryStore
from dispatch_server.awareness.watch import Now
from dispatch_server.links.ports import LinkState
from protocol.errors import PeerFault, WireCode
from protocol.items import AskItem
from protocol.journal.file import JournalError
from protocol.lifecycle import Input, State
from protocol.limits import MAX_REQUESTS_IN_ALL
from protocol.messages import Sample
from protocol.requests import DoneReply, LogoutRequest, RefusedReply
from situational import Level, Posture, decide
from tests.dispatch_server.awareness.support import at, hazard, kept
from tests.dispatch_server.house import METRICS, House, LoopClock, center, headquarters, running, sample
from tests.dispatch_server.links.support import virtually
from tests.protocol.parties import VALID_UNTIL_MS, Chain
from tests.support.stations import up


@pytest.fixture
def passed_on(monkeypatch: pytest.MonkeyPatch) -> list[Sample]:
    """What a center lets ride along to its superior."""
    samples: list[Sample] = []
    monkeypatch.setattr("protocol.aio.listener.Listener.sample", lambda _self, sample: samples.append(sample))
    return samples


def recorded(house: House) -> set[str]:
    """The nodes of which curves are kept."""
    return set(house.server.awareness._watch._nodes)


class BrokenDisk:
    """A store that raises whatever is asked of it."""

    def usual(self) -> None:
        raise sqlite3.DatabaseError("database disk image is malformed")

    def add(self, *_: object, **__: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")


# --- telemetry ---


async def test_a_node_speaks_for_itself_alone() -> None:
    with closing(headquarters()) as house:
        house.server.on_report("plant-1", (sample("plant-1"), sample("hq"), sample("plant-3")))
        assert recorded(house) == {"plant-1"}


async def test_a_center_speaks_for_its_region_alone() -> None:
    with closing(headquarters()) as house:
        house.server.on_report("center-1", tuple(map(sample, ("center-1", "plant-3", "plant-1", "desk-1"))))
        assert recorded(house) == {"center-1", "plant-3"}


async def test_an_answer_without_telemetry_is_a_sign_of_life() -> None:
    with closing(headquarters()) as house:
        now = asyncio.get_running_loop().time()
        house.server.awareness.heard("plant-1", now - 1000)
        house.server.on_report("plant-1", ())
        assert not house.server.awareness.is_silent("plant-1", now, after_s=15)


async def test_foreign_telemetry_is_no_sign_of_life() -> None:
    with closing(headquarters()) as house:
        now = asyncio.get_running_loop().time()
        house.server.awareness.heard("plant-3", now - 1000)
        house.server.on_report("plant-1", (sample("plant-3"),))
        assert house.server.awareness.is_silent("plant-3", now, after_s=15)


async def test_a_center_passes_on_what_its_children_say_of_themselves(passed_on: list[Sample]) -> None:
    with closing(center()) as house:
        house.server.on_report("plant-3", (sample("plant-3", 7.0), sample("plant-1")))
        assert passed_on == [sample("plant-3", 7.0)]


async def test_a_child_that_tells_far_too_much_does_not_push_out_what_the_others_tell(
    passed_on: list[Sample],
) -> None:
    with closing(center()) as house:
        house.server.on_report("plant-3", tuple(sample("plant-3", float(value)) for value in range(256)))
        assert passed_on == [sample("plant-3", 255.0)]


async def test_a_center_tells_that_a_child_lives_which_measured_nothing(passed_on: list[Sample]) -> None:
    with closing(center()) as house:
        house.server.on_report("plant-3", ())
        (sign,) = passed_on
        assert sign.node == "plant-3"
        assert all(getattr(sign, metric) is None for metric in METRICS)


async def test_what_a_child_says_of_others_is_no_sign_of_their_life(passed_on: list[Sample]) -> None:
    with closing(center()) as house:
        house.server.on_report("plant-3", (sample("plant-1"),))
        assert {sign.node for sign in passed_on} == {"plant-3"}


@virtually
async def test_a_server_watches_its_own_host() -> None:
    with closing(headquarters()) as house, running(house):
        await asyncio.sleep(12)
        assert recorded(house) == {"hq"}
        assert house.counted("readings") == 3
        assert house.server.awareness.nodes == ["hq"]


def test_a_center_passes_on_its_own_telemetry(passed_on: list[Sample]) -> None:
    @virtually
    async def check() -> None:
        with closing(center()) as house, running(house):
            await asyncio.sleep(12)

    check()
    assert passed_on == [sample("center-1")] * 3


async def test_what_a_node_says_of_others_is_counted_and_fills_no_log() -> None:
    with closing(headquarters()) as house, capture_logs() as logs:
        for _ in range(100):
            house.server.on_report("center-1", tuple(sample(f"made-up-{index}") for index in range(256)))
        assert recorded(house) == set()
        assert house.counted("readings_refused") == house.counted("readings") == 25_600
        assert len(logs) == 1


# --- the third line of defence never stops the first two ---


@virtually
async def test_a_host_that_cannot_be_read_stops_nothing() -> None:
    with closing(headquarters()) as house, running(house) as task:
        house.host = OSError("too many open files")
        await asyncio.sleep(6)
        assert not task.done()
        house.host = sample("hq")
        await asyncio.sleep(10)
        assert "hq" in house.server.awareness.nodes


@virtually
async def test_a_host_whose_reading_hangs_keeps_nobody_from_being_judged() -> None:
    with closing(headquarters()) as house:
        house.host = asyncio.get_running_loop().create_future()
        with running(house):
            await asyncio.sleep(1)
            house.server.on_report("plant-1", (sample("plant-1"),))
            await asyncio.sleep(5)
            assert house.server.awareness.nodes == ["plant-1"]


PARTS = ("load", "save", "tick", "take")


@pytest.mark.parametrize("part", PARTS)
def test_awareness_that_fails_stops_no_order(part: str) -> None:
    async def fail(*_: object) -> None:
        raise ZeroDivisionError("tests")

    def fail_at_once(*_: object) -> None:
        raise ZeroDivisionError("tests")

    @virtually
    async def check() -> None:
        with closing(headquarters()) as house:
            awareness: Any = house.server.awareness
            setattr(awareness, part, fail_at_once if part == "take" else fail)
            with running(house) as task, capture_logs() as logs:
                await asyncio.sleep(610)
                house.server.on_report("plant-1", (sample("plant-1"),))
                assert not task.done()
                assert ("awareness failed", "error") in {(log["event"], log["log_level"]) for log in logs}
                assert not awareness.is_silent("plant-1", asyncio.get_running_loop().time(), 1.0)
                assert await house.issue(Chain.at(State.DRAFTED)) is State.ACCEPTED

    check()


@virtually
async def test_a_file_of_curves_that_cannot_be_read_is_counted_and_stops_nothing() -> None:
    with closing(headquarters()) as house:
        store: Any = BrokenDisk()
        house.server.awareness._recorder._store = store
        with running(house) as task:
            await asyncio.sleep(601)
            assert not task.done()
            assert house.counted("storage_faults") == 3
            assert await house.issue(Chain.at(State.DRAFTED)) is State.ACCEPTED


# --- it reaches the orders ---


def hold(house: House, node: str) -> None:
    """A node is held."""
    awareness = house.server.awareness
    awareness.restore({node: Posture.NORMAL}, 0.0)
    awareness._move(node, *decide(awareness._stances[node], hazard(Level.MAJOR), 1.0))


def release(house: House) -> None:
    """A person ends what is held."""
    house.server.awareness.release("zhao", asyncio.get_running_loop().time())


@pytest.mark.parametrize(("held", "state"), [("plant-1", State.REJECTED), ("center-1", State.ACCEPTED)])
async def test_the_posture_of_a_node_decides_on_the_orders_that_concern_it(held: str, state: State) -> None:
    with closing(headquarters()) as house:
        hold(house, held)
        assert await house.issue(Chain.at(State.DRAFTED)) is state


async def test_each_change_of_a_posture_is_written_down() -> None:
    with closing(headquarters()) as house:
        hold(house, "plant-1")
        release(house)
        assert house.node.decision().notes("posture") == [
            {
                "subject": "plant-1",
                "before": "NORMAL",
                "after": "HELD",
                "why": "hazard",
                "hazard": "MAJOR",
                "judged": "4",
                "person": "",
            },
            {
                "subject": "plant-1",
                "before": "HELD",
                "after": "NORMAL",
                "why": "person",
                "hazard": "NORMAL",
                "judged": "0",
                "person": "zhao",
            },
        ]


async def test_a_posture_and_its_line_in_the_ledger_are_one_commit() -> None:
    with closing(headquarters()) as house:
        hold(house, "plant-1")
        (batch,) = house.node.decision().batches
        assert batch.meta == {"posture of plant-1": b"HELD"}
        assert [(entry.kind, entry.subject) for entry in batch.entries] == [("posture", "plant-1")]


async def test_each_desk_is_told_of_a_change_unless_too_much_waits_for_it_already(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dispatch_server.server._WAITING", 3)
    with closing(headquarters()) as house:
        for _ in range(5):
            hold(house, "plant-1")
            release(house)
        posts = house.node.decision().posts
        assert [peer for peer, _ in posts] == ["desk-1"] * 3
        assert house.server.awareness.posture_of(["plant-1"]) is Posture.NORMAL


async def test_a_hold_survives_a_restart_and_its_release_too() -> None:
    with closing(headquarters()) as house:
        hold(house, "plant-1")
        house.restart()
        assert house.server.awareness.posture_of(["plant-1"]) is Posture.HELD
        release(house)
        house.restart()
        assert house.server.awareness.posture_of(["plant-1"]) is Posture.NORMAL


@virtually
async def test_a_forged_message_is_an_alarm_within_a_tick_and_still_there_after_a_restart() -> None:
    with closing(headquarters()) as house:
        with running(house):
            await asyncio.sleep(1)
            house.server.on_fault("plant-1", PeerFault(WireCode.SEAL, "tests"))
            await asyncio.sleep(5)
            assert alarms(house)["plant-1 seal"] is Level.HIGH
        house.restart()
        assert alarms(house)["plant-1 seal"] is Level.HIGH


@virtually
async def test_links_that_stay_down_are_alarms() -> None:
    with closing(headquarters()) as house, running(house):
        await asyncio.sleep(40)
        assert set(alarms(house)) == {"desk-1 link", "plant-1 link", "center-1 link"}


def alarms(house: House) -> dict[str, Level]:
    """Node and kind -> level."""
    board = house.server.guard.alarms.board.alarms
    return {f"{key.node} {key.kind}": alarm.level for key, alarm in board.items()}


# --- curves are kept ---


def test_closing_writes_the_curves(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.db"

    @virtually
    async def check() -> None:
        with closing(headquarters(store=path)) as house:
            with running(house) as task:
                await asyncio.sleep(32)
                task.cancel()
                await asyncio.wait([task])
            await house.server.close()

    check()
    with closing(TelemetryStore(path, read_only=True)) as store:
        assert {(chunk.node, chunk.metric): chunk.count for chunk in kept(store)} == {
            ("hq", metric): 7 for metric in METRICS
        }


def test_curves_are_written_every_ten_minutes_for_whom_a_crash_meets(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.db"

    @virtually
    async def check() -> None:
        with closing(headquarters(store=path, clock=LoopClock)) as house, running(house):
            await asyncio.sleep(1805)

    check()
    with closing(TelemetryStore(path, read_only=True)) as store:
        (seconds,) = {
            sum(chunk.last_ms - chunk.first_ms for chunk in kept(store) if chunk.metric == metric) / 1000
            for metric in METRICS[:1]
        }
        assert seconds > 600


# --- time ---


def tick_of(house: House) -> Any:
    """Counts what passed since the last moment: (monotonic s, wall-clock ms ahead of it)."""

    def tick(second: float, ahead_ms: int = 0) -> None:
        moment = at(second)
        house.server._count_time(Now(second, moment.wall_ms + ahead_ms, 0.0))

    return tick


async def test_a_loop_that_was_kept_is_counted() -> None:
    with closing(headquarters()) as house:
        tick = tick_of(house)
        for second in (0.0, 0.25, 0.5, 1.0, 1.51, 1.75):
            tick(second)
        assert (house.counted("loop_ticks"), house.counted("load_stall")) == (5, 1)


@pytest.mark.parametrize(("ahead_ms", "steps"), [(999, 0), (-999, 0), (1_001, 1), (-1_001, 1), (-(10**9), 1)])
async def test_a_wall_clock_that_is_set_is_counted_once(ahead_ms: int, steps: int) -> None:
    with closing(headquarters()) as house:
        tick = tick_of(house)
        tick(0.0)
        tick(0.25)
        tick(0.5, ahead_ms)
        tick(0.75, ahead_ms)
        assert house.counted("clock_steps") == steps


async def test_a_stall_is_no_step_of_the_clock() -> None:
    with closing(headquarters()) as house:
        tick = tick_of(house)
        tick(0.0)
        tick(60.0)
        assert house.counted("clock_steps") == 0


async def test_the_time_that_links_are_down_is_counted_by_link() -> None:
    with closing(headquarters()) as house:
        tick = tick_of(house)
        tick(0.0)
        house.server.links[0].status.state = LinkState.CONNECTED
        tick(10.0)
        assert (house.counted("link_s"), house.counted("link_down_s")) == (30, 20)


@virtually
async def test_while_it_runs_time_is_counted_four_times_a_second() -> None:
    with closing(headquarters(clock=LoopClock)) as house, running(house):
        await asyncio.sleep(10.1)
        assert house.counted("loop_ticks") == 40
        assert house.counted("load_stall") == house.counted("clock_steps") == 0
        assert house.counted("link_down_s") == house.counted("link_s") == 30


@virtually
async def test_commits_are_counted_and_slow_ones_apart() -> None:
    with closing(headquarters()) as house:
        await house.node.station.commit(house.node.station.work())
        house.server._on_committed(0.1)
        house.server._on_committed(0.11)
        assert (house.counted("journal_commits"), house.counted("journal_latency_high")) == (3, 1)


async def test_what_happens_to_orders_is_counted_and_what_is_lost_apart() -> None:
    with closing(headquarters()) as house:
        chain = Chain.at(State.CONFIRMED)
        await house.node.load(chain.record)
        for event in (chain.add(Input.LOSE), chain.add(Input.BEGIN)):
            work = house.node.station.work()
            work.record(event)
            await house.node.commit(work)
        await asyncio.sleep(0)
        assert (house.counted("order_events"), house.counted("orders_unknown")) == (3, 1)


@virtually
async def test_headquarters_looks_at_the_time_several_times_a_second() -> None:
    with closing(headquarters()) as house:
        await house.node.load(Chain.at(State.READ_BACK).record)
        running = house.start()
        await asyncio.sleep(1)
        assert house.state() is State.READ_BACK
        house.node.clock.ms = VALID_UNTIL_MS
        await asyncio.sleep(0.3)
        assert house.state() is State.EXPIRED
        running.cancel()


@virtually
async def test_a_plant_that_is_never_heard_of_is_lost_after_its_time_and_found_by_what_it_says() -> None:
    with closing(headquarters()) as house:
        chain = Chain.at(State.CONFIRMED)
        await house.node.load(chain.record)
        running = house.start()
        await asyncio.sleep(14.9)
        assert house.state() is State.CONFIRMED
        await asyncio.sleep(0.5)
        assert house.state() is State.UNKNOWN
        begin = chain.event(Input.BEGIN)
        await house.node.take(house.server.links[1].policy, "plant-1", up(begin))
        await asyncio.sleep(14)
        assert house.state() is State.EXECUTING
        running.cancel()


@virtually
async def test_a_center_decides_nothing_about_time() -> None:
    with closing(center()) as house:
        await house.node.load(Chain.at(State.READ_BACK).record)
        house.node.clock.ms = VALID_UNTIL_MS
        running = house.start()
        await asyncio.sleep(60)
        assert house.state() is State.READ_BACK
        running.cancel()


# --- the whole ---


@virtually
async def test_each_configured_node_is_dialled_and_nobody_else() -> None:
    with closing(headquarters()) as house:
        running = house.start()
        await asyncio.sleep(0.05)
        assert sorted(house.dials) == ["center-1", "desk-1", "plant-1"]
        running.cancel()


async def test_only_a_server_with_a_superior_has_a_door() -> None:
    with closing(headquarters()) as house, closing(center()) as below:
        assert house.server.listener is None
        assert below.server.listener
        assert below.server.listener.superior == "hq"


async def test_questions_about_people_reach_the_people() -> None:
    with closing(headquarters()) as house:
        question = LogoutRequest(person="li", session=bytes(16))
        assert await house.server.answer("desk-1", question) == DoneReply()
        assert house.people.asked == [("desk-1", question)]


async def test_orders_for_a_plant_behind_a_center_take_its_way() -> None:
    with closing(headquarters()) as house:
        policy = house.server.links[0].policy
        question = AskItem(to="", order="o-1", head=bytes(32))
        assert (await house.node.take(policy, "center-1", question)).notes("security")
        assert all(link.policy is policy for link in house.server.links)


@virtually
async def test_a_journal_that_fails_ends_the_server() -> None:
    with closing(headquarters()) as house:
        running = house.start()
        await asyncio.sleep(1)
        house.node.writer.broken = True
        house.node.station.acknowledged("plant-1")
        with pytest.raises(ExceptionGroup) as failure:
            await running
        assert isinstance(failure.value.exceptions[0], JournalError)


# --- what does not verify ---


async def test_an_event_that_does_not_verify_is_counted_and_raises_an_alarm_about_its_station() -> None:
    with closing(headquarters()) as house:
        chain = Chain.at(State.DRAFTED)
        forged = up(chain.record.events[0]).model_copy(update={"signature": bytes(64)})
        assert house.server._headquarters
        await house.node.take(house.server._headquarters, "desk-1", forged)
        assert house.server.counters.snapshot()["signature_failed"] == 1
        await house.server.guard.tick(house.server._now(), lambda _node: True, [])
        (alarm,) = house.server.guard.alarms.view()["alarms"]
        assert (alarm["node"], alarm["kind"], alarm["level"]) == ("desk-1", "signature", "high")


async def test_a_posture_that_this_program_does_not_know_is_held_until_a_person_releases_it() -> None:
    with closing(headquarters()) as house:
        work = house.node.station.work()
        work.batch.meta["posture of plant-1"] = b"WILD"
        await house.node.station.commit(work)
        house.restart()
        assert house.server.awareness.posture_of(["plant-1"]) is Posture.HELD


# --- questions about people ---


async def test_more_questions_at_once_than_a_server_answers_are_refused_by_name_and_counted() -> None:
    with closing(headquarters()) as house:
        house.server.open_requests = MAX_REQUESTS_IN_ALL
        question = LogoutRequest(person="li", session=bytes(16))
        reply = await house.server.answer("desk-1", question)
        assert isinstance(reply, RefusedReply)
        assert (reply.code, reply.retry_after_s) == ("limit", 5)
        assert house.counted("requests_refused") == 1
        assert house.people.asked == []
        house.server.open_requests -= 1
        assert await house.server.answer("desk-1", question) == DoneReply()
        assert house.server.open_requests == MAX_REQUESTS_IN_ALL - 1
