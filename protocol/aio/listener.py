"""The subordinate's end of its link: it accepts its superior, keeps one session, answers polls.

A newer link of the superior replaces the older one (which may be half-open); everybody else is refused.
"""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import structlog

from protocol.aio.crowd import TurnedAway, Why
from protocol.aio.door import Visit
from protocol.aio.logs import link_log
from protocol.aio.manners import Manners, Volume
from protocol.aio.ports import RandomBytes, Stream, first_of, rest, send
from protocol.aio.station import Policy, Station
from protocol.errors import KeyRefused, LinkLost, LocalMisuse, PeerFault, TermRefused, WireCode
from protocol.handshake import Fresh
from protocol.journal.file import JournalError
from protocol.keys import Certificate
from protocol.limits import HELLO_TIMEOUT, MAX_OPEN_REQUESTS, Timers
from protocol.messages import Hello, LedgerHead, Sample
from protocol.requests import AnyReply, Request, decode_reply
from protocol.session import Acknowledged, Delivered, HelloReceived, Polled, Replied, goodbye
from protocol.subordinate import SubordinateSession

_CHUNK = 64 * 1024
_log = structlog.get_logger("link")


@dataclass(frozen=True, slots=True)
class Fenced:
    """A superior was turned away because its `term` does not count: `granted` does. Wall clock in ms."""

    at_ms: int
    term: int
    granted: int
    why: str


class Listener:
    """Serves the one superior of this node. Give `accept` to whatever listens."""

    def __init__(self, station: Station, superior: str, policy: Policy, random: RandomBytes) -> None:
        self.superior = superior
        self.refused = 0
        self.counters: Counter[str] = Counter()  # by name, what was turned away or ended
        self.fenced: Fenced | None = None  # the last one
        self._volumes: dict[str, Volume] = {}
        self.station = station
        self.policy = policy
        self.random = random
        self.wake = asyncio.Event()
        self._service: _Service | None = None
        self._door = asyncio.Lock()
        self._waiting: dict[int, asyncio.Future[AnyReply]] = {}
        self._last_request = 0
        self._streams = 0
        self._asked = 0
        self._heard: Polled | None = None
        self._heard_at = 0.0
        station.on_news(superior, self.wake.set)

    @property
    def is_connected(self) -> bool:
        """Whether the superior has a session with us now."""
        return self._service is not None

    @property
    def polls(self) -> int:
        """Polls received on the present link."""
        return self._service.session.polls if self._service else 0

    def sample(self, sample: Sample) -> None:
        """Let a reading ride along with the next report; without a link it is dropped."""
        if self._service:
            self._service.session.sample(sample)

    async def ask(self, request: Request) -> AnyReply:
        """Ask the superior. Raises LinkLost when there is no link, it ends too early, or too much waits."""
        if self._service is None:
            raise LinkLost(WireCode.LOST, f"'{self.superior}' is not connected to this node now")
        if len(self._waiting) >= MAX_OPEN_REQUESTS:  # the superior would end the link
            raise LinkLost(WireCode.LIMIT, "too many questions wait for an answer: try again")
        self._asked += 1
        self._last_request = (self._last_request + 1) % (1 << 32)
        number = self._last_request
        try:
            self._service.session.request(number, request.encode())
        except LocalMisuse as error:
            raise LinkLost(WireCode.LIMIT, str(error)) from None
        future: asyncio.Future[AnyReply] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        self.wake.set()
        return await future

    def polled(self, poll: Polled) -> None:
        """The superior asked; its clock and its ledger's end came along."""
        self._heard = poll
        self._heard_at = asyncio.get_running_loop().time()

    def superior_ms(self) -> int:
        """The superior's wall clock (ms) by its last poll; 0 before the first one of this run."""
        if self._heard is None:
            return 0
        return self._heard.wall_ms + int((asyncio.get_running_loop().time() - self._heard_at) * 1000)

    @property
    def seen_ledger(self) -> LedgerHead | None:
        """Where the superior's ledger stood at its last poll."""
        return self._heard.ledger if self._heard else None

    def news(self) -> int:
        """Counts what was told to the superior or taken of it; grows only."""
        outbox, inbox = self.station.outbox(self.superior), self.station.inbox(self.superior)
        return outbox.acknowledged + inbox.durable.cursor + self._asked

    def replied(self, number: int, body: bytes) -> bool:
        """A reply came; tells whether it was asked for. Raises PeerFault(MALFORMED)."""
        reply = decode_reply(body)
        future = self._waiting.pop(number, None)
        if future and not future.done():
            future.set_result(reply)
        return future is not None

    async def accept(self, stream: Stream, visit: Visit | None = None) -> None:
        """Serve one incoming stream to its end; never raises for what a peer does."""
        self._streams += 1
        with link_log(self.superior, self._streams):
            await self._serve(
                stream, visit or Visit(asyncio.get_running_loop().time() + HELLO_TIMEOUT, lambda: None)
            )

    async def _serve(self, stream: Stream, visit: Visit) -> None:
        try:
            await _Service(self, stream, self.identify(stream.peer_certificate)).run(visit)
        except PeerFault as fault:
            self.refuse(fault)
            with suppress(OSError, TimeoutError, PeerFault):
                await send(stream, goodbye(fault.code, fault.detail), 1.0)
        except (LinkLost, OSError, TimeoutError) as error:
            if isinstance(error, LinkLost) and error.code is WireCode.SILENT:
                self.counters[Why.SILENT] += 1
            _log.info("link ended", superior=self.superior, why=str(error) or type(error).__name__)
        except JournalError as error:
            self.station.fail(error)
        except Exception:  # noqa: BLE001 - a defect met by the peer's bytes costs this link, never the daemon
            _log.exception("defect", superior=self.superior)
        finally:
            stream.close()

    def refuse(self, fault: PeerFault) -> None:
        """Count and tell of a peer that is turned away. A flood of them does not flood the log."""
        name = fault.why if isinstance(fault, TurnedAway) else fault.code.name.lower()
        self.refused += 1
        self.counters[name] += 1
        if isinstance(fault, TermRefused):
            self.fenced = Fenced(self.station.wall_ms(), fault.term, fault.granted, fault.detail)
        volume = self._volumes.setdefault(name, Volume())
        unsaid = volume.say(asyncio.get_running_loop().time())
        if unsaid is not None:
            more = {"not_logged_before": unsaid} if unsaid else {}
            _log.warning(
                "link refused", superior=self.superior, code=fault.code.name, why=fault.detail, **more
            )

    def identify(self, der: bytes) -> Certificate:
        """The superior, if this is its certificate and counts now. Raises PeerFault(IDENTITY)."""
        try:
            certificate = self.station.trust.identify(der, self.station.wall_ms())
        except KeyRefused as error:
            raise PeerFault(WireCode.IDENTITY, str(error)) from None
        if not certificate.is_node or certificate.name != self.superior:
            raise PeerFault(WireCode.IDENTITY, f"'{certificate.name}' is not the superior of this node")
        return certificate

    async def take_over(self, service: "_Service", hello: Hello) -> bool:
        """Make this the one service. Raises PeerFault(TERM) if a higher term came meanwhile."""
        async with self._door:
            self.station.granted.check(hello.term, hello.boot)  # it may be over since the Hello was read
            if self._service:
                self._service.replaced.set()
                await self._service.ended.wait()
            await self.station.obey(hello.term, hello.boot)
            self.identify(service.superior.der)  # it may have been revoked since
            self._service = service
            fresh = Fresh.of(self.random(48))
            return service.session.welcome(hello, fresh, asyncio.get_running_loop().time())

    def leave(self, service: "_Service") -> None:
        """The service ended: what was asked on it has no answer."""
        if self._service is service:
            self._service = None
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(LinkLost(WireCode.LOST, "the link ended before the answer came"))
            self._waiting.clear()
        service.ended.set()

    def recheck(self) -> None:
        """End the present session if the superior's certificate does not count any more."""
        if self._service:
            self._service.recheck()

    async def stop(self) -> None:
        """End the present session."""
        if self._service:
            self._service.replaced.set()
            await self._service.ended.wait()


class _Service:
    """One stream from its Hello to its end."""

    def __init__(self, owner: Listener, stream: Stream, superior: Certificate) -> None:
        station = owner.station
        self._owner = owner
        self._station = station
        self._stream = stream
        self._over: PeerFault | None = None
        self.superior = superior
        self.session = SubordinateSession(
            station.local,
            superior,
            granted=station.granted,
            outbox=station.outbox(superior.name),
            inbox=station.inbox(superior.name),
        )
        self._manners: Manners
        self.replaced = asyncio.Event()
        self.ended = asyncio.Event()

    async def run(self, visit: Visit) -> None:
        try:
            hello = await self._hello_until(visit.deadline)
            visit.admitted()
            if await self._owner.take_over(self, hello):
                self._station.acknowledged(self._owner.superior)
            timers = Timers(hello.poll_interval_ms, hello.hold_ms)
            self._manners = Manners(timers, self._now(), self._owner.news)
            _log.info("link open", superior=self._owner.superior, term=hello.term)
            await first_of(self._read(), self._pump(), self._until_replaced())
        finally:
            self.session.end()
            self._owner.leave(self)

    async def _hello_until(self, deadline: float) -> Hello:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._hello()
        except TimeoutError:
            self._owner.counters[Why.HELLO_TIME] += 1
            raise

    async def _hello(self) -> Hello:
        while True:
            for event in self.session.receive(await self._chunk(), self._now()):
                if isinstance(event, HelloReceived):
                    return event.hello

    async def _chunk(self) -> bytes:
        data = await self._stream.read(_CHUNK)
        if not data:
            raise LinkLost(WireCode.LOST, "the superior closed the connection")
        return data

    async def _read(self) -> None:
        superior = self._owner.superior
        while True:
            data = await self._chunk()
            items: list[tuple[int, bytes]] = []
            for event in self.session.receive(data, self._now()):
                match event:
                    case Delivered():
                        self._manners.delivered(event.cursor)
                        items.append((event.cursor, event.item))
                    case Polled():
                        self._manners.polled(self._now())
                        self._owner.polled(event)
                    case Acknowledged():
                        self._station.acknowledged(superior)
                    case Replied():
                        self._manners.replied(asked=self._owner.replied(event.number, event.body))
                    case HelloReceived():
                        raise PeerFault(WireCode.UNEXPECTED, "a second Hello")
            self._owner.wake.set()
            if items:
                await self._station.take(superior, items, self._owner.policy, self._owner.seen_ledger)

    async def _pump(self) -> None:
        while True:
            self._owner.wake.clear()
            self.session.advance(self._now(), self._station.ledger_head)
            await self._send(self.session.data_to_send())
            await rest(self.session, self._owner.wake)

    async def _send(self, data: bytes) -> None:
        try:
            await send(self._stream, data, self.session.patience)
        except TimeoutError:
            self._owner.counters[Why.NOT_READING] += 1
            raise LinkLost(
                WireCode.LOST, f"the superior reads nothing for {self.session.patience:g} s"
            ) from None

    def recheck(self) -> None:
        try:
            self._owner.identify(self.superior.der)
        except PeerFault as fault:
            self._over = fault
            self.replaced.set()

    async def _until_replaced(self) -> None:
        await self.replaced.wait()
        raise self._over or LinkLost(WireCode.REPLACED, "a newer link took over, or this node stops")

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
