"""Runs a seed and judges it; remembers the verdict, so that several tests can ask about one run."""

import functools
from collections import Counter
from dataclasses import dataclass

from tests.simulation.invariants import broken
from tests.simulation.world import simulate

_TAIL = 60  # lines
_TOLD = 12  # of what did not hold: one defect often breaks much


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken`: what did not hold; `digest`: of the trace; `tail`: its end; `counts`: what occurred."""

    seed: int
    broken: tuple[str, ...]
    digest: str
    tail: tuple[str, ...]
    counts: Counter[str]

    def report(self) -> str:
        """All that somebody needs who has to find out why."""
        what = "\n".join(f"  - {line}" for line in self.broken[:_TOLD])
        return (
            f"seed {self.seed} broke {len(self.broken)} times, first:\n{what}\n"
            f"run it alone: pytest tests/simulation/test_simulation.py --seed {self.seed}\n"
            f"its trace ended with:\n" + "\n".join(self.tail)
        )


def judge(seed: int) -> Verdict:
    """Run the seed now."""
    result = simulate(seed)
    found = tuple(broken(result))
    trace = result.trace
    return Verdict(seed, found, trace.digest, tuple(trace.lines[-_TAIL:]), trace.counts)


@functools.cache
def verdict(seed: int) -> Verdict:
    """Of the first run of this seed in this interpreter."""
    return judge(seed)
