"""The link to one subordinate: dial, serve, back off, again. It is a state; a task lives only while it dials.

What goes wrong on one link ends that link alone. An error of the journal is told by the station and ends the
daemon.
"""

import ssl
from collections.abc import Awaitable, Callable

import structlog

from dispatch_server.links.backoff import Backoff
from dispatch_server.links.channel import Channel
from dispatch_server.links.conversation import Conversation
from dispatch_server.links.ports import Keeper, LinkState, LinkStatus, Superior
from dispatch_server.links.schedule import NEVER
from protocol.aio.ports import RandomBytes
from protocol.aio.station import Policy, Station
from protocol.errors import KeyRefused, LinkError, LinkLost, PeerFault, WireCode
from protocol.keys import Certificate, Role
from protocol.limits import Timers

_STEADY_AFTER = 10.0  # s that a session must last before earlier losses are forgotten
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


Dial = Callable[[], Awaitable[Channel]]


class Link:
    """The link to one subordinate. `dial` may be replaced: the next dial uses it."""

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
        self.scheduled = NEVER
        self.dial = dial
        self.station = station
        self.node = node
        self.policy = policy
        self.superior = superior
        self.timers = timers
        self.random = random
        self.round_trips = superior.counters.histogram("poll_round_trip")
        self._handshakes = superior.counters.histogram("handshake")
        self._backoff = backoff
        self._keeper: Keeper | None = None
        self._conversation: Conversation | None = None
        self._began = 0.0
        self._redial_at = 0.0
        station.on_news(node, self._on_news)

    def start(self, keeper: Keeper) -> None:
        """Keep the link up from now on."""
        self._keeper = keeper
        self._dial_soon(keeper)

    def stop(self) -> None:
        """Say goodbye and dial no more."""
        self._keeper = None
        if self._conversation:
            self._conversation.end(LinkLost(WireCode.STOPPING, "this server stops"))
            self._conversation = None

    def on_timer(self, now: float) -> None:
        """See Timed."""
        if self._conversation:
            self._conversation.on_timer(now)
        elif self._keeper and self.status.state is LinkState.WAITING:
            if now < self._redial_at:  # an entry of the session that ended came up
                self._keeper.at(self, self._redial_at)
            else:
                self._dial_soon(self._keeper)

    def _dial_soon(self, keeper: Keeper) -> None:
        self.status.state = LinkState.DIALLING  # at once: in the queue it must stand only one time
        keeper.want_dial(self)

    def _on_news(self) -> None:
        if self._conversation:
            self._conversation.wake()

    def hang_up(self, error: LinkError) -> None:
        """End the present session for this reason; without one, dial now whatever went wrong before."""
        if self._conversation:
            self.ended(error)
        elif self._keeper and self.status.state is LinkState.WAITING:
            self._redial_at = self._keeper.now()
            self._keeper.at(self, self._redial_at)

    def recheck(self) -> None:
        """End the present session if its peer's certificate does not count any more."""
        if self._conversation:
            try:
                self._identify(self._conversation.certificate.der)
            except PeerFault as fault:
                self.ended(fault)

    async def establish(self) -> None:
        """Dial once. Whatever comes of it is on the link when this returns."""
        keeper = self._keeper
        if keeper is None:
            return
        self.status.state = LinkState.DIALLING
        self.superior.counters.add("handshakes")
        self._began = keeper.now()
        local, dial = self.station.local, self.dial
        try:
            channel = await dial()
        except Exception as error:  # noqa: BLE001 - see `ended`
            self.ended(error)
            return
        try:
            if local is not self.station.local:  # a Hello would not fit the certificate that TLS has shown
                raise LinkLost(WireCode.REPLACED, "this server's key was renewed while it dialled")  # noqa: TRY301
            if dial is not self.dial:
                raise LinkLost(WireCode.REPLACED, "its address changed while it was dialled")  # noqa: TRY301
            certificate = self._identify(channel.peer_certificate)
            self._conversation = Conversation(self, keeper, channel, certificate)
        except Exception as error:  # noqa: BLE001 - see `ended`
            Conversation.refuse(channel, error)
            self.ended(error)
        else:
            self._conversation.begin()

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
        self.status.state = LinkState.CONNECTED
        self.status.since_s = self._keeper.now() if self._keeper else None
        self.status.sessions += 1
        if self.status.sessions > 1:
            self.superior.counters.add("reconnects")
        self.status.last_error = ""
        if self._keeper:
            self._handshakes.observe(self._keeper.now() - self._began)
        _log.info("link open", peer=self.node, link=self.session_name)

    @property
    def session_name(self) -> str:
        """The id that marks each line of the log about the present session, or the one that is wanted."""
        is_up = self.status.state is LinkState.CONNECTED
        return f"{self.node}#{self.status.sessions + (not is_up)}"

    def ended(self, error: Exception) -> None:
        """The dial failed or the session is over: tell of it, and dial again later.

        An error that nobody foresaw is a defect met by this peer's bytes: it costs this link, not the daemon.
        """
        if self._conversation:
            self._conversation.end(error)
            self._conversation = None
        if isinstance(error, LinkError | OSError | TimeoutError):
            fault = _is_fault(error)
            self._tell(error, fault=fault)
        else:
            fault = True
            self.superior.counters.add_fault(error)
            self.status.faults += 1
            self.status.last_error = f"a defect here ({type(error).__name__}): report it with the log"
            _log.error("defect", peer=self.node, link=self.session_name, exc_info=error)
        was_up = self.status.state is LinkState.CONNECTED
        self.status.state = LinkState.WAITING
        if self._keeper:
            now = self._keeper.now()
            if was_up:
                self._forgive(now)
                self.status.since_s = now
            self._redial_at = now + self._backoff.next_delay(fault=fault)
            self._keeper.at(self, self._redial_at)

    def _forgive(self, now: float) -> None:
        """A peer that opens sessions only to drop them must not be dialled five times a second for ever."""
        lasted = now - self._began
        if lasted >= _STEADY_AFTER:
            self._backoff.succeeded()
        if lasted >= _HEALTHY_AFTER:
            self._backoff.forgive()

    def _tell(self, error: Exception, *, fault: bool) -> None:
        silent = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
        text = str(error) or silent
        in_handshake = self.status.state is not LinkState.CONNECTED
        self.superior.counters.add_fault(error, in_handshake=in_handshake)
        if fault or (isinstance(error, LinkLost) and error.code is WireCode.SEAL):
            self.superior.on_fault(self.node, error)  # the peer met an altered message of ours
        if fault:
            self.status.faults += 1
            _log.warning("peer at fault", peer=self.node, link=self.session_name, why=text)
        elif text != self.status.last_error:
            _log.info("link down", peer=self.node, link=self.session_name, why=text)
        self.status.last_error = text


def _is_fault(error: Exception) -> bool:
    """Whether one of the two sides finds the other wrong: dialling again soon will not mend that."""
    if isinstance(error, LinkLost):
        return error.code in _DISAGREEMENTS
    return isinstance(error, PeerFault | ssl.SSLCertVerificationError)
