"""Cheap parameters, clocks that stand still and a whole identity service for the tests of this folder."""

import base64
import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

from hypothesis import settings

from dispatch_server.identity.admin import IdentityAdmin
from dispatch_server.identity.audit import AuditRecord
from dispatch_server.identity.challenges import Purpose
from dispatch_server.identity.factors import FactorRegistry, SecondFactor
from dispatch_server.identity.passwords import Argon2Parameters
from dispatch_server.identity.policy import DEFAULT_POLICY, IdentityPolicy
from dispatch_server.identity.proofs import GrantIssued, SessionOpened
from dispatch_server.identity.service import IdentityService, RunBlocking
from dispatch_server.identity.store import IdentityStore
from dispatch_server.identity.totp import TotpEnrolment, TotpFactor, generate_code

T = TypeVar("T")

unhurried = settings(deadline=None)  # no test here may depend on the machine's speed

CHEAP = Argon2Parameters(memory_kib=8, iterations=1, lanes=1, production=False)
KEY = bytes(range(32))
PASSWORD = "correct horse battery"
NODE = "hq-desk-1"
DIGEST_X = hashlib.sha256(b"order X").digest()
DIGEST_Y = hashlib.sha256(b"order Y").digest()
EVENT_1 = hashlib.sha256(b"event 1").digest()
EVENT_2 = hashlib.sha256(b"event 2").digest()
NOW_MS = 1_700_000_000_000


def counted_bytes() -> Callable[[int], bytes]:
    """A random source that repeats from run to run and never within one."""
    numbers = itertools.count()
    return lambda size: hashlib.shake_256(next(numbers).to_bytes(8)).digest(size)


async def inline(work: Callable[[], T], /) -> T:
    return work()


class Clock:
    """Wall clock and monotonic clock that go forward together, when told to."""

    def __init__(self) -> None:
        self.ms = NOW_MS

    def wall_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return (self.ms - NOW_MS) / 1000

    def advance(self, seconds: float) -> None:
        self.ms += round(seconds * 1000)


class World:
    """A store, a service, its administrator, and the tokens of the persons that were added."""

    def __init__(
        self,
        path: str | Path = ":memory:",
        *,
        policy: IdentityPolicy = DEFAULT_POLICY,
        factors: tuple[SecondFactor, ...] = (TotpFactor(),),
        may_use: Callable[[str, str], bool] = lambda person, node: True,
        run_blocking: RunBlocking = inline,
        parameters: Argon2Parameters = CHEAP,
    ) -> None:
        self.clock = Clock()
        self.audit: list[AuditRecord] = []
        self.tokens: dict[str, TotpEnrolment] = {}
        self._random_bytes = counted_bytes()
        self._factors = factors
        self._parameters = parameters
        self._policy = policy
        self._may_use = may_use
        self._run_blocking = run_blocking
        self.store = IdentityStore(path, KEY, self._random_bytes)
        self.admin = IdentityAdmin(
            self.store,
            parameters,
            actor="root",
            issuer="Grid Dispatch",
            wall_ms=self.clock.wall_ms,
            random_bytes=self._random_bytes,
            audit=self.audit.append,
        )
        self.service = self.restart()

    def restart(self) -> IdentityService:
        """A service that remembers only what is in the store."""
        return IdentityService(
            self.store,
            FactorRegistry(self._factors),
            self._parameters,
            wall_ms=self.clock.wall_ms,
            monotonic=self.clock.monotonic,
            random_bytes=self._random_bytes,
            run_blocking=self._run_blocking,
            audit=self.audit.append,
            policy=self._policy,
            may_use=self._may_use,
        )

    def add(self, person: str, password: str = PASSWORD) -> None:
        provisioned = self.admin.add_person(person, "dispatcher", person.title(), password)
        self.tokens[person] = token_of(provisioned.uri)

    def code(self, person: str) -> bytes:
        return generate_code(self.tokens[person], self.clock.ms).encode()

    def fresh_code(self, person: str) -> bytes:
        """A code that cannot have been used before."""
        self.clock.advance(31)
        return self.code(person)

    async def login(
        self, person: str, *, node: str = NODE, password: str = PASSWORD, code: bytes | None = None
    ) -> SessionOpened:
        issued = await self.service.begin(node, person, Purpose.LOGIN, None, DIGEST_X)
        answer = self.fresh_code(person) if code is None else code
        opened = await self.service.prove(node, issued.id, password, "totp", answer)
        assert isinstance(opened, SessionOpened)
        return opened

    async def grant(
        self,
        session: SessionOpened,
        digest: bytes = DIGEST_X,
        *,
        node: str = NODE,
        password: str = PASSWORD,
        code: bytes | None = None,
    ) -> GrantIssued:
        person = session.person
        issued = await self.service.begin(node, person, Purpose.ISSUE, session.session_id, digest)
        answer = self.fresh_code(person) if code is None else code
        granted = await self.service.prove(node, issued.id, password, "totp", answer)
        assert isinstance(granted, GrantIssued)
        return granted

    def last_reasons(self) -> tuple[str, ...]:
        return self.audit[-1].reasons


def token_of(uri: str) -> TotpEnrolment:
    """An authenticator app that was set up from the provisioning URI."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(uri).query, strict_parsing=True).items()}
    secret = query["secret"]
    return TotpEnrolment(
        secret=base64.b32decode(secret + "=" * (-len(secret) % 8)),
        digits=int(query["digits"]),
        period_s=int(query["period"]),
    )
