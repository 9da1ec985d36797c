"""A station on a disk that the test drives by hand, and a policy that remembers what it was given."""

import asyncio
from collections.abc import Sequence

from protocol.aio.station import Station, Work
from protocol.errors import RefusalCode
from protocol.handshake import Local
from protocol.items import EventItem, Item, RefusalItem
from protocol.journal.batch import Batch, OrderRow
from protocol.journal.file import JournalError, JournalFile
from protocol.keys import SigningKey, TrustStore
from protocol.orders import VerifiedEvent
from tests.protocol.links import XorStandIn
from tests.protocol.parties import PLANT, TRUST
from tests.support.pki import DEPLOYMENT, NOW_MS


async def settle() -> None:
    """Let everything run that is ready, and what that makes ready."""
    for _ in range(10):
        await asyncio.sleep(0)


class HandWriter:
    """A Writer that writes when the test says so. `is_held` false: as soon as it gets round to it."""

    def __init__(self, file: JournalFile, *, is_held: bool = True) -> None:
        self.file = file
        self.head = file.head
        self.is_held = is_held
        self.waiting: list[tuple[Batch, asyncio.Future[None]]] = []
        self.reading = asyncio.Event()
        self.reading.set()
        self.is_unreadable = False

    def commit(self, batch: Batch) -> "asyncio.Future[None]":
        """See Writer.commit."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((batch, future))
        if not self.is_held:
            asyncio.get_running_loop().call_soon(self.write)
        return future

    def write(self, count: int | None = None) -> None:
        """Make what was handed in first durable."""
        batches, self.waiting = self.waiting[:count], self.waiting[len(self.waiting[:count]) :]
        for batch, future in batches:
            self.head = self.file.write([batch])
            if not future.done():
                future.set_result(None)

    async def finish(self, count: int | None = None) -> None:
        """The same, until everybody was told."""
        self.write(count)
        await settle()

    async def fail(self) -> None:
        """The disk is full."""
        batches, self.waiting = self.waiting, []
        for _, future in batches:
            future.set_exception(JournalError("the disk is full"))
        await settle()

    async def events_of(self, order: str) -> Sequence[bytes]:
        """See Writer.events_of; it waits for `reading`."""
        if self.is_unreadable:
            raise JournalError("the journal cannot be read")
        events = self.file.events_of(order)
        await self.reading.wait()
        return events

    async def latest_orders(self, limit: int) -> Sequence[OrderRow]:
        """See Writer.latest_orders."""
        return self.file.latest_orders(limit)

    async def close(self) -> None:
        """See Writer.close."""
        self.write()
        self.file.close()


def local(key: SigningKey = PLANT) -> Local:
    """What a node brings to its links."""
    return Local(key=key, deployment=DEPLOYMENT, boot=b"b" * 16, inner=XorStandIn)


def new_writer(key: SigningKey = PLANT, *, is_held: bool = True) -> HandWriter:
    """A writer with an empty journal in memory."""
    return HandWriter(JournalFile.open(":memory:", key), is_held=is_held)


def station_on(writer: HandWriter, key: SigningKey = PLANT, trust: TrustStore = TRUST) -> Station:
    """The station that a program finds when it starts on this journal."""
    return Station(local(key), trust, writer, writer.file.load(), lambda: NOW_MS)


def restarted(writer: HandWriter, key: SigningKey = PLANT, trust: TrustStore = TRUST) -> Station:
    """Another run on what is durable; what was not written is lost."""
    return station_on(HandWriter(JournalFile(writer.file._db, key)), key, trust)


def refusal(number: int, to: str = "plant-1") -> RefusalItem:
    """An item that no order depends on; equal for equal numbers."""
    return RefusalItem(
        to=to, order=f"o-{number}", event=bytes(32), code=RefusalCode.STALE, detail=str(number)
    )


def numbered(first: int, *items: Item) -> list[tuple[int, bytes]]:
    """Items with their cursors, as a link hands them over."""
    return [(first + index, item.encode()) for index, item in enumerate(items)]


class Recorder:
    """Takes everything; puts events on their orders."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self.prepared: list[Item] = []
        self.taken: list[tuple[str, Item]] = []

    async def prepare(self, peer: str, item: Item) -> None:
        """See Policy.prepare."""
        self.prepared.append(item)
        await asyncio.sleep(0)

    def on_item(self, work: Work, peer: str, item: Item) -> None:
        """See Policy.on_item."""
        self.taken.append((peer, item))
        if isinstance(item, EventItem):
            work.record(self._station.verify(item.signed))

    @property
    def details(self) -> list[str]:
        """What the refusals among the taken items say."""
        return [item.detail for _, item in self.taken if isinstance(item, RefusalItem)]


def recorded(work: Work, *events: VerifiedEvent) -> Work:
    """Work with these events on their orders."""
    for event in events:
        work.record(event)
    return work
