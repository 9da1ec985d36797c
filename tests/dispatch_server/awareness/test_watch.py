"""dispatch_server/awareness/watch.py: readings in, letters adopted, and a posture for each node by itself."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from dispatch_server.awareness import watch
from dispatch_server.awareness.watch import Awareness
from protocol.messages import Sample
from situational import METRICS, NO_TREND, Letter, Metric, Posture, Trend
from tests.support.pki import NOW_MS

STEP = 5.0  # s between two readings
VOTES = 12  # classifications after which a new letter is adopted for certain
SIZES = {
    "logged_in_nodes": 40.0,
    "network_flow": 2e6,
    "external_connections": 300.0,
    "memory_used": 4e9,
}
Moves = list[tuple[str, Posture, Posture, str]]


def sample(node: str, share: float | None = 1.0, **values: float | None) -> Sample:
    """A reading: the usual size of each metric times `share`, unless a test says otherwise."""
    usual = {name: None if share is None else size * share for name, size in SIZES.items()}
    return Sample(node=node, at_ms=NOW_MS, **usual | values)


def surge(u: float) -> float:
    """A curve of class B: it grows, faster and faster, to four times its size."""
    return 1 + 3 * math.expm1(4 * u) / math.expm1(4)


@pytest.fixture
def moves() -> Moves:
    return []


@pytest.fixture
def awareness(moves: Moves) -> Awareness:
    return Awareness(lambda *move: moves.append(move))


class Script:
    """Tells what each window is, in the place of `classify_windows`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, awareness: Awareness) -> None:
        self.letters: dict[str, Mapping[Metric, Letter]] = {}
        self._awareness = awareness
        monkeypatch.setattr(watch, "classify_windows", self._classify)

    def _classify(self, _windows: object) -> dict[tuple[str, Metric], Trend]:
        return {
            (node, metric): trend_of(letter)
            for node, letters in self.letters.items()
            for metric, letter in letters.items()
        }

    async def say(self, node: str, *letters: Letter, ticks: int = VOTES) -> None:
        """A node's four windows are of these letters (or all of the one) for so many ticks."""
        four = letters * len(METRICS) if len(letters) == 1 else letters
        self.letters[node] = dict(zip(METRICS, four, strict=True))
        for _ in range(ticks):
            await self._awareness.tick()


def trend_of(letter: Letter) -> Trend:
    """A sure trend; rising ones rise by ten times what any metric counts as large."""
    return replace(NO_TREND, letter=letter, confidence=0.9, start=1e6, rise=1e9 if letter in RISING else 0.0)


RISING = {Letter.B, Letter.C, Letter.D}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, awareness: Awareness) -> Script:
    return Script(monkeypatch, awareness)


# --- from readings to a posture ---


async def feed(awareness: Awareness, node: str, curve: Callable[[float], float], start: float) -> float:
    """A window of readings along a curve over [0, 1], then enough ticks to adopt what they say."""
    count = 60
    for index in range(count):
        awareness.take([sample(node, curve(index / (count - 1)))], start + index * STEP)
    for _ in range(VOTES):
        await awareness.tick()
    return start + count * STEP


async def test_a_surge_of_all_four_curves_holds_the_node_until_they_are_calm_again(
    awareness: Awareness, moves: Moves
) -> None:
    after = await feed(awareness, "plant-1", surge, 100.0)
    assert set(awareness.nodes["plant-1"].letters.values()) == {"B"}
    assert awareness.posture_of(["plant-1"]) is Posture.HELD
    await feed(awareness, "plant-1", lambda u: 4.0, after)
    assert set(awareness.nodes["plant-1"].letters.values()) == {"A"}
    assert [(node, before, now) for node, before, now, _ in moves] == [
        ("plant-1", Posture.NORMAL, Posture.HELD),
        ("plant-1", Posture.HELD, Posture.NORMAL),
    ]


async def test_a_letter_is_adopted_only_when_it_lasts(awareness: Awareness, script: Script) -> None:
    await script.say("plant-1", Letter.B, ticks=8)
    assert set(awareness.nodes["plant-1"].letters.values()) == {"none"}
    assert awareness.posture_of(["plant-1"]) is Posture.NORMAL
    await script.say("plant-1", Letter.B, ticks=1)
    assert set(awareness.nodes["plant-1"].letters.values()) == {"B"}
    assert awareness.posture_of(["plant-1"]) is Posture.HELD


# --- each node by itself ---


async def test_the_posture_of_one_node_leaves_the_others_alone(awareness: Awareness, script: Script) -> None:
    await script.say("plant-2", Letter.A)
    await script.say("plant-1", Letter.B)
    assert awareness.posture_of(["plant-2", "hq", "desk-1"]) is Posture.NORMAL
    assert awareness.posture_of(["plant-2", "plant-1"]) is Posture.HELD
    assert awareness.posture is Posture.HELD


async def test_a_node_that_nothing_is_known_of_is_normal(awareness: Awareness) -> None:
    assert awareness.posture_of(["plant-9", ""]) is Posture.NORMAL
    assert awareness.posture_of([]) is Posture.NORMAL


async def test_each_change_is_told_once_with_what_was_before_and_why(script: Script, moves: Moves) -> None:
    await script.say("plant-1", Letter.B, Letter.B, Letter.A, Letter.A)
    await script.say("plant-1", Letter.B)
    assert [(before, after) for _, before, after, _ in moves] == [
        (Posture.NORMAL, Posture.RESTRICTED),
        (Posture.RESTRICTED, Posture.HELD),
    ]
    assert [why for *_, why in moves] == ["high", "major"]


# --- held is latched ---


async def test_curves_that_cannot_be_judged_any_more_do_not_end_a_danger(
    awareness: Awareness, script: Script
) -> None:
    await script.say("plant-1", Letter.B)
    await script.say("plant-1", Letter.NONE)
    assert awareness.posture_of(["plant-1"]) is Posture.HELD
    await script.say("plant-1", Letter.A, Letter.A, Letter.A, Letter.NONE)
    assert awareness.posture_of(["plant-1"]) is Posture.HELD


async def test_held_ends_when_all_four_can_be_judged_and_none_is_dangerous(
    awareness: Awareness, script: Script
) -> None:
    await script.say("plant-1", Letter.B)
    await script.say("plant-1", Letter.NONE)
    await script.say("plant-1", Letter.A, Letter.A, Letter.F, Letter.G)
    assert awareness.posture_of(["plant-1"]) is Posture.NORMAL


async def test_held_ends_by_a_persons_word_and_the_name_is_kept(
    awareness: Awareness, script: Script, moves: Moves
) -> None:
    await script.say("plant-1", Letter.B)
    await script.say("plant-1", Letter.NONE)
    awareness.release("zhao")
    assert awareness.posture is Posture.NORMAL
    assert moves[-1][1:] == (Posture.HELD, Posture.NORMAL, "released by zhao")
    await script.say("plant-1", Letter.NONE)
    assert awareness.posture is Posture.NORMAL


async def test_after_a_persons_word_what_was_measured_before_no_longer_counts(awareness: Awareness) -> None:
    after = await feed(awareness, "plant-1", surge, 100.0)
    awareness.release("zhao")
    for _ in range(VOTES):
        await awareness.tick()
    assert awareness.posture_of(["plant-1"]) is Posture.NORMAL
    await feed(awareness, "plant-1", surge, after)
    assert awareness.posture_of(["plant-1"]) is Posture.HELD


async def test_a_surge_that_goes_on_after_a_persons_word_is_found_again(
    awareness: Awareness, script: Script
) -> None:
    await script.say("plant-1", Letter.B)
    awareness.release("zhao")
    await script.say("plant-1", Letter.B)
    assert awareness.posture_of(["plant-1"]) is Posture.HELD


async def test_what_was_held_before_a_restart_is_held_after_it(
    awareness: Awareness, script: Script, moves: Moves
) -> None:
    awareness.restore({"plant-1": Posture.HELD, "plant-2": Posture.NORMAL})
    await script.say("plant-1", Letter.NONE)
    assert awareness.posture_of(["plant-1"]) is Posture.HELD
    assert awareness.posture_of(["plant-2"]) is Posture.NORMAL
    assert moves == []
    await script.say("plant-1", Letter.A)
    assert awareness.posture_of(["plant-1"]) is Posture.NORMAL


async def test_a_milder_posture_is_not_latched(awareness: Awareness, script: Script) -> None:
    await script.say("plant-1", Letter.B, Letter.B, Letter.A, Letter.A)
    assert awareness.posture_of(["plant-1"]) is Posture.RESTRICTED
    await script.say("plant-1", Letter.NONE)
    assert awareness.posture_of(["plant-1"]) is Posture.NORMAL


# --- bad readings ---


async def test_a_reading_is_stamped_with_our_clock_and_not_with_the_nodes(awareness: Awareness) -> None:
    """A node whose own clock stands still or jumps about is judged like any other."""
    for index in range(60):
        late = sample("plant-1", surge(index / 59)).model_copy(update={"at_ms": NOW_MS - index * 10**6})
        awareness.take([late], 100.0 + index * STEP)
    for _ in range(VOTES):
        await awareness.tick()
    assert set(awareness.nodes["plant-1"].letters.values()) == {"B"}


async def test_a_number_that_is_none_costs_its_reading_and_nothing_else(awareness: Awareness) -> None:
    broken = sample("plant-1").model_copy(update={"network_flow": math.nan})
    awareness.take([broken, sample("plant-2")], 100.0)
    assert "plant-2" in awareness._series
    assert "plant-1" not in awareness._series
    assert not awareness.is_silent("plant-1", 100.0, after_s=1.0)


async def test_a_metric_that_a_host_does_not_tell_is_left_out(awareness: Awareness) -> None:
    await feed(awareness, "plant-1", surge, 100.0)
    for index in range(60):
        awareness.take([sample("plant-2", None, memory_used=1e9)], 1000.0 + index * STEP)
    for _ in range(VOTES):
        await awareness.tick()
    letters = awareness.nodes["plant-2"].letters
    assert letters["memory_used"] == "A"
    assert letters["network_flow"] == "none"


async def test_beyond_the_largest_number_of_nodes_a_reading_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watch, "_MAX_NODES", 2)
    awareness = Awareness(lambda *_: None)
    awareness.take([sample("a"), sample("b"), sample("c")], 100.0)
    assert len(awareness._series) == 2


reading = st.none() | st.floats(min_value=0, max_value=1e18, allow_nan=False)  # what the wire lets in


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(reading, reading, reading, reading), min_size=10, max_size=30))
async def test_no_telemetry_stops_the_tick(rows: list[tuple[float | None, ...]]) -> None:
    awareness = Awareness(lambda *_: None)
    for index, row in enumerate(rows):
        values = dict(zip(SIZES, row, strict=True))
        awareness.take([sample("plant-1", None, **values)], 100.0 + index * STEP)
    await awareness.tick()
    assert awareness.nodes["plant-1"].hazard is not None


# --- silence ---


def test_a_node_is_silent_after_the_time_that_is_given_it(awareness: Awareness) -> None:
    awareness.heard("plant-1", 100.0)
    assert not awareness.is_silent("plant-1", 114.9, after_s=15.0)
    assert awareness.is_silent("plant-1", 115.0, after_s=15.0)
    awareness.heard("plant-1", 115.0)
    assert not awareness.is_silent("plant-1", 116.0, after_s=15.0)


def test_a_reading_is_a_sign_of_life(awareness: Awareness) -> None:
    awareness.take([sample("plant-1")], 100.0)
    assert not awareness.is_silent("plant-1", 110.0, after_s=15.0)


def test_a_node_that_was_never_heard_of_gets_its_time_first(awareness: Awareness) -> None:
    assert not awareness.is_silent("plant-1", 100.0, after_s=15.0)
    assert not awareness.is_silent("plant-1", 114.0, after_s=15.0)
    assert awareness.is_silent("plant-1", 115.0, after_s=15.0)
