"""A node's orders and cursors. A decision is made on `Work`, in memory and at once; `commit` publishes it
to the other decisions and hands it to the journal; only when it is durable there may a link tell of it.

Nothing of a Work that is thrown away (an error in the middle) is ever seen.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from protocol.aio.open_orders import OpenOrders
from protocol.aio.owed import Owed
from protocol.aio.room import check_open, check_room
from protocol.errors import KeyRefused, OrderRefused, PeerFault, RefusalCode
from protocol.handshake import Grant, Local
from protocol.items import Item, decode_item, order_of
from protocol.journal.batch import Batch, Entry, Notice, OrderRow, Pending
from protocol.journal.file import JournalError, Loaded
from protocol.journal.verify import EVENT, PEER_CHECKPOINT
from protocol.journal.writer import Writer
from protocol.keys import Certificate, TrustStore
from protocol.limits import MAX_OUTBOX, MAX_OUTBOX_BYTES_OF_PEER, MAX_UNREAD
from protocol.messages import LedgerHead
from protocol.models import Wire
from protocol.orders import SignedEvent, VerifiedEvent, verify_event
from protocol.outbox import Inbox, Mark, Outbox, Tally, check_size, take_next
from protocol.record import OrderRecord, apply, replay

_VERIFIED_KEPT = 256  # events: those of some reports
_CLOSED_KEPT = 1_000  # closed orders kept in memory; older ones are read back when asked for
_PAUSE_PER_READ_BACK = 0.02  # s; ten times what it takes


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
        self._verified: dict[SignedEvent, VerifiedEvent] = {}
        self._verified_under = trust.anchors
        self._history = trust.for_history()
        self.wall_ms = wall_ms
        self.orders: dict[str, OrderRecord] = {}
        self.pending = {row.event_hash: row for row in loaded.pending}
        self.meta = dict(loaded.meta)
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.on_committed: Callable[[float], None] = lambda _seconds: None  # told how long each took
        self.uncommitted = 0  # batches handed to the journal that are not durable yet
        self._writer = writer
        self._seen_head = writer.head
        self._ledger_head = LedgerHead(entry=writer.head.entry, hash=writer.head.hash)
        self.free_disk: Callable[[], int | None] = lambda: (
            None
        )  # bytes beside the journal, if they can be told
        self.waiting = Tally()  # what all outboxes hold
        self.open_orders = OpenOrders(self.orders)
        self._owed = Owed(lambda: self.commit(self.work()))
        self._forget_at = 2 * _CLOSED_KEPT
        self._outboxes: dict[str, Outbox] = {}
        self._inboxes: dict[str, Inbox] = {}
        self._wakers: dict[str, Callable[[], None]] = {}
        self._watchers: list[Callable[[OrderRecord], None]] = []
        for name, row in loaded.peers.items():
            self._outboxes[name] = Outbox(row.acknowledged, row.outgoing, self.waiting)
            self._inboxes[name] = Inbox(row.received)
        for order, bodies in loaded.open_events.items():
            self.orders[order] = record = self._replay(bodies)
            self.open_orders.changed(record)

    def _replay(self, bodies: Iterable[bytes]) -> OrderRecord:
        try:
            return replay(
                verify_event(SignedEvent.decode(body), self._history, self.local.deployment)
                for body in bodies
            )
        except (OrderRefused, PeerFault) as error:
            raise JournalError(f"the journal holds an order that does not verify: {error}") from error

    def verify(self, signed: SignedEvent) -> VerifiedEvent:
        """See verify_event. What was verified a moment ago, under the same trust, is not verified again."""
        if self._verified_under is not self.trust.anchors:
            self._verified_under = self.trust.anchors
            self._verified.clear()
        verified = self._verified.get(signed)
        if verified is None:
            verified = verify_event(signed, self.trust, self.local.deployment)
            if len(self._verified) >= _VERIFIED_KEPT:
                del self._verified[next(iter(self._verified))]
            self._verified[signed] = verified
        return verified

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
        if (outbox := self._outboxes.get(peer)) is None:
            outbox = self._outboxes[peer] = Outbox(tally=self.waiting)
        return outbox

    def is_crowded(self, peer: str) -> bool:
        """Whether so much waits for a peer that no new order should be taken for it, or of it."""
        return len(self.outbox(peer)) >= MAX_OUTBOX or self.outbox(peer).size >= MAX_OUTBOX_BYTES_OF_PEER

    def is_flooded(self, peer: str) -> bool:
        """Whether it leaves so much unread that it is not even told what was refused, its own doing."""
        return len(self.outbox(peer)) >= MAX_UNREAD

    def check_room(self) -> None:
        """Whether a new order may be begun or issued here. Raises OrderRefused(LIMIT)."""
        check_room(self.local.name, self.waiting, self.free_disk())

    def check_open(self, plant: str) -> None:
        """Whether one more order may be open, in all and at this plant. Raises OrderRefused(LIMIT)."""
        check_open(self.open_orders, plant)

    def inbox(self, peer: str) -> Inbox:
        """What was taken of a peer."""
        if (inbox := self._inboxes.get(peer)) is None:
            inbox = self._inboxes[peer] = Inbox()
        return inbox

    @property
    def ledger_head(self) -> LedgerHead:
        """Where the durable ledger ends; every poll carries it, and between two commits it is the same."""
        head = self._writer.head
        if head is not self._seen_head:
            self._seen_head = head
            self._ledger_head = LedgerHead(entry=head.entry, hash=head.hash)
        return self._ledger_head

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
        for record in work.orders.values():
            self.open_orders.changed(record)
        self.meta.update(batch.meta)
        self.pending.update({row.event_hash: row for row in batch.pending})
        for event_hash in batch.settled:
            self.pending.pop(event_hash, None)
        for peer, item in work.posts:
            batch.outgoing.append((peer, self.outbox(peer).add(item), item))
        for peer, mark in work.received.items():
            batch.received[peer] = mark
            self.inbox(peer).received = mark
        for peer in self._owed.take():
            batch.acknowledged[peer] = self.outbox(peer).acknowledged_mark
        loop = asyncio.get_running_loop()
        # Not the journal's own: a caller that is cancelled must not hide from us that the write went through.
        waiter: asyncio.Future[None] = loop.create_future()
        self.uncommitted += 1
        future = self._writer.commit(batch)
        future.add_done_callback(partial(self._written, work, waiter, loop.time()))
        return waiter

    def _written(
        self, work: Work, waiter: "asyncio.Future[None]", began: float, done: "asyncio.Future[None]"
    ) -> None:
        self.uncommitted -= 1
        if done.cancelled():
            waiter.cancel()
            return
        self.on_committed(asyncio.get_running_loop().time() - began)
        if error := done.exception():
            self.fail(error)
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # told: nobody has to wait for it
            return
        self._tell(work)
        if not waiter.done():
            waiter.set_result(None)

    def _tell(self, work: Work) -> None:
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
        if len(self.orders) > self._forget_at:
            self._forget_old_orders()

    def fail(self, error: BaseException) -> None:
        """The journal cannot be trusted any more: the program that waits for `failed` must end."""
        if not self.failed.done():
            self.failed.set_exception(error)

    def _forget_old_orders(self) -> None:
        closed = [order for order, record in self.orders.items() if not record.is_open]
        for order in closed[: max(0, len(closed) - _CLOSED_KEPT)]:
            del self.orders[order]
        # Not at every commit from now on, when it is the open ones that are many.
        self._forget_at = max(2 * _CLOSED_KEPT, len(self.orders) + _CLOSED_KEPT)

    async def find(self, order: str) -> OrderRecord | None:
        """An order, also one that is no longer in memory."""
        await self.know([order])
        return self.orders.get(order)

    async def know(self, orders: Iterable[str]) -> int:
        """Have these orders in memory, as far as there are such; tells how many had to be read back.

        The journal is asked for all of them at once, and the loop goes on between one and the next: replaying
        an order costs a signature's check for each of its events.
        """
        wanted = dict.fromkeys(order for order in orders if order)
        found: dict[str, OrderRecord | None] = {}
        while missing := [order for order in wanted if order not in self.orders and order not in found]:
            for order, events in zip(
                missing, await asyncio.gather(*map(self._writer.events_of, missing)), strict=True
            ):
                found[order] = self._replay(events) if events else None
                if events:
                    await asyncio.sleep(0)
        # No waiting from here on: whoever asked will decide on them, so they are the last to be forgotten.
        for order in wanted:
            if record := self.orders.pop(order, None) or found.get(order):
                self.orders[order] = record
        return sum(record is not None for record in found.values())

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

        A peer that speaks of orders that ended long ago is served more slowly: reading them back is dear.
        `seen`: where the peer's ledger stood, kept with what it sent. Raises PeerFault, JournalError.
        """
        decoded = [(cursor, decode_item(data)) for cursor, data in items]
        received = self.inbox(peer).received.cursor
        new = [item for cursor, item in decoded if cursor > received]
        for item in new:
            await policy.prepare(peer, item)
        about = [order_of(item) for item in new]
        if read_back := await self.know(about):
            await asyncio.sleep(_PAUSE_PER_READ_BACK * read_back)
            await self.know(about)
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
        """The peer's acknowledgement moved: written with the next decision, or soon.

        Nothing depends on it: if it is lost in a crash the peer says it again in its next Hello or Welcome.
        """
        self._owed.add(peer)

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
        if self.uncommitted or self.failed.done():
            await self.commit(self.work())

    async def close(self) -> None:
        """Make everything durable and close the journal."""
        while self._owed and not self.failed.done():
            self.commit(self.work())
        self._owed.stop()
        await self._writer.close()
