"""A node's orders and cursors. A decision is made on `Work`, in memory and at once; `commit` publishes it
to the other decisions and hands it to the journal; only when it is durable there may a link tell of it.

Nothing of a Work that is thrown away (an error in the middle) is ever seen.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from protocol.errors import KeyRefused, OrderRefused, PeerFault, RefusalCode
from protocol.handshake import Grant, Local
from protocol.items import Item, decode_item, order_of
from protocol.journal.batch import Batch, Entry, Notice, OrderRow, Pending
from protocol.journal.file import JournalError, Loaded
from protocol.journal.verify import EVENT, PEER_CHECKPOINT
from protocol.journal.writer import Writer
from protocol.keys import Certificate, TrustStore
from protocol.limits import MAX_OUTBOX
from protocol.messages import LedgerHead
from protocol.models import Wire
from protocol.orders import SignedEvent, VerifiedEvent, verify_event
from protocol.outbox import Inbox, Mark, Outbox, check_size, take_next
from protocol.record import OrderRecord, apply, replay

_CLOSED_KEPT = 1_000  # closed orders kept in memory; older ones are read back when asked for


class Policy(Protocol):
    """What a station does with items: headquarters, a relay, a plant or a desk."""

    async def prepare(self, peer: str, item: Item) -> None:
        """Anything that must wait (a second store) before `on_item` can decide at once."""
        ...

    def on_item(self, work: "Work", peer: str, item: Item) -> None:
        """Decide. Must not wait and must not fail for anything that a peer can send."""
        ...


class Work:
    """One decision in the making."""

    def __init__(self, station: "Station") -> None:
        self._station = station
        self.batch = Batch()
        self.orders: dict[str, OrderRecord] = {}
        self.posts: list[tuple[str, bytes]] = []
        self.received: dict[str, Mark] = {}
        self.refusals = 0

    def order(self, order: str) -> OrderRecord | None:
        """The order as this work sees it."""
        return self.orders.get(order) or self._station.orders.get(order)

    def record(self, verified: VerifiedEvent) -> OrderRecord:
        """Put an event on its order. Raises OrderRefused and then changes nothing."""
        record = apply(self.order(verified.event.order), verified)
        self.orders[record.order] = record
        self.batch.entries.append(
            Entry(EVENT, record.order, self._station.wall_ms(), verified.signed.encode(), verified.hash)
        )
        self.batch.orders[record.order] = OrderRow(
            record.order, record.content.plant, record.state, record.is_open
        )
        self.settle(verified.hash)
        return record

    def post(self, peer: str, item: Wire) -> None:
        """Send an item to a direct peer. New orders ask `Station.is_crowded` first. Raises LocalMisuse."""
        data = item.encode()
        check_size(data)  # here, so that a commit cannot fail when half of it is published
        self.posts.append((peer, data))

    def take(self, peer: str, cursor: int, item: bytes) -> bool:
        """Whether the item is new. Raises PeerFault(CURSOR) when one before it is missing."""
        received = self.received.get(peer, self._station.inbox(peer).received)
        place = take_next(received, cursor, item)
        if place:
            self.received[peer] = place
        return place is not None

    def note(self, kind: str, subject: str, **facts: object) -> None:
        """Write a line to the ledger that is not an order event."""
        pairs = tuple((key, str(value)) for key, value in facts.items())
        body = Notice(facts=pairs).encode()
        self.batch.entries.append(Entry(kind, subject, self._station.wall_ms(), body))

    def intend(self, verified: VerifiedEvent) -> None:
        """Remember an event that its custodian has to take or refuse."""
        row = Pending(verified.hash, verified.event.order, verified.signed.encode())
        self.batch.pending.append(row)

    def settle(self, event_hash: bytes) -> None:
        """The custodian took or refused the event."""
        if event_hash in self._station.pending:
            self.batch.settled.append(event_hash)


class Station:
    """A node's durable state with what memory mirrors of it."""

    def __init__(
        self, local: Local, trust: TrustStore, writer: Writer, loaded: Loaded, wall_ms: Callable[[], int]
    ) -> None:
        self.local = local
        self.trust = trust
        self._history = trust.for_history()
        self.wall_ms = wall_ms
        self.orders: dict[str, OrderRecord] = {}
        self.pending = {row.event_hash: row for row in loaded.pending}
        self.meta = dict(loaded.meta)
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_committed: Callable[[float], None] = lambda _seconds: None  # told how long each took
        self._writer = writer
        self._outboxes: dict[str, Outbox] = {}
        self._inboxes: dict[str, Inbox] = {}
        self._wakers: dict[str, Callable[[], None]] = {}
        self._watchers: list[Callable[[OrderRecord], None]] = []
        for name, row in loaded.peers.items():
            self._outboxes[name] = Outbox(row.acknowledged, row.outgoing)
            self._inboxes[name] = Inbox(row.received)
        for order, bodies in loaded.open_events.items():
            self.orders[order] = self._replay(bodies)

    def _replay(self, bodies: Iterable[bytes]) -> OrderRecord:
        try:
            return replay(
                verify_event(SignedEvent.decode(body), self._history, self.local.deployment)
                for body in bodies
            )
        except (OrderRefused, PeerFault) as error:
            raise JournalError(f"the journal holds an order that does not verify: {error}") from error

    def verify(self, signed: SignedEvent) -> VerifiedEvent:
        """See verify_event."""
        return verify_event(signed, self.trust, self.local.deployment)

    def check_still_valid(self, signer: Certificate) -> None:
        """A wish also needs a certificate that counts now, whatever time the event itself names.

        Raises OrderRefused(SIGNATURE): a revoked key could otherwise go on signing with earlier dates.
        """
        try:
            self.trust.identify(signer.der, self.wall_ms())
        except KeyRefused as error:
            raise OrderRefused(RefusalCode.SIGNATURE, str(error)) from None

    def outbox(self, peer: str) -> Outbox:
        """What is on its way to a peer."""
        return self._outboxes.setdefault(peer, Outbox())

    def is_crowded(self, peer: str) -> bool:
        """Whether so much waits for a peer that no new order should be taken for it."""
        return len(self.outbox(peer)) >= MAX_OUTBOX

    def inbox(self, peer: str) -> Inbox:
        """What was taken of a peer."""
        return self._inboxes.setdefault(peer, Inbox())

    @property
    def ledger_head(self) -> LedgerHead:
        """Where the durable ledger ends."""
        return LedgerHead(entry=self._writer.head.entry, hash=self._writer.head.hash)

    @property
    def granted(self) -> Grant:
        """The highest term under which a superior commanded this node (fencing)."""
        return Grant(int.from_bytes(self.meta.get("term", b"")), self.meta.get("term boot", b""))

    @property
    def granted_term(self) -> int:
        """The term under which this node commands its subordinates."""
        return int.from_bytes(self.meta.get("granted term", b""))

    def on_news(self, peer: str, waker: Callable[[], None]) -> None:
        """Call `waker` whenever something durable waits for `peer`."""
        self._wakers[peer] = waker

    def watch_orders(self, watcher: Callable[[OrderRecord], None]) -> None:
        """Call `watcher` with each changed order once the change is durable."""
        self._watchers.append(watcher)

    def work(self) -> Work:
        """Begin a decision."""
        return Work(self)

    def commit(self, work: Work) -> "asyncio.Future[None]":
        """Publish the decision; the future is done when it is durable. Its JournalError ends the station."""
        batch = work.batch
        self.orders.update(work.orders)
        self.meta.update(batch.meta)
        self.pending.update({row.event_hash: row for row in batch.pending})
        for event_hash in batch.settled:
            self.pending.pop(event_hash, None)
        for peer, item in work.posts:
            batch.outgoing.append((peer, self.outbox(peer).add(item), item))
        for peer, mark in work.received.items():
            batch.received[peer] = mark
            self.inbox(peer).received = mark
        loop = asyncio.get_running_loop()
        began = loop.time()
        future = self._writer.commit(batch)
        future.add_done_callback(lambda done: self._written(work, done))
        future.add_done_callback(lambda _: self.on_committed(loop.time() - began))
        # Shielded: a caller that is cancelled must not hide from us that the write went through.
        waiter = asyncio.shield(future)
        waiter.add_done_callback(lambda done: done.cancelled() or done.exception())
        return waiter

    def _written(self, work: Work, done: "asyncio.Future[None]") -> None:
        if done.cancelled():
            return
        if error := done.exception():
            self.fail(error)
            return
        for peer, cursor, _ in work.batch.outgoing:
            self.outbox(peer).mark_durable(cursor)
        for peer, mark in work.batch.received.items():
            self.inbox(peer).mark_durable(mark)
        for peer in {peer: None for peer, _ in work.posts} | dict.fromkeys(work.received):
            if waker := self._wakers.get(peer):
                waker()
        for record in work.orders.values():
            for watcher in self._watchers:
                watcher(record)
        self._forget_old_orders()

    def fail(self, error: BaseException) -> None:
        """The journal cannot be trusted any more: the program that waits for `failed` must end."""
        if not self.failed.done():
            self.failed.set_exception(error)

    def _forget_old_orders(self) -> None:
        excess = len(self.orders) - 2 * _CLOSED_KEPT
        if excess > 0:
            closed = [order for order, record in self.orders.items() if not record.is_open]
            for order in closed[: max(0, len(closed) - _CLOSED_KEPT)]:
                del self.orders[order]

    async def find(self, order: str) -> OrderRecord | None:
        """An order, also one that is no longer in memory."""
        if order not in self.orders and (bodies := await self._writer.events_of(order)):
            self.orders.setdefault(order, self._replay(bodies))
        if record := self.orders.pop(order, None):
            self.orders[order] = record  # whoever asks will decide on it: it is the last to be forgotten
        return record

    async def latest_orders(self, limit: int) -> Sequence[OrderRow]:
        """The orders that changed last, newest first."""
        return await self._writer.latest_orders(limit)

    async def take(
        self,
        peer: str,
        items: Sequence[tuple[int, bytes]],
        policy: Policy,
        seen: LedgerHead | None = None,
    ) -> int:
        """Take what a peer sent; returns when it is durable, with the number of events that were refused.

        `seen`: where the peer's ledger stood, kept with what it sent. Raises PeerFault, JournalError.
        """
        decoded = [(cursor, decode_item(data)) for cursor, data in items]
        received = self.inbox(peer).received.cursor
        for cursor, item in decoded:
            if cursor > received:
                await self.find(order_of(item))
                await policy.prepare(peer, item)
        work = self.work()
        for (cursor, item), (_, data) in zip(decoded, items, strict=True):
            if work.take(peer, cursor, data):
                policy.on_item(work, peer, item)
        if work.received:
            if seen:
                work.note(PEER_CHECKPOINT, peer, entry=seen.entry, hash=seen.hash.hex())
            await self.commit(work)
        return work.refusals

    def acknowledged(self, peer: str) -> None:
        """The peer's acknowledgement moved. Not awaited: if it is lost the peer says it again."""
        work = self.work()
        work.batch.acknowledged[peer] = self.outbox(peer).acknowledged_mark
        self.commit(work)

    async def obey(self, term: int, boot: bytes) -> None:
        """Make a higher term of our superior durable before we answer under it. Raises PeerFault(TERM)."""
        self.granted.check(term, boot)
        if self.granted != Grant(term, boot):
            work = self.work()
            work.batch.meta |= {"term": term.to_bytes(8), "term boot": boot}
            work.note("term", self.local.name, term=term)
            await self.commit(work)

    async def grant_term(self) -> None:
        """Begin a new term over our subordinates: each start of a superior does."""
        term = self.granted_term + 1
        work = self.work()
        work.batch.meta["granted term"] = term.to_bytes(8)
        work.note("granted term", self.local.name, term=term)
        await self.commit(work)

    async def settled(self) -> None:
        """Wait until everything decided so far is durable: people must not see what a crash could undo."""
        await self.commit(self.work())

    async def close(self) -> None:
        """Make everything durable and close the journal."""
        await self._writer.close()
