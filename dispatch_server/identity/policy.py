"""The numbers of identity, in one place."""

from dataclasses import dataclass, field
from typing import Final

from dispatch_server.identity.lockout import LockoutPolicy


@dataclass(frozen=True, slots=True)
class IdentityPolicy:
    """session_ms: one shift; SP 800-63B-4 §2.2.3 advises 24 h at most. retain_ms: how long after its end a
    session still covers events that were signed while it was open, because a plant may be cut off.
    proofs_at_once bounds the memory of Argon2. node_*: see NodeLimiter.
    """

    challenge_s: float = 60.0
    challenges_per_node: int = 8
    challenges_in_all: int = 4096
    proofs_at_once: int = 4
    session_ms: int = 12 * 3_600_000
    retain_ms: int = 7 * 24 * 3_600_000
    clock_skew_ms: int = 2_000
    grant_ms: int = 120_000
    node_burst: int = 10
    node_refill_s: float = 60.0
    lockout: LockoutPolicy = field(default_factory=LockoutPolicy)


DEFAULT_POLICY: Final = IdentityPolicy()
