"""What all nodes of a run share."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from protocol.journal.batch import Batch
from protocol.keys import TrustStore
from situational import Posture
from tests.simulation.plan import Plan
from tests.simulation.trace import Trace
from tests.support.memory_network import MemoryNetwork

Watch = Callable[[str, Batch], None]


def _nobody_watches(_node: str, _batch: Batch) -> None:
    """A run without aimed faults."""


@dataclass(slots=True)
class Environment:
    """`on_hand_in`, `on_durable`: told of each batch of each node's journal. `lost_at`: by order, s.
    `judged`: by an order's head, the posture under which headquarters judged it last."""

    plan: Plan
    trace: Trace
    trust: TrustStore
    network: MemoryNetwork
    lost_at: dict[str, list[float]] = field(default_factory=dict)
    judged: dict[bytes, Posture] = field(default_factory=dict)
    on_hand_in: Watch = field(default=_nobody_watches)
    on_durable: Watch = field(default=_nobody_watches)

    def posture(self) -> Posture:
        """What the plan wants of headquarters now."""
        start, end = self.plan.heightened
        now = asyncio.get_running_loop().time()
        return Posture.HEIGHTENED if start <= now < end else Posture.NORMAL
