"""Delivery that survives reconnects: keep until acknowledged, send again, take once.

Cursors count the items of one direction of one link, for ever, across sessions. An item may be sent
when it is durable here and is forgotten when the peer says that it is durable there. A running digest over
the items goes with the cursor, so that a journal that was restored or replaced is found even when its
counts have caught up.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from protocol.errors import LocalMisuse, PeerFault, WireCode
from protocol.limits import MAX_ITEM


class Mark(NamedTuple):
    """A place in one direction of a link: how many items, and the digest of all of them."""

    cursor: int = 0
    digest: bytes = bytes(32)

    def then(self, item: bytes) -> "Mark":
        """The place after one more item."""
        return Mark(self.cursor + 1, hashlib.sha256(self.digest + item).digest())


START = Mark()


def check_size(body: bytes) -> None:
    """Raises LocalMisuse when `body` is too large to be sealed into a frame: it would end every link."""
    if len(body) > MAX_ITEM:
        raise LocalMisuse(f"{len(body)} B are over the limit of {MAX_ITEM} B for one item")


class Tally:
    """How much several outboxes hold together."""

    __slots__ = ("items", "size")

    def __init__(self) -> None:
        self.items = 0
        self.size = 0  # bytes


class Outbox:
    """The items on their way to one peer, `pending` being those after `acknowledged`, in order."""

    def __init__(
        self, acknowledged: Mark = START, pending: Iterable[bytes] = (), tally: Tally | None = None
    ) -> None:
        self._tally = tally or Tally()
        self._acknowledged = acknowledged
        self._last = acknowledged
        self._items: dict[int, tuple[bytes, Mark]] = {}
        self.size = 0  # bytes of all items
        for item in pending:
            self.add(item)
        self.durable = self._last.cursor
        self.sent = self._last.cursor  # the highest that may ever have left: a former run may have sent all

    def __len__(self) -> int:
        return len(self._items)

    @property
    def acknowledged(self) -> int:
        """The highest cursor that the peer is known to hold."""
        return self._acknowledged.cursor

    @property
    def acknowledged_mark(self) -> Mark:
        """The same with its digest, for the journal."""
        return self._acknowledged

    @property
    def last(self) -> int:
        """The highest cursor that was given."""
        return self._last.cursor

    def add(self, item: bytes) -> int:
        """Give an item its cursor. It is not sendable before `mark_durable`. Raises LocalMisuse."""
        check_size(item)
        self._last = self._last.then(item)
        self._items[self._last.cursor] = (item, self._last)
        self.size += len(item)
        self._tally.items += 1
        self._tally.size += len(item)
        return self._last.cursor

    def mark_durable(self, cursor: int) -> None:
        """All items up to `cursor` are in the journal."""
        if cursor > self.last:
            raise LocalMisuse(f"cursor {cursor} was never assigned")
        self.durable = max(self.durable, cursor)

    def mark_sent(self, cursor: int) -> None:
        """All items up to `cursor` left in some session: from now on the peer may hold them."""
        self.sent = max(self.sent, cursor)

    def check_mark(self, mark: Mark) -> None:
        """Raises PeerFault(CURSOR) unless the peer took exactly what was sent from here, up to there."""
        self._check_range(mark.cursor)
        ours = self._acknowledged if mark.cursor == self.acknowledged else self._items[mark.cursor][1]
        if ours.digest != mark.digest:
            raise PeerFault(
                WireCode.CURSOR, f"holds other items up to {mark.cursor}: a journal was replaced or restored"
            )

    def _check_range(self, cursor: int) -> None:
        if not self.acknowledged <= cursor <= self.durable:
            raise PeerFault(
                WireCode.CURSOR,
                f"acknowledges {cursor}, possible is {self.acknowledged} to {self.durable}: "
                "a journal was replaced or restored",
            )

    def acknowledge(self, cursor: int) -> bool:
        """The peer holds everything up to `cursor`; tells whether that is new. Raises PeerFault(CURSOR)."""
        self._check_range(cursor)
        before = self._acknowledged
        for done in range(self.acknowledged + 1, cursor + 1):
            item, self._acknowledged = self._items.pop(done)
            self.size -= len(item)
            self._tally.items -= 1
            self._tally.size -= len(item)
        return self._acknowledged != before

    def after(self, cursor: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """At most `limit` durable items that follow `cursor`."""
        first = max(cursor, self.acknowledged) + 1
        last = min(self.durable, first + limit - 1)
        return [(c, self._items[c][0]) for c in range(first, last + 1)]


class Inbox:
    """Which items of one peer were taken. `durable` is what may be acknowledged."""

    def __init__(self, durable: Mark = START) -> None:
        self.received = durable
        self.durable = durable

    def mark_durable(self, mark: Mark) -> None:
        """All items up to `mark` are in the journal."""
        self.durable = max(self.durable, mark)


def take_next(received: Mark, cursor: int, item: bytes) -> Mark | None:
    """The place after an arriving item; None when it was taken already.

    Raises PeerFault(CURSOR) when one before it is missing.
    """
    if cursor <= received.cursor:
        return None
    if cursor != received.cursor + 1:
        raise PeerFault(WireCode.CURSOR, f"item {cursor} follows {received.cursor}")
    return received.then(item)
