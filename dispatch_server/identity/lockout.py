"""How many failures are too many: per person (durable state, kept by the store) and per node. Pure.

SP 800-63B §3.2.2: failures in a row on one account are limited, to 100 at the very most.
"""

import math
from dataclasses import dataclass
from typing import Final

from dispatch_server.identity.errors import NodeThrottled, PersonLocked

UNTIL_UNLOCKED: Final = 2**62


@dataclass(frozen=True, slots=True)
class LockoutPolicy:
    """From the `threshold`-th failure in a row on, each failure locks, twice as long as the one before."""

    threshold: int = 5
    first_ms: int = 60_000
    cap_ms: int = 15 * 60_000
    give_up_after: int = 100


@dataclass(frozen=True, slots=True)
class LockoutState:
    """Failures in a row, and the wall clock (Unix ms) until which nothing is accepted."""

    failures: int = 0
    locked_until_ms: int = 0


def require_unlocked(state: LockoutState, now_ms: int) -> None:
    """Raises PersonLocked."""
    if state.locked_until_ms >= UNTIL_UNLOCKED:
        raise PersonLocked(None)
    if now_ms < state.locked_until_ms:
        raise PersonLocked(math.ceil((state.locked_until_ms - now_ms) / 1000))


def charged(state: LockoutState, now_ms: int, policy: LockoutPolicy) -> LockoutState:
    """The state with one more failure, written *before* an attempt is judged: attempts that run side by
    side, or that are cut off, then all count. A success goes back to LockoutState().

    Attempts during a lock are not judged and do not prolong it.
    """
    if now_ms < state.locked_until_ms:
        return state
    failures = state.failures + 1
    if failures >= policy.give_up_after:
        return LockoutState(failures, UNTIL_UNLOCKED)
    if failures < policy.threshold:
        return LockoutState(failures, 0)
    # Past 2**20 every lock is at its cap; the bound keeps the shift small.
    doublings = min(failures - policy.threshold, 20)
    return LockoutState(failures, now_ms + min(policy.first_ms << doublings, policy.cap_ms))


class NodeLimiter:
    """Token bucket per node: `burst` failures at once, then one per `refill_s`. Monotonic seconds.

    It is charged before a person is, so that a hostile node can lock out a few persons, not everybody.
    """

    def __init__(self, *, burst: int, refill_s: float) -> None:
        self._burst = burst
        self._refill_s = refill_s
        # Per node: the time at which its bucket is full again. Full buckets need no entry.
        self._full_at: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def require_open(self, node: str, now: float) -> None:
        """Raises NodeThrottled when no attempt is left."""
        wait = self._full_at.get(node, now) - now - (self._burst - 1) * self._refill_s
        if wait > 0:
            raise NodeThrottled(node, math.ceil(wait))

    def charge(self, node: str, now: float) -> None:
        """Take one attempt. Raises NodeThrottled, and takes none, when no attempt is left."""
        self.require_open(node, now)
        self._full_at[node] = max(self._full_at.get(node, now), now) + self._refill_s

    def refund(self, node: str, now: float) -> None:
        """Give the attempt back: it was accepted."""
        full_at = self._full_at.get(node, now) - self._refill_s
        if full_at > now:
            self._full_at[node] = full_at
        else:
            self._full_at.pop(node, None)
