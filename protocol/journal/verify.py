"""What an auditor checks with a ledger file and the authority's certificate alone.

1. Every entry is there, in order, and its hash covers its content and the entry before it.
2. The signed checkpoint is the ledger's end: nothing was cut off, the node itself vouches for it.
3. Every order event is signed by somebody who may sign it, and every order follows the one table.
4. The indexes (events, orders) say what the ledger says.
5. Across files: no ledger ends before the point that its superior or subordinate saw, a station holds no
   order that its superior does not, and the chains of one order agree.

What was signed before its key was revoked stays valid; a signature by a key that counts as revoked at the
time it names is not a fault of the ledger but is told as a remark.
"""

import os
import sqlite3
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from protocol.errors import DispatchError, KeyRefused, OrderRefused, PeerFault
from protocol.journal.batch import Entry, Head, Notice
from protocol.journal.file import CHECKPOINT_DOMAIN, DAMAGED, SCHEMA_VERSION, checkpoint_bytes, entry_hash
from protocol.keys import TrustStore
from protocol.lifecycle import OFF_CHAIN
from protocol.orders import SignedEvent, verify_event
from protocol.record import OrderRecord, apply

EVENT = "event"
PEER_CHECKPOINT = "peer-checkpoint"
_EVENT_INDEX = "SELECT hash, order_id, entry FROM order_event"
_ORDER_INDEX = "SELECT order_id, plant, state, is_open FROM orders"
_COMPUTED = """
SELECT name FROM sqlite_schema WHERE type = 'view' OR sql LIKE 'CREATE VIRTUAL%' UNION
SELECT m.name FROM sqlite_schema AS m, pragma_table_xinfo(m.name) AS c WHERE m.type = 'table' AND c.hidden > 1
"""


class LedgerFault(DispatchError):
    """The ledger is not what was written. `entry` is the first place where that shows, 0 for the whole."""

    def __init__(self, path: Path, entry: int, reason: str) -> None:
        super().__init__(path, entry, reason)
        self.path, self.entry, self.reason = path, entry, reason

    @override
    def __str__(self) -> str:
        where = f"entry {self.entry}" if self.entry else "the file"
        return f"{self.path}: {where}: {self.reason}. Keep the file as it is and take it to the auditor."


@dataclass(frozen=True, slots=True)
class VerifiedLedger:
    """A ledger in which everything held."""

    path: Path
    node: str
    head: Head
    events: int
    orders: Mapping[str, OrderRecord]
    hashes: Mapping[int, bytes]
    peer_heads: Mapping[str, Sequence[Head]]
    remarks: Sequence[str] = ()


def verify_ledger(
    path: Path, trust: TrustStore, deployment: str, *, node: str | None = None
) -> VerifiedLedger:
    """Verify one file, also while its station writes. `node`: whose ledger it has to be, where that is known.

    Raises LedgerFault at the first thing that does not hold.
    """
    try:
        if not path.is_file():
            raise LedgerFault(path, 0, "there is no such file")
        db = sqlite3.connect(_read_only(path), uri=True, isolation_level=None)
        try:
            db.text_factory = _text
            db.execute("BEGIN")  # one snapshot for all that follows
            ledger = verify_open_ledger(path, db, trust, deployment)
        finally:
            db.close()
    except (OSError, *DAMAGED) as error:
        raise LedgerFault(path, 0, f"it cannot be read ({error})") from None
    if node is not None and ledger.node != node:
        raise LedgerFault(
            path, ledger.head.entry, f"the checkpoint is signed by '{ledger.node}', not '{node}'"
        )
    return ledger


def _read_only(path: Path) -> str:
    """SQLite wants to make two files beside one in WAL mode. In a folder where it cannot, nobody writes."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    is_frozen = not os.access(path.parent, os.W_OK, effective_ids=True)
    is_still = is_frozen and not Path(f"{path}-wal").exists()
    return f"{uri}&immutable=1" if is_still else uri


def _text(raw: bytes) -> str:
    """A text that is no UTF-8 shall spoil its own entry's hash, not the reading of the file."""
    return raw.decode("utf-8", "surrogateescape")


def verify_open_ledger(
    path: Path, db: sqlite3.Connection, trust: TrustStore, deployment: str
) -> VerifiedLedger:
    """Verify a ledger that is open; `path` is what a fault calls it. Raises LedgerFault, DatabaseError."""
    return _Verification(path, db, trust, deployment).run()


class _Verification:
    def __init__(self, path: Path, db: sqlite3.Connection, trust: TrustStore, deployment: str) -> None:
        self._path, self._db, self._trust, self._deployment = path, db, trust, deployment
        self._orders: dict[str, OrderRecord] = {}
        self._events: dict[bytes, tuple[str, int]] = {}
        self._hashes: dict[int, bytes] = {}
        self._peer_heads: dict[str, list[Head]] = {}
        self._at_ms = 0
        self._history = trust.for_history()
        self._remarks: list[str] = []

    def run(self) -> VerifiedLedger:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            raise LedgerFault(self._path, 0, f"schema {version} is not {SCHEMA_VERSION}")
        if self._db.execute(_COMPUTED).fetchone():  # rows without end would keep an auditor for ever
            raise LedgerFault(self._path, 0, "it holds what is computed while it is read: nobody wrote that")
        head = self._check_entries()
        node = self._check_checkpoint(head)
        self._check_indexes()
        return VerifiedLedger(
            self._path,
            node,
            head,
            len(self._events),
            self._orders,
            self._hashes,
            self._peer_heads,
            self._remarks,
        )

    def _check_entries(self) -> Head:
        head = Head()
        rows = self._db.execute("SELECT entry, kind, subject, at_ms, body, hash FROM ledger ORDER BY entry")
        for number, kind, subject, at_ms, body, stored in rows:
            entry = Entry(kind, subject, at_ms, body)
            if number != head.entry + 1:
                raise LedgerFault(self._path, head.entry + 1, "it is missing")
            if self._hash(head, number, entry) != stored:
                raise LedgerFault(self._path, number, "its content is not what was written")
            head = Head(number, stored)
            self._hashes[number] = stored
            self._at_ms = at_ms
            self._check_entry(number, entry)
        return head

    def _hash(self, head: Head, number: int, entry: Entry) -> bytes:
        try:
            return entry_hash(head.hash, number, entry)
        except (struct.error, ValueError, TypeError, AttributeError):
            raise LedgerFault(self._path, number, "it holds what no station can write") from None

    def _check_entry(self, number: int, entry: Entry) -> None:
        try:
            if entry.kind == EVENT:
                self._check_event(number, entry)
            elif entry.kind == PEER_CHECKPOINT:
                facts = dict(Notice.decode(entry.body).facts)
                seen = Head(int(facts["entry"]), bytes.fromhex(facts["hash"]))
                self._peer_heads.setdefault(entry.subject, []).append(seen)
        except (OrderRefused, PeerFault, KeyError, ValueError) as error:
            raise LedgerFault(self._path, number, str(error)) from None

    def _check_event(self, number: int, entry: Entry) -> None:
        verified = verify_event(SignedEvent.decode(entry.body), self._history, self._deployment)
        try:
            self._trust.identify(verified.signed.certificate, verified.event.at_ms)
        except KeyRefused as refusal:
            self._remarks.append(f"entry {number}: signed by {refusal}")
        order = verified.event.order
        if order != entry.subject or verified.hash in self._events:
            raise LedgerFault(self._path, number, "the event is filed under another order, or twice")
        self._orders[order] = apply(self._orders.get(order), verified)
        self._events[verified.hash] = (order, number)

    def _check_checkpoint(self, head: Head) -> str:
        row = self._db.execute("SELECT entry, hash, signature, certificate FROM checkpoint").fetchone()
        if row is None:
            raise LedgerFault(self._path, head.entry, "there is no signed checkpoint")
        number, stored, signature, certificate = row
        if Head(number, stored) != head:
            raise LedgerFault(
                self._path, head.entry, f"the ledger ends at {head.entry}, its checkpoint says {number}"
            )
        try:
            signer = self._history.verify(
                certificate, CHECKPOINT_DOMAIN, checkpoint_bytes(head), signature, at_ms=self._at_ms
            )
        except (KeyRefused, TypeError) as error:
            raise LedgerFault(
                self._path, head.entry, f"the checkpoint is not signed by the node: {error}"
            ) from None
        if not signer.is_node:
            raise LedgerFault(
                self._path, head.entry, f"the checkpoint is signed by a person: '{signer.name}'"
            )
        return signer.name

    def _check_indexes(self) -> None:
        events = {h: (order, n) for h, order, n in self._db.execute(_EVENT_INDEX)}
        if events != self._events:
            raise LedgerFault(self._path, 0, "the index of events differs from the ledger")
        rows = set(self._db.execute(_ORDER_INDEX))
        if rows != {(o, r.content.plant, r.state.value, int(r.is_open)) for o, r in self._orders.items()}:
            raise LedgerFault(self._path, 0, "the index of orders differs from the ledger")


def compare_ledgers(superior: VerifiedLedger, station: VerifiedLedger) -> int:
    """Check a station's ledger against its superior's; gives the number of orders compared.

    Raises LedgerFault when one of them ends before what the other saw of it, when the station holds an order
    that its superior does not, or when the two hold different events at one place of an order's chain. Two
    files of one node must be copies of one ledger, of different age perhaps.
    """
    if superior.node == station.node:
        _check_one_history(superior, station)
    _check_seen(superior, station)
    _check_seen(station, superior)
    if strange := station.orders.keys() - superior.orders.keys():
        raise LedgerFault(superior.path, 0, f"order {min(strange)} of '{station.node}' is missing here")
    shared = superior.orders.keys() & station.orders.keys()
    for order in sorted(shared):
        pairs = zip(_chain(superior.orders[order]), _chain(station.orders[order]), strict=False)
        if any(ours != theirs for ours, theirs in pairs):
            raise LedgerFault(station.path, 0, f"order {order} differs from the ledger of '{superior.node}'")
    return len(shared)


def _check_one_history(one: VerifiedLedger, other: VerifiedLedger) -> None:
    shared = one.hashes.keys() & other.hashes.keys()
    if forked := [entry for entry in shared if one.hashes[entry] != other.hashes[entry]]:
        reason = f"{one.path}, also of '{one.node}', goes on otherwise: two programs wrote under one name"
        raise LedgerFault(other.path, min(forked), reason)


def has_seen(superior: VerifiedLedger, station: VerifiedLedger) -> bool:
    """Whether the first noted an end of the second: without that a cut-off tail cannot be told.

    A plant behind a center is seen by the center, not by headquarters.
    """
    return bool(superior.peer_heads.get(station.node))


def _check_seen(witness: VerifiedLedger, seen: VerifiedLedger) -> None:
    for head in witness.peer_heads.get(seen.node, ()):
        if head.entry and seen.hashes.get(head.entry) != head.hash:
            raise LedgerFault(
                seen.path, head.entry, f"'{witness.node}' saw another entry here: replaced or cut off"
            )


def _chain(record: OrderRecord) -> list[bytes]:
    return [event.hash for event in record.events if event.event.input not in OFF_CHAIN]
