"""What goes wrong, drawn from the seed: at random moments, and aimed at the moments that matter.

Aimed faults strike while a batch is being written (what it says may or may not survive) and between its
becoming durable and the acknowledgement (so that the peer must send it again).
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from protocol.journal.batch import Batch
from tests.simulation.environment import Environment
from tests.simulation.nodes import SKEW_MS, Node
from tests.support.memory_network import Unreachable
from tests.support.virtual_loop import Seeded

_ROUND_TRIP = 0.04
_DOWN = (0.05, 12.0)
_CLOCK_STEP_MS = 2_000
_FURTHEST_MS = 3_000  # no clock goes further from the truth than that

Strike = Callable[[], Coroutine[Any, Any, None]]


class Faults:
    """Strikes the nodes of a run until `end`."""

    def __init__(self, env: Environment, nodes: Mapping[str, Node]) -> None:
        self._env = env
        self._nodes = nodes
        self._rng: random.Random = Seeded(f"{env.plan.seed}/faults")
        self._links = env.plan.links
        self._tasks: list[asyncio.Task[None]] = []
        self._is_over = False
        env.on_hand_in, env.on_durable = self._on_hand_in, self._on_durable

    def begin(self) -> None:
        """Schedule the random strikes."""
        often = (self._crash, self._partition)
        kinds = (*often, *often, self._cut, self._spike, self._step)
        for _ in range(self._env.plan.faults):
            when = self._rng.uniform(0, self._env.plan.rough_for)
            self._strike(when, self._rng.choice(kinds))

    def _strike(self, delay: float, what: Strike) -> None:
        async def later() -> None:
            await asyncio.sleep(delay)
            await what()

        self._tasks.append(asyncio.get_running_loop().create_task(later()))

    def end(self) -> None:
        """No more faults: heal every link, set every clock, start every node."""
        self._is_over = True
        for task in self._tasks:
            task.cancel()
        for link in self._links:
            self._env.network.partition(*link, on=False)
        for node in self._nodes.values():
            node.skew_ms = max(-SKEW_MS, min(node.skew_ms, SKEW_MS))
            node.start()

    def _tell(self, what: str) -> None:
        self._env.trace.note(what, "fault")
        self._env.trace.count(f"fault: {what.partition(' ')[0]}")

    # --- at random moments ---

    async def _cut(self) -> None:
        link = self._rng.choice(self._links)
        self._tell(f"cut {link}")
        self._env.network.cut(*link)

    async def _partition(self) -> None:
        link, how = self._rng.choice(self._links), self._rng.choice(tuple(Unreachable))
        seconds = self._rng.uniform(0.5, 20)
        self._tell(f"partition {link} for {seconds:.3f} s, {how.name}")
        self._env.network.partition(*link, on=True, unreachable=how)
        await asyncio.sleep(seconds)
        self._env.network.partition(*link, on=False)

    async def _spike(self) -> None:
        link = self._rng.choice(self._links)
        seconds, lasting = self._rng.uniform(0.2, 6), self._rng.uniform(2, 15)
        self._tell(f"spike {link} by {seconds:.3f} s for {lasting:.3f} s")
        self._env.network.spike(*link, seconds=seconds, lasting=lasting)

    async def _crash(self) -> None:
        await self._crash_one(self._rng.choice(tuple(self._nodes.values())))

    async def _crash_one(self, node: Node) -> None:
        seconds = self._rng.uniform(*_DOWN)
        self._tell(f"crash {node.name} for {seconds:.3f} s")
        node.crash()
        await asyncio.sleep(seconds)
        node.start()

    async def _step(self) -> None:
        node = self._rng.choice(tuple(self._nodes.values()))
        wanted = node.skew_ms + self._rng.randint(-_CLOCK_STEP_MS, _CLOCK_STEP_MS)
        node.skew_ms = max(-_FURTHEST_MS, min(wanted, _FURTHEST_MS))
        self._tell(f"step clock of {node.name} to {node.skew_ms:+d} ms")

    # --- aimed at a commit ---

    def _on_hand_in(self, name: str, batch: Batch) -> None:
        if self._is_worth_it(batch):
            self._env.trace.count("aimed at a commit")
            what = self._cut_off if self._rng.random() < 0.5 else self._crash_one
            self._strike(self._rng.uniform(0, self._env.plan.fsync[1]), lambda: what(self._nodes[name]))

    def _on_durable(self, name: str, batch: Batch) -> None:
        if batch.received and self._is_worth_it(batch):
            self._env.trace.count("aimed at an acknowledgement")
            what = self._cut_off if self._rng.random() < 0.7 else self._crash_one
            self._strike(self._rng.uniform(0, _ROUND_TRIP), lambda: what(self._nodes[name]))

    def _is_worth_it(self, batch: Batch) -> bool:
        if self._is_over or not (batch.orders or batch.pending):
            return False
        return self._rng.random() < self._env.plan.aimed

    async def _cut_off(self, node: Node) -> None:
        self._tell(f"cut all links of {node.name}")
        for link in self._links:
            if node.name in link:
                self._env.network.cut(*link)
