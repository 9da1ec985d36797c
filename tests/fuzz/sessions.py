"""Both roles of a session against a peer that says anything, also under right signatures and seals.

A play reads a script (see script.py). Whatever is in it, only PeerFault and LinkLost may come out of the
session, in a text of one line; it keeps no more bytes than one unfinished frame that is allowed then; and
how the bytes were cut changes nothing that can be seen of it.
"""

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

from typing_extensions import override

from protocol.errors import LinkError, LinkLost, PeerFault, WireCode
from protocol.frames import Kind
from protocol.handshake import Grant, Keys, make_hello, make_welcome, read_welcome
from protocol.keys import SigningKey
from protocol.limits import MAX_HANDSHAKE_FRAME, MAX_ITEM, MAX_SESSION_FRAME, Timers
from protocol.messages import Deliver, Hello, Poll, Reply, Report, Sample, Signed, UpwardItem, UpwardRequest
from protocol.outbox import START, Inbox, Mark
from protocol.session import Acknowledged, Delivered, HelloReceived, Opened, Reported, Session, header
from protocol.subordinate import SubordinateSession
from protocol.superior import SuperiorSession
from tests.fuzz import script
from tests.fuzz.plainly import told_plainly
from tests.fuzz.stage import HQ, PLANT
from tests.protocol.links import (
    LEDGER,
    SUPERIORS_LEDGER,
    WALL_MS,
    AnyEvent,
    box,
    frame,
    frames_of,
    fresh,
    local,
    take,
)

RAW, TURN, HANDSHAKE, REPORT, POLL, DELIVER, REPLY = range(7)
ORDERS = [b"open breaker 201", b"close breaker 202", b"open isolator 2011"]
_HEADER_SIZE = 5
_HELLO_DOMAIN, _WELCOME_DOMAIN = b"dispatch hello 1\x00", b"dispatch welcome 1\x00"


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that can be seen of a session that is over or waits."""

    events: tuple[AnyEvent, ...]
    code: WireCode | None
    acknowledged: Mark
    taken: Mark
    said: bytes


def held_bytes(thing: object) -> int:
    """How many bytes an object keeps in buffers of its own, at any depth of its own containers."""
    if isinstance(thing, bytes | bytearray | memoryview):
        return len(thing)
    if isinstance(thing, list | tuple | dict):
        parts: Iterable[object] = thing.values() if isinstance(thing, dict) else thing
        return sum(map(held_bytes, parts))
    if type(thing).__module__ == "protocol.frames":
        slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
        return sum(
            held_bytes(getattr(thing, name, None)) for name in (*slots, *getattr(thing, "__dict__", {}))
        )
    return 0


class Play(ABC):
    """One session and the peer that plays the script to it. `cut`: the bytes come in pieces of this size."""

    def __init__(self, cut: int) -> None:
        self.now = 1_000.0
        self.outbox, self.inbox = box(*ORDERS), Inbox()
        self.events: list[AnyEvent] = []
        self.said = b""
        self.keys: Keys | None = None
        self.heard: list[script.Deed] = []
        self.told = 0
        self._cut = cut
        self.session = self._make()

    def perform(self, data: bytes) -> Outcome:
        """Play a script to its end, or to the end of the session."""
        code: WireCode | None = None
        try:
            for deed, payload in script.read(data):
                self.said += self.session.data_to_send()
                self._do(deed, payload)
        except (PeerFault, LinkLost) as error:
            told_plainly(error)
            code = error.code
        self.said += self.session.data_to_send()
        mark = self.outbox.acknowledged_mark
        return Outcome(tuple(self.events), code, mark, self.inbox.received, self.said)

    def _do(self, deed: int, payload: bytes) -> None:
        if deed == TURN:
            self.heard.append((TURN, payload))
            self.now += int.from_bytes(payload[:2]) / 1000
            self._advance()
        elif deed == HANDSHAKE:
            self.feed(self._handshake(payload))
        elif deed == RAW:
            self.feed(payload)
        elif forged := self._forge(deed, payload):
            self.feed(forged)

    def feed(self, data: bytes) -> None:
        """Let the session digest bytes as its program would."""
        self.heard.append((RAW, data))
        step = max(self._cut, len(data) // 512) if self._cut else len(data)
        for start in range(0, len(data), step or 1):
            piece = data[start : start + step]
            while self._digest(piece):
                piece = b""  # the program stops reading to answer, then goes on with what it has
            most = MAX_SESSION_FRAME if self.session.is_open else MAX_HANDSHAKE_FRAME
            assert held_bytes(self.session._reader) <= _HEADER_SIZE + most

    @abstractmethod
    def _make(self) -> Session: ...

    @abstractmethod
    def _advance(self) -> None: ...

    @abstractmethod
    def _digest(self, piece: bytes) -> bool:
        """Tells whether the session waits for an answer of its program before it goes on."""

    @abstractmethod
    def _handshake(self, body: bytes) -> bytes:
        """The frame of the peer's half of the handshake: the right one, or `body` rightly signed."""

    @abstractmethod
    def _forge(self, deed: int, payload: bytes) -> bytes:
        """A frame that is sealed as it has to be, or nothing."""


class SuperiorPlay(Play):
    """A superior before a subordinate that says anything."""

    session: SuperiorSession

    @override
    def _make(self) -> SuperiorSession:
        return SuperiorSession(
            local(HQ),
            PLANT.certificate,
            term=1,
            timers=Timers(),
            outbox=self.outbox,
            inbox=self.inbox,
            fresh=fresh(1),
        )

    @override
    def _advance(self) -> None:
        self.session.advance(self.now, WALL_MS, SUPERIORS_LEDGER)

    @override
    def _digest(self, piece: bytes) -> bool:
        for event in self.session.receive(piece, self.now):
            self.events.append(event)
            if isinstance(event, Opened):
                self.told = event.welcome.acknowledged
            if isinstance(event, Acknowledged):
                self.told = event.cursor
            if isinstance(event, Reported):
                for cursor, item in event.items:
                    take(self.inbox, cursor, item)
                self.session.report_done()
        return False

    @override
    def _handshake(self, body: bytes) -> bytes:
        self.said += self.session.data_to_send()
        hello = frames_of(self.said)[0][1]
        payload, keys = make_welcome(local(PLANT), hello, START, fresh(2))
        if body:
            payload = signed(PLANT, _WELCOME_DOMAIN, body)
        else:
            self.keys = keys
        return raw_frame(Kind.WELCOME, payload)

    @override
    def _forge(self, deed: int, payload: bytes) -> bytes:
        if deed != REPORT or self.keys is None or len(payload) < 4:
            return b""
        seq, acknowledged, cursor, parts = struct.unpack_from("!bbbB", payload)
        plain = payload[4 : 4 + MAX_ITEM]
        places = [self.inbox.received.cursor + cursor + index for index in range(parts & 3)]
        up = self.keys.up
        items = [UpwardItem(cursor=c, sealed=up.seal(plain, header(b"U", c))) for c in places if c >= 0]
        requests = [
            UpwardRequest(number=n, sealed=up.seal(plain, header(b"Q", n))) for n in range(parts >> 2 & 15)
        ]
        sample = Sample(node="plant-1", at_ms=1, **dict.fromkeys(_METRICS, None))
        report = Report.model_construct(
            seq=max(0, self.session.polls + seq),
            acknowledged=max(0, acknowledged),
            ledger=LEDGER,
            samples=(sample,) * (300 * (parts >> 7) + (parts >> 6 & 1)),
            items=tuple(items),
            requests=tuple(requests),
        )
        return raw_frame(Kind.REPORT, report.encode())


_METRICS = ("logged_in_nodes", "network_flow", "external_connections", "memory_used")


class SubordinatePlay(Play):
    """A subordinate before a superior that says anything."""

    session: SubordinateSession

    @override
    def _make(self) -> SubordinateSession:
        return SubordinateSession(
            local(PLANT), HQ.certificate, granted=Grant(), outbox=self.outbox, inbox=self.inbox
        )

    @override
    def _advance(self) -> None:
        self.session.advance(self.now, LEDGER)

    @override
    def _digest(self, piece: bytes) -> bool:
        for event in self.session.receive(piece, self.now):
            self.events.append(event)
            if isinstance(event, HelloReceived):
                self.session.welcome(event.hello, fresh(2), self.now)
                self.told = event.hello.acknowledged
                return True
            if isinstance(event, Acknowledged):
                self.told = event.cursor
            if isinstance(event, Delivered):
                take(self.inbox, event.cursor, event.item)
        return False

    @override
    def _handshake(self, body: bytes) -> bytes:
        right = make_hello(local(HQ), "plant-1", fresh(1), term=1, timers=Timers(), received=START)
        return raw_frame(Kind.HELLO, signed(HQ, _HELLO_DOMAIN, body) if body else right)

    @override
    def _forge(self, deed: int, payload: bytes) -> bytes:
        if len(payload) < 4:
            return b""
        first, second, third, hold = struct.unpack_from("!bbbB", payload)
        if deed == POLL:
            poll = Poll.model_construct(
                seq=max(0, self.session.polls + first),
                hold_ms=hold * 20,
                acknowledged=max(0, second),
                wall_ms=WALL_MS,
                ledger=SUPERIORS_LEDGER,
            )
            return raw_frame(Kind.POLL, poll.encode())
        keys = self._agreed()
        if keys is None:
            return b""
        plain = payload[4 : 4 + MAX_ITEM]
        if deed == DELIVER:
            cursor = max(0, self.inbox.received.cursor + first)
            sealed = keys.down.seal(plain, header(b"D", max(0, cursor + third)))
            return frame(Kind.DELIVER, Deliver(cursor=cursor, sealed=sealed))
        number = max(0, first)
        sealed = keys.down.seal(plain, header(b"A", number))
        return frame(Kind.REPLY, Reply(number=number, sealed=sealed)) if deed == REPLY else b""

    def _agreed(self) -> Keys | None:
        if self.keys is None and self.session.is_open:
            try:
                self.keys = self._read_answer()
            except LinkError:
                return None  # the Hello was of somebody else's making: this peer has no keys of it
        return self.keys

    def _read_answer(self) -> Keys:
        welcome = next(payload for kind, payload in frames_of(self.said) if kind is Kind.WELCOME)
        hello = make_hello(local(HQ), "plant-1", fresh(1), term=1, timers=Timers(), received=START)
        return read_welcome(welcome, local(HQ), PLANT.certificate, hello, fresh(1))[1]


def signed(key: SigningKey, domain: bytes, body: bytes) -> bytes:
    """Any bytes under a right signature."""
    return Signed.model_construct(body=body, signature=key.sign(domain, body)).encode()


def raw_frame(kind: Kind, payload: bytes) -> bytes:
    """A frame that nobody checked for its length."""
    return struct.pack("!IB", len(payload), kind) + payload


def play(role: type[Play], data: bytes) -> Outcome:
    """What comes of a script (its first byte says how small the pieces are), whole and in pieces.

    Raises AssertionError when the two differ, and whatever a session must not raise.
    """
    whole = role(0).perform(data[1:])
    pieces = role(max(1, data[0] if data else 1)).perform(data[1:])
    assert whole == pieces
    return whole


def hello_body(**fields: object) -> bytes:
    """The body of the right Hello, with other values in some fields."""
    payload = make_hello(local(HQ), "plant-1", fresh(1), term=1, timers=Timers(), received=START)
    right = Hello.decode(Signed.decode(payload).body)
    return right.model_copy(update=fields).encode()
