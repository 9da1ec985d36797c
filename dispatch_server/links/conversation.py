"""One channel from Hello to its end: the session's core between the transport, the station and the timers."""

import asyncio
from collections import deque
from typing import Protocol

from dispatch_server.counters import Histogram
from dispatch_server.links.allowance import Allowance
from dispatch_server.links.channel import Channel
from dispatch_server.links.ports import Keeper, LinkStatus, Superior
from dispatch_server.links.schedule import NEVER, Timed
from protocol.aio.ports import RandomBytes
from protocol.aio.station import Policy, Station
from protocol.errors import LinkLost, PeerFault, WireCode
from protocol.handshake import Fresh
from protocol.journal.file import JournalError
from protocol.keys import Certificate
from protocol.limits import HELLO_TIMEOUT, MAX_OPEN_REQUESTS, Timers
from protocol.requests import decode_request
from protocol.session import Acknowledged, Opened, Reported, goodbye
from protocol.superior import SuperiorSession

_QUIET_S = 0.002  # when a message is out and no other follows within this, nobody waits for us


class Owner(Timed, Protocol):
    """The link that this is a session of."""

    node: str
    station: Station
    policy: Policy
    superior: Superior
    timers: Timers
    random: RandomBytes
    status: LinkStatus
    round_trips: Histogram

    def opened(self) -> None:
        """The session is open."""
        ...

    def ended(self, error: Exception) -> None:
        """The session cannot go on: end it."""
        ...


class Conversation:
    """See the module. Nothing that its peer does raises: it ends the link."""

    __slots__ = (
        "_allowance",
        "_answering",
        "_channel",
        "_deadline",
        "_digesting",
        "_is_over",
        "_keeper",
        "_link",
        "_quiet_at",
        "_requests",
        "_session",
        "certificate",
    )

    def __init__(self, link: Owner, keeper: Keeper, channel: Channel, certificate: Certificate) -> None:
        station = link.station
        self.certificate = certificate
        self._link = link
        self._keeper = keeper
        self._channel = channel
        self._session = SuperiorSession(
            station.local,
            certificate,
            term=station.granted_term,
            timers=link.timers,
            outbox=station.outbox(link.node),
            inbox=station.inbox(link.node),
            fresh=Fresh.of(link.random(48)),
        )
        self._deadline = keeper.now() + HELLO_TIMEOUT  # for the Welcome; later for taking what waits
        self._quiet_at = 0.0
        self._is_over = False
        self._requests: deque[tuple[int, bytes]] | None = None
        self._allowance: Allowance | None = None
        self._digesting: asyncio.Task[None] | None = None
        self._answering: asyncio.Task[None] | None = None

    @staticmethod
    def refuse(channel: Channel, error: Exception) -> None:
        """Close before there is a session; a peer that is at fault is told why."""
        if isinstance(error, PeerFault):
            channel.write(goodbye(error.code, error.detail))
        channel.close()

    def begin(self) -> None:
        """Say Hello."""
        self._channel.start(self)
        self.wake()

    def end(self, error: Exception) -> None:
        """Close; the peer is told if it is at fault or if we stop."""
        if self._is_over:
            return
        self._is_over = True
        if self._answering:
            self._answering.cancel()
        self._requests = None  # passwords and codes
        # What a peer told before it left is taken: it may come back only after days.
        if self._digesting and not isinstance(error, LinkLost | OSError):
            self._digesting.cancel()
        if isinstance(error, PeerFault) or (isinstance(error, LinkLost) and error.code is WireCode.STOPPING):
            self._channel.write(goodbye(error.code, error.detail))
        self._channel.close()
        self._session.end()

    def data_received(self, data: bytes) -> None:
        """See Receiver."""
        if self._is_over:
            return
        now = self._keeper.now()
        try:
            for event in self._session.receive(data, now):
                if isinstance(event, Reported):
                    self._on_report(event, now)
                elif isinstance(event, Acknowledged):
                    self._link.station.acknowledged(self._link.node)
                else:
                    self._on_opened(event)
            self._turn(now)
        except Exception as error:  # noqa: BLE001 - see Link.ended
            self._fail(error)

    def drained(self) -> None:
        """See Receiver."""
        self.wake()

    def lost(self, error: Exception | None) -> None:
        """See Receiver."""
        if not self._is_over:
            self._link.ended(error or LinkLost(WireCode.LOST, "the peer closed the connection"))

    def wake(self) -> None:
        """There may be something to say."""
        self.on_timer(self._keeper.now())

    def on_timer(self, now: float) -> None:
        """Something is due, or may be."""
        if self._is_over:
            return
        try:
            self._check_deadline(now)
            if self._quiet_at and now >= self._quiet_at:
                self._quiet_at = 0.0
                self._session.prepare()
            self._turn(now)
        except Exception as error:  # noqa: BLE001 - see Link.ended
            self._fail(error)

    def _turn(self, now: float) -> None:
        """Send what may be sent, and arrange for the next time."""
        session, link = self._session, self._link
        if self._is_over:
            return
        if self._channel.is_full:
            session.check_silence(now)
        elif session.advance(now, link.station.wall_ms(), link.station.ledger_head):
            link.status.polls += 1
            link.superior.counters.add("polls")
        if data := session.data_to_send():
            self._channel.write(data)
        if not session.is_prepared:
            self._quiet_at = now + _QUIET_S
            self._keeper.at(link, self._quiet_at)
        due = self._next_time(now)
        if due is not None and due < link.scheduled:
            self._keeper.at(link, due)

    def _next_time(self, now: float) -> float | None:
        """When something is due. A full channel has a deadline of its own: its peer may owe us no report."""
        if not self._session.is_open:
            return self._deadline
        due = self._session.next_timer()
        if not self._channel.is_full:
            self._deadline = NEVER
            return due
        if self._deadline == NEVER:
            self._deadline = now + self._link.timers.silence
        # A poll that is due already has to wait until there is room.
        return self._deadline if due is None or due <= now else min(due, self._deadline)

    def _check_deadline(self, now: float) -> None:
        """Raises TimeoutError, LinkLost(SILENT)."""
        if now < self._deadline:
            return
        if not self._session.is_open:
            raise TimeoutError
        if self._channel.is_full:
            silence = self._link.timers.silence
            raise LinkLost(WireCode.SILENT, f"it takes nothing for {silence:g} s")

    def _on_opened(self, _: Opened) -> None:
        self._deadline = NEVER
        self._channel.settle()
        self._link.opened()

    def _on_report(self, report: Reported, now: float) -> None:
        link = self._link
        counters = link.superior.counters
        counters.add("frames_received")
        beyond = self._session.beyond_hold(now)
        if beyond is not None:
            link.round_trips.observe(beyond)
            link.status.round_trip_s = beyond
        link.superior.on_report(link.node, report.samples)
        if report.requests or report.items:
            counters.add("sealed_received", len(report.items) + len(report.requests))
            self._take_requests(report.requests, now)
        if report.items:
            self._digesting = self._keeper.spawn(self._digest(report))
        else:
            self._session.report_done()

    async def _digest(self, report: Reported) -> None:
        link = self._link
        try:
            refused = await link.station.take(link.node, report.items, link.policy, report.ledger)
            self._digesting = None
            now = self._keeper.now()
            self._spending().refuse(refused, now)
            self._session.report_done()
            self._turn(now)
        except Exception as error:  # noqa: BLE001 - see Link.ended
            self._digesting = None
            self._fail(error)

    def _take_requests(self, requests: tuple[tuple[int, bytes], ...], now: float) -> None:
        if not requests:
            return
        if self._requests is None:
            self._requests = deque()
        for request in requests:
            self._spending().ask(now)
            if len(self._requests) >= MAX_OPEN_REQUESTS:
                raise PeerFault(WireCode.LIMIT, "too many requests")
            self._requests.append(request)
        if self._answering is None:
            self._answering = self._keeper.spawn(self._answer(self._requests))

    async def _answer(self, requests: deque[tuple[int, bytes]]) -> None:
        """One at a time: a node that asks without end slows down only itself."""
        link = self._link
        try:
            while requests:
                number, body = requests.popleft()
                reply = await link.superior.answer(link.node, decode_request(body))
                self._session.reply(number, reply.encode())
                self._turn(self._keeper.now())
            self._answering = None
        except Exception as error:  # noqa: BLE001 - see Link.ended
            self._answering = None
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """End the link, if this is its session still: work beside it may fail when the next one is up."""
        if isinstance(error, JournalError):
            self._link.station.fail(error)  # also one that cannot be read; it ends the daemon
        elif not self._is_over:
            self._link.ended(error)

    def _spending(self) -> Allowance:
        if self._allowance is None:
            self._allowance = Allowance(self._keeper.now())
        return self._allowance
