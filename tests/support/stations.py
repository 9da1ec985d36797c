"""Nodes whose journal is in memory and durable at once, for tests of what a station decides."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from protocol.aio.station import Policy, Station, Work
from protocol.handshake import Local
from protocol.items import EventItem, Item, RefusalItem, decode_item, event_item
from protocol.journal.batch import Batch, Notice, OrderRow
from protocol.journal.file import JournalError, JournalFile
from protocol.journal.verify import EVENT
from protocol.keys import SigningKey, TrustStore
from protocol.lifecycle import Input
from protocol.models import decode_as
from protocol.orders import EVENTS, SignableEvent, SignedEvent, VerifiedEvent
from protocol.record import OrderRecord
from tests.protocol.links import XorStandIn
from tests.protocol.parties import TRUST
from tests.support.pki import DEPLOYMENT, NOW_MS


class Clock:
    """A wall clock that stands still until a test moves it."""

    def __init__(self, ms: int = NOW_MS) -> None:
        self.ms = ms

    def __call__(self) -> int:
        return self.ms

    def advance(self, seconds: float) -> None:
        """Let time pass; it may also step back."""
        self.ms += round(seconds * 1000)


class ImmediateWriter:
    """The Writer of these nodes. `batches`: all that was written; `broken`: the disk fails from now on."""

    def __init__(self, file: JournalFile) -> None:
        self.file = file
        self.head = file.head
        self.batches: list[Batch] = []
        self.broken = False

    def commit(self, batch: Batch) -> "asyncio.Future[None]":
        """See Writer.commit. It is durable now; who waits for it hears of it a moment later."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if self.broken:
            loop.call_soon(future.set_exception, JournalError("the disk is full"))
        else:
            self.head = self.file.write([batch])
            self.batches.append(batch)
            loop.call_soon(future.set_result, None)
        return future

    async def events_of(self, order: str) -> Sequence[bytes]:
        """See Writer.events_of."""
        return self.file.events_of(order)

    async def latest_orders(self, limit: int) -> Sequence[OrderRow]:
        """See Writer.latest_orders."""
        return self.file.latest_orders(limit)

    async def close(self) -> None:
        """See Writer.close."""
        self.file.close()


@dataclass(frozen=True, slots=True)
class Decision:
    """What a station wrote and queued since a test looked last."""

    batches: tuple[Batch, ...]

    @property
    def posts(self) -> list[tuple[str, Item]]:
        """(direct peer, item) in the order in which they were queued."""
        return [(peer, decode_item(item)) for batch in self.batches for peer, _, item in batch.outgoing]

    @property
    def refusals(self) -> list[tuple[str, RefusalItem]]:
        """The refusals among the posts."""
        return [(peer, item) for peer, item in self.posts if isinstance(item, RefusalItem)]

    @property
    def recorded(self) -> list[Input]:
        """What was put on orders."""
        bodies = [entry.body for batch in self.batches for entry in batch.entries if entry.kind == EVENT]
        return [_event(SignedEvent.decode(body).body).input for body in bodies]

    def events(self, to: str) -> list[Input]:
        """The events on their way to a station."""
        items = [item for _, item in self.posts if isinstance(item, EventItem) and item.to == to]
        return [_event(item.body).input for item in items]

    def notes(self, kind: str) -> list[dict[str, str]]:
        """The facts of the ledger's lines of one kind that are no events."""
        entries = [entry for batch in self.batches for entry in batch.entries if entry.kind == kind]
        return [dict(Notice.decode(entry.body).facts) | {"subject": entry.subject} for entry in entries]


def _event(body: bytes) -> SignableEvent:
    return decode_as(EVENTS, body)


def up(verified: VerifiedEvent) -> EventItem:
    """An event on its way to headquarters."""
    return event_item(verified.signed, "")


class Node:
    """A station with its journal. Make it inside the running loop; `close` it in the end."""

    def __init__(self, key: SigningKey, *, trust: TrustStore = TRUST, clock: Clock | None = None) -> None:
        self.key = key
        self.trust = trust
        self.clock = clock or Clock()
        self.file = JournalFile.open(":memory:", key)
        self.restart()

    def restart(self) -> Station:
        """What a new process finds: only what is in the journal."""
        self.writer = ImmediateWriter(JournalFile(self.file._db, self.key))
        loaded = self.writer.file.load()
        local = Local(key=self.key, deployment=DEPLOYMENT, boot=bytes(16), inner=XorStandIn)
        self.station = Station(local, self.trust, self.writer, loaded, self.clock)
        self._seen = 0
        return self.station

    async def take(self, policy: Policy, peer: str, *items: Item) -> Decision:
        """Let `peer` send items in one frame, and tell what was decided."""
        first = self.station.inbox(peer).received.cursor + 1
        numbered = [(first + index, item.encode()) for index, item in enumerate(items)]
        await self.station.take(peer, numbered, policy)
        return self.decision()

    async def load(self, record: OrderRecord) -> OrderRecord:
        """Know an order from before."""
        work = self.station.work()
        for event in record.events:
            work.record(event)
        await self.commit(work)
        self.decision()
        return record

    async def commit(self, work: Work | None) -> Decision:
        """Publish a decision, if there is one."""
        if work:
            await self.station.commit(work)
        return self.decision()

    def decision(self) -> Decision:
        """What was written since the last call."""
        new = tuple(self.writer.batches[self._seen :])
        self._seen = len(self.writer.batches)
        return Decision(new)

    def close(self) -> None:
        """Close the journal."""
        self.file.close()
