"""Two sessions back to back in memory, with a clock that tests turn by hand."""

import hashlib
from collections.abc import Iterator
from typing import TypeVar

from protocol.frames import FrameReader, Kind, encode_frame
from protocol.handshake import Fresh, Grant, Local
from protocol.keys import SigningKey
from protocol.limits import Timers
from protocol.messages import LedgerHead
from protocol.models import Wire
from protocol.outbox import START, Inbox, Mark, Outbox, take_next
from protocol.session import Acknowledged, Delivered, HelloReceived, Opened, Polled, Replied, Reported
from protocol.subordinate import SubordinateSession
from protocol.superior import SuperiorSession
from tests.protocol.parties import HQ, PLANT
from tests.support.pki import DEPLOYMENT, NOW_MS

LEDGER = LedgerHead(entry=7, hash=bytes(32))
SUPERIORS_LEDGER = LedgerHead(entry=9, hash=b"s" * 32)
WALL_MS = NOW_MS
AnyEvent = Opened | Reported | Acknowledged | HelloReceived | Polled | Delivered | Replied
E = TypeVar("E", bound=AnyEvent)
BOOT = b"b" * 16


class XorStandIn:
    """Stands in for the chaotic cipher, which this package may not import: SHA-256 blocks XOR data."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def apply(self, nonce: bytes, data: bytes, /) -> bytes:
        blocks = range(-(-len(data) // 32))
        stream = b"".join(hashlib.sha256(self._key + nonce + i.to_bytes(4)).digest() for i in blocks)
        mixed = int.from_bytes(data) ^ int.from_bytes(stream[: len(data)])
        return mixed.to_bytes(len(data))

    def prepare(self, nonce: bytes, /) -> None:
        """Nothing to gain."""

    def wipe(self) -> None:
        """Nothing is kept."""


def local(key: SigningKey, *, deployment: str = DEPLOYMENT) -> Local:
    """What a node brings to its links."""
    return Local(key=key, deployment=deployment, boot=BOOT, inner=XorStandIn)


def fresh(seed: int) -> Fresh:
    """The random part of a handshake, made from a seed."""
    return Fresh.of(hashlib.sha512(seed.to_bytes(8)).digest()[:48])


def frame(kind: Kind, body: Wire) -> bytes:
    """A frame with this body."""
    return encode_frame(kind, body.encode())


def frames_of(data: bytes) -> list[tuple[Kind, bytes]]:
    """The frames of a byte stream."""
    return list(FrameReader().feed(data, frozenset(Kind)))


def place(*items: bytes, after: Mark = START) -> Mark:
    """Where a direction stands after these items."""
    for item in items:
        after = after.then(item)
    return after


def box(*items: bytes, acknowledged: Mark = START) -> Outbox:
    """An outbox whose items are all durable."""
    outbox = Outbox(acknowledged)
    for item in items:
        outbox.mark_durable(outbox.add(item))
    return outbox


def put(outbox: Outbox, item: bytes) -> None:
    """Add an item that is durable at once."""
    outbox.mark_durable(outbox.add(item))


def take(inbox: Inbox, cursor: int, item: bytes) -> bool:
    """Take an item that is durable at once; whether it is new."""
    mark = take_next(inbox.received, cursor, item)
    if mark:
        inbox.received = mark
        inbox.mark_durable(mark)
    return mark is not None


class Link:
    """A superior and a subordinate, and the wire between them. `now` is monotonic seconds."""

    def __init__(
        self,
        *,
        timers: Timers | None = None,
        term: int = 1,
        granted: Grant | None = None,
        down: tuple[Outbox, Inbox] | None = None,
        up: tuple[Outbox, Inbox] | None = None,
        seed: int = 1,
        node: SigningKey = PLANT,
    ) -> None:
        self.now = 1_000.0
        self.seen: list[AnyEvent] = []
        self.polled_at: list[float] = []
        self.taken_down: list[bytes] = []
        self.taken_up: list[bytes] = []
        self.down_outbox, self.down_inbox = down or (Outbox(), Inbox())
        self.up_outbox, self.up_inbox = up or (Outbox(), Inbox())
        self._seed = seed
        self.superior = SuperiorSession(
            local(HQ),
            node.certificate,
            term=term,
            timers=timers or Timers(),
            outbox=self.down_outbox,
            inbox=self.up_inbox,
            fresh=fresh(seed),
        )
        self.subordinate = SubordinateSession(
            local(node),
            HQ.certificate,
            granted=granted or Grant(),
            outbox=self.up_outbox,
            inbox=self.down_inbox,
        )

    def opened(self) -> "Link":
        """Shake hands and nothing more: no poll is out yet."""
        self.to_subordinate(self.superior.data_to_send())
        self.to_superior(self.subordinate.data_to_send())
        return self

    def to_subordinate(self, data: bytes) -> list[AnyEvent]:
        """Let the subordinate digest bytes as its program would: durable at once."""
        new: list[AnyEvent] = []
        for event in self.subordinate.receive(data, self.now):
            new.append(event)
            if isinstance(event, HelloReceived):
                self.subordinate.welcome(event.hello, fresh(self._seed + 1_000), self.now)
            if isinstance(event, Delivered) and take(self.down_inbox, event.cursor, event.item):
                self.taken_down.append(event.item)
        self.seen += new
        return new

    def to_superior(self, data: bytes) -> list[AnyEvent]:
        """Let the superior digest bytes as its program would: durable at once."""
        new: list[AnyEvent] = []
        for event in self.superior.receive(data, self.now):
            new.append(event)
            if isinstance(event, Reported):
                for cursor, item in event.items:
                    if take(self.up_inbox, cursor, item):
                        self.taken_up.append(item)
                self.superior.report_done()
        self.seen += new
        return new

    def ask(self) -> bytes:
        """What the superior sends now."""
        before = self.superior.polls
        self.superior.advance(self.now, WALL_MS, SUPERIORS_LEDGER)
        self.polled_at += [self.now] * (self.superior.polls - before)
        return self.superior.data_to_send()

    def answer(self) -> bytes:
        """What the subordinate sends now."""
        self.subordinate.advance(self.now, LEDGER)
        return self.subordinate.data_to_send()

    def settle(self) -> None:
        """Carry bytes both ways until nobody has more to say at this moment."""
        while True:
            downward = self.ask()
            self.to_subordinate(downward)
            upward = self.answer()
            self.to_superior(upward)
            if not downward and not upward:
                return

    def run(self, seconds: float) -> None:
        """Let time pass; both sides act exactly when their timers say so."""
        end = self.now + seconds
        self.settle()
        while (due := min(self._timers())) <= end:
            self.now = max(self.now, due)
            self.settle()
        self.now = end

    def _timers(self) -> Iterator[float]:
        for timer in (self.superior.next_timer(), self.subordinate.next_timer()):
            if timer is not None:
                yield timer

    def all(self, kind: type[E]) -> list[E]:
        """The events of one kind, of both sides, in order."""
        return [event for event in self.seen if isinstance(event, kind)]
