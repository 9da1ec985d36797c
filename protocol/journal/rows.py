"""The batches of one commit as rows, written with as few statements as there can be.

Each statement gives up the interpreter's lock and has to win it back from a busy loop, which may take 5 ms:
beside one, a commit costs by the number of its statements, not of its rows.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from protocol.journal.batch import Batch, OrderRow, Pending
from protocol.outbox import Mark

_SIZES: Final = (64, 32, 16, 8, 4, 2, 1)  # rows per statement; few texts, so that each stays prepared

Row = tuple[str | int | bytes, ...]

# What stands before the rows of values, how one row looks, what stands behind.
_LEDGER: Final = ("INSERT INTO ledger VALUES ", "(?, ?, ?, ?, ?, ?)", "")
_EVENTS: Final = ("INSERT INTO order_event VALUES ", "(?, ?, ?)", "")
_ORDERS: Final = ("INSERT OR REPLACE INTO orders VALUES ", "(?, ?, ?, ?)", "")
_OUTBOX: Final = ("INSERT INTO outbox VALUES ", "(?, ?, ?)", "")
_PEERS: Final = ("INSERT OR IGNORE INTO peer (name) VALUES ", "(?)", "")
_RECEIVED: Final = (
    "INSERT INTO peer (name, received, received_digest) VALUES ",
    "(?, ?, ?)",
    " ON CONFLICT (name) DO UPDATE SET"
    " received = excluded.received, received_digest = excluded.received_digest",
)
_ACKNOWLEDGED: Final = (
    "INSERT INTO peer (name, acknowledged, acknowledged_digest) VALUES ",
    "(?, ?, ?)",
    " ON CONFLICT (name) DO UPDATE SET"
    " acknowledged = excluded.acknowledged, acknowledged_digest = excluded.acknowledged_digest",
)
_FORGET: Final = (
    "DELETE FROM outbox WHERE (peer, cursor) IN (SELECT peer, cursor FROM (VALUES ",
    "(?, ?)",
    ") AS held CROSS JOIN outbox ON peer = held.column1 AND cursor <= held.column2)",
)
_PENDING: Final = ("INSERT OR REPLACE INTO pending VALUES ", "(?, ?, ?)", "")
_SETTLED: Final = ("DELETE FROM pending WHERE event_hash IN (VALUES ", "(?)", ")")
_META: Final = ("INSERT OR REPLACE INTO meta VALUES ", "(?, ?)", "")


@dataclass(slots=True)
class Rows:
    """What several batches amount to when they are written together. The file fills `ledger` and `events`."""

    ledger: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    _orders: dict[str, OrderRow] = field(default_factory=dict)
    _outgoing: list[Row] = field(default_factory=list)
    _received: dict[str, Mark] = field(default_factory=dict)
    _acknowledged: dict[str, Mark] = field(default_factory=dict)
    _pending: dict[bytes, Pending | None] = field(default_factory=dict)  # None: settled
    _meta: dict[str, bytes] = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        """One more batch; where it speaks of what an earlier one spoke of, the later word counts."""
        for order, row in batch.orders.items():
            self._orders.pop(order, None)  # the order that changed last is to be written last
            self._orders[order] = row
        self._outgoing += batch.outgoing
        self._received |= batch.received
        self._acknowledged |= batch.acknowledged
        self._pending |= {row.event_hash: row for row in batch.pending}
        self._pending |= dict.fromkeys(batch.settled)
        self._meta |= batch.meta

    def write(self, db: sqlite3.Connection) -> None:
        """Write everything; begin and end of the transaction are the caller's."""
        _execute(db, _LEDGER, self.ledger)
        _execute(db, _EVENTS, self.events)
        rows = self._orders.values()
        _execute(db, _ORDERS, [(row.order, row.plant, row.state.value, int(row.is_open)) for row in rows])
        self._write_delivery(db)
        _execute(db, _SETTLED, [(h,) for h, row in self._pending.items() if row is None])
        intended = [(row.event_hash, row.order, row.body) for row in self._pending.values() if row]
        _execute(db, _PENDING, intended)
        _execute(db, _META, list(self._meta.items()))

    def _write_delivery(self, db: sqlite3.Connection) -> None:
        _execute(db, _OUTBOX, self._outgoing)
        _execute(db, _PEERS, list(dict.fromkeys(row[:1] for row in self._outgoing)))
        _execute(db, _RECEIVED, [(peer, *mark) for peer, mark in self._received.items()])
        _execute(db, _ACKNOWLEDGED, [(peer, *mark) for peer, mark in self._acknowledged.items()])
        _execute(db, _FORGET, [(peer, mark.cursor) for peer, mark in self._acknowledged.items()])


def _execute(db: sqlite3.Connection, statement: tuple[str, str, str], rows: Sequence[Row]) -> None:
    begun = 0
    for size in _pieces(len(rows)):
        piece = rows[begun : begun + size]
        db.execute(_TEXTS[statement, size], [value for row in piece for value in row])
        begun += size


def _pieces(count: int) -> Iterable[int]:
    for size in _SIZES:
        while count >= size:
            yield size
            count -= size


_TEXTS: Final = {
    (statement, size): statement[0] + ", ".join([statement[1]] * size) + statement[2]
    for statement in (
        _LEDGER,
        _EVENTS,
        _ORDERS,
        _OUTBOX,
        _PEERS,
        _RECEIVED,
        _ACKNOWLEDGED,
        _FORGET,
        _PENDING,
        _SETTLED,
        _META,
    )
    for size in _SIZES
}
