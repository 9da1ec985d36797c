import sqlite3
from pathlib import Path

import pytest

from dispatch_server.identity.database import SCHEMA_VERSION, Database
from dispatch_server.identity.errors import FileExposed, StoreRefused


def test_the_file_its_log_and_its_index_are_private(tmp_path: Path) -> None:
    database = Database(tmp_path / "identity.db")
    with database.writing() as sql:
        sql.execute("UPDATE strangers SET attempts = 1")
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    database.close()
    assert modes == {"identity.db": 0o600, "identity.db-wal": 0o600, "identity.db-shm": 0o600}


def test_commits_are_durable_and_waits_are_bounded(tmp_path: Path) -> None:
    database = Database(tmp_path / "identity.db")
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    values = {name: database._sql.execute(f"PRAGMA {name}").fetchone()[0] for name in names}
    database.close()
    assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o602])
def test_a_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "identity.db"
    Database(path).close()
    path.chmod(mode)
    with pytest.raises(FileExposed, match="chmod 600"):
        Database(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "identity.db"
    path.write_bytes(b"this is not a database, it only has that name" * 100)
    path.chmod(0o600)
    with pytest.raises(StoreRefused, match="not usable"):
        Database(path)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [("PRAGMA user_version = 99", "schema is 99"), ("CREATE TABLE orders (id INTEGER)", "schema is 0")],
)
def test_a_database_of_another_kind_is_refused_and_its_contents_left_alone(
    tmp_path: Path, statement: str, reason: str
) -> None:
    path = tmp_path / "identity.db"
    path.touch(0o600)
    with sqlite3.connect(path) as other:
        other.execute(statement)
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreRefused, match=reason):
        Database(path)
    assert path.read_bytes()[100:] == before[100:]


_GRANTS_1 = """CREATE TABLE grants (
    challenge_id BLOB PRIMARY KEY, person TEXT NOT NULL REFERENCES persons,
    session BLOB NOT NULL REFERENCES sessions, node TEXT NOT NULL, digest BLOB NOT NULL,
    expires_ms INTEGER NOT NULL, used_by BLOB) STRICT"""
_ALICE = "INSERT INTO persons (person, role, display_name, password) VALUES ('alice', 'dispatcher', 'A', '$')"
_HERS = "INSERT INTO sessions VALUES (zeroblob(16), 'alice', 'desk', 1, 2, NULL, 0, 1)"
_USED = "INSERT INTO grants VALUES (?, 'alice', zeroblob(16), 'desk', zeroblob(32), 9, zeroblob(32))"


def test_a_store_of_the_first_schema_keeps_its_grants_and_learns_approvals(tmp_path: Path) -> None:
    path = tmp_path / "identity.db"
    old = Database(path)
    with old.writing() as sql:
        for statement in ("DROP TABLE grants", _GRANTS_1, _ALICE, _HERS, "PRAGMA user_version = 1"):
            sql.execute(statement)
        sql.execute(_USED, (b"c" * 16,))
    old.close()
    database = Database(path)
    with database.writing() as sql:
        sql.execute("INSERT INTO grants VALUES (zeroblob(16), 'alice', NULL, 'desk', zeroblob(32), 9, NULL)")
    with database.reading() as sql:
        rows = sql.execute("SELECT challenge_id, session, used_by FROM grants ORDER BY expires_ms, session")
        assert rows.fetchall() == [(bytes(16), None, None), (b"c" * 16, bytes(16), bytes(32))]
        assert sql.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        tables = sql.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'grants%'").fetchall()
    assert tables == [("grants",)]
    database.close()
    Database(path).close()


def test_a_block_that_fails_leaves_nothing_behind_and_the_next_one_works() -> None:
    database = Database(":memory:")

    def fail_half_way() -> None:
        with database.writing() as sql:
            sql.execute("UPDATE strangers SET attempts = 7")
            sql.execute("INSERT INTO strangers VALUES (NULL)")

    with pytest.raises(sqlite3.IntegrityError):
        fail_half_way()
    with database.writing() as sql:
        assert sql.execute("SELECT attempts FROM strangers").fetchone() == (0,)
    database.close()


def test_two_processes_may_open_the_same_new_file(tmp_path: Path) -> None:
    first, second = Database(tmp_path / "identity.db"), Database(tmp_path / "identity.db")
    with first.writing() as sql:
        sql.execute("UPDATE strangers SET attempts = attempts + 1")
    with second.reading() as sql:
        assert sql.execute("SELECT attempts FROM strangers").fetchone() == (1,)
    first.close()
    second.close()
