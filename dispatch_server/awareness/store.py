"""Telemetry on disk: history in chunks, and what is usual per node and metric. Synchronous: off the loop.

Not the ledger: a crash may cost the last minutes of curves, never an order. So commits do not wait for the
disk (`synchronous=NORMAL`), and whoever uses this goes on without it when it fails.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from protocol.errors import ConfigurationRefused
from situational import Chunk

_SCHEMA = """
CREATE TABLE IF NOT EXISTS chunks (
    node TEXT NOT NULL, metric TEXT NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
    count INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (node, metric, first_ms)
) WITHOUT ROWID, STRICT;
CREATE INDEX IF NOT EXISTS chunks_by_age ON chunks (last_ms);
CREATE TABLE IF NOT EXISTS usual (
    node TEXT NOT NULL, metric TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (node, metric)
) WITHOUT ROWID, STRICT;
"""
_DROP = "DELETE FROM chunks WHERE last_ms < min(?, (SELECT min(last_ms) FROM chunks) + ?)"
_DAY_MS = 86_400_000
_APPLICATION_ID = 0x67_64_74_6C  # "gdtl": another program's file is refused, not written into

Key = tuple[str, str]  # node, metric


class TelemetryStore:
    """One file. Use it from one thread at a time. Raises ConfigurationRefused when it cannot be used."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        try:
            if not read_only:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                path.touch(mode=0o600)
            mode = "ro" if read_only else "rw"
            self._sql = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                check_same_thread=False,
                isolation_level=None,
            )
            try:
                self._prepare(path, read_only=read_only)
            except BaseException:
                self._sql.close()
                raise
        except (OSError, sqlite3.Error) as error:
            raise ConfigurationRefused(
                f"telemetry.store: {path}", str(error), "Check the path, its rights and the free space"
            ) from None

    def _prepare(self, path: Path, *, read_only: bool) -> None:
        (found,) = self._sql.execute("PRAGMA application_id").fetchone()
        (tables,) = self._sql.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if found != _APPLICATION_ID and (found or tables or read_only):
            raise ConfigurationRefused(
                f"telemetry.store: {path}", "it is another program's file", "Name a file of its own"
            )
        if not read_only:
            self._sql.execute("PRAGMA journal_mode=WAL")
            self._sql.execute("PRAGMA synchronous=NORMAL")
            self._sql.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            self._sql.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._sql.close()

    def add(self, chunks: Iterable[Chunk], usual: Mapping[Key, bytes], *, drop_before_ms: int) -> None:
        """Keep finished chunks and what is usual now; drop what ended before `drop_before_ms`.

        At most a day of history is dropped at once: a wall clock that is wrong for a while must not cost all
        of it. One transaction. Raises sqlite3.Error; nothing has changed then.
        """
        rows = [(c.node, c.metric, c.first_ms, c.last_ms, c.count, c.data) for c in chunks]
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            self._sql.executemany("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?, ?, ?)", rows)
            self._sql.executemany(
                "INSERT OR REPLACE INTO usual VALUES (?, ?, ?)", [(*key, data) for key, data in usual.items()]
            )
            self._sql.execute(_DROP, (drop_before_ms, _DAY_MS))
            self._sql.execute("COMMIT")
        except BaseException:
            if self._sql.in_transaction:  # SQLite itself ends it when the disk is full
                self._sql.execute("ROLLBACK")
            raise

    def usual(self) -> dict[Key, bytes]:
        """What is usual, as it was saved last. Raises sqlite3.Error."""
        rows = self._sql.execute("SELECT node, metric, data FROM usual")
        return {(node, metric): data for node, metric, data in rows}

    def chunks(self, *, node: str | None, since_ms: int, until_ms: int) -> Iterator[Chunk]:
        """The chunks with samples in that time, by node, metric and time. Raises sqlite3.Error."""
        rows = self._sql.execute(
            "SELECT node, metric, first_ms, last_ms, count, data FROM chunks"
            " WHERE last_ms >= ? AND first_ms < ? AND (? IS NULL OR node = ?)"
            " ORDER BY node, metric, first_ms",
            (since_ms, until_ms, node, node),
        )
        for row in rows:
            yield Chunk(*row)
