import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from protocol.journal.batch import Batch, Entry, Head, OrderRow, Pending
from protocol.journal.file import SCHEMA_VERSION, JournalError, JournalFile, entry_hash
from protocol.lifecycle import Input, State
from protocol.outbox import Mark
from tests.protocol.journal.ledgers import (
    EVERYDAY,
    PLACES,
    damage,
    event_batch,
    everyday,
    note,
    notes,
    open_journal,
    tampering,
    verify,
    whole_order,
    write_ledger,
)
from tests.protocol.parties import PLANT, Chain, write


def words_in(path: Path) -> int:
    with open_journal(path) as file:
        return file.head.entry


# --- the file ---


def test_a_new_journal_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        with open_journal(tmp_path / "journal") as file:
            file.write([notes("one")])
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(previous)
    assert modes == dict.fromkeys(("journal", "journal.lock", "journal-wal", "journal-shm"), 0o600)


def test_a_commit_that_returned_is_on_the_disk(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal") as file:
        pragmas = [
            file._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
        ]
    full = 2
    assert pragmas == ["wal", full]


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, SCHEMA_VERSION - 2])
def test_a_journal_of_another_schema_is_refused_and_left_as_it_is(tmp_path: Path, version: int) -> None:
    path = write_ledger(tmp_path / "journal", [notes("one")])
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    before = path.read_bytes()
    with pytest.raises(JournalError, match=f"schema {version}, this program needs {SCHEMA_VERSION}"):
        JournalFile.open(path, PLANT)
    assert path.read_bytes() == before


def test_a_file_that_is_no_journal_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b"an important letter" * 100)
    with pytest.raises(JournalError, match="is not usable: file is not a database"):
        JournalFile.open(path, PLANT)
    assert path.read_bytes() == b"an important letter" * 100


def test_a_journal_that_lost_its_ledger_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    with pytest.raises(JournalError, match="is not usable: no such table"):
        JournalFile.open(path, PLANT)


@pytest.mark.parametrize(
    "harm",
    [
        "DELETE FROM ledger WHERE entry > 1",
        "DELETE FROM ledger",
        "DELETE FROM checkpoint",
        "UPDATE checkpoint SET entry = 9",
    ],
)
def test_a_journal_that_was_cut_off_does_not_start_again(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "journal"
    with open_journal(path) as file:
        file.write([notes("one", "two")])
    with tampering(path) as db:
        db.execute(harm)
    with pytest.raises(JournalError, match="it was cut off or altered"):
        JournalFile.open(path, PLANT)


@pytest.mark.parametrize("place", ["no such folder/journal", "a folder"])
def test_a_place_where_no_journal_can_be_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "a folder").mkdir()
    with pytest.raises(JournalError, match="cannot be opened"):
        JournalFile.open(tmp_path / place, PLANT)


def test_a_damaged_file_is_a_journal_error_and_never_another_one(tmp_path: Path) -> None:
    path = write_ledger(tmp_path / "journal", everyday())
    data = path.read_bytes()
    outcomes = set()
    for start, size in PLACES:
        damage(path, data, start, size)
        try:
            with open_journal(path) as file:
                file.load()
            outcomes.add("loaded")
        except JournalError:
            outcomes.add("refused")
    assert outcomes == {"loaded", "refused"}  # damage to what a start does not read is the auditor's to find


def test_a_second_program_on_a_journal_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal") as first:
        with pytest.raises(JournalError, match="is in use: stop the program that runs on it already"):
            JournalFile.open(tmp_path / "journal", PLANT)
        first.write([notes("first")])
    with open_journal(tmp_path / "journal") as second:
        second.write([notes("second")])
    assert verify(tmp_path / "journal").head.entry == 2


def test_a_journal_that_could_not_be_opened_is_not_kept_in_use(tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b"no database at all" * 10)
    with pytest.raises(JournalError, match="not usable"):
        JournalFile.open(tmp_path / "journal", PLANT)
    (tmp_path / "journal").unlink()
    with open_journal(tmp_path / "journal") as file:
        assert file.head == Head()


# --- writing ---


def test_what_was_written_is_there_after_a_reopening(tmp_path: Path) -> None:
    path = write_ledger(tmp_path / "journal", everyday())
    with open_journal(path) as file:
        before = file.head
        assert before.entry == EVERYDAY
        after = file.write([notes("one more")])
    assert (after.entry, words_in(path)) == (EVERYDAY + 1, EVERYDAY + 1)
    assert verify(path).hashes[EVERYDAY] == before.hash


def test_batches_of_one_write_are_all_there_or_none(tmp_path: Path) -> None:
    record = Chain.at(State.DRAFTED).record
    with open_journal(tmp_path / "journal") as file:
        file.write([whole_order(record)])
        before = file.head
        with pytest.raises(JournalError, match="UNIQUE"):
            file.write([notes("before"), whole_order(record), notes("after")])
        assert file.head == before
        file.write([notes("later")])
    ledger = verify(tmp_path / "journal")
    assert (ledger.head.entry, ledger.events) == (2, 1)


@pytest.mark.parametrize(
    "spoilt",
    [
        Batch(entries=[note("k" * 70_000, "plant-1")]),
        Batch(entries=[note("\ud800", "plant-1")]),
        Batch(received={"hq": Mark(1 << 63)}),
    ],
    ids=["too long", "not to be encoded", "too large"],
)
def test_a_batch_that_no_file_can_hold_is_refused_whole(tmp_path: Path, spoilt: Batch) -> None:
    with open_journal(tmp_path / "journal") as file:
        with pytest.raises(JournalError, match="cannot be written"):
            file.write([notes("with it"), spoilt])
        file.write([notes("after it")])
    assert verify(tmp_path / "journal").head.entry == 1


def test_a_full_disk_is_a_journal_error(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal") as file:
        (pages,) = file._db.execute("PRAGMA page_count").fetchone()
        file._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(JournalError, match="full"):
            file.write([Batch(outgoing=[("hq", 1, bytes(20_000))])])
        assert file.load().peers == {}


def test_an_event_is_in_the_ledger_once(tmp_path: Path) -> None:
    event = write(None, Input.DRAFT)
    record = Chain().record
    with open_journal(tmp_path / "journal") as file:
        file.write([event_batch(record, event)])
        with pytest.raises(JournalError, match=r"UNIQUE constraint failed: order_event\.hash"):
            file.write([event_batch(record, event)])


def test_a_batch_without_entries_needs_no_checkpoint(tmp_path: Path) -> None:
    with open_journal(tmp_path / "journal") as file:
        assert file.write([Batch(meta={"term": b"\x01"})]) == Head()
        assert file._db.execute("SELECT * FROM checkpoint").fetchall() == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET body = x'00' WHERE entry = 1",
        "UPDATE ledger SET at_ms = at_ms",
        "INSERT OR REPLACE INTO ledger VALUES (1, 'test', 'plant-1', 0, x'00', x'00')",
        "INSERT INTO ledger VALUES (0, 'test', 'plant-1', 0, x'00', x'00')",
        "DELETE FROM ledger WHERE entry = 1",
        "DELETE FROM ledger",
    ],
)
def test_the_ledger_is_append_only(tmp_path: Path, statement: str) -> None:
    path = write_ledger(tmp_path / "journal", everyday())
    with closing(sqlite3.connect(path)) as db, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement)
    assert verify(path).head.entry == EVERYDAY


# --- the chain ---


def test_the_hash_of_an_entry_tells_fields_apart_that_run_into_one_another() -> None:
    variants = [("ab", "c", b"d"), ("a", "bc", b"d"), ("ab", "", b"cd"), ("", "abc", b"d")]
    hashes = {entry_hash(bytes(32), 1, Entry(kind, subject, 7, body)) for kind, subject, body in variants}
    assert len(hashes) == len(variants)


def test_the_hash_of_an_entry_covers_its_number_and_the_entry_before() -> None:
    entry = note("test", "plant-1")
    one = entry_hash(bytes(32), 1, entry)
    assert one not in {entry_hash(bytes(32), 2, entry), entry_hash(b"\x01" + bytes(31), 1, entry)}


# --- listings ---


def test_the_events_of_one_order_come_oldest_first(tmp_path: Path) -> None:
    one, other = Chain.at(State.READ_BACK).record, write(None, Input.DRAFT, order="o-2")
    with open_journal(tmp_path / "journal") as file:
        for event in one.events:
            file.write([event_batch(one, event)])
        file.write([event_batch(Chain().record, other)])
        assert list(file.events_of("o-1")) == [event.signed.encode() for event in one.events]
        assert list(file.events_of("o-2")) == [other.signed.encode()]
        assert list(file.events_of("o-3")) == []


def test_the_orders_that_changed_last_are_listed_first(tmp_path: Path) -> None:
    rows = {name: OrderRow(name, "plant-1", State.DRAFTED, is_open=True) for name in ("o-1", "o-2", "o-3")}
    with open_journal(tmp_path / "journal") as file:
        for name in ("o-1", "o-2", "o-3", "o-1"):
            file.write([Batch(orders={name: rows[name]})])
        assert [row.order for row in file.latest_orders(10)] == ["o-1", "o-3", "o-2"]
        assert file.latest_orders(1) == [rows["o-1"]]


def test_what_was_settled_is_pending_no_more(tmp_path: Path) -> None:
    rows = [Pending(bytes([n]) * 32, f"o-{n}", b"body") for n in range(3)]
    with open_journal(tmp_path / "journal") as file:
        file.write([Batch(pending=rows)])
        file.write([Batch(settled=[rows[1].event_hash, b"unknown"])])
        assert file.load().pending == (rows[0], rows[2])
