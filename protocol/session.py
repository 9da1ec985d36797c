"""What both roles of a link share: the events that a session reports, its buffers, its end.

The shell feeds bytes and the monotonic time, takes `data_to_send()` and calls `advance(now)` after every
change and when `next_timer()` is due. The superior asks, the subordinate answers: one poll at most is
outstanding, and a Report is the only frame that travels upward once the session is open.
"""

import struct
from dataclasses import dataclass, field

from protocol.errors import LinkLost, LocalMisuse, PeerFault, WireCode
from protocol.frames import FrameReader, Kind, encode_frame
from protocol.handshake import Keys, Local
from protocol.messages import Goodbye, Hello, LedgerHead, Sample, Welcome
from protocol.models import Wire
from protocol.outbox import Inbox, Mark, Outbox


def header(kind: bytes, number: int) -> bytes:
    """What is authenticated with a sealed message: its kind and its cursor or number."""
    return kind + struct.pack("!Q", number)


# --- events that a session reports ---


@dataclass(frozen=True, slots=True)
class Opened:
    """The subordinate answered; items and polls flow from now on."""

    welcome: Welcome


@dataclass(slots=True)  # not frozen: it would take twice as long, thousands of times a second
class Reported:
    """One poll was answered. Call `report_done` when its items are durable."""

    ledger: LedgerHead
    samples: tuple[Sample, ...]
    items: tuple[tuple[int, bytes], ...] = field(repr=False)
    requests: tuple[tuple[int, bytes], ...] = field(repr=False)  # passwords and codes


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """A superior that we accept wants a session. Make its term durable, then call `welcome`."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class Polled:
    """The superior asked: its wall clock (ms) and where its ledger ends."""

    wall_ms: int
    ledger: LedgerHead


@dataclass(frozen=True, slots=True)
class Delivered:
    """An item came down."""

    cursor: int
    item: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The peer holds our items up to here."""

    cursor: int


@dataclass(frozen=True, slots=True)
class Replied:
    """The answer to one of our requests."""

    number: int
    body: bytes = field(repr=False)


class Session:
    """What both roles share: the byte buffers and the end of the link."""

    __slots__ = ("_inbox", "_keys", "_local", "_out", "_outbox", "_reader", "_sent")

    def __init__(self, local: Local, outbox: Outbox, inbox: Inbox) -> None:
        self._local = local
        self._outbox = outbox
        self._inbox = inbox
        self._reader = FrameReader()
        self._out: list[bytes] = []
        self._keys: Keys | None = None
        self._sent = outbox.acknowledged

    @property
    def is_open(self) -> bool:
        """Whether the handshake is done."""
        return self._keys is not None

    @property
    def is_prepared(self) -> bool:
        """Whether there is nothing to work ahead for the next messages; True before the session is open."""
        return self._keys is None or (self._keys.down.is_prepared and self._keys.up.is_prepared)

    def prepare(self) -> None:
        """Work ahead for the next message of each direction; call it when nobody waits."""
        if self._keys:
            self._keys.down.prepare()
            self._keys.up.prepare()

    def end(self) -> None:
        """The link is gone: forget what was worked ahead."""
        if self._keys:
            self._keys.down.wipe()
            self._keys.up.wipe()

    def data_to_send(self) -> bytes:
        """Take the bytes that must go out."""
        frames = self._out
        if not frames:
            return b""
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        frames.clear()
        return data

    def _send(self, kind: Kind, body: Wire) -> None:
        self._out.append(encode_frame(kind, body.encode()))

    def _open_keys(self) -> Keys:
        if self._keys is None:
            raise LocalMisuse("the session is not open")
        return self._keys

    def _start_from(self, held: Mark) -> bool:
        self._outbox.check_mark(held)
        moved = self._outbox.acknowledge(held.cursor)
        self._sent = held.cursor
        return moved

    def _acknowledge(self, cursor: int) -> bool:
        if cursor > self._outbox.sent:
            raise PeerFault(WireCode.CURSOR, f"acknowledges {cursor}, sent was {self._outbox.sent}")
        # What an earlier session sent may become durable at the peer when this one has begun.
        self._sent = max(self._sent, cursor)
        return self._outbox.acknowledge(cursor)

    def _mark_sent(self, cursor: int) -> None:
        self._sent = cursor
        self._outbox.mark_sent(cursor)


def goodbye(code: WireCode, detail: str) -> bytes:
    """The frame that tells a peer why its link ends; allowed at any time."""
    return encode_frame(Kind.GOODBYE, Goodbye(code=int(code), detail=detail[:200]).encode())


def farewell(payload: bytes) -> LinkLost:
    """The error that a peer's Goodbye means here."""
    goodbye = Goodbye.decode(payload)
    known = goodbye.code in set(WireCode)
    code = WireCode(goodbye.code) if known else WireCode.LOST
    return LinkLost(code, f"the peer closed the link: {goodbye.detail!r}")
