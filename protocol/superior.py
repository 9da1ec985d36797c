"""The superior's side of a session: it asks and delivers."""

import math
from collections.abc import Iterator

from protocol.errors import LinkLost, PeerFault, WireCode
from protocol.frames import Kind, encode_frame
from protocol.handshake import Fresh, Keys, Local, make_hello, read_welcome
from protocol.keys import Certificate
from protocol.limits import MAX_UNACKNOWLEDGED, Timers
from protocol.messages import Deliver, LedgerHead, Poll, Reply, Report
from protocol.outbox import Inbox, Mark, Outbox, check_size
from protocol.session import Acknowledged, Opened, Reported, Session, farewell, header


class SuperiorSession(Session):
    """The side that dials, asks and delivers."""

    def __init__(
        self,
        local: Local,
        node: Certificate,
        *,
        term: int,
        timers: Timers,
        outbox: Outbox,
        inbox: Inbox,
        fresh: Fresh,
    ) -> None:
        super().__init__(local, outbox, inbox)
        self._node = node
        self._timers = timers
        self._fresh = fresh
        self._hello = make_hello(local, node.name, fresh, term=term, timers=timers, received=inbox.durable)
        self._out += encode_frame(Kind.HELLO, self._hello)
        self._seq = 0
        self._outstanding = False
        self._digesting = False
        self._polled_at = -math.inf
        self._next_poll = -math.inf

    @property
    def polls(self) -> int:
        """Polls sent in this session."""
        return self._seq

    def receive(self, data: bytes, now: float) -> Iterator[Opened | Reported | Acknowledged]:
        """Digest bytes of the peer. Raises PeerFault, or LinkLost after a Goodbye."""
        expected = {Kind.REPORT, Kind.GOODBYE} if self.is_open else {Kind.WELCOME, Kind.GOODBYE}
        for kind, payload in self._reader.feed(data, frozenset(expected)):
            if kind is Kind.GOODBYE:
                raise farewell(payload)
            if kind is Kind.REPORT and self._keys:
                yield from self._on_report(Report.decode(payload), self._keys, now)
            elif kind is Kind.WELCOME and not self._keys:
                yield from self._on_welcome(payload)
            else:
                raise PeerFault(WireCode.UNEXPECTED, f"{kind.name} is not allowed now")

    def _on_welcome(self, payload: bytes) -> Iterator[Opened | Acknowledged]:
        welcome, keys = read_welcome(payload, self._local, self._node, self._hello, self._fresh)
        moved = self._start_from(Mark(welcome.acknowledged, welcome.digest))
        self._keys = keys
        yield Opened(welcome)
        if moved:
            yield Acknowledged(welcome.acknowledged)

    def _on_report(self, report: Report, keys: Keys, now: float) -> Iterator[Reported | Acknowledged]:
        if not self._outstanding or report.seq != self._seq:
            raise PeerFault(WireCode.SEQUENCE, f"report {report.seq} answers no outstanding poll")
        self._outstanding = False
        self._digesting = True
        moved = self._acknowledge(report.acknowledged)
        items = tuple((i.cursor, keys.up.open(i.sealed, header(b"U", i.cursor))) for i in report.items)
        requests = tuple((r.number, keys.up.open(r.sealed, header(b"Q", r.number))) for r in report.requests)
        self._next_poll = self._when_next(now, useful=bool(moved or items or requests))
        if moved:
            yield Acknowledged(report.acknowledged)
        yield Reported(report.ledger, report.samples, items, requests)

    def _when_next(self, now: float, *, useful: bool) -> float:
        """Ask again at once when the poll was held or brought news; else keep the plain rhythm.

        A peer that answers every poll at once with nothing cannot make us spin.
        """
        hold = self._timers.hold_ms / 1000
        if hold and (useful or now - self._polled_at >= hold / 2):
            return now
        return self._polled_at + self._timers.poll_interval_ms / 1000

    def report_done(self) -> None:
        """All items of the last report are durable: the next poll may acknowledge them."""
        self._digesting = False

    def reply(self, number: int, body: bytes) -> None:
        """Answer a request. Raises LocalMisuse when the body is too large."""
        check_size(body)
        sealed = self._open_keys().down.seal(body, header(b"A", number))
        self._send(Kind.REPLY, Reply(number=number, sealed=sealed))

    def next_timer(self) -> float | None:
        """Monotonic seconds at which `advance` is due, or None."""
        if self._outstanding:
            return self._polled_at + self._timers.silence
        return self._next_poll if self.is_open and not self._digesting else None

    def advance(self, now: float, wall_ms: int, ledger: LedgerHead) -> None:
        """Deliver and poll what is due; our wall clock and our ledger's end go with a poll.

        Raises LinkLost(SILENT) when two polls' time brought no answer.
        """
        if self._keys is None:
            return
        window = MAX_UNACKNOWLEDGED - (self._sent - self._outbox.acknowledged)
        for cursor, item in self._outbox.after(self._sent, window):
            sealed = self._keys.down.seal(item, header(b"D", cursor))
            self._send(Kind.DELIVER, Deliver(cursor=cursor, sealed=sealed))
            self._mark_sent(cursor)
        if self._outstanding:
            if now >= self._polled_at + self._timers.silence:
                raise LinkLost(WireCode.SILENT, f"no answer for {self._timers.silence:g} s")
        elif not self._digesting and now >= self._next_poll:
            self._seq += 1
            self._outstanding = True
            self._polled_at = now
            poll = Poll(
                seq=self._seq,
                hold_ms=self._timers.hold_ms,
                acknowledged=self._inbox.durable.cursor,
                wall_ms=wall_ms,
                ledger=ledger,
            )
            self._send(Kind.POLL, poll)
