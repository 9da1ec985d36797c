"""Ledger files as stations write them, and what somebody does to one who wants it to say something else."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from protocol.journal.batch import Batch, Entry, Head, Notice, OrderRow
from protocol.journal.file import CHECKPOINT_DOMAIN, JournalFile, checkpoint_bytes, entry_hash
from protocol.journal.verify import (
    EVENT,
    PEER_CHECKPOINT,
    LedgerFault,
    VerifiedLedger,
    verify_ledger,
    verify_open_ledger,
)
from protocol.keys import SigningKey
from protocol.lifecycle import State
from protocol.orders import VerifiedEvent
from protocol.record import OrderRecord
from tests.protocol.parties import HQ, PLANT, TRUST, Chain
from tests.support.pki import DEPLOYMENT, NOW_MS

EVERYDAY = 12  # entries of `everyday`
IN_MEMORY = Path("ledger in memory")


def event_entry(event: VerifiedEvent) -> Entry:
    """The ledger's line for an order event."""
    return Entry(EVENT, event.event.order, NOW_MS, event.signed.encode(), event.hash)


def order_row(record: OrderRecord) -> OrderRow:
    """Where an order stands, as a station indexes it."""
    return OrderRow(record.order, record.content.plant, record.state, record.is_open)


def event_batch(record: OrderRecord, *events: VerifiedEvent) -> Batch:
    """What a station writes when these events brought an order to where `record` says."""
    return Batch(entries=[event_entry(event) for event in events], orders={record.order: order_row(record)})


def whole_order(record: OrderRecord) -> Batch:
    """All events of an order at once."""
    return event_batch(record, *record.events)


def note(kind: str, subject: str, **facts: object) -> Entry:
    """A line that is not an order event."""
    body = Notice(facts=tuple((key, str(value)) for key, value in facts.items()))
    return Entry(kind, subject, NOW_MS, body.encode())


def notes(*words: str) -> Batch:
    """One line for each word."""
    return Batch(entries=[note("test", "plant-1", word=word) for word in words])


def witness(peer: str, head: Head) -> Batch:
    """What a superior writes of the ledger of a station that answered it."""
    return Batch(entries=[note(PEER_CHECKPOINT, peer, entry=head.entry, hash=head.hash.hex())])


def everyday() -> list[Batch]:
    """A term, a whole order event by event, what was seen of a peer, and a note."""
    record = Chain.at(State.CLOSED).record
    chain = Chain()
    batches = [Batch(entries=[note("term", "plant-1", term=1)])]
    batches.append(event_batch(chain.record, chain.record.events[0]))
    for event in record.events[1:]:
        chain.add(event.event.input)
        batches.append(event_batch(chain.record, chain.record.events[-1]))
    return [*batches, witness("plant-2", Head(3, b"h" * 32)), notes("end")]


def write_ledger(path: Path, batches: Iterable[Batch], key: SigningKey = PLANT) -> Path:
    """A ledger that was closed in good order, written in one commit."""
    with open_journal(path, key) as file:
        file.write(batches)
    return path


@contextmanager
def open_journal(path: Path | str, key: SigningKey = PLANT) -> Iterator[JournalFile]:
    """A journal that is closed again."""
    with closing(JournalFile.open(path, key)) as file:
        yield file


def verify(path: Path, node: str | None = None) -> VerifiedLedger:
    """Verify as an auditor does."""
    return verify_ledger(path, TRUST, DEPLOYMENT, node=node)


def snapshot(batches: Iterable[Batch], key: SigningKey = PLANT) -> bytes:
    """The bytes of a ledger, from which `in_memory` makes as many as are needed."""
    with open_journal(":memory:", key) as file:
        for batch in batches:
            file.write([batch])
        return file._db.serialize()


@contextmanager
def in_memory(ledger: bytes) -> Iterator[sqlite3.Connection]:
    """A ledger whose triggers are gone, so that anything can be done to it."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.deserialize(ledger)
        drop_triggers(db)
        yield db


@contextmanager
def tampering(path: Path) -> Iterator[sqlite3.Connection]:
    """A ledger file whose triggers are gone, so that anything can be done to it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        drop_triggers(db)
        yield db


def drop_triggers(db: sqlite3.Connection) -> None:
    """What protects the ledger of the program's own slips does not hold up a person with the file."""
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
    for name in names:
        db.execute(f"DROP TRIGGER {name}")


def verify_memory(db: sqlite3.Connection) -> VerifiedLedger:
    """Verify a ledger in memory."""
    return verify_open_ledger(IN_MEMORY, db, TRUST, DEPLOYMENT)


def rehash(db: sqlite3.Connection) -> Head:
    """Compute all hashes anew, as somebody does who knows this program."""
    head = Head()
    rows: Sequence[tuple[int, str, str, int, bytes]] = db.execute(
        "SELECT entry, kind, subject, at_ms, body FROM ledger ORDER BY entry"
    ).fetchall()
    for number, kind, subject, at_ms, body in rows:
        head = Head(number, entry_hash(head.hash, number, Entry(kind, subject, at_ms, body)))
        db.execute("UPDATE ledger SET hash = ? WHERE entry = ?", (head.hash, number))
    return head


def sign_checkpoint(db: sqlite3.Connection, head: Head, key: SigningKey) -> None:
    """Sign the end of the ledger, with the node's stolen key or another."""
    signature = key.sign(CHECKPOINT_DOMAIN, checkpoint_bytes(head))
    db.execute(
        "UPDATE checkpoint SET entry = ?, hash = ?, signature = ?, certificate = ?",
        (head.entry, head.hash, signature, key.certificate.der),
    )


def reseal(db: sqlite3.Connection, key: SigningKey = PLANT) -> None:
    """Everything that somebody can do who holds the file, this program and the node's own key."""
    sign_checkpoint(db, rehash(db), key)


def hq_ledger(path: Path, batches: Iterable[Batch]) -> VerifiedLedger:
    """A verified ledger of headquarters."""
    return verify(write_ledger(path, batches, HQ))


# --- alterations ---

# Where damage shows in the most different ways: the header, the schema, and one place of each page.
PLACES = [(start, 16) for start in range(0, 4_096, 96)] + [
    (start, 1_024) for start in range(2_048, 73_728, 3_072)
]


def damage(path: Path, data: bytes, start: int, size: int) -> None:
    """A file whose disk lost some bytes; what earlier readings left beside it is gone."""
    for beside in ("-wal", "-shm"):
        path.with_name(path.name + beside).unlink(missing_ok=True)
    path.write_bytes(data[:start] + b"\xff" * size + data[start + size :])


Change = Callable[[sqlite3.Connection], object]
SET_FIELD = {
    "kind": "UPDATE ledger SET kind = ? WHERE entry = ?",
    "subject": "UPDATE ledger SET subject = ? WHERE entry = ?",
    "at_ms": "UPDATE ledger SET at_ms = ? WHERE entry = ?",
    "body": "UPDATE ledger SET body = ? WHERE entry = ?",
    "hash": "UPDATE ledger SET hash = ? WHERE entry = ?",
}


def sql(statement: str, *values: object) -> Change:
    """A statement that must hit something."""

    def run(db: sqlite3.Connection) -> None:
        assert db.execute(statement, values).rowcount

    return run


def field(number: int, name: str, value: object) -> Change:
    """Another value in one field of one entry."""
    return sql(SET_FIELD[name], value, number)


def fault_after(*changes: Change, ledger: bytes) -> LedgerFault:
    """What is found after `changes` were made to a ledger."""
    with in_memory(ledger) as db:
        for change in changes:
            change(db)
        with pytest.raises(LedgerFault) as caught:
            verify_memory(db)
    assert caught.value.path == IN_MEMORY
    return caught.value
