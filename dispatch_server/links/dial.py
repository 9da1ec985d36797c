"""One loop per subordinate node: dial, serve, back off, again.

What goes wrong on one link ends that link alone. An error of the journal is not caught here: it ends
the daemon.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog

from dispatch_server.counters import Counters
from dispatch_server.links.backoff import Backoff
from protocol.aio.ports import RandomBytes, Stream, first_of, rest, send
from protocol.aio.station import Policy, Station
from protocol.errors import KeyRefused, LinkError, LinkLost, PeerFault, WireCode
from protocol.handshake import Fresh
from protocol.journal.file import JournalError
from protocol.keys import Certificate, Role
from protocol.limits import HELLO_TIMEOUT, MAX_OPEN_REQUESTS, MAX_REFUSALS, Timers
from protocol.messages import Sample
from protocol.requests import AnyReply, Request, decode_request
from protocol.session import Acknowledged, Opened, Reported, goodbye
from protocol.superior import SuperiorSession

_CHUNK = 64 * 1024
_REFUSALS_FORGOTTEN_S = 60.0  # so long until MAX_REFUSALS refusals are forgotten
_REQUEST_BURST = 60.0
_REQUESTS_PER_S = 2.0
_HEALTHY_AFTER = 60.0  # s that a session must last before earlier faults are forgiven
_DISAGREEMENTS = frozenset(
    {
        WireCode.VERSION,
        WireCode.DEPLOYMENT,
        WireCode.IDENTITY,
        WireCode.TERM,
        WireCode.SIGNATURE,
        WireCode.CURSOR,
        WireCode.TIMERS,
    }
)
_log = structlog.get_logger("link")


class LinkState(StrEnum):
    """What the loop of a link is doing; derived from where it stands, never stored."""

    DIALLING = "dialling"
    CONNECTED = "connected"
    WAITING = "waiting"


@dataclass(slots=True)
class LinkStatus:
    """What people see of a link."""

    node: str
    role: Role
    state: LinkState = LinkState.DIALLING
    polls: int = 0
    sessions: int = 0
    faults: int = 0
    last_error: str = ""


class Superior(Protocol):
    """What the node behind its links does with what comes up them."""

    counters: Counters

    def on_fault(self, node: str, error: Exception) -> None:
        """A link ended because one of its sides found the other wrong."""
        ...

    def on_report(self, node: str, samples: tuple[Sample, ...]) -> None:
        """A node answered a poll, perhaps with telemetry: its own or, from a center, its region's."""
        ...

    async def answer(self, node: str, request: Request) -> AnyReply:
        """Answer a question about people."""
        ...


Dial = Callable[[], Awaitable[Stream]]


class Link:
    """The link to one subordinate."""

    def __init__(
        self,
        station: Station,
        node: str,
        role: Role,
        *,
        dial: Dial,
        policy: Policy,
        superior: Superior,
        timers: Timers,
        backoff: Backoff,
        random: RandomBytes,
    ) -> None:
        self.status = LinkStatus(node, role)
        self.wake = asyncio.Event()
        self.station = station
        self.node = node
        self.policy = policy
        self.superior = superior
        self.timers = timers
        self.random = random
        self._dial = dial
        self._backoff = backoff
        station.on_news(node, self.wake.set)

    async def run(self) -> None:
        """Keep the link up until cancelled. Raises JournalError only."""
        while True:
            self.status.state = LinkState.DIALLING
            self.superior.counters.add("handshakes")
            fault = False
            began = asyncio.get_running_loop().time()
            try:
                await self._once()
            except (LinkError, OSError, TimeoutError) as error:
                fault = _is_fault(error)
                self._tell(error, fault=fault)
            except JournalError:
                raise
            except Exception as defect:  # noqa: BLE001 - met by this peer's bytes: costs this link, never the daemon
                fault = True
                self.status.faults += 1
                self.status.last_error = f"a defect here ({type(defect).__name__}): report it with the log"
                _log.exception("defect", node=self.node)
            self.status.state = LinkState.WAITING
            if asyncio.get_running_loop().time() - began >= _HEALTHY_AFTER:
                self._backoff.forgive()
            await asyncio.sleep(self._backoff.next_delay(fault=fault))

    def _tell(self, error: Exception, *, fault: bool) -> None:
        silent = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
        text = str(error) or silent
        self.superior.counters.add_fault(error)
        if fault or (isinstance(error, LinkLost) and error.code is WireCode.SEAL):
            self.superior.on_fault(self.node, error)  # the peer met an altered message of ours
        if fault:
            self.status.faults += 1
            _log.warning("peer at fault", node=self.node, why=text)
        elif text != self.status.last_error:
            _log.info("link down", node=self.node, why=text)
        self.status.last_error = text

    async def _once(self) -> None:
        stream = await self._dial()
        try:
            await _Conversation(self, stream, self._identify(stream.peer_certificate)).run()
        except PeerFault as fault:
            with suppress(OSError, TimeoutError):
                await send(stream, goodbye(fault.code, fault.detail), 1.0)
            raise
        finally:
            stream.close()

    def _identify(self, der: bytes) -> Certificate:
        try:
            certificate = self.station.trust.identify(der, self.station.wall_ms())
        except KeyRefused as error:
            raise PeerFault(WireCode.IDENTITY, str(error)) from None
        if certificate.name != self.node or certificate.role is not self.status.role:
            raise PeerFault(
                WireCode.IDENTITY,
                f"the certificate names {certificate.role.value} '{certificate.name}', "
                f"configured is {self.status.role.value} '{self.node}'",
            )
        return certificate

    def opened(self) -> None:
        """A session is open."""
        self._backoff.succeeded()
        self.status.state = LinkState.CONNECTED
        self.status.sessions += 1
        if self.status.sessions > 1:
            self.superior.counters.add("reconnects")
        self.status.last_error = ""
        _log.info("link open", node=self.node)


def _is_fault(error: Exception) -> bool:
    """Whether one of the two sides finds the other wrong: dialling again soon will not mend that."""
    if isinstance(error, LinkLost):
        return error.code in _DISAGREEMENTS
    return isinstance(error, PeerFault | ssl.SSLCertVerificationError)


class _Conversation:
    """One stream from Hello to its end."""

    def __init__(self, link: Link, stream: Stream, node: Certificate) -> None:
        station = link.station
        self._link = link
        self._station = station
        self._stream = stream
        self._requests: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(MAX_OPEN_REQUESTS)
        self._counted = 0
        self._refusals = 0.0
        self._refused_at = self._now()
        self._tokens = _REQUEST_BURST
        self._tokens_at = self._now()
        self._session = SuperiorSession(
            station.local,
            node,
            term=station.granted_term,
            timers=link.timers,
            outbox=station.outbox(link.node),
            inbox=station.inbox(link.node),
            fresh=Fresh.of(link.random(48)),
        )

    async def run(self) -> None:
        try:
            await self._flush()
            async with asyncio.timeout(HELLO_TIMEOUT):
                while not self._session.is_open:
                    await self._receive()
            self._link.opened()
            await first_of(self._read(), self._pump(), self._answer_requests())
        finally:
            self._session.end()

    async def _read(self) -> None:
        while True:
            await self._receive()

    async def _receive(self) -> None:
        data = await self._stream.read(_CHUNK)
        if not data:
            raise LinkLost(WireCode.LOST, "the peer closed the connection")
        for event in self._session.receive(data, self._now()):
            match event:
                case Acknowledged():
                    self._station.acknowledged(self._link.node)
                case Reported():
                    await self._on_report(event)
                case Opened():
                    pass
        self._link.wake.set()

    async def _on_report(self, report: Reported) -> None:
        link = self._link
        link.superior.counters.add("frames_received")
        link.superior.counters.add("sealed_received", len(report.items) + len(report.requests))
        link.superior.on_report(link.node, report.samples)
        for request in report.requests:
            if self._requests.full() or not self._has_token():
                raise PeerFault(WireCode.LIMIT, "too many requests")
            self._requests.put_nowait(request)
        if report.items:
            refused = await self._station.take(link.node, report.items, link.policy, report.ledger)
            self._count_refusals(refused)
        self._session.report_done()

    def _count_refusals(self, refused: int) -> None:
        """People are refused now and then for as long as a link lives; only a flood of it is a fault."""
        now = self._now()
        forgotten = (now - self._refused_at) * MAX_REFUSALS / _REFUSALS_FORGOTTEN_S
        self._refusals = max(0.0, self._refusals - forgotten) + refused
        self._refused_at = now
        if self._refusals > MAX_REFUSALS:
            raise PeerFault(WireCode.LIMIT, f"more than {MAX_REFUSALS} events refused in a short time")

    def _has_token(self) -> bool:
        """People at one station ask a few times a minute; each question costs us a durable record."""
        now = self._now()
        earned = (now - self._tokens_at) * _REQUESTS_PER_S
        self._tokens = min(_REQUEST_BURST, self._tokens + earned) - 1
        self._tokens_at = now
        return self._tokens >= 0

    async def _answer_requests(self) -> None:
        """One at a time: a node that asks without end slows down only itself."""
        while True:
            number, body = await self._requests.get()
            reply = await self._link.superior.answer(self._link.node, decode_request(body))
            self._session.reply(number, reply.encode())
            self._link.wake.set()

    async def _pump(self) -> None:
        while True:
            self._link.wake.clear()
            await self._flush()
            polled, self._counted = self._session.polls - self._counted, self._session.polls
            self._link.status.polls += polled
            self._link.superior.counters.add("polls", polled)
            await rest(self._session, self._link.wake)

    async def _flush(self) -> None:
        self._session.advance(self._now(), self._station.wall_ms(), self._station.ledger_head)
        await send(self._stream, self._session.data_to_send(), self._link.timers.silence)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
