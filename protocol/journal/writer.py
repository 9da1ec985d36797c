"""The one writer: a thread that takes all batches waiting, writes them in one commit, and tells.

Batches become durable in the order in which they were handed in. When a write fails nothing after it is
written, every waiter gets the error, and the station must end: going on would tell of things not kept.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

from protocol.journal.batch import Batch, Head, OrderRow
from protocol.journal.file import DAMAGED, JournalError, JournalFile

MAX_GROUP = 256  # batches per commit


class Writer(Protocol):
    """What a station needs of its journal while it runs."""

    head: Head

    def commit(self, batch: Batch) -> "asyncio.Future[None]":
        """Hand in a batch; the future is done when the batch is durable, or has the JournalError."""
        ...

    async def events_of(self, order: str) -> Sequence[bytes]:
        """See JournalFile.events_of."""
        ...

    async def latest_orders(self, limit: int) -> Sequence[OrderRow]:
        """See JournalFile.latest_orders."""
        ...

    async def close(self) -> None:
        """Write what waits, then close the file."""
        ...


R = TypeVar("R")
_Waiting = tuple[Batch, "asyncio.Future[None]"]
_Query = Callable[[], None]


class ThreadedWriter:
    """The writer of the real programs. Make it inside the running loop."""

    def __init__(self, file: JournalFile) -> None:
        self.head = file.head
        self.on_group: Callable[[int], None] = lambda _batches: None  # told how many became durable together
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Waiting | _Query | None] = queue.SimpleQueue()
        self._failed: JournalError | None = None
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def commit(self, batch: Batch) -> "asyncio.Future[None]":
        """See Writer.commit."""
        future: asyncio.Future[None] = self._loop.create_future()
        if self._is_closed:
            _fail(future, JournalError("the journal is closed"))
        else:
            self._queue.put((batch, future))
        return future

    async def events_of(self, order: str) -> Sequence[bytes]:
        """See JournalFile.events_of."""
        return await self._ask(lambda: self._file.events_of(order))

    async def latest_orders(self, limit: int) -> Sequence[OrderRow]:
        """See JournalFile.latest_orders."""
        return await self._ask(lambda: self._file.latest_orders(limit))

    async def close(self) -> None:
        """Write what waits, then close the file."""
        self._is_closed = True
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _ask(self, read: Callable[[], R]) -> "asyncio.Future[R]":
        future: asyncio.Future[R] = self._loop.create_future()

        def run() -> None:
            try:
                result = read()
            except DAMAGED as error:
                self._tell(partial(_fail, future, JournalError(f"the journal cannot be read: {error}")))
            else:
                self._tell(partial(_finish, future, result))

        if self._is_closed:
            _fail(future, JournalError("the journal is closed"))
        else:
            self._queue.put(run)
        return future

    def _tell(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            group, questions, is_last = self._gather()
            if group:
                self._write(group)
            for question in questions:
                question()
        self._file.close()

    def _gather(self) -> tuple[list[_Waiting], list[_Query], bool]:
        """All that waits, at least one thing. Questions come behind the group: they must not split it."""
        group: list[_Waiting] = []
        questions: list[_Query] = []
        while True:
            work = self._queue.get()
            if work is None:
                return group, questions, True
            if isinstance(work, tuple):
                group.append(work)
            else:
                questions.append(work)
            if len(group) == MAX_GROUP or self._queue.empty():
                return group, questions, False

    def _write(self, group: Sequence[_Waiting]) -> None:
        try:
            if self._failed:
                raise self._failed
            head = self._file.write([batch for batch, _ in group])
        except JournalError as error:
            self._failed = error
            self._tell(partial(_fail_all, [future for _, future in group], error))
        else:
            self._tell(partial(self._written, [future for _, future in group], head))

    def _written(self, futures: "Sequence[asyncio.Future[None]]", head: Head) -> None:
        self.head = head
        self.on_group(len(futures))
        for future in futures:
            _finish(future, None)


def _finish(future: "asyncio.Future[R]", result: R) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[R]", error: JournalError) -> None:
    if not future.done():
        future.set_exception(error)


def _fail_all(futures: "Sequence[asyncio.Future[None]]", error: JournalError) -> None:
    for future in futures:
        _fail(future, error)
