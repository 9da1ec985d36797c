"""How long to wait before a node is dialled again: growing, jittered, longest after refused identities."""

from collections.abc import Callable
from dataclasses import dataclass

_FIRST = 0.2  # s
_LONGEST = 30.0
_LONGEST_FOR_FAULTS = 120.0


@dataclass(slots=True)
class Backoff:
    """Full jitter over a doubling window; `uniform` draws from [0, 1)."""

    uniform: Callable[[], float]
    longest: float = _LONGEST
    failures: int = 0

    def succeeded(self) -> None:
        """A session was opened: begin anew."""
        self.failures = 0

    def next_delay(self, *, fault: bool) -> float:
        """Seconds to wait. `fault`: the peer was wrong (identity, protocol), so hurrying is no use."""
        longest = max(self.longest, _LONGEST_FOR_FAULTS if fault else 0)
        first = _FIRST * (8 if fault else 1)
        window = min(longest, first * (1 << min(self.failures, 16)))
        self.failures += 1
        return window * (0.5 + self.uniform() / 2)
