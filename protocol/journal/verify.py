"""What an auditor checks with a ledger file and the authority's certificate alone.

1. Every entry is there, in order, and its hash covers its content and the entry before it.
2. The signed checkpoint is the ledger's end: nothing was cut off, the node itself vouches for it.
3. Every order event is signed by somebody who may sign it, and every order follows the one table.
4. The indexes (events, order states) say what the ledger says.
5. Across files: no station's ledger ends before the point that its superior saw, and the chains of one
   order agree.
"""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from protocol.errors import DispatchError, KeyRefused, OrderRefused, PeerFault
from protocol.journal.batch import Entry, Head, Notice
from protocol.journal.file import CHECKPOINT_DOMAIN, SCHEMA_VERSION, checkpoint_bytes, entry_hash
from protocol.keys import TrustStore
from protocol.lifecycle import OFF_CHAIN, State
from protocol.orders import SignedEvent, verify_event
from protocol.record import OrderRecord, apply

EVENT = "event"
PEER_CHECKPOINT = "peer-checkpoint"


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
    peer_heads: Mapping[str, Head]


def verify_ledger(path: Path, trust: TrustStore, deployment: str) -> VerifiedLedger:
    """Verify one file. Raises LedgerFault at the first thing that does not hold."""
    if not path.is_file():
        raise LedgerFault(path, 0, "there is no such file")
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        try:
            return _Verification(path, db, trust, deployment).run()
        finally:
            db.close()
    except sqlite3.DatabaseError as error:
        raise LedgerFault(path, 0, f"it cannot be read ({error})") from None


class _Verification:
    def __init__(self, path: Path, db: sqlite3.Connection, trust: TrustStore, deployment: str) -> None:
        self._path, self._db, self._trust, self._deployment = path, db, trust, deployment
        self._orders: dict[str, OrderRecord] = {}
        self._events: dict[bytes, tuple[str, int]] = {}
        self._hashes: dict[int, bytes] = {}
        self._peer_heads: dict[str, Head] = {}
        self._at_ms = 0

    def run(self) -> VerifiedLedger:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version != SCHEMA_VERSION:
            raise LedgerFault(self._path, 0, f"schema {version} is not {SCHEMA_VERSION}")
        head = self._check_entries()
        node = self._check_checkpoint(head)
        self._check_indexes()
        return VerifiedLedger(
            self._path, node, head, len(self._events), self._orders, self._hashes, self._peer_heads
        )

    def _check_entries(self) -> Head:
        head = Head()
        rows = self._db.execute("SELECT entry, kind, subject, at_ms, body, hash FROM ledger ORDER BY entry")
        for number, kind, subject, at_ms, body, stored in rows:
            entry = Entry(kind, subject, at_ms, body)
            if number != head.entry + 1:
                raise LedgerFault(self._path, head.entry + 1, "it is missing")
            if entry_hash(head.hash, number, entry) != stored:
                raise LedgerFault(self._path, number, "its content is not what was written")
            head = Head(number, stored)
            self._hashes[number] = stored
            self._at_ms = at_ms
            self._check_entry(number, entry)
        return head

    def _check_entry(self, number: int, entry: Entry) -> None:
        try:
            if entry.kind == EVENT:
                self._check_event(number, entry)
            elif entry.kind == PEER_CHECKPOINT:
                facts = dict(Notice.decode(entry.body).facts)
                seen = Head(int(facts["entry"]), bytes.fromhex(facts["hash"]))
                self._peer_heads[entry.subject] = seen
        except (OrderRefused, PeerFault, KeyError, ValueError) as error:
            raise LedgerFault(self._path, number, str(error)) from None

    def _check_event(self, number: int, entry: Entry) -> None:
        verified = verify_event(SignedEvent.decode(entry.body), self._trust, self._deployment)
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
        checkpoint = Head(number, stored)
        try:
            node = self._trust.verify(
                certificate, CHECKPOINT_DOMAIN, checkpoint_bytes(checkpoint), signature, at_ms=self._at_ms
            )
        except KeyRefused as error:
            raise LedgerFault(
                self._path, number, f"the checkpoint is not signed by the node: {error}"
            ) from None
        if checkpoint != head:
            raise LedgerFault(
                self._path, head.entry, f"the ledger ends at {head.entry}, its checkpoint says {number}"
            )
        return node.name

    def _check_indexes(self) -> None:
        events = {h: (order, n) for h, order, n in self._db.execute("SELECT * FROM order_event")}
        if events != self._events:
            raise LedgerFault(self._path, 0, "the index of events differs from the ledger")
        states = {o: State(s) for o, s in self._db.execute("SELECT order_id, state FROM orders")}
        if states != {order: record.state for order, record in self._orders.items()}:
            raise LedgerFault(self._path, 0, "the index of orders differs from the ledger")


def compare_ledgers(superior: VerifiedLedger, station: VerifiedLedger) -> int:
    """Check a station's ledger against its superior's; gives the number of orders compared.

    Raises LedgerFault when the station's ledger ends before what the superior saw of it, or when the two
    hold different events at one place of an order's chain.
    """
    seen = superior.peer_heads.get(station.node, Head())
    if seen.entry and station.hashes.get(seen.entry) != seen.hash:
        raise LedgerFault(
            station.path, seen.entry, f"'{superior.node}' saw another entry here: replaced or cut off"
        )
    shared = superior.orders.keys() & station.orders.keys()
    for order in sorted(shared):
        pairs = zip(_chain(superior.orders[order]), _chain(station.orders[order]), strict=False)
        if any(ours != theirs for ours, theirs in pairs):
            raise LedgerFault(station.path, 0, f"order {order} differs from the ledger of '{superior.node}'")
    return len(shared)


def _chain(record: OrderRecord) -> list[bytes]:
    return [event.hash for event in record.events if event.event.input not in OFF_CHAIN]
