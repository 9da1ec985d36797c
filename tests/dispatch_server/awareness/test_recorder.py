"""dispatch_server/awareness/recorder.py: a disk that fails is told and counted, and costs nothing else."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dispatch_server.awareness import recorder as room
from dispatch_server.awareness.recorder import Recorder
from dispatch_server.awareness.store import TelemetryStore
from dispatch_server.counters import Counters
from situational import Metric
from situational import Sample as SeriesSample
from situational.chunk import decode
from tests.dispatch_server.awareness.support import BrokenStore, chunk, kept
from tests.support.pki import NOW_MS

KEY = ("plant-1", "network_flow")
READING = SeriesSample(100.0, {Metric.NETWORK_FLOW: 7.0, Metric.MEMORY_USED: 9.0})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.db"


@pytest.fixture
def disk(path: Path) -> Iterator[BrokenStore]:
    store = BrokenStore(path)
    yield store
    store.close()


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def recorder(disk: BrokenStore, counters: Counters) -> Recorder:
    return Recorder(disk, counters, keep_days=30)


def times_of(path: Path, metric: str = "network_flow") -> list[int]:
    store = TelemetryStore(path, read_only=True)
    found = [decode(c.data).at_ms.tolist() for c in kept(store) if c.metric == metric]
    store.close()
    return [ms - NOW_MS for times in found for ms in times]


async def test_each_reading_is_in_the_file_after_closing(path: Path, counters: Counters) -> None:
    recorder = Recorder(TelemetryStore(path), counters, keep_days=30)
    for index in range(300):
        recorder.take("plant-1", READING, NOW_MS + index * 5_000)
    await recorder.close({KEY: b"usual"}, NOW_MS)
    assert times_of(path) == times_of(path, "memory_used") == [index * 5_000 for index in range(300)]
    store = TelemetryStore(path, read_only=True)
    assert store.usual() == {KEY: b"usual"}
    store.close()


async def test_without_a_store_nothing_is_gathered(counters: Counters) -> None:
    recorder = Recorder(None, counters, keep_days=30)
    recorder.take("plant-1", READING, NOW_MS)
    assert await recorder.usual() == {}
    assert await recorder.save({KEY: b"usual"}, NOW_MS)
    assert not recorder._chunker._open
    assert not recorder._usual
    await recorder.close({}, NOW_MS)


async def test_what_is_older_than_the_days_to_keep_is_dropped(disk: BrokenStore, recorder: Recorder) -> None:
    disk.broken = False
    disk.add([chunk()], {}, drop_before_ms=0)
    days_30 = chunk().last_ms + 30 * 86_400_000
    await recorder.save({}, days_30)
    assert kept(disk)
    await recorder.save({}, days_30 + 1)
    assert not kept(disk)


# --- a disk that fails ---


async def test_what_could_not_be_written_is_counted_and_written_later(
    disk: BrokenStore, recorder: Recorder, counters: Counters
) -> None:
    recorder._finished = [chunk()]
    assert not await recorder.save({KEY: b"usual"}, NOW_MS)
    assert not await recorder.save({}, NOW_MS)
    assert counters.snapshot()["storage_faults"] == 2
    disk.broken = False
    assert await recorder.save({}, NOW_MS)
    assert kept(disk) == [chunk()]
    assert disk.usual() == {KEY: b"usual"}
    await recorder.save({}, NOW_MS)
    assert disk.writes[-1] == ([], {})


async def test_the_newest_of_what_waits_is_what_is_written(disk: BrokenStore, recorder: Recorder) -> None:
    await recorder.save({KEY: b"older"}, NOW_MS)
    disk.broken = False
    await recorder.save({KEY: b"newer"}, NOW_MS)
    assert disk.usual() == {KEY: b"newer"}


async def test_what_waits_for_the_disk_is_bounded_and_the_newest_is_kept(
    monkeypatch: pytest.MonkeyPatch, recorder: Recorder
) -> None:
    monkeypatch.setattr(room, "_MAX_WAITING", 3)
    chunks = [chunk(first_ms=NOW_MS + index * 10_000) for index in range(5)]
    for each in chunks:
        recorder._finished.append(each)
        await recorder.save({}, NOW_MS)
    assert recorder._finished == chunks[-3:]


async def test_what_cannot_be_read_at_the_start_is_counted_and_learned_anew(
    recorder: Recorder, counters: Counters
) -> None:
    assert await recorder.usual() == {}
    assert counters.snapshot()["storage_faults"] == 1


async def test_closing_with_a_disk_that_fails_raises_nothing_and_closes_the_file(
    disk: BrokenStore, recorder: Recorder, counters: Counters
) -> None:
    recorder.take("plant-1", READING, NOW_MS)
    await recorder.close({}, NOW_MS)
    assert counters.snapshot()["storage_faults"] == 1
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        kept(disk)


async def test_a_save_that_is_cancelled_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, disk: BrokenStore, recorder: Recorder
) -> None:
    disk.broken = False
    loop = asyncio.get_running_loop()
    hung: asyncio.Future[None] = loop.create_future()

    def hang(_executor: object, _work: Callable[[], None]) -> "asyncio.Future[None]":
        return hung

    recorder._finished = [chunk()]
    with monkeypatch.context() as patched:
        patched.setattr(loop, "run_in_executor", hang)
        saving = loop.create_task(recorder.save({KEY: b"usual"}, NOW_MS))
        await asyncio.sleep(0)
        saving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving
    await recorder.save({}, NOW_MS)
    assert kept(disk) == [chunk()]
    assert disk.usual() == {KEY: b"usual"}


async def test_what_comes_in_while_the_disk_writes_is_written_the_next_time(
    monkeypatch: pytest.MonkeyPatch, disk: BrokenStore, recorder: Recorder
) -> None:
    disk.broken = False
    late = chunk("plant-2")
    original = disk.add

    def add(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        recorder._finished.append(late)

    monkeypatch.setattr(disk, "add", add)
    recorder._finished = [chunk()]
    await recorder.save({}, NOW_MS)
    assert recorder._finished == [late]


# --- clocks ---


async def test_a_wall_clock_that_was_set_back_costs_no_reading(path: Path, counters: Counters) -> None:
    recorder = Recorder(TelemetryStore(path), counters, keep_days=30)
    for ms in (100_000, 105_000, 10_000, 15_000):
        recorder.take("plant-1", READING, NOW_MS + ms)
    await recorder.close({}, NOW_MS)
    assert times_of(path) == [10_000, 15_000, 100_000, 105_000]


async def test_a_wall_clock_that_was_years_ahead_does_not_silence_history_until_then(
    path: Path, counters: Counters
) -> None:
    recorder = Recorder(TelemetryStore(path), counters, keep_days=30)
    recorder.take("plant-1", READING, NOW_MS + 10**11)
    recorder.take("plant-1", READING, NOW_MS)
    await recorder.close({}, NOW_MS)
    assert times_of(path) == [0, 10**11]


@pytest.mark.parametrize("ms", [-1, 1 << 60])
async def test_a_wall_clock_that_names_no_time_costs_the_reading_and_raises_nothing(
    ms: int, path: Path, counters: Counters
) -> None:
    recorder = Recorder(TelemetryStore(path), counters, keep_days=30)
    recorder.take("plant-1", READING, ms)
    recorder.take("plant-1", READING, NOW_MS)
    await recorder.close({}, NOW_MS)
    assert times_of(path) == [0]
