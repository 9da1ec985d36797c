"""The journal file: SQLite in WAL mode with synchronous=FULL, so a commit that returned is on the disk.

Every entry's hash covers the entry before it, and each commit leaves a checkpoint signed by the node's
key, so that an edited row, a removed row and a cut-off tail are all found by `verify.py`.
"""

import fcntl
import hashlib
import os
import sqlite3
import struct
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from protocol.errors import DispatchError
from protocol.journal.batch import Batch, Entry, Head, OrderRow, Pending
from protocol.journal.rows import Rows
from protocol.keys import SigningKey
from protocol.lifecycle import State
from protocol.outbox import START, Mark

SCHEMA_VERSION = 1
DAMAGED = (sqlite3.Error, ValueError, MemoryError)  # what SQLite raises, depending on which bytes are wrong
_ENTRY_DOMAIN = b"dispatch ledger entry 1\x00"
CHECKPOINT_DOMAIN = b"dispatch ledger checkpoint 1\x00"

_SCHEMA = """
CREATE TABLE ledger (
    entry INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, at_ms INTEGER NOT NULL,
    body BLOB NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER ledger_is_not_updated BEFORE UPDATE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_is_not_replaced BEFORE INSERT ON ledger
    WHEN EXISTS (SELECT 1 FROM ledger WHERE entry >= NEW.entry)
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_is_not_deleted BEFORE DELETE ON ledger
    BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TABLE order_event (
    hash BLOB PRIMARY KEY, order_id TEXT NOT NULL, entry INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX order_event_by_order ON order_event (order_id, entry);
CREATE TABLE orders (
    order_id TEXT PRIMARY KEY, plant TEXT NOT NULL, state TEXT NOT NULL, is_open INTEGER NOT NULL
) STRICT;
CREATE INDEX open_orders ON orders (order_id) WHERE is_open;
CREATE TABLE outbox (
    peer TEXT NOT NULL, cursor INTEGER NOT NULL, item BLOB NOT NULL, PRIMARY KEY (peer, cursor)
) STRICT, WITHOUT ROWID;
CREATE TABLE peer (
    name TEXT PRIMARY KEY,
    received INTEGER NOT NULL DEFAULT 0, received_digest BLOB NOT NULL DEFAULT (zeroblob(32)),
    acknowledged INTEGER NOT NULL DEFAULT 0, acknowledged_digest BLOB NOT NULL DEFAULT (zeroblob(32))
) STRICT;
CREATE TABLE pending (
    event_hash BLOB PRIMARY KEY, order_id TEXT NOT NULL, body BLOB NOT NULL
) STRICT;
CREATE TABLE checkpoint (
    id INTEGER PRIMARY KEY CHECK (id = 1), entry INTEGER NOT NULL, hash BLOB NOT NULL,
    signature BLOB NOT NULL, certificate BLOB NOT NULL
) STRICT;
CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
"""


class JournalError(DispatchError):
    """The journal cannot be opened or written. The daemon must not go on without it."""


@dataclass(frozen=True, slots=True)
class PeerRow:
    """The places of one peer, and what is still on the way to it: the items after `acknowledged`."""

    received: Mark = START
    acknowledged: Mark = START
    outgoing: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a station knows when it starts."""

    head: Head
    meta: dict[str, bytes]
    peers: dict[str, PeerRow]
    pending: tuple[Pending, ...]
    open_events: dict[str, tuple[bytes, ...]] = field(repr=False)


def entry_hash(previous: bytes, number: int, entry: Entry) -> bytes:
    """SHA-256 that chains an entry to the one before it; every field has a length, so none can shift."""
    kind, subject = entry.kind.encode(), entry.subject.encode()
    sizes = struct.pack("!QQHHI", number, entry.at_ms, len(kind), len(subject), len(entry.body))
    return hashlib.sha256(_ENTRY_DOMAIN + previous + sizes + kind + subject + entry.body).digest()


def checkpoint_bytes(head: Head) -> bytes:
    """What a node signs of its ledger's end."""
    return struct.pack("!Q", head.entry) + head.hash


def _told(error: Exception) -> str:
    return str(error) or "the file is damaged"


class JournalFile:
    """The open file. Not thread-safe: one writer thread owns it once the station runs."""

    def __init__(
        self, connection: sqlite3.Connection, key: SigningKey, lock: IO[bytes] | None = None
    ) -> None:
        self._db = connection
        self._key = key
        self._lock = lock
        self.free_disk: int | None = None  # bytes left beside the journal at the last write, if known
        self.head = self._read_head()
        self._measure_disk()

    @classmethod
    def open(cls, path: Path | str, key: SigningKey) -> "JournalFile":
        """Open or create (mode 0600), for this program alone. Raises JournalError."""
        lock = None if path == ":memory:" else _lock(Path(path))
        try:
            db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
            with ExitStack() as undo:
                undo.callback(db.close)
                if lock:
                    undo.callback(lock.close)
                db.execute("PRAGMA journal_mode=WAL")
                db.execute("PRAGMA synchronous=FULL")
                _create_schema(db)
                file = cls(db, key, lock)
                _check_checkpoint(db, path, file.head)
                undo.pop_all()
        except DAMAGED as error:
            raise JournalError(f"journal {path} is not usable: {_told(error)}") from None
        return file

    def _read_head(self) -> Head:
        row = self._db.execute("SELECT entry, hash FROM ledger ORDER BY entry DESC LIMIT 1").fetchone()
        return Head(*row) if row else Head()

    def write(self, batches: Iterable[Batch]) -> Head:
        """Write all batches in one transaction; when this returns they are durable. Raises JournalError."""
        try:
            rows, head = self._rows(batches)
            self._db.execute("BEGIN IMMEDIATE")
            rows.write(self._db)
            if head != self.head:
                self._write_checkpoint(head)
            self._db.execute("COMMIT")
        except (*DAMAGED, struct.error, TypeError, OverflowError) as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise JournalError(f"the journal cannot be written: {error}") from error
        self.head = head
        self._measure_disk()
        return head

    def _measure_disk(self) -> None:
        self.free_disk = None
        if self._lock:
            with suppress(OSError):  # what was written stays written
                room = os.fstatvfs(self._lock.fileno())
                self.free_disk = room.f_bavail * room.f_frsize

    def _rows(self, batches: Iterable[Batch]) -> tuple[Rows, Head]:
        rows, head = Rows(), self.head
        for batch in batches:
            for entry in batch.entries:
                number = head.entry + 1
                head = Head(number, entry_hash(head.hash, number, entry))
                rows.ledger.append((number, entry.kind, entry.subject, entry.at_ms, entry.body, head.hash))
                if entry.event_hash is not None:
                    rows.events.append((entry.event_hash, entry.subject, number))
            rows.add(batch)
        return rows, head

    def _write_checkpoint(self, head: Head) -> None:
        key = self._key  # once: another thread may renew it
        signature = key.sign(CHECKPOINT_DOMAIN, checkpoint_bytes(head))
        self._db.execute(
            "INSERT OR REPLACE INTO checkpoint VALUES (1, ?, ?, ?, ?)",
            (head.entry, head.hash, signature, key.certificate.der),
        )

    def renew(self, key: SigningKey) -> None:
        """Sign with another key of the same node from the next write on. Any thread may call it."""
        self._key = key

    def load(self) -> Loaded:
        """Read what a station needs to go on: open orders' events, cursors, unacknowledged items.

        Raises JournalError.
        """
        try:
            return self._load()
        except DAMAGED as error:
            raise JournalError(f"the journal cannot be read: {_told(error)}") from error

    def _load(self) -> Loaded:
        peers = {
            name: PeerRow(Mark(received, digest), Mark(acknowledged, ours), self._outgoing(name))
            for name, received, digest, acknowledged, ours in self._db.execute("SELECT * FROM peer")
        }
        events: dict[str, list[bytes]] = {}
        for order, body in self._db.execute(
            "SELECT orders.order_id, ledger.body FROM orders JOIN order_event USING (order_id)"
            " JOIN ledger USING (entry) WHERE is_open ORDER BY entry"
        ):
            events.setdefault(order, []).append(body)
        return Loaded(
            head=self.head,
            meta=dict(self._db.execute("SELECT key, value FROM meta")),
            peers=peers,
            pending=tuple(Pending(*row) for row in self._db.execute("SELECT * FROM pending")),
            open_events={order: tuple(bodies) for order, bodies in events.items()},
        )

    def _outgoing(self, peer: str) -> tuple[bytes, ...]:
        query = "SELECT item FROM outbox WHERE peer = ? ORDER BY cursor"
        return tuple(item for (item,) in self._db.execute(query, (peer,)))

    def events_of(self, order: str) -> Sequence[bytes]:
        """The signed events of one order, oldest first; empty when it is not known."""
        query = "SELECT body FROM order_event JOIN ledger USING (entry) WHERE order_id = ? ORDER BY entry"
        return [body for (body,) in self._db.execute(query, (order,))]

    def latest_orders(self, limit: int) -> Sequence[OrderRow]:
        """The orders that were written last, newest first."""
        rows = self._db.execute("SELECT * FROM orders ORDER BY rowid DESC LIMIT ?", (limit,))
        return [OrderRow(order, plant, State(state), bool(is_open)) for order, plant, state, is_open in rows]

    def close(self) -> None:
        """Close the file; everything committed stays."""
        self._db.close()
        if self._lock:
            self._lock.close()


def _check_checkpoint(db: sqlite3.Connection, path: Path | str, head: Head) -> None:
    """A ledger that lost its tail must not go on: what it forgot could be done a second time.

    Raises JournalError.
    """
    row = db.execute("SELECT entry, hash FROM checkpoint").fetchone()
    if (Head(*row) if row else Head()) != head:
        raise JournalError(
            f"journal {path} ends at entry {head.entry}, its checkpoint says {row[0] if row else 0}: "
            "it was cut off or altered. Keep the file as it is and take it to the auditor"
        )


def _lock(path: Path) -> IO[bytes]:
    """Create the files (mode 0600) and keep every other program out. Raises JournalError.

    SQLite alone would let a second daemon write between our entries.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        beside = Path(f"{path}.lock")
        lock = os.fdopen(os.open(beside, os.O_CREAT | os.O_RDWR, 0o600), "rb")
    except OSError as error:
        raise JournalError(f"journal {path} cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise JournalError(f"journal {path} is in use: stop the program that runs on it already") from None
    return lock


def _create_schema(db: sqlite3.Connection) -> None:
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version == SCHEMA_VERSION:
        return
    if version:
        raise JournalError(f"journal has schema {version}, this program needs {SCHEMA_VERSION}")
    db.execute("BEGIN IMMEDIATE")
    for statement in _statements(_SCHEMA):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    db.execute("COMMIT")


def _statements(script: str) -> Iterable[str]:
    """Single statements of a script: executescript() would commit between them."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
