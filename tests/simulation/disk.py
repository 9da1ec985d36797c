"""A journal whose disk survives a crash with exactly what was committed, written in virtual time.

The SQL is the real JournalFile's; only the thread and the fsync are played. A group is durable some ms after
it was handed in, and its waiters are told a little later still: a crash between the two keeps what nobody was
told of.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence

from protocol.journal.batch import Batch, Head, OrderRow
from protocol.journal.file import JournalFile
from protocol.journal.writer import MAX_GROUP
from protocol.keys import SigningKey

_STALL = (0.1, 1.5)  # s: a disk that is busy with others
_STALLS = 0.03
_TELL = 0.000_5  # s, at most
_FSYNC_DONE_BEFORE_CRASH = 0.5

Observer = Callable[[Batch], None]


class Disk:
    """What is left of a node after a crash. `terms`: every term that was made durable, in order."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self.connection = JournalFile.open(":memory:", key)._db
        self.terms: dict[str, list[int]] = {"term": [], "granted term": []}

    def open(self) -> JournalFile:
        """The journal as a starting node finds it."""
        return JournalFile(self.connection, self._key)

    def remember_terms(self, batch: Batch) -> None:
        """Keep the history of the terms, which the journal overwrites."""
        for key, seen in self.terms.items():
            if key in batch.meta:
                seen.append(int.from_bytes(batch.meta[key]))

    def undelivered(self) -> list[tuple[str, int]]:
        """(peer, cursor) of what no peer has acknowledged."""
        return list(self.connection.execute("SELECT peer, cursor FROM outbox ORDER BY peer, cursor"))

    def open_orders(self) -> list[tuple[str, str]]:
        """(order, state) of what is not at its end."""
        return list(self.connection.execute("SELECT order_id, state FROM orders WHERE is_open ORDER BY 1"))

    def unanswered(self) -> list[str]:
        """Orders for which a person's event has no outcome."""
        return [order for (order,) in self.connection.execute("SELECT order_id FROM pending")]


class DiskWriter:
    """The Writer of one life of a node; `crash` ends it. `on_hand_in`, `on_durable`: for faults that aim."""

    def __init__(
        self,
        disk: Disk,
        rng: random.Random,
        on_hand_in: Observer,
        on_durable: Observer,
        fsync: tuple[float, float],
    ) -> None:
        self.file = disk.open()
        self.head: Head = self.file.head
        self._disk = disk
        self._rng = rng
        self._fsync = fsync
        self._on_hand_in = on_hand_in
        self._on_durable = on_durable
        self._queue: deque[tuple[Batch | None, asyncio.Future[None]]] = deque()  # None: a question
        self._group: list[tuple[Batch, asyncio.Future[None]]] = []
        self._group_is_durable = False
        self._timer: asyncio.TimerHandle | None = None
        self._dead = False

    def commit(self, batch: Batch) -> "asyncio.Future[None]":
        """See Writer.commit."""
        future = self._enqueue(batch)
        if not self._dead:
            self._on_hand_in(batch)
        return future

    def _enqueue(self, batch: Batch | None) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._dead:
            self._queue.append((batch, future))
            self._begin()
        return future

    def _begin(self) -> None:
        """Answer the questions whose turn it is, then sync the batches up to the next question."""
        if self._group:
            return
        while self._queue and self._queue[0][0] is None:
            _finish(self._queue.popleft()[1])
        while self._queue and len(self._group) < MAX_GROUP and (batch := self._queue[0][0]) is not None:
            self._group.append((batch, self._queue.popleft()[1]))
        if self._group:
            fsync = _STALL if self._rng.random() < _STALLS else self._fsync
            self._timer = asyncio.get_running_loop().call_later(self._rng.uniform(*fsync), self._end)

    def _end(self) -> None:
        head = self._write()
        self._group_is_durable = True
        self._timer = asyncio.get_running_loop().call_later(self._rng.uniform(0, _TELL), self._tell, head)
        for batch, _ in self._group:
            self._on_durable(batch)

    def _write(self) -> Head:
        batches = [batch for batch, _ in self._group]
        head = self.file.write(batches)
        for batch in batches:
            self._disk.remember_terms(batch)
        return head

    def _tell(self, head: Head) -> None:
        self.head = head
        group, self._group = self._group, []
        self._group_is_durable = False
        for _, future in group:
            _finish(future)
        self._begin()

    def crash(self) -> None:
        """Everything that was not synced is lost; a sync under way may or may not have been in time."""
        self._dead = True
        if self._timer:
            self._timer.cancel()
        in_time = self._rng.random() < _FSYNC_DONE_BEFORE_CRASH
        if self._group and not self._group_is_durable and in_time:
            self._write()

    async def events_of(self, order: str) -> Sequence[bytes]:
        """See Writer.events_of."""
        await self._enqueue(None)
        return self.file.events_of(order)

    async def latest_orders(self, limit: int) -> Sequence[OrderRow]:
        """See Writer.latest_orders."""
        await self._enqueue(None)
        return self.file.latest_orders(limit)

    async def close(self) -> None:
        """See Writer.close."""
        await self.commit(Batch())
        self._dead = True


def _finish(future: "asyncio.Future[None]") -> None:
    if not future.done():  # whoever waited may have been cancelled
        future.set_result(None)
