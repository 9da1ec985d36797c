"""Delivery that survives reconnects: keep until acknowledged, send again, take once.

Cursors count the items of one direction of one link, for ever, across sessions. An item may be sent
when it is durable here and is forgotten when the peer says that it is durable there.
"""

from collections.abc import Iterable, Sequence

from protocol.errors import LocalMisuse, PeerFault, WireCode
from protocol.limits import MAX_ITEM


def check_size(body: bytes) -> None:
    """Raises LocalMisuse when `body` is too large to be sealed into a frame: it would end every link."""
    if len(body) > MAX_ITEM:
        raise LocalMisuse(f"{len(body)} B are over the limit of {MAX_ITEM} B for one item")


class Outbox:
    """The items on their way to one peer. Memory mirrors what the journal holds."""

    def __init__(
        self, acknowledged: int = 0, last: int = 0, pending: Iterable[tuple[int, bytes]] = ()
    ) -> None:
        self.acknowledged = acknowledged
        self.last = last
        self.durable = last
        self._items = dict(sorted(pending))

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: bytes) -> int:
        """Give an item its cursor. It is not sendable before `mark_durable`. Raises LocalMisuse."""
        check_size(item)
        self.last += 1
        self._items[self.last] = item
        return self.last

    def mark_durable(self, cursor: int) -> None:
        """All items up to `cursor` are in the journal."""
        if cursor > self.last:
            raise LocalMisuse(f"cursor {cursor} was never assigned")
        self.durable = max(self.durable, cursor)

    def check_acknowledgement(self, cursor: int) -> None:
        """Raises PeerFault(CURSOR) unless the peer can have said this."""
        if not self.acknowledged <= cursor <= self.durable:
            raise PeerFault(
                WireCode.CURSOR,
                f"acknowledges {cursor}, possible is {self.acknowledged} to {self.durable}: "
                "a journal was replaced or restored",
            )

    def acknowledge(self, cursor: int) -> bool:
        """The peer holds everything up to `cursor`; tells whether that is new. Raises PeerFault(CURSOR)."""
        self.check_acknowledgement(cursor)
        for done in range(self.acknowledged + 1, cursor + 1):
            self._items.pop(done, None)
        moved = cursor > self.acknowledged
        self.acknowledged = cursor
        return moved

    def after(self, cursor: int, limit: int) -> Sequence[tuple[int, bytes]]:
        """At most `limit` durable items that follow `cursor`."""
        first = max(cursor, self.acknowledged) + 1
        last = min(self.durable, first + limit - 1)
        return [(c, self._items[c]) for c in range(first, last + 1)]


class Inbox:
    """Which items of one peer were taken. `durable` is what may be acknowledged."""

    def __init__(self, durable: int = 0) -> None:
        self.received = durable
        self.durable = durable

    def take(self, cursor: int) -> bool:
        """Whether the item is new. Raises PeerFault(CURSOR) when one before it is missing."""
        if cursor <= self.received:
            return False
        if cursor != self.received + 1:
            raise PeerFault(WireCode.CURSOR, f"item {cursor} follows {self.received}")
        self.received = cursor
        return True

    def mark_durable(self, cursor: int) -> None:
        """All items up to `cursor` are in the journal."""
        self.durable = max(self.durable, cursor)
