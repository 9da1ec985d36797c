"""The asyncio face of identity: login, proof before each issue or approval, sessions and grants.

Runs on one loop. Argon2 and SQLite go through `run_blocking`; what must not be passed twice (challenges,
node limits) is decided on the loop without a pause in between.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from dispatch_server.identity.audit import AuditRecord, Trail
from dispatch_server.identity.challenges import ID_BYTES, Binding, ChallengeTable, Purpose
from dispatch_server.identity.errors import (
    AuthenticationRefused,
    IdentityError,
    NodeThrottled,
    SessionRefused,
)
from dispatch_server.identity.factors import FactorRegistry
from dispatch_server.identity.lockout import NodeLimiter
from dispatch_server.identity.passwords import Argon2Parameters
from dispatch_server.identity.policy import DEFAULT_POLICY, IdentityPolicy
from dispatch_server.identity.proofs import Examiner, GrantIssued, Proof, SessionOpened
from dispatch_server.identity.session_cache import SessionCache
from dispatch_server.identity.store import IdentityStore

T = TypeVar("T")


class RunBlocking(Protocol):
    """Runs `work` in another thread; asyncio.to_thread is one."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class ChallengeIssued:
    """What the client answers to. factors: per usable kind, what the person's device needs (may be empty)."""

    id: bytes
    expires_in_ms: int
    factors: Mapping[str, bytes]


def _anywhere(_person: str, _node: str) -> bool:
    return True


class IdentityService:
    """Ports: wall_ms() Unix ms; monotonic() s; random_bytes(n); audit(record), called on the loop once per
    decision; may_use(person, node), pure, called in another thread."""

    def __init__(
        self,
        store: IdentityStore,
        registry: FactorRegistry,
        parameters: Argon2Parameters,
        *,
        wall_ms: Callable[[], int],
        monotonic: Callable[[], float],
        random_bytes: Callable[[int], bytes],
        run_blocking: RunBlocking,
        audit: Callable[[AuditRecord], None],
        policy: IdentityPolicy = DEFAULT_POLICY,
        may_use: Callable[[str, str], bool] = _anywhere,
    ) -> None:
        self._store = store
        self._wall_ms = wall_ms
        self._monotonic = monotonic
        self._random_bytes = random_bytes
        self._run = run_blocking
        self._audit = audit
        self._policy = policy
        self._examiner = Examiner(
            store, registry, parameters, policy=policy, random_bytes=random_bytes, may_use=may_use
        )
        self._challenges = ChallengeTable(
            lifetime_s=policy.challenge_s,
            per_node=policy.challenges_per_node,
            in_all=policy.challenges_in_all,
        )
        self._limiter = NodeLimiter(burst=policy.node_burst, refill_s=policy.node_refill_s)
        self._slots = asyncio.Semaphore(policy.proofs_at_once)
        self._sessions = SessionCache()

    async def begin(
        self, node: str, person: str, purpose: Purpose, session_id: bytes | None, digest: bytes
    ) -> ChallengeIssued:
        """First half of a login, an issue (in a session) or an approval. Raises AuthenticationRefused."""
        binding = Binding(person, node, purpose, session_id, digest)
        with _one_answer(), self._recording(Trail("begin", node)) as trail:
            trail.note_binding(binding)
            binding.require_well_formed()
            self._limiter.require_open(node, self._monotonic())
            challenge_id, now_ms = self._random_bytes(ID_BYTES), self._wall_ms()
            offer = await self._run(lambda: self._examiner.offer(challenge_id, binding, now_ms))
            trail.known = offer.known
            self._challenges.add(challenge_id, binding, offer.factors, self._monotonic())
        return ChallengeIssued(challenge_id, int(self._policy.challenge_s * 1000), offer.factors)

    async def prove(
        self, node: str, challenge_id: bytes, password: str, factor_kind: str, factor_response: bytes
    ) -> SessionOpened | GrantIssued:
        """Second half: the challenge is used up whatever comes of it. Raises AuthenticationRefused."""
        with _one_answer(), self._recording(Trail("prove", node)) as trail:
            now = self._monotonic()
            challenge = self._challenges.redeem(challenge_id, node, now)
            trail.note_binding(challenge.binding)
            trail.challenge = challenge.id
            trail.factor = factor_kind if factor_kind in challenge.factor_data else "unknown"
            self._limiter.charge(node, now)
            proof = Proof(password, factor_kind, factor_response)
            async with self._slots:
                now_ms = self._wall_ms()
                accepted = await self._run(lambda: self._examiner.examine(challenge, proof, now_ms))
            trail.known = True
            trail.session = accepted.session_id
        self._limiter.refund(node, self._monotonic())
        if isinstance(accepted, SessionOpened):
            await self.refresh()
        return accepted

    def check_session(self, session_id: bytes, person: str, node: str, at_ms: int) -> None:
        """Whether what `person` signed on `node` at `at_ms` was signed within that session. Cheap.

        Raises SessionRefused. Ends made by another process are seen at the next `refresh`."""
        skew_ms = self._policy.clock_skew_ms
        try:
            _require_past(at_ms, self._wall_ms() + skew_ms)
            self._sessions.get(session_id).require_open(person, node, at_ms, skew_ms)
        except SessionRefused as error:
            trail = Trail("check-session", node, person, known=True, session=session_id)
            trail.note_refusal(error)
            self._audit(trail.finish(self._wall_ms(), self._store.pseudonym))
            raise

    async def use_grant(
        self,
        challenge_id: bytes,
        person: str,
        node: str,
        digest: bytes,
        event_hash: bytes,
        *,
        purpose: Purpose = Purpose.ISSUE,
    ) -> None:
        """Let the event `event_hash` (32 bytes) use the grant; the same event may come again.

        Raises GrantRefused."""
        trail = Trail("use-grant", node, person, known=True, challenge=challenge_id, digest=digest)
        trail.purpose = purpose
        with self._recording(trail):
            now_ms = self._wall_ms()
            await self._run(
                lambda: self._store.use_grant(
                    challenge_id, person, node, digest, event_hash, now_ms=now_ms, purpose=purpose
                )
            )

    async def logout(self, session_id: bytes, person: str, node: str) -> None:
        """End the session. Raises SessionRefused when it is not theirs."""
        with self._recording(Trail("logout", node, person, known=True, session=session_id)):
            now_ms = self._wall_ms()
            await self._run(lambda: self._store.end_session(session_id, person, node, now_ms))
        await self.refresh()

    async def revoke_sessions(self, person: str, before_ms: int) -> None:
        """Their key was revoked at `before_ms`: nothing counts any more under a session from before."""
        now_ms = self._wall_ms()
        if not await self._run(lambda: self._store.revoke_sessions(person, before_ms, now_ms)):
            return
        with self._recording(Trail("end-sessions", "", person, known=True)):
            await self.refresh()

    async def refresh(self) -> None:
        """Bring the sessions in memory up to date; call it once before the first check_session."""
        forget_before_ms = self._wall_ms() - self._policy.retain_ms
        seen = self._sessions.last_change
        changed = await self._run(lambda: self._store.sessions_since(seen, forget_before_ms))
        self._sessions.apply(changed, forget_before_ms)

    def nodes_in_use(self) -> int:
        """On how many nodes somebody is logged in now."""
        return len(self._sessions.nodes(self._wall_ms()))

    async def keep_fresh(self, every_s: float = 1.0) -> None:
        """Refresh for ever: one task of the daemon. It ends only with the error that stopped it."""
        while True:
            await self.refresh()
            await asyncio.sleep(every_s)

    @contextmanager
    def _recording(self, trail: Trail) -> Iterator[Trail]:
        try:
            yield trail
            trail.reasons = ()
        except IdentityError as error:
            trail.note_refusal(error)
            raise
        finally:
            # Also when the caller hung up in the middle: hanging up must not hide an attempt.
            self._audit(trail.finish(self._wall_ms(), self._store.pseudonym))


def _require_past(at_ms: int, now_ms: int) -> None:
    if at_ms > now_ms:
        raise SessionRefused("event is dated in the future: check the clocks")


@contextmanager
def _one_answer() -> Iterator[None]:
    try:
        yield
    except NodeThrottled as error:
        raise AuthenticationRefused(error.retry_after_s) from None
    except IdentityError:
        raise AuthenticationRefused from None
