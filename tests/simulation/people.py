"""Who may log in, in memory and without Argon2: the identity package has its own tests.

What matters to orders is kept: a session belongs to one person on one node; a grant is bound to one digest,
serves one event, and that event as often as it is asked for. Sessions and grants survive a crash of the
server, challenges do not.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from protocol.errors import OrderRefused, RefusalCode
from protocol.lifecycle import SECOND_PERSON
from protocol.orders import Issue
from protocol.requests import (
    AnyReply,
    BeginRequest,
    ChallengeReply,
    DoneReply,
    GrantReply,
    LogoutRequest,
    ProveRequest,
    Purpose,
    RefusedReply,
    Request,
    SessionReply,
)
from tests.simulation.cast import person_of, supervisor_of

CODE = b"123456"  # the second factor that everybody has
_GRANT_MS = 60_000
_SKEW_MS = 2_000  # as IdentityPolicy.clock_skew_ms; the faults make clocks differ by more than that
_THINKING = 0.03  # s, at most: Argon2 and a database


def password_of(person: str) -> str:
    """The one right password."""
    return f"secret of {person}"


@dataclass(frozen=True, slots=True)
class Session:
    """A login; times in ms of the server's wall clock."""

    person: str
    node: str
    opened_ms: int
    expires_ms: int


@dataclass(slots=True)
class Grant:
    """Both factors, given for one digest."""

    person: str
    node: str
    digest: bytes
    purpose: Purpose
    expires_ms: int
    used_for: bytes | None = None


@dataclass(slots=True)
class Store:
    """What survives a crash."""

    sessions: dict[bytes, Session] = field(default_factory=dict)
    grants: dict[bytes, Grant] = field(default_factory=dict)


class SimulatedPeople:
    """The People of one life of a server."""

    def __init__(self, store: Store, rng: random.Random, wall_ms: Callable[[], int], session_ms: int) -> None:
        self._store = store
        self._rng = rng
        self._wall_ms = wall_ms
        self._session_ms = session_ms
        self._challenges: dict[bytes, tuple[str, BeginRequest]] = {}

    async def answer(self, node: str, request: Request) -> AnyReply:
        """See dispatch_server.server.People."""
        await asyncio.sleep(self._rng.uniform(0, _THINKING))
        match request:
            case BeginRequest():
                return self._begin(node, request)
            case ProveRequest():
                return self._prove(node, request)
            case LogoutRequest():
                self._store.sessions.pop(request.session, None)
                return DoneReply()

    def _begin(self, node: str, request: BeginRequest) -> AnyReply:
        if request.purpose is Purpose.ISSUE:
            try:
                self.check_session(request.session, request.person, node, self._wall_ms())
            except OrderRefused as refusal:
                return _refused("session", str(refusal))
        if request.person not in {person_of(node), supervisor_of(node)}:
            return _refused("not-accepted", "this person does not work here")
        challenge = self._rng.randbytes(16)
        self._challenges[challenge] = (node, request)
        return ChallengeReply(challenge=challenge, expires_in_ms=60_000, factors=())

    def _prove(self, node: str, request: ProveRequest) -> AnyReply:
        asked = self._challenges.pop(request.challenge, None)
        if asked is None or asked[0] != node:
            return _refused("not-accepted", "no such challenge is waiting")
        begun, now = asked[1], self._wall_ms()
        if request.password != password_of(begun.person) or request.response != CODE:
            return _refused("not-accepted", "the factors do not hold")
        if begun.purpose is Purpose.LOGIN:
            session = self._rng.randbytes(16)
            self._store.sessions[session] = Session(begun.person, node, now, now + self._session_ms)
            return SessionReply(session=session, expires_ms=now + self._session_ms)
        grant = Grant(begun.person, node, begun.digest, begun.purpose, now + _GRANT_MS)
        self._store.grants[request.challenge] = grant
        return GrantReply(challenge=request.challenge, expires_ms=grant.expires_ms)

    def check_session(self, session: bytes, person: str, node: str, at_ms: int) -> None:
        """See dispatch_server.orders.headquarters.People."""
        held = self._store.sessions.get(session)
        if held is None or (held.person, held.node) != (person, node):
            raise OrderRefused(RefusalCode.SESSION, "no such session: log in again")
        if not held.opened_ms - _SKEW_MS <= at_ms < held.expires_ms + _SKEW_MS:
            raise OrderRefused(RefusalCode.SESSION, "the session was not open at that time")
        if at_ms > self._wall_ms() + _SKEW_MS:
            raise OrderRefused(RefusalCode.SESSION, "the event is dated in the future")

    async def use_grant(self, issue: Issue, node: str, digest: bytes, event_hash: bytes) -> None:
        """See dispatch_server.orders.headquarters.People."""
        await asyncio.sleep(self._rng.uniform(0, _THINKING))
        grant = self._store.grants.get(issue.challenge)
        purpose = Purpose.APPROVE if issue.input in SECOND_PERSON else Purpose.ISSUE
        wanted = (issue.signer, node, digest, purpose)
        if grant is None or (grant.person, grant.node, grant.digest, grant.purpose) != wanted:
            raise OrderRefused(RefusalCode.FACTORS, "both factors were not given for this")
        if grant.used_for is None and self._wall_ms() < grant.expires_ms:
            grant.used_for = event_hash
        if grant.used_for != event_hash:
            raise OrderRefused(RefusalCode.FACTORS, "what was granted is used or over")
        await asyncio.sleep(self._rng.uniform(0, _THINKING))


def _refused(code: str, detail: str) -> RefusedReply:
    return RefusedReply(code=code, detail=detail, retry_after_s=0)
