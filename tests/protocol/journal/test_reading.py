"""An auditor reads any file, changes nothing, and disturbs nobody."""

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from typing_extensions import override

from protocol.journal.file import SCHEMA_VERSION, JournalFile
from protocol.journal.verify import LedgerFault, verify_ledger
from protocol.keys import Certificate, TrustStore
from tests.protocol.journal.ledgers import (
    EVERYDAY,
    PLACES,
    damage,
    everyday,
    notes,
    open_journal,
    verify,
    write_ledger,
)
from tests.protocol.parties import AUTHORITY
from tests.support.pki import DEPLOYMENT

NOBODY = 65_534


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def reason(path: Path) -> str:
    with pytest.raises(LedgerFault) as caught:
        verify(path)
    assert (caught.value.path, caught.value.entry) == (path, 0)
    return caught.value.reason


# --- files that are no ledgers ---


def test_a_missing_file_is_found_and_not_made(tmp_path: Path) -> None:
    assert reason(tmp_path / "ledger") == "there is no such file"
    assert contents(tmp_path) == {}


def test_a_folder_is_no_ledger(tmp_path: Path) -> None:
    assert reason(tmp_path) == "there is no such file"


@pytest.mark.parametrize("data", [b"an important letter" * 100, b"\xff" * 4_096])
def test_a_file_that_is_no_database_is_found(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "ledger").write_bytes(data)
    assert reason(tmp_path / "ledger") == "it cannot be read (file is not a database)"
    assert contents(tmp_path) == {"ledger": data}


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1])
def test_a_file_of_another_schema_is_found(tmp_path: Path, version: int) -> None:
    path = write_ledger(tmp_path / "ledger", everyday())
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {version}")
    assert reason(path) == f"schema {version} is not {SCHEMA_VERSION}"


def test_an_empty_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "ledger").touch()
    assert reason(tmp_path / "ledger") == f"schema 0 is not {SCHEMA_VERSION}"


def test_a_ledger_in_which_nothing_was_ever_written_is_found(tmp_path: Path) -> None:
    assert reason(write_ledger(tmp_path / "ledger", [])) == "there is no signed checkpoint"


@pytest.mark.parametrize("part", [1, 2, 3, 5, 8, 13])
def test_a_truncated_file_is_found(tmp_path: Path, part: int) -> None:
    path = write_ledger(tmp_path / "ledger", everyday())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * part // 14])
    with pytest.raises(LedgerFault):
        verify(path)


def test_a_damaged_file_is_a_ledger_fault_and_never_another_error(tmp_path: Path) -> None:
    path = write_ledger(tmp_path / "ledger", everyday())
    data = path.read_bytes()
    head = verify(path).head
    found = 0
    for start, size in PLACES:
        damage(path, data, start, size)
        try:
            assert verify(path).head == head  # nothing of the ledger itself was hit
        except LedgerFault:
            found += 1
    assert found > len(PLACES) // 4


def test_a_table_that_is_gone_makes_the_file_unreadable(tmp_path: Path) -> None:
    for table in ("ledger", "checkpoint", "order_event", "orders"):
        path = write_ledger(tmp_path / table, everyday())
        with closing(sqlite3.connect(path)) as db:
            db.execute(f"DROP TABLE {table}")
        assert reason(path) == f"it cannot be read (no such table: {table})"


# --- reading changes nothing ---


def test_verifying_leaves_every_byte_as_it_was(tmp_path: Path) -> None:
    path = write_ledger(tmp_path / "ledger", everyday())
    before = path.read_bytes(), path.stat().st_mtime_ns
    verify(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_what_a_verification_leaves_beside_the_file_matters_to_nobody(tmp_path: Path) -> None:
    path = write_ledger(tmp_path / "ledger", everyday())
    assert verify(path).head == verify(path).head
    with open_journal(path) as file:
        file.write([notes("the daemon writes on")])
    assert verify(path).head.entry == EVERYDAY + 1


def test_a_copy_without_what_lay_beside_it_is_verified(tmp_path: Path) -> None:
    path = write_ledger(tmp_path / "ledger", everyday())
    copy = tmp_path / "evidence" / "ledger"
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    assert verify(copy).head == verify(path).head


@contextmanager
def as_nobody(folder: Path, mode: int) -> Iterator[None]:
    """A reader who owns nothing of what he reads, and the mode of the folder in which it lies."""
    folder.chmod(mode)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o700)


def test_a_ledger_is_verified_where_nothing_can_be_written() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = write_ledger(Path(name) / "ledger", everyday())
        path.chmod(0o444)
        before = sorted(contents(path.parent))
        with as_nobody(path.parent, 0o555):
            assert not os.access(path.parent, os.W_OK, effective_ids=True)
            assert verify(path).head.entry == EVERYDAY
        assert sorted(contents(path.parent)) == before


def test_a_file_that_may_not_be_read_is_found() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = write_ledger(Path(name) / "ledger", everyday())
        path.chmod(0)
        with as_nobody(path.parent, 0o555):
            assert reason(path) == "it cannot be read (unable to open database file)"
        with as_nobody(path.parent, 0):
            assert reason(path).startswith("it cannot be read ([Errno 13] Permission denied")


# --- while the daemon writes ---


def test_a_ledger_is_verified_while_its_station_has_it_open(tmp_path: Path) -> None:
    with open_journal(tmp_path / "ledger") as file:
        for batch in everyday():
            file.write([batch])
            assert verify(tmp_path / "ledger").head == file.head


class WritingOn(TrustStore):
    """Lets the station write more whenever the auditor asks about a certificate."""

    file: JournalFile

    @override
    def identify(self, der: bytes, at_ms: int) -> Certificate:
        self.file.write([notes("meanwhile")])
        return super().identify(der, at_ms)

    @override
    def for_history(self) -> TrustStore:
        return self


def test_what_is_written_during_a_verification_is_left_for_the_next(tmp_path: Path) -> None:
    trust = WritingOn([AUTHORITY.authority.certificate], [])
    with open_journal(tmp_path / "ledger") as file:
        for batch in everyday():
            file.write([batch])
        trust.file = file
        first = verify_ledger(tmp_path / "ledger", trust, DEPLOYMENT)
        assert first.head.entry == EVERYDAY
        assert file.head.entry > EVERYDAY
        assert verify(tmp_path / "ledger").head == file.head
