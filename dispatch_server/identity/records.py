"""What the store keeps, as values."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from dispatch_server.identity.challenges import Purpose
from dispatch_server.identity.errors import GrantRefused, SessionRefused
from dispatch_server.identity.lockout import LockoutState


@dataclass(frozen=True, slots=True)
class Person:
    """One person as administrators see it. `attempts`: how often both factors were tried in all."""

    person: str
    role: str
    display_name: str
    enabled: bool
    lockout: LockoutState
    attempts: int
    factors: tuple[str, ...]
    stations: frozenset[str]


@dataclass(frozen=True, slots=True)
class Account:
    """What an attempt is judged by. `sealed`: per kind, the sealed enrolment."""

    person: str
    role: str
    display_name: str
    enabled: bool
    password: str = field(repr=False)
    sealed: Mapping[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Session:
    """One login of one person on one node. Times: Unix ms. `change` grows with every change of any session.

    `revoked`: the person was disabled; nothing is accepted under it any more, not even what is dated earlier.
    """

    id: bytes
    person: str
    node: str
    started_ms: int
    expires_ms: int
    ended_ms: int | None = None
    revoked: bool = False
    change: int = 0

    def require_owner(self, person: str, node: str) -> None:
        """Raises SessionRefused."""
        if self.person != person:
            raise SessionRefused("session belongs to another person")
        if self.node != node:
            raise SessionRefused("session belongs to another node")

    def require_open(self, person: str, node: str, at_ms: int, skew_ms: int = 0) -> None:
        """Raises SessionRefused unless it covers `person` on `node` at `at_ms`, give or take `skew_ms`."""
        self.require_owner(person, node)
        if self.revoked:
            raise SessionRefused("session was revoked")
        if at_ms < self.started_ms - skew_ms:
            raise SessionRefused("session had not started")
        if at_ms >= self.expires_ms + skew_ms:
            raise SessionRefused("session expired")
        if self.ended_ms is not None and at_ms >= self.ended_ms + skew_ms:
            raise SessionRefused("session was ended")


@dataclass(frozen=True, slots=True)
class Grant:
    """A proof of both factors for one order digest, waiting to be used by one event. `session`: None for an
    approval, which lives no longer than its own time and the credentials that proved it."""

    challenge_id: bytes
    person: str
    session: bytes | None
    node: str
    digest: bytes
    expires_ms: int
    used_by: bytes | None = None

    def require_for(self, person: str, node: str, digest: bytes, purpose: Purpose = Purpose.ISSUE) -> None:
        """Raises GrantRefused."""
        if (self.session is None) != (purpose is Purpose.APPROVE):
            raise GrantRefused("grant is for another purpose")
        if self.person != person:
            raise GrantRefused("grant belongs to another person")
        if self.node != node:
            raise GrantRefused("grant belongs to another node")
        if not hmac.compare_digest(self.digest, digest):
            raise GrantRefused("grant is for another order")

    def require_unused(self, session: Session | None, now_ms: int) -> None:
        """Raises GrantRefused unless a first event may still use it. `session`: the one that it names."""
        if now_ms >= self.expires_ms:
            raise GrantRefused("grant expired")
        if session is None:
            return
        try:
            session.require_open(self.person, self.node, now_ms)
        except SessionRefused as error:
            raise GrantRefused(f"{error} since the proof") from None


@dataclass(frozen=True, slots=True)
class Proved:
    """What an accepted attempt was judged by and what it changes; stored only if the account is still so."""

    account: Account = field(repr=False)
    kind: str
    enrolment: bytes = field(repr=False)
    new_password: str | None = field(repr=False)
