"""The superior's side of a session: it asks and delivers."""

import math
from collections.abc import Iterator

from protocol.errors import LinkLost, LocalMisuse, PeerFault, WireCode
from protocol.frames import Kind, encode_frame
from protocol.handshake import Fresh, Keys, Local, make_hello, read_welcome
from protocol.keys import Certificate, Role
from protocol.limits import MAX_SAMPLES_PER_REPORT, MAX_UNACKNOWLEDGED, Timers
from protocol.messages import Deliver, LedgerHead, Reply, Report, encode_poll
from protocol.outbox import Inbox, Mark, Outbox, check_size
from protocol.session import Acknowledged, Opened, Reported, Session, farewell, header

_BEFORE = frozenset({Kind.WELCOME, Kind.GOODBYE})
_IN_SESSION = frozenset({Kind.REPORT, Kind.GOODBYE})
# Timers are a little late; the poll interval is a promise.
_PUNCTUAL = 0.99


class SuperiorSession(Session):
    """The side that dials, asks and delivers."""

    __slots__ = (
        "_digesting",
        "_fresh",
        "_hello",
        "_next_poll",
        "_node",
        "_outstanding",
        "_polled_at",
        "_seq",
        "_silence",
        "_timers",
    )

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
        self._silence = timers.silence
        self._fresh: Fresh | None = fresh
        self._hello = make_hello(local, node.name, fresh, term=term, timers=timers, received=inbox.durable)
        self._out.append(encode_frame(Kind.HELLO, self._hello))
        self._seq = 0
        self._outstanding = False
        self._digesting = False
        self._polled_at = -math.inf
        self._next_poll = -math.inf

    @property
    def polls(self) -> int:
        """Polls sent in this session."""
        return self._seq

    def beyond_hold(self, now: float) -> float | None:
        """Seconds that the poll just answered took beyond its hold; None when news ended it early."""
        taken = now - self._polled_at - self._timers.hold_ms / 1000
        return taken if taken >= 0 else None

    def receive(self, data: bytes, now: float) -> Iterator[Opened | Reported | Acknowledged]:
        """Digest bytes of the peer. Raises PeerFault, or LinkLost after a Goodbye."""
        for kind, payload in self._reader.feed(data, _IN_SESSION if self.is_open else _BEFORE):
            if kind is Kind.REPORT and self._keys:
                report = Report.decode(payload)
                self._check_answers(report)
                reported = self._open_report(report, self._keys)
                moved = self._on_acknowledged(report.acknowledged)
                useful = bool(moved or reported.items or reported.requests or self._tells_more(reported))
                self._next_poll = self._when_next(now, useful=useful)
                if moved:
                    yield Acknowledged(report.acknowledged)
                yield reported
            elif kind is Kind.GOODBYE:
                raise farewell(payload)
            elif kind is Kind.WELCOME and not self._keys:
                yield from self._on_welcome(payload)
            else:
                raise PeerFault(WireCode.UNEXPECTED, f"{kind.name} is not allowed now")

    def _on_welcome(self, payload: bytes) -> Iterator[Opened | Acknowledged]:
        if self._fresh is None:
            raise LocalMisuse("the session ended before it opened")
        welcome, keys = read_welcome(payload, self._local, self._node, self._hello, self._fresh)
        moved = self._start_from(Mark(welcome.acknowledged, welcome.digest))
        self._keys = keys
        self._reader.expected = _IN_SESSION
        self._fresh, self._hello = None, b""  # the secrets of the handshake have served
        yield Opened(welcome)
        if moved:
            yield Acknowledged(welcome.acknowledged)

    def _check_answers(self, report: Report) -> None:
        """Raises PeerFault(SEQUENCE) unless this is the answer to the outstanding poll."""
        if not self._outstanding or report.seq != self._seq:
            raise PeerFault(WireCode.SEQUENCE, f"report {report.seq} answers no outstanding poll")
        self._outstanding = False
        self._digesting = True

    def _on_acknowledged(self, cursor: int) -> bool:
        """Whether that was news. Raises PeerFault(CURSOR)."""
        return cursor != self._outbox.acknowledged and self._acknowledge(cursor)

    def _open_report(self, report: Report, keys: Keys) -> Reported:
        """Nearly all reports carry telemetry alone. Raises PeerFault(SEAL)."""
        if not report.items and not report.requests:
            return Reported(report.ledger, report.samples, (), ())
        items = tuple((i.cursor, keys.up.open(i.sealed, header(b"U", i.cursor))) for i in report.items)
        requests = tuple((r.number, keys.up.open(r.sealed, header(b"Q", r.number))) for r in report.requests)
        return Reported(report.ledger, report.samples, items, requests)

    def _tells_more(self, reported: Reported) -> bool:
        """Whether a center's region has more to tell than fits one report."""
        return len(reported.samples) >= MAX_SAMPLES_PER_REPORT and self._node.role is Role.CENTER

    def _when_next(self, now: float, *, useful: bool) -> float:
        """Ask again at once when the poll was held or brought news; else keep the plain rhythm.

        A peer that answers every poll at once with nothing cannot make us spin.
        """
        hold = self._timers.hold_ms / 1000
        if hold and (useful or now - self._polled_at >= hold / 2):
            return now
        return self._polled_at + _PUNCTUAL * self._timers.poll_interval_ms / 1000

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
            return self._polled_at + self._silence
        return self._next_poll if self.is_open and not self._digesting else None

    def advance(self, now: float, wall_ms: int, ledger: LedgerHead) -> bool:
        """Deliver and poll what is due; our wall clock and our ledger's end go with a poll.

        Tells whether it polled. Raises LinkLost(SILENT) when two polls' time brought no answer.
        """
        if self._keys is None:
            return False
        if self._outbox.durable > self._sent:
            self._deliver(self._keys)
        if self._outstanding:
            self.check_silence(now)
            return False
        if self._digesting or now < self._next_poll:
            return False
        self._seq += 1
        self._outstanding = True
        self._polled_at = now
        hold_ms, held = self._timers.hold_ms, self._inbox.durable.cursor
        poll = encode_poll(self._seq, hold_ms, held, wall_ms, ledger)
        self._out.append(encode_frame(Kind.POLL, poll))
        return True

    def check_silence(self, now: float) -> None:
        """Raises LinkLost(SILENT) when two polls' time brought no answer."""
        if self._outstanding and now >= self._polled_at + self._silence:
            raise LinkLost(WireCode.SILENT, f"no answer for {self._silence:g} s")

    def _deliver(self, keys: Keys) -> None:
        window = MAX_UNACKNOWLEDGED - (self._sent - self._outbox.acknowledged)
        for cursor, item in self._outbox.after(self._sent, window):
            sealed = keys.down.seal(item, header(b"D", cursor))
            self._send(Kind.DELIVER, Deliver(cursor=cursor, sealed=sealed))
            self._mark_sent(cursor)
