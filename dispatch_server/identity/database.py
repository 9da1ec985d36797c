"""The SQLite file of identity: opened privately, durable, one writer at a time."""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dispatch_server.identity.errors import StoreRefused
from dispatch_server.identity.sealing import require_private

MEMORY: Final = ":memory:"
SCHEMA_VERSION: Final = 2
BUSY_S: Final = 5.0

# `session` is NULL for a second person's approval, which needs none.
_GRANTS: Final = """CREATE TABLE grants (
        challenge_id BLOB PRIMARY KEY CHECK (length(challenge_id) = 16),
        person TEXT NOT NULL REFERENCES persons, session BLOB REFERENCES sessions,
        node TEXT NOT NULL, digest BLOB NOT NULL CHECK (length(digest) = 32),
        expires_ms INTEGER NOT NULL, used_by BLOB) STRICT"""

_SCHEMA: Final = (
    """CREATE TABLE persons (
        person TEXT PRIMARY KEY, role TEXT NOT NULL, display_name TEXT NOT NULL, password TEXT NOT NULL,
        enabled INTEGER NOT NULL DEFAULT 1 CHECK (enabled IN (0, 1)),
        failures INTEGER NOT NULL DEFAULT 0, locked_until_ms INTEGER NOT NULL DEFAULT 0,
        attempts INTEGER NOT NULL DEFAULT 0, stations TEXT NOT NULL DEFAULT '') STRICT""",
    """CREATE TABLE enrolments (
        person TEXT NOT NULL REFERENCES persons, kind TEXT NOT NULL, sealed BLOB NOT NULL,
        PRIMARY KEY (person, kind)) STRICT""",
    """CREATE TABLE sessions (
        id BLOB PRIMARY KEY CHECK (length(id) = 16), person TEXT NOT NULL REFERENCES persons,
        node TEXT NOT NULL, started_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, ended_ms INTEGER,
        revoked INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1)), change INTEGER NOT NULL) STRICT""",
    "CREATE INDEX sessions_by_change ON sessions (change)",
    "CREATE INDEX sessions_of_person ON sessions (person, node)",
    _GRANTS,
    # Attempts for ids that nobody has are counted here, so that they cost the same durable write.
    "CREATE TABLE strangers (attempts INTEGER NOT NULL) STRICT",
    "INSERT INTO strangers VALUES (0)",
    # A value sealed under the key, so that a wrong key file is noticed when the store is opened.
    "CREATE TABLE key_check (sealed BLOB NOT NULL) STRICT",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

# Schema 1 knew no grant without a session; SQLite cannot lift NOT NULL from a column.
_FROM_1: Final = (
    "ALTER TABLE grants RENAME TO grants_1",
    _GRANTS,
    "INSERT INTO grants SELECT * FROM grants_1",
    "DROP TABLE grants_1",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)


class Database:
    """One connection for several threads. `path` may be ":memory:".

    Raises FileExposed when others may read the file, StoreRefused when it is not an identity store.
    """

    def __init__(self, path: str | Path) -> None:
        if str(path) != MEMORY:
            _make_private(Path(path))
        self._lock = threading.Lock()
        self._sql = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except sqlite3.DatabaseError as error:
            self.close()
            raise StoreRefused(f"{path} is not usable as an identity store: {error}") from error
        except StoreRefused:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One consistent view."""
        with self._transaction("BEGIN") as sql:
            yield sql

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, on disk when the block is left without an error."""
        with self._transaction("BEGIN IMMEDIATE") as sql:
            yield sql

    def close(self) -> None:
        with self._lock:
            self._sql.close()

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self._sql:
            self._sql.execute(begin)
            yield self._sql

    def _prepare(self) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            self._sql.execute(f"PRAGMA {pragma}").close()
        with self.writing() as sql:
            (version,) = sql.execute("PRAGMA user_version").fetchone()
            (tables,) = sql.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if version == 0 and tables == 0:
                _execute(sql, _SCHEMA)
            elif version == 1:
                _execute(sql, _FROM_1)
            elif version != SCHEMA_VERSION:
                raise StoreRefused(f"its schema is {version}, this program needs {SCHEMA_VERSION}")


def _execute(sql: sqlite3.Connection, statements: Sequence[str]) -> None:
    for statement in statements:
        sql.execute(statement)


def _make_private(path: Path) -> None:
    # An existing file is never opened and closed here: closing any descriptor of it would drop the locks
    # that SQLite holds on it in this process. SQLite gives -wal and -shm the mode of the main file.
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        require_private(path, path.stat())
