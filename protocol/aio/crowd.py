"""Who may stand at a listener's door, decided by counts and addresses alone: no socket, no clock.

Of too many the one goes that has dallied longest, among those of the address that has most of them here. So a
flood from one address pushes out itself; a superior, which is quick and alone at its address, is not touched.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from typing import Generic, TypeVar

from protocol.errors import PeerFault, WireCode

V = TypeVar("V", bound=Hashable)
_IPV6_NETWORK = 64  # bits that a provider gives to one customer


class Why(StrEnum):
    """The names under which a listener counts what it turned away before a session, or ended."""

    CROWD = "too-many-handshakes"
    SOURCE = "too-many-from-one-address"
    RATE = "too-often-from-one-address"
    GUESTS = "too-many-without-hello"
    TLS_TIME = "tls-too-slow"
    TLS_SIZE = "tls-too-large"
    TLS_BARREN = "tls-without-data"
    HELLO_TIME = "hello-too-slow"
    NOT_READING = "does-not-read"
    SILENT = "silent"
    DESCRIPTORS = "no-file-descriptors"


class TurnedAway(PeerFault):
    """A peer that a limit of the door met; `why` is its counter."""

    def __init__(self, why: Why, detail: str) -> None:
        super().__init__(WireCode.LIMIT, detail)
        self.why = why


@dataclass(frozen=True, slots=True)
class DoorLimits:
    """How much of this node strangers may have.

    `in_all`, `per_source`: peers in the TLS handshake at once. `rate`, `burst`: how many may begin one from
    one address, per second. `guests`: streams through TLS whose Hello is not accepted yet.
    """

    in_all: int = 64
    per_source: int = 16
    rate: float = 20.0
    burst: float = 100.0
    guests: int = 8
    sources: int = 1_024  # addresses whose rate is remembered


def source_of(host: str) -> str:
    """What counts as one address: an IPv4 address, or the network of an IPv6 one."""
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        bits = 128 - _IPV6_NETWORK
        return str(IPv6Address(int(address) >> bits << bits))
    return str(address)


class Crowd(Generic[V]):
    """The peers in the TLS handshake."""

    def __init__(self, limits: DoorLimits) -> None:
        self._limits = limits
        self._here: dict[str, dict[V, None]] = {}
        self._source: dict[V, str] = {}
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._known = ""

    def __len__(self) -> int:
        return len(self._source)

    def know(self, source: str) -> None:
        """Our superior came from there: its address may come as often as it likes, though never with more."""
        self._known = source

    def charge(self, source: str, now: float) -> None:
        """Somebody comes from there. Raises TurnedAway when that happens too often."""
        if source == self._known:
            return
        tokens, at = self._tokens.pop(source, (self._limits.burst, now))
        tokens = min(self._limits.burst, tokens + (now - at) * self._limits.rate)
        self._tokens[source] = (tokens - 1 if tokens >= 1 else tokens, now)
        if len(self._tokens) > self._limits.sources:
            self._tokens.popitem(last=False)
        if tokens < 1:
            raise TurnedAway(Why.RATE, f"{source} comes more than {self._limits.rate:g} times a second")

    def arrive(self, visitor: V, source: str) -> tuple[V, TurnedAway] | None:
        """Let a visitor in; gives who has to go for it."""
        goes = self._who_goes(source)
        if goes:
            self.leave(goes[0])
        self._source[visitor] = source
        self._here.setdefault(source, {})[visitor] = None
        return goes

    def leave(self, visitor: V) -> None:
        """It is through, or gone."""
        source = self._source.pop(visitor, None)
        if source is not None:
            del self._here[source][visitor]
            if not self._here[source]:
                del self._here[source]

    def _who_goes(self, source: str) -> tuple[V, TurnedAway] | None:
        limits = self._limits
        same = self._here.get(source, {})
        if len(same) >= limits.per_source:
            return next(iter(same)), TurnedAway(
                Why.SOURCE, f"{source} has more than {limits.per_source} connections without TLS"
            )
        if len(self._source) < limits.in_all:
            return None
        fullest = max(self._here, key=lambda one: (one != self._known, len(self._here[one])))
        return next(iter(self._here[fullest])), TurnedAway(
            Why.CROWD, f"more than {limits.in_all} connections without TLS"
        )
