"""dispatch_server/awareness/watch.py: readings in, dangers judged off the loop, a posture for each node."""

import asyncio
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from structlog.testing import capture_logs

from dispatch_server.awareness import watch
from dispatch_server.awareness.recorder import Recorder
from dispatch_server.awareness.store import TelemetryStore
from dispatch_server.awareness.watch import Awareness, Now
from dispatch_server.counters import Counters
from situational import Baseline, Cause, Change, Hazard, Level, Metric, Pass, Playbook, Posture
from tests.dispatch_server.awareness.support import STEP, at, hazard, sample, storm
from tests.dispatch_server.links.support import virtually
from tests.support.pki import NOW_MS

Moves = list[tuple[str, Change]]
BEGINS = 300.0  # s until the storm, in which what is steady is seen


@pytest.fixture
def moves() -> Moves:
    return []


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def awareness(moves: Moves, counters: Counters) -> Awareness:
    return awareness_of(moves, counters)


def awareness_of(moves: Moves, counters: Counters | None = None, **more: Any) -> Awareness:
    counters = counters or Counters()
    recorder = Recorder(more.pop("store", None), counters, keep_days=30)
    return Awareness(lambda *move: moves.append(move), recorder, counters, **more)


def went(moves: Moves) -> list[tuple[str, Posture, Posture, Cause]]:
    return [(node, change.before, change.after, change.cause) for node, change in moves]


async def feed(
    awareness: Awareness, curve: Callable[[float], float], begin: float, end: float, node: str = "plant-1"
) -> None:
    """A reading of all four metrics every five seconds, judged each time."""
    for index in range(round((end - begin) / STEP)):
        second = begin + index * STEP
        awareness.take([sample(node, curve(second))], at(second))
        await awareness.tick(at(second))


class Script:
    """Tells what was judged, in the place of the curves."""

    def __init__(self, awareness: Awareness) -> None:
        self.judged: dict[str, Hazard] = {}
        self._awareness = awareness
        self._second = 1000.0
        vars(awareness)["_watch"] = self
        self._waiting: list[object] = []
        self.reset_nodes: list[str] = []

    def snapshot(self, *_: object, **__: object) -> object:
        return self._waiting.pop() if self._waiting else None

    def judge(self, asked: object) -> object:
        return asked

    def adopt(self, _: object) -> dict[str, Hazard]:
        return self.judged

    def hazard(self, node: str) -> Hazard | None:
        return self.judged.get(node)

    def reset(self, node: str) -> None:
        self.reset_nodes.append(node)

    async def say(self, node: str, found: Hazard | Level, seconds: float = 0.0) -> None:
        """A node is judged so for so long."""
        self.judged = {node: found if isinstance(found, Hazard) else hazard(found)}
        for _ in range(round(seconds / STEP) + 1):
            self._waiting = [object()]
            await self._awareness.tick(at(self._second))
            self._second += STEP

    def release(self) -> None:
        self._awareness.release("zhao", self._second)


@pytest.fixture
def script(awareness: Awareness) -> Script:
    return Script(awareness)


# --- from readings to a posture ---


async def two_plants(awareness: Awareness, until: Posture | None = None) -> float:
    """Ten minutes of a storm at plant-1 and of nothing at plant-2, or until plant-1 is in a posture."""
    for index in range(120):
        second = index * STEP
        readings = [sample("plant-1", storm(second, BEGINS)), sample("plant-2", storm(second, 1e9))]
        awareness.take(readings, at(second))
        await awareness.tick(at(second))
        if awareness.posture_of(["plant-1"]) is until:
            return second
    return 600.0


async def test_a_storm_of_all_four_curves_holds_the_node_within_five_minutes_and_no_other(
    awareness: Awareness, moves: Moves
) -> None:
    assert BEGINS < await two_plants(awareness, Posture.HELD) < BEGINS + 300
    assert awareness.hazard("plant-1") == awareness.hazards()["plant-1"]
    assert {node for node, _ in moves} == {"plant-1"}
    assert moves[-1][1].level is Level.MAJOR
    assert set(awareness.letters("plant-1").values()) == {"B"}
    assert set(awareness.letters("plant-2").values()) == {"A"}
    assert awareness.nodes == ["plant-1", "plant-2"]


async def test_steady_curves_move_nothing(awareness: Awareness, moves: Moves) -> None:
    await feed(awareness, lambda second: storm(second, 1e9), 0, 900)
    assert moves == []
    assert awareness.posture is Posture.NORMAL


async def test_a_hold_stays_when_the_storm_is_over_until_a_person_ends_it(
    awareness: Awareness, moves: Moves
) -> None:
    await feed(awareness, lambda second: storm(second, BEGINS), 0, 600)
    await feed(awareness, lambda second: 10.0, 600, 1800)
    calm = awareness.hazard("plant-1")
    assert calm
    assert calm.level is Level.NORMAL
    assert awareness.posture_of(["plant-1"]) is Posture.HELD
    awareness.release("zhao", 1800)
    assert awareness.posture_of(["plant-1"]) is Posture.NORMAL
    assert (moves[-1][1].cause, moves[-1][1].person) == (Cause.PERSON, "zhao")


async def test_a_storm_that_goes_on_after_a_persons_word_is_found_again(awareness: Awareness) -> None:
    await feed(awareness, lambda second: storm(second, BEGINS), 0, 600)
    awareness.release("zhao", 600)
    await awareness.tick(at(600))
    assert awareness.posture_of(["plant-1"]) is Posture.NORMAL
    await feed(awareness, lambda second: storm(second, BEGINS), 600, 900)
    assert awareness.posture_of(["plant-1"]) is Posture.HELD


async def test_a_person_who_ends_one_nodes_hold_leaves_the_curves_of_the_others(awareness: Awareness) -> None:
    await two_plants(awareness)
    awareness.release("zhao", 600)
    assert awareness.hazard("plant-1") is None
    other = awareness.hazard("plant-2")
    assert other
    assert other.judged == 4


# --- postures by what was judged ---


@pytest.mark.parametrize(
    ("level", "posture"),
    [
        (Level.ADVISORY, Posture.NORMAL),
        (Level.MEDIUM, Posture.HEIGHTENED),
        (Level.HIGH, Posture.RESTRICTED),
        (Level.MAJOR, Posture.HELD),
    ],
)
async def test_each_danger_has_its_posture(
    awareness: Awareness, script: Script, level: Level, posture: Posture
) -> None:
    await script.say("plant-1", level)
    assert awareness.posture_of(["plant-1"]) is posture


async def test_the_posture_of_one_node_leaves_the_others_alone(awareness: Awareness, script: Script) -> None:
    await script.say("plant-2", Level.NORMAL)
    await script.say("plant-1", Level.MAJOR)
    assert awareness.posture_of(["plant-2", "hq", "desk-1"]) is Posture.NORMAL
    assert awareness.posture_of(["plant-2", "plant-1"]) is Posture.HELD
    assert awareness.posture is Posture.HELD


def test_a_node_that_nothing_is_known_of_is_normal(awareness: Awareness) -> None:
    assert awareness.posture_of(["plant-9", ""]) is Posture.NORMAL
    assert awareness.posture_of([]) is Posture.NORMAL
    assert awareness.hazard("plant-9") is None
    assert awareness.letters("plant-9") == {}


async def test_each_change_is_told_once_with_what_was_before_and_why(script: Script, moves: Moves) -> None:
    await script.say("plant-1", Level.HIGH, 60)
    await script.say("plant-1", Level.MAJOR, 60)
    assert went(moves) == [
        ("plant-1", Posture.NORMAL, Posture.RESTRICTED, Cause.HAZARD),
        ("plant-1", Posture.RESTRICTED, Posture.HELD, Cause.HAZARD),
    ]


async def test_a_milder_posture_ends_with_its_hazard_after_the_dwell(script: Script, moves: Moves) -> None:
    await script.say("plant-1", Level.HIGH)
    await script.say("plant-1", Level.NORMAL, 115)
    assert len(moves) == 1
    await script.say("plant-1", Level.NORMAL)
    assert went(moves)[1] == ("plant-1", Posture.RESTRICTED, Posture.NORMAL, Cause.HAZARD_END)


async def test_what_cannot_be_judged_ends_no_posture(awareness: Awareness, script: Script) -> None:
    await script.say("plant-1", Level.HIGH)
    await script.say("plant-1", hazard(Level.NORMAL, judged=0), 3600)
    assert awareness.posture_of(["plant-1"]) is Posture.RESTRICTED


async def test_a_metric_that_cannot_be_judged_only_delays_the_end(
    awareness: Awareness, script: Script
) -> None:
    await script.say("plant-1", Level.HIGH)
    await script.say("plant-1", hazard(Level.NORMAL, judged=3), 890)
    assert awareness.posture_of(["plant-1"]) is Posture.RESTRICTED
    await script.say("plant-1", hazard(Level.NORMAL, judged=3), 30)
    assert awareness.posture_of(["plant-1"]) is Posture.NORMAL


async def test_a_playbook_may_ask_for_another_posture(moves: Moves) -> None:
    postures = dict.fromkeys(Level, Posture.NORMAL) | {Level.MAJOR: Posture.HEIGHTENED}
    awareness = awareness_of(moves, playbook=Playbook(postures, frozenset({Posture.HEIGHTENED})))
    script = Script(awareness)
    await script.say("plant-1", Level.HIGH)
    assert moves == []
    await script.say("plant-1", Level.MAJOR)
    await script.say("plant-1", Level.NORMAL, 3600)
    assert awareness.posture is Posture.HEIGHTENED


async def test_a_persons_word_ends_every_posture_and_forgets_only_what_those_nodes_told(
    awareness: Awareness, script: Script, moves: Moves
) -> None:
    await script.say("plant-1", Level.MAJOR)
    await script.say("plant-2", Level.MEDIUM)
    await script.say("plant-3", Level.NORMAL)
    script.release()
    assert awareness.posture is Posture.NORMAL
    assert [change.person for _, change in moves[-2:]] == ["zhao", "zhao"]
    assert script.reset_nodes == ["plant-1", "plant-2"]
    script.release()
    assert len(moves) == 4


async def test_what_was_held_before_a_restart_is_held_after_it_and_told_to_nobody(
    awareness: Awareness, script: Script, moves: Moves
) -> None:
    awareness.restore({"plant-1": Posture.HELD, "plant-2": Posture.NORMAL}, 0.0)
    await script.say("plant-1", Level.NORMAL, 3600)
    assert awareness.posture_of(["plant-1"]) is Posture.HELD
    assert awareness.posture_of(["plant-2"]) is Posture.NORMAL
    assert moves == []
    script.release()
    assert awareness.posture is Posture.NORMAL


# --- judging is off the loop, and bounded ---


async def test_judging_does_not_keep_the_loop(monkeypatch: pytest.MonkeyPatch, awareness: Awareness) -> None:
    may_go, loop, begun = threading.Event(), asyncio.get_running_loop(), asyncio.Event()
    threads: list[threading.Thread] = []
    original = awareness._watch.judge

    def judge(asked: Pass) -> object:
        threads.append(threading.current_thread())
        loop.call_soon_threadsafe(begun.set)
        assert may_go.wait(60)
        return original(asked)

    monkeypatch.setattr(awareness._watch, "judge", judge)
    awareness.take([sample("plant-1")], at(0))
    ticking = loop.create_task(awareness.tick(at(0)))
    await begun.wait()
    awareness.take([sample("plant-1")], at(STEP))  # this could not run if judging kept the loop
    may_go.set()
    await ticking
    assert threading.main_thread() not in threads
    assert awareness.hazard("plant-1") is not None
    await awareness.close(NOW_MS)


@virtually
async def test_readings_without_end_do_not_keep_the_alarms_waiting() -> None:
    """What arrives while a pass is judged is judged by the next; a tick ends all the same."""
    awareness = awareness_of([])
    original: Any = awareness._watch.adopt
    passes = 0

    def adopt(judged: Any) -> Any:
        nonlocal passes
        passes += 1
        second = asyncio.get_running_loop().time()
        awareness.take([sample(f"plant-{passes}")], at(second))
        return original(judged)

    watched: Any = awareness._watch
    watched.adopt = adopt
    loop: Any = asyncio.get_running_loop()
    inline = loop.run_in_executor

    async def slowly(*args: Any) -> Any:
        await asyncio.sleep(0.5)
        return await inline(*args)

    loop.run_in_executor = slowly
    awareness.take([sample("plant-0")], at(0))
    await awareness.tick(at(0))
    assert passes == 11  # of half a second each, until five seconds are over


class Poisoned:
    """Judging fails for a pass with one node in it."""

    def __init__(self, awareness: Awareness, node: str) -> None:
        self._original = awareness._watch.judge
        vars(awareness._watch)["judge"] = self.judge
        self.node = node

    def judge(self, asked: Pass) -> object:
        if self.node in asked.nodes:
            raise FloatingPointError("tests")
        return self._original(asked)


async def test_a_node_that_judging_cannot_bear_does_not_blind_us_to_the_others(moves: Moves) -> None:
    awareness = awareness_of(moves)
    names = [f"plant-{index}" for index in range(5)]
    Poisoned(awareness, "plant-2")
    with capture_logs() as logs:
        for index in range(120):
            second = index * STEP
            awareness.take([sample(node, storm(second, BEGINS)) for node in names], at(second))
            await awareness.tick(at(second))
    assert {node for node, change in moves if change.after is Posture.HELD} == {*names} - {"plant-2"}
    assert {log["first"] for log in logs[1:]} == {"plant-2"}


async def test_when_judging_works_again_all_are_judged_together(awareness: Awareness) -> None:
    poison = Poisoned(awareness, "a")
    nodes = ["a", "b", "c"]
    for second in (0.0, STEP):
        awareness.take(map(sample, nodes), at(second))
        await awareness.tick(at(second))
    assert awareness._most == 1
    poison.node = ""
    awareness.take(map(sample, nodes), at(10))
    await awareness.tick(at(10))
    assert awareness._most == watch._PASS
    assert set(awareness.hazards()) == {*nodes}


# --- bad readings ---


async def test_a_reading_is_stamped_with_our_clock_and_not_with_the_nodes(awareness: Awareness) -> None:
    """A node whose own clock runs backwards is judged like any other."""
    for index in range(120):
        second = index * STEP
        late = sample("plant-1", storm(second, BEGINS)).model_copy(update={"at_ms": NOW_MS - index * 10**6})
        awareness.take([late], at(second))
        await awareness.tick(at(second))
    assert awareness.posture_of(["plant-1"]) is Posture.HELD


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_costs_its_reading_and_nothing_else(
    awareness: Awareness, counters: Counters, number: float
) -> None:
    broken = sample("plant-1").model_copy(update={"network_flow": number})
    awareness.take([broken, sample("plant-2")], at(100))
    assert "plant-2" in awareness._watch
    assert "plant-1" not in awareness._watch
    assert not awareness.is_silent("plant-1", 100.0, after_s=1.0)
    counts = counters.snapshot()
    assert (counts["readings"], counts["readings_refused"]) == (2, 1)


def test_a_sign_of_life_is_no_reading(awareness: Awareness, counters: Counters) -> None:
    awareness.take([sample("plant-1", None)], at(100))
    assert "plant-1" not in awareness._watch
    assert counters.snapshot()["readings"] == 0
    assert not awareness.is_silent("plant-1", 110.0, after_s=15.0)


async def test_a_metric_that_a_host_does_not_tell_is_left_out(awareness: Awareness) -> None:
    for index in range(60):
        awareness.take([sample("plant-1", None, memory_used=1e9)], at(index * STEP))
        await awareness.tick(at(index * STEP))
    letters = awareness.letters("plant-1")
    assert letters["memory_used"] == "A"
    assert letters["network_flow"] == "none"
    judged = awareness.hazard("plant-1")
    assert judged
    assert judged.judged == 1


def test_beyond_the_largest_number_of_nodes_a_reading_is_refused(
    monkeypatch: pytest.MonkeyPatch, counters: Counters
) -> None:
    monkeypatch.setattr(watch, "MAX_NODES", 2)
    awareness = awareness_of([], counters)
    awareness.take(map(sample, "abc"), at(100))
    assert [node in awareness._watch for node in "abc"] == [True, True, False]
    assert counters.snapshot()["readings_refused"] == 1


def test_a_node_that_is_refused_all_the_time_has_a_line_a_minute_in_the_log(
    awareness: Awareness, counters: Counters
) -> None:
    broken = sample("plant-1").model_copy(update={"network_flow": math.nan})
    with capture_logs() as logs:
        for second in range(120):
            awareness.take([broken], at(second))
    assert len(logs) == 2
    assert counters.snapshot()["readings_refused"] == 120


async def test_a_node_that_tells_far_too_much_is_heard_at_its_rhythm(
    counters: Counters, tmp_path: Path
) -> None:
    """Neither the disk nor the curve takes in more than two readings in a period."""
    store = TelemetryStore(tmp_path / "telemetry.db")
    awareness = awareness_of([], counters, store=store)
    for index in range(10_000):
        awareness.take([sample("plant-1")] * 3, at(index / 100))
    assert counters.snapshot()["readings"] == 40
    assert len(awareness._recorder._chunker.flush()[0].data) < 1000
    assert not awareness.is_silent("plant-1", 100.0, after_s=1.0)
    await awareness.close(NOW_MS)


async def test_a_node_cannot_make_a_storm_of_a_slow_rise_by_telling_it_fast(
    awareness: Awareness, moves: Moves
) -> None:
    """It doubles in three hours; told a hundred times as fast it would double in two minutes."""
    for index in range(12_000):
        second = index / 20
        awareness.take([sample("plant-1", 2.0 ** (second / 10_800))], at(second))
        if index % 100 == 0:
            await awareness.tick(at(second))
    assert awareness.posture_of(["plant-1"]) is Posture.NORMAL
    assert moves == []


reading = st.none() | st.floats(min_value=0, max_value=1e18, allow_nan=False)  # what the wire lets in


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(reading, reading, reading, reading), min_size=10, max_size=70))
async def test_no_telemetry_stops_the_tick(rows: list[tuple[float | None, ...]]) -> None:
    awareness = awareness_of([])
    names = [metric.value for metric in Metric]
    with capture_logs() as logs:
        for index, row in enumerate(rows):
            values = dict(zip(names, row, strict=True))
            awareness.take([sample("plant-1", None, **values), sample("plant-2")], at(index * STEP))
            await awareness.tick(at(index * STEP))
    assert logs == []
    assert awareness.hazard("plant-2") is not None
    await awareness.close(NOW_MS)


# --- silence ---


def test_a_node_is_silent_after_the_time_that_is_given_it(awareness: Awareness) -> None:
    awareness.heard("plant-1", 100.0)
    assert not awareness.is_silent("plant-1", 114.9, after_s=15.0)
    assert awareness.is_silent("plant-1", 115.0, after_s=15.0)
    awareness.heard("plant-1", 115.0)
    assert not awareness.is_silent("plant-1", 116.0, after_s=15.0)


def test_a_reading_is_a_sign_of_life(awareness: Awareness) -> None:
    awareness.take([sample("plant-1")], at(100.0))
    assert not awareness.is_silent("plant-1", 110.0, after_s=15.0)


def test_a_node_that_was_never_heard_of_gets_its_time_first(awareness: Awareness) -> None:
    assert not awareness.is_silent("plant-1", 100.0, after_s=15.0)
    assert not awareness.is_silent("plant-1", 114.0, after_s=15.0)
    assert awareness.is_silent("plant-1", 115.0, after_s=15.0)


# --- what is usual ---


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.db"


async def test_what_is_usual_is_there_after_a_restart(path: Path) -> None:
    before = awareness_of([], store=TelemetryStore(path))
    await feed(before, lambda second: storm(second, 1e9), 0, 1300)
    learned = before._watch._baselines["plant-1"]
    await before.close(NOW_MS)
    after = awareness_of([], store=TelemetryStore(path))
    await after.load()
    restored = after._watch._baselines["plant-1"]
    assert {metric: b.to_bytes() for metric, b in restored.items()} == {
        metric: b.to_bytes() for metric, b in learned.items()
    }
    await after.close(NOW_MS)


async def test_what_is_usual_and_cannot_be_read_is_learned_anew(path: Path) -> None:
    store = TelemetryStore(path)
    good = Baseline()
    usual = {
        ("plant-1", "network_flow"): good.to_bytes(),
        ("plant-1", "memory_used"): b"damaged",
        ("plant-2", "no_such_metric"): good.to_bytes(),
    }
    store.add([], usual, drop_before_ms=0)
    awareness = awareness_of([], store=store)
    with capture_logs() as logs:
        await awareness.load()
    assert len(logs) == 2
    assert list(awareness._watch._baselines["plant-1"]) == [Metric.NETWORK_FLOW]
    await awareness.close(NOW_MS)


async def test_what_is_usual_of_many_nodes_is_packed_in_slices(
    monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    monkeypatch.setattr(watch, "_SLICE", 3)
    store = TelemetryStore(path)
    awareness = awareness_of([], store=store)
    names = [f"plant-{index}" for index in range(5)]
    for index in range(260):
        awareness.take(map(sample, names), at(index * STEP))
        await awareness.tick(at(index * STEP))
    await awareness.save(NOW_MS)
    assert len(store.usual()) == 20
    await awareness.load()
    await awareness.close(NOW_MS)


def test_a_wall_clock_that_jumps_about_stops_nothing() -> None:
    @virtually
    async def check() -> None:
        moves: Moves = []
        awareness = awareness_of(moves)
        for index in range(120):
            second = index * STEP
            wall_ms = NOW_MS + (-1) ** index * 86_400_000 * index
            now = Now(second, wall_ms, 3600.0 * (index % 3))
            awareness.take([sample("plant-1", storm(second, BEGINS))], now)
            await awareness.tick(now)
        assert awareness.posture_of(["plant-1"]) is Posture.HELD

    check()
