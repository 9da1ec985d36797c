"""dispatch_server/awareness/store.py: curves on disk, in a file of their own, all of a save or nothing."""

import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dispatch_server.awareness.store import TelemetryStore
from protocol.errors import ConfigurationRefused
from tests.dispatch_server.awareness.support import chunk, kept
from tests.support.pki import NOW_MS

DAY_MS = 86_400_000
USUAL = {("plant-1", "network_flow"): b"usual"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.db"


@pytest.fixture
def store(path: Path) -> Iterator[TelemetryStore]:
    with closing(TelemetryStore(path)) as opened:
        yield opened


def test_what_was_kept_is_there_after_it_was_opened_again(path: Path) -> None:
    with closing(TelemetryStore(path)) as store:
        store.add([chunk()], USUAL, drop_before_ms=0)
    with closing(TelemetryStore(path)) as again:
        assert kept(again) == [chunk()]
        assert again.usual() == USUAL


def test_both_tables_hold_to_their_types(store: TelemetryStore) -> None:
    tables = dict(store._sql.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    assert set(tables) == {"chunks", "usual"}
    assert all("STRICT" in sql for sql in tables.values())


def test_a_chunk_that_is_written_again_is_there_once(store: TelemetryStore) -> None:
    store.add([chunk()], {}, drop_before_ms=0)
    store.add([chunk()], USUAL, drop_before_ms=0)
    store.add([], USUAL | {("plant-1", "network_flow"): b"newer"}, drop_before_ms=0)
    assert kept(store) == [chunk()]
    assert store.usual() == {("plant-1", "network_flow"): b"newer"}


def test_chunks_are_found_by_node_and_by_time_in_their_order(store: TelemetryStore) -> None:
    early, late, other = chunk(), chunk(first_ms=NOW_MS + 60_000), chunk("plant-0")
    store.add([late, other, early], {}, drop_before_ms=0)
    assert kept(store) == [other, early, late]
    assert kept(store, "plant-1") == [early, late]
    ends = early.last_ms
    assert list(store.chunks(node="plant-1", since_ms=ends, until_ms=late.first_ms)) == [early]
    assert list(store.chunks(node="plant-1", since_ms=ends + 1, until_ms=late.first_ms + 1)) == [late]


# --- what is dropped ---


def test_what_ended_too_long_ago_is_dropped(store: TelemetryStore) -> None:
    old, new = chunk(), chunk(first_ms=NOW_MS + 60_000)
    store.add([old, new], {}, drop_before_ms=old.last_ms)
    assert kept(store) == [old, new]
    store.add([], {}, drop_before_ms=old.last_ms + 1)
    assert kept(store) == [new]


def test_a_wall_clock_that_is_years_ahead_costs_a_day_of_history_and_not_all(store: TelemetryStore) -> None:
    days = [chunk(first_ms=NOW_MS + day * DAY_MS) for day in range(30)]
    store.add(days, {}, drop_before_ms=0)
    store.add([], {}, drop_before_ms=NOW_MS + 10_000 * DAY_MS)
    assert kept(store) == days[1:]


def test_history_of_years_is_dropped_day_by_day_until_none_is_too_old(store: TelemetryStore) -> None:
    days = [chunk(first_ms=NOW_MS + day * DAY_MS) for day in range(30)]
    store.add(days, {}, drop_before_ms=0)
    for _ in range(40):
        store.add([], {}, drop_before_ms=days[20].first_ms)
    assert kept(store) == days[20:]


# --- all or nothing ---


def test_a_save_that_fails_in_its_middle_leaves_everything_as_it_was(store: TelemetryStore) -> None:
    store.add([chunk()], USUAL, drop_before_ms=0)
    bad: dict[Any, Any] = {("plant-2", "network_flow"): b"x", ("plant-1", "network_flow"): None}
    with pytest.raises(sqlite3.Error):
        store.add([chunk("plant-2")], bad, drop_before_ms=1 << 62)
    assert kept(store) == [chunk()]
    assert store.usual() == USUAL
    store.add([chunk("plant-2")], {}, drop_before_ms=0)
    assert len(kept(store)) == 2


def test_a_disk_that_is_full_is_an_error_of_sqlite_and_the_store_goes_on_when_there_is_room(
    store: TelemetryStore,
) -> None:
    (pages,) = store._sql.execute("PRAGMA page_count").fetchone()
    store._sql.execute(f"PRAGMA max_page_count={pages}")
    big = {("plant-1", str(index)): bytes(3000) for index in range(100)}
    with pytest.raises(sqlite3.Error, match="full"):
        store.add([], big, drop_before_ms=0)
    assert store.usual() == {}
    store._sql.execute("PRAGMA max_page_count=100000")
    store.add([], big, drop_before_ms=0)
    assert len(store.usual()) == 100


# --- whose file it is ---


def test_nobody_else_may_read_the_files(path: Path, store: TelemetryStore) -> None:
    store.add([chunk()], {}, drop_before_ms=0)
    files = list(path.parent.iterdir())
    assert len(files) > 1  # its journal too
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_a_folder_that_is_not_there_is_made_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "var" / "telemetry.db"
    TelemetryStore(path).close()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["with space.db", "100%.db", "what?mode=memory", "a#b.db", "电网.db"])
def test_any_name_of_a_file_is_a_name_and_nothing_else(tmp_path: Path, name: str) -> None:
    with closing(TelemetryStore(tmp_path / name)) as store:
        store.add([chunk()], {}, drop_before_ms=0)
    assert name in {file.name for file in tmp_path.iterdir()}
    with closing(TelemetryStore(tmp_path / name, read_only=True)) as again:
        assert kept(again) == [chunk()]


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE orders (id)", "PRAGMA application_id=7", "CREATE TABLE chunks (node)"]
)
def test_another_programs_file_is_refused_and_left_alone(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(statement)
        other.commit()
    before = path.read_bytes()
    with pytest.raises(ConfigurationRefused, match="another program"):
        TelemetryStore(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"the minutes of a meeting" * 100)
    with pytest.raises(ConfigurationRefused, match="not a database"):
        TelemetryStore(path)
    assert path.read_bytes() == b"the minutes of a meeting" * 100


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused, match=r"telemetry\.store"):
        TelemetryStore(tmp_path)


# --- only reading ---


def test_who_only_reads_sees_what_is_there_while_it_is_written_and_writes_nothing(
    path: Path, store: TelemetryStore
) -> None:
    store.add([chunk()], USUAL, drop_before_ms=0)
    with closing(TelemetryStore(path, read_only=True)) as reader:
        assert kept(reader) == [chunk()]
        store.add([chunk("plant-2")], {}, drop_before_ms=0)
        assert len(kept(reader)) == 2
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.add([chunk("plant-3")], {}, drop_before_ms=0)


def test_who_only_reads_makes_no_file(path: Path) -> None:
    with pytest.raises(ConfigurationRefused, match=r"telemetry\.store"):
        TelemetryStore(path, read_only=True)
    assert not path.exists()


def test_who_only_reads_refuses_an_empty_file(path: Path) -> None:
    path.touch()
    with pytest.raises(ConfigurationRefused, match="another program"):
        TelemetryStore(path, read_only=True)
