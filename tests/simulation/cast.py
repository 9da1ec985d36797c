"""Who takes part: one authority with the keys of all stations and people, made once per interpreter."""

import functools
import hashlib
from dataclasses import dataclass
from datetime import timedelta

from typing_extensions import override

from dispatch_server import pki
from protocol.keys import Certificate, Role, SigningKey, TrustStore
from tests.support.pki import NOW, TestAuthority

EPOCH_MS = int((NOW + timedelta(hours=1)).timestamp() * 1000)  # the wall clock at virtual time 0
HQ = "hq"
CENTER = "center-1"
SUB_CENTER = "center-2"  # below center-1, in the runs that have it
DESKS = ("desk-1", "desk-2")
DIRECT = ("plant-1", "plant-2")
RELAYED = ("plant-3", "plant-4")
PLANTS = DIRECT + RELAYED

_SERVERS = {HQ: Role.HQ, CENTER: Role.CENTER, SUB_CENTER: Role.CENTER}
_ROLES = _SERVERS | dict.fromkeys(DESKS, Role.DESK) | dict.fromkeys(PLANTS, Role.PLANT)


class RememberingTrust(TrustStore):
    """Verifies each signature once for all nodes of a run: the answer depends on the arguments alone."""

    def __init__(self, authority: pki.Authority) -> None:
        super().__init__([authority.certificate], [pki.revocation_list(authority, [], NOW, days=30)])
        self._held: dict[tuple[bytes, bytes, bytes, bytes, int], Certificate] = {}

    @override
    def verify(self, der: bytes, domain: bytes, data: bytes, signature: bytes, at_ms: int) -> Certificate:
        question = (der, domain, data, signature, at_ms)
        if question not in self._held:
            self._held[question] = super().verify(*question)
        return self._held[question]

    @override
    def for_history(self) -> TrustStore:
        return self  # nobody is revoked here


@dataclass(frozen=True, slots=True)
class Cast:
    """Keys by name. A person's name tells role and station: `dispatcher-desk-1`, `operator-plant-3`."""

    authority: pki.Authority
    nodes: dict[str, SigningKey]
    people: dict[str, SigningKey]

    def trust(self) -> TrustStore:
        """A fresh trust store."""
        return RememberingTrust(self.authority)


@functools.cache
def cast() -> Cast:
    """The one cast of this interpreter."""
    authority = TestAuthority()
    people = {person_of(station): _person(authority, station) for station in DESKS + PLANTS}
    for desk in DESKS:
        people[supervisor_of(desk)] = authority.key(Role.SUPERVISOR, supervisor_of(desk), desk)
    return Cast(authority.authority, {n: authority.key(role, n) for n, role in _ROLES.items()}, people)


def person_of(station: str) -> str:
    """Who works there."""
    return f"{'dispatcher' if station in DESKS else 'operator'}-{station}"


def supervisor_of(desk: str) -> str:
    """Who is called to a desk as second person."""
    return f"supervisor-{desk}"


def _person(authority: TestAuthority, station: str) -> SigningKey:
    role = Role.DISPATCHER if station in DESKS else Role.OPERATOR
    return authority.key(role, person_of(station), station)


class StandIn:
    """Stands in for the chaotic cipher, whose warm-up would be most of the run."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def apply(self, nonce: bytes, data: bytes, /) -> bytes:
        """XOR with SHAKE-256 of key and nonce."""
        stream = hashlib.shake_256(self._key + nonce).digest(len(data))
        return (int.from_bytes(data) ^ int.from_bytes(stream)).to_bytes(len(data))

    def prepare(self, nonce: bytes, /) -> None:
        """Nothing to gain."""

    def wipe(self) -> None:
        """Nothing is kept."""
