"""Judging one attempt: password and second factor against the account. Blocking; runs off the loop.

Rules: the attempt is counted before it is judged; both factors are always judged, for a person who does
not exist or is locked as well, against a dummy hash and a decoy enrolment, so that neither the answer nor
its time tells which part was wrong; what an accepted attempt changes is stored in one transaction.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from dispatch_server.identity.challenges import Binding, Challenge, Purpose
from dispatch_server.identity.errors import FactorRefused, IdentityError, ProofRefused, ReasonedError
from dispatch_server.identity.factors import MAX_RESPONSE_BYTES, FactorAttempt, FactorRegistry, SecondFactor
from dispatch_server.identity.lockout import charged, require_unlocked
from dispatch_server.identity.passwords import (
    HASH_BYTES,
    SALT_BYTES,
    Argon2Parameters,
    dummy_hash,
    hash_password,
    is_hashed_with,
    verify_password,
)
from dispatch_server.identity.policy import IdentityPolicy
from dispatch_server.identity.records import Account, Grant, Proved, Session
from dispatch_server.identity.store import IdentityStore


@dataclass(frozen=True, slots=True)
class Offer:
    """`factors`: challenge data per kind. `known`: for the audit log only."""

    factors: Mapping[str, bytes]
    known: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """What the client answered."""

    password: str = field(repr=False)
    kind: str
    response: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SessionOpened:
    session_id: bytes
    person: str
    role: str
    display_name: str
    expires_ms: int


@dataclass(frozen=True, slots=True)
class GrantIssued:
    """`challenge_id` names the grant; the signed order event must carry it. `session_id`: None to approve."""

    challenge_id: bytes
    person: str
    session_id: bytes | None
    digest: bytes
    expires_ms: int


class AccountRefused(ReasonedError):
    """The person does not exist, is disabled or may not act on this node."""


class Examiner:
    """`may_use(person, node)`: whether that person may act on that node at all. Where not, attempts do not
    count against the person, so that a hostile node can only lock out its own people."""

    def __init__(
        self,
        store: IdentityStore,
        registry: FactorRegistry,
        parameters: Argon2Parameters,
        *,
        policy: IdentityPolicy,
        random_bytes: Callable[[int], bytes],
        may_use: Callable[[str, str], bool],
    ) -> None:
        self._store = store
        self._registry = registry
        self._parameters = parameters
        self._policy = policy
        self._random_bytes = random_bytes
        self._may_use = may_use
        self._dummy = dummy_hash(parameters, random_bytes(SALT_BYTES), random_bytes(HASH_BYTES))

    def offer(self, challenge_id: bytes, binding: Binding, now_ms: int) -> Offer:
        """What each factor needs to be answered. Without a session every kind in use, so that it does not
        tell who exists and who has which; for an issue those that the person has.

        Raises ProofRefused for an issue without a live session, and for an enrolment that does not open."""
        account = self._store.account(binding.person)
        refusals: list[IdentityError] = []
        with _noting(refusals):
            if binding.session is not None:
                self._store.session(binding.session).require_open(binding.person, binding.node, now_ms)
            return Offer(self._factor_data(account, binding, challenge_id), known=account is not None)
        raise ProofRefused(tuple(map(str, refusals)), known=account is not None)

    def examine(self, challenge: Challenge, proof: Proof, now_ms: int) -> SessionOpened | GrantIssued:
        """Raises ProofRefused with every reason."""
        binding = challenge.binding
        account = self._store.account(binding.person)
        allowed = account is not None and self._may_use(binding.person, binding.node)
        before = self._store.charge(
            binding.person if allowed else None, lambda state: charged(state, now_ms, self._policy.lockout)
        )
        refusals: list[IdentityError] = []
        with _noting(refusals):
            _require_standing(account, allowed=allowed)
        with _noting(refusals):
            require_unlocked(before, now_ms)
        with _noting(refusals):
            verify_password(proof.password, account.password if account else self._dummy)
        enrolment = b""
        with _noting(refusals):
            enrolment = self._judge_factor(account, challenge, proof, now_ms)
        if account is not None and not refusals:
            with _noting(refusals):
                return self._accept(account, challenge, proof, enrolment, now_ms)
        raise ProofRefused(tuple(map(str, refusals)), known=account is not None)

    def _factor_data(
        self, account: Account | None, binding: Binding, challenge_id: bytes
    ) -> dict[str, bytes]:
        hashed = binding.hash(challenge_id)
        enrolled = account.sealed if account else {}
        return {
            factor.kind: factor.challenge(self._enrolment(account, factor, binding.person), hashed)
            for factor in self._registry
            if binding.purpose is not Purpose.ISSUE or factor.kind in enrolled
        }

    def _judge_factor(
        self, account: Account | None, challenge: Challenge, proof: Proof, now_ms: int
    ) -> bytes:
        factor = self._registry.get(proof.kind)
        if factor.kind not in challenge.factor_data:
            raise FactorRefused(factor.kind, "was not offered for this challenge")
        if len(proof.response) > MAX_RESPONSE_BYTES:
            raise FactorRefused(factor.kind, f"response is longer than {MAX_RESPONSE_BYTES} bytes")
        enrolment = factor.verify(
            FactorAttempt(
                enrolment=self._enrolment(account, factor, challenge.binding.person),
                challenge=challenge.factor_data[factor.kind],
                binding=challenge.binding.hash(challenge.id),
                response=proof.response,
                at_ms=now_ms,
            )
        )
        if account is None or factor.kind not in account.sealed:
            raise FactorRefused(factor.kind, "person is not enrolled")
        return enrolment

    def _enrolment(self, account: Account | None, factor: SecondFactor, person: str) -> bytes:
        # Made for everybody, so that its time does not tell who needs it.
        decoy = factor.decoy(self._store.decoy_seed(person, factor.kind))
        if account is not None and factor.kind in account.sealed:
            return self._store.unseal(account, factor.kind)
        return decoy

    def _accept(
        self, account: Account, challenge: Challenge, proof: Proof, enrolment: bytes, now_ms: int
    ) -> SessionOpened | GrantIssued:
        new_password = None
        if not is_hashed_with(account.password, self._parameters):
            new_password = hash_password(proof.password, self._parameters, self._random_bytes(SALT_BYTES))
        proved = Proved(account, proof.kind, enrolment, new_password)
        binding = challenge.binding
        if binding.purpose is Purpose.LOGIN:
            return self._open_session(proved, binding, now_ms)
        grant = Grant(
            challenge_id=challenge.id,
            person=binding.person,
            session=binding.session,
            node=binding.node,
            digest=binding.digest,
            expires_ms=now_ms + self._policy.grant_ms,
        )
        self._store.issue_grant(proved, grant, now_ms)
        return GrantIssued(grant.challenge_id, grant.person, grant.session, grant.digest, grant.expires_ms)

    def _open_session(self, proved: Proved, binding: Binding, now_ms: int) -> SessionOpened:
        session = Session(
            id=self._random_bytes(16),
            person=binding.person,
            node=binding.node,
            started_ms=now_ms,
            expires_ms=now_ms + self._policy.session_ms,
        )
        self._store.open_session(proved, session)
        account = proved.account
        return SessionOpened(
            session.id, account.person, account.role, account.display_name, session.expires_ms
        )


def _require_standing(account: Account | None, *, allowed: bool) -> None:
    if account is None:
        raise AccountRefused("no such person")
    if not account.enabled:
        raise AccountRefused("person is disabled")
    if not allowed:
        raise AccountRefused("person may not act on this node")


@contextmanager
def _noting(refusals: list[IdentityError]) -> Iterator[None]:
    try:
        yield
    except IdentityError as error:
        refusals.append(error)
