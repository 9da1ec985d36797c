"""How long to wait before a node is dialled again: growing, jittered, longest after faults of the peer."""

from collections.abc import Callable
from dataclasses import dataclass

_FIRST = 0.2  # s
_FIRST_FOR_FAULTS = 1.6
_LONGEST_FOR_FAULTS = 120.0


@dataclass(slots=True)
class Backoff:
    """Half jitter over a doubling window; `uniform` draws from [0, 1).

    Losses are forgotten when a session lasted for a while, faults only when it lasted for long: a peer that
    shakes hands well and then leaves or misbehaves would else be dialled again at once, for ever.
    """

    uniform: Callable[[], float]
    longest: float = 30.0
    losses: int = 0
    faults: int = 0

    def succeeded(self) -> None:
        """A session lasted for a while."""
        self.losses = 0

    def forgive(self) -> None:
        """A session was healthy for long."""
        self.losses = self.faults = 0

    def next_delay(self, *, fault: bool) -> float:
        """Seconds to wait. `fault`: the peer was wrong (identity, protocol), so hurrying is no use."""
        if fault:
            longest, first, failures = max(self.longest, _LONGEST_FOR_FAULTS), _FIRST_FOR_FAULTS, self.faults
            self.faults += 1
        else:
            longest, first, failures = self.longest, _FIRST, self.losses
            self.losses += 1
        window = min(longest, first * (1 << min(failures, 16)))
        return window * (0.5 + self.uniform() / 2)
