"""The subordinate's side of a session: it listens and answers."""

import math
from collections.abc import Iterator, Sequence

from protocol.errors import LinkLost, LocalMisuse, PeerFault, WireCode
from protocol.frames import Kind, encode_frame
from protocol.handshake import Fresh, Grant, Keys, Local, make_welcome, read_hello
from protocol.keys import Certificate
from protocol.limits import MAX_ITEMS_PER_REPORT, MAX_OPEN_REQUESTS, MAX_SAMPLES_PER_REPORT, MAX_SESSION_FRAME
from protocol.messages import (
    Deliver,
    Hello,
    LedgerHead,
    Poll,
    Reply,
    Report,
    Sample,
    UpwardItem,
    UpwardRequest,
)
from protocol.outbox import Inbox, Mark, Outbox, check_size
from protocol.session import (
    Acknowledged,
    Delivered,
    HelloReceived,
    Polled,
    Replied,
    Session,
    farewell,
    header,
)

# Bytes of one Report; the last quarter is for the samples and for the frame's own fields.
_ITEM_BUDGET = MAX_SESSION_FRAME // 2
_REQUEST_BUDGET = MAX_SESSION_FRAME // 4
_MAX_WAITING = 16 * MAX_SAMPLES_PER_REPORT  # readings, one of each node; a center has a region to tell of
_BEFORE = frozenset({Kind.HELLO, Kind.GOODBYE})
_IN_SESSION = frozenset({Kind.POLL, Kind.DELIVER, Kind.REPLY, Kind.GOODBYE})


class SubordinateSession(Session):
    """The side that listens and answers. `ledger` of `advance` is where this node's ledger stands."""

    __slots__ = (
        "_granted",
        "_heard_at",
        "_hello_payload",
        "_poll",
        "_polled_at",
        "_requests",
        "_samples",
        "_seq",
        "_silence",
        "_superior",
        "_told",
    )

    def __init__(
        self, local: Local, superior: Certificate, *, granted: Grant, outbox: Outbox, inbox: Inbox
    ) -> None:
        super().__init__(local, outbox, inbox)
        self._superior = superior
        self._granted = granted
        self._hello_payload = b""
        self._silence = math.inf
        self._heard_at = math.inf
        self._poll: Poll | None = None
        self._polled_at = 0.0
        self._seq = 0
        self._told = 0
        self._samples: dict[str, Sample] = {}
        self._requests: list[tuple[int, bytes]] = []

    @property
    def patience(self) -> float:
        """Seconds that the superior may take before it counts as dead."""
        return self._silence

    @property
    def polls(self) -> int:
        """Polls received in this session."""
        return self._seq

    def receive(
        self, data: bytes, now: float
    ) -> Iterator[HelloReceived | Polled | Delivered | Acknowledged | Replied]:
        """Digest bytes of the peer. Raises PeerFault, or LinkLost after a Goodbye."""
        expected = _IN_SESSION if self.is_open else _BEFORE
        for kind, payload in self._reader.feed(data, expected):
            if kind is Kind.GOODBYE:
                raise farewell(payload)
            if self._keys is None:
                yield self._on_hello(payload)
            else:
                self._heard_at = now
                yield from self._on_session_frame(kind, payload, self._keys, now)

    def _on_hello(self, payload: bytes) -> HelloReceived:
        if self._hello_payload:
            raise PeerFault(WireCode.UNEXPECTED, "a second Hello")
        hello = read_hello(payload, self._local, self._superior, self._granted)
        self._outbox.check_mark(Mark(hello.acknowledged, hello.digest))
        self._hello_payload = payload
        self._silence = 2 * hello.poll_interval_ms / 1000
        return HelloReceived(hello)

    def welcome(self, hello: Hello, fresh: Fresh, now: float) -> bool:
        """Answer the Hello whose term is durable now; tells whether its acknowledgement was news."""
        if not self._hello_payload or self.is_open:
            raise LocalMisuse("there is no Hello to answer")
        held = self._inbox.durable
        payload, keys = make_welcome(self._local, self._hello_payload, held, fresh)
        moved = self._start_from(Mark(hello.acknowledged, hello.digest))  # last: nothing is forgotten in vain
        self._told, self._keys = held.cursor, keys
        self._reader.expected = _IN_SESSION
        self._out.append(encode_frame(Kind.WELCOME, payload))
        self._heard_at = now
        return moved

    def _on_session_frame(
        self, kind: Kind, payload: bytes, keys: Keys, now: float
    ) -> Iterator[Polled | Delivered | Acknowledged | Replied]:
        if kind is Kind.POLL:
            yield from self._on_poll(Poll.decode(payload), now)
        elif kind is Kind.DELIVER:
            deliver = Deliver.decode(payload)
            item = keys.down.open(deliver.sealed, header(b"D", deliver.cursor))
            yield Delivered(deliver.cursor, item)
        elif kind is Kind.REPLY:
            reply = Reply.decode(payload)
            yield Replied(reply.number, keys.down.open(reply.sealed, header(b"A", reply.number)))
        else:
            raise PeerFault(WireCode.UNEXPECTED, f"{kind.name} is not allowed now")

    def _on_poll(self, poll: Poll, now: float) -> Iterator[Polled | Acknowledged]:
        if self._poll or poll.seq != self._seq + 1:
            raise PeerFault(WireCode.SEQUENCE, f"poll {poll.seq} after {self._seq}, one may be outstanding")
        self._seq = poll.seq
        self._poll = poll
        self._polled_at = now
        yield Polled(poll.wall_ms, poll.ledger)
        if self._acknowledge(poll.acknowledged):
            yield Acknowledged(poll.acknowledged)

    def request(self, number: int, body: bytes) -> None:
        """Ask the superior; the answer comes as Replied. Raises LocalMisuse beyond the limit."""
        if len(self._requests) >= MAX_OPEN_REQUESTS:
            raise LocalMisuse("too many requests wait for a poll")
        check_size(body)
        self._requests.append((number, body))

    def sample(self, sample: Sample) -> None:
        """Let a reading ride along with the next report: the newest of each node, so none crowds out others.

        A mere sign of life replaces no reading. Of too many the oldest goes. A full report is news.
        """
        before = self._samples.pop(sample.node, None)
        self._samples[sample.node] = before if before and _is_sign_of_life(sample) else sample
        if len(self._samples) > _MAX_WAITING:
            del self._samples[next(iter(self._samples))]

    def next_timer(self) -> float | None:
        """Monotonic seconds at which `advance` is due, or None."""
        if not self.is_open:
            return None
        if self._poll:
            return self._polled_at + self._poll.hold_ms / 1000
        return self._heard_at + self._silence

    def advance(self, now: float, ledger: LedgerHead) -> None:
        """Answer the poll when there is news or its hold ends. Raises LinkLost(SILENT)."""
        if self._keys is None:
            return
        if self._poll is None:
            if now >= self._heard_at + self._silence:
                raise LinkLost(WireCode.SILENT, f"no poll for {self._silence:g} s")
            return
        due = now >= self._polled_at + self._poll.hold_ms / 1000
        if due or self._has_news():
            self._report(self._poll, self._keys, ledger)
            self._heard_at = now  # the superior owes us the next poll from now on

    def _has_news(self) -> bool:
        return bool(
            self._requests
            or self._outbox.durable > self._sent
            or self._inbox.durable.cursor > self._told
            or len(self._samples) >= MAX_SAMPLES_PER_REPORT
        )

    def _report(self, poll: Poll, keys: Keys, ledger: LedgerHead) -> None:
        items = self._sealed_items(keys)
        requests = self._sealed_requests(keys)
        self._told = self._inbox.durable.cursor
        report = Report(
            seq=poll.seq,
            acknowledged=self._told,
            ledger=ledger,
            samples=self._next_samples(),
            items=items,
            requests=requests,
        )
        self._poll = None
        self._send(Kind.REPORT, report)

    def _next_samples(self) -> tuple[Sample, ...]:
        nodes = list(self._samples)[:MAX_SAMPLES_PER_REPORT]
        return tuple(self._samples.pop(node) for node in nodes)

    def _sealed_items(self, keys: Keys) -> tuple[UpwardItem, ...]:
        fitting = _fitting(self._outbox.after(self._sent, MAX_ITEMS_PER_REPORT), _ITEM_BUDGET)
        if fitting:
            self._mark_sent(fitting[-1][0])
        return tuple(UpwardItem(cursor=c, sealed=keys.up.seal(item, header(b"U", c))) for c, item in fitting)

    def _sealed_requests(self, keys: Keys) -> tuple[UpwardRequest, ...]:
        fitting = _fitting(self._requests, _REQUEST_BUDGET)
        self._requests = self._requests[len(fitting) :]
        return tuple(
            UpwardRequest(number=n, sealed=keys.up.seal(body, header(b"Q", n))) for n, body in fitting
        )


def _is_sign_of_life(sample: Sample) -> bool:
    values = (sample.logged_in_nodes, sample.network_flow, sample.external_connections, sample.memory_used)
    return values == (None, None, None, None)


def _fitting(rows: Sequence[tuple[int, bytes]], budget: int) -> Sequence[tuple[int, bytes]]:
    """The first rows whose bodies have at most `budget` bytes together; the others wait for a poll."""
    size = 0
    for index, (_, body) in enumerate(rows):
        size += len(body)
        if size > budget:
            return rows[:index]
    return rows
