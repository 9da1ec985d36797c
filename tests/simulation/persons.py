"""What dispatchers and operators have in common: they look at the screen, think, act, and look again.

A person never repeats an action blindly: what to do next always follows from the state on the screen.
"""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from dispatch_client.client import Client, Outcome, OutcomeKind
from protocol.aio.control import CommandFailed
from protocol.errors import LinkLost, OrderRefused
from protocol.record import OrderRecord
from tests.simulation.cast import cast, person_of
from tests.simulation.equipment import Equipment, Told
from tests.simulation.nodes import NodeDown
from tests.simulation.programs import ClientNode
from tests.support.virtual_loop import Seeded

PATIENCE = 3.0  # s that a person looks at the clock after signing
_ANSWER = 40.0  # s: a question about people that has no answer by then has none at all
_TYPO = 0.05
_PAUSE = (2.0, 10.0)  # s until a person comes back to an order after a refusal


class Person:
    """Somebody at a station."""

    def __init__(self, node: ClientNode, equipment: Equipment, name: str | None = None) -> None:
        self.node = node
        self.equipment = equipment
        self.name = name or person_of(node.name)
        self.key = cast().people[self.name]
        self.rng: random.Random = Seeded(f"{node.env.plan.seed}/{self.name}")
        self.is_in_a_hurry = False  # after the rough time: what was begun is brought to its end
        self._back_at: dict[str, float] = {}
        self._moods: dict[tuple[str, int, str], float] = {}

    async def work(self) -> None:
        """Work until cancelled."""
        while True:
            await asyncio.sleep(self.rng.uniform(0.3, 3.0))
            try:
                if await self.is_ready():
                    await self.look_and_act()
            except NodeDown:
                continue  # the screen is dark
            except OrderRefused as reason:
                self.note(f"looks again: {reason}")

    async def look_and_act(self) -> None:
        """One look at the screen, and what follows from it. May raise NodeDown."""
        raise NotImplementedError

    def client(self) -> Client:
        """The program in front of this person. Raises NodeDown."""
        return self.node.running()

    async def is_ready(self) -> bool:
        """Whether this person may act: is logged in. May raise NodeDown."""
        login = self.client().login
        if login and self.node.wall_ms() < login.expires_ms:
            return True
        wrong = "mistyped" if self.rng.random() < _TYPO else None
        await self.try_to(self.node.log_in(self.key, wrong), "log in")
        return False  # look again later

    async def try_to(self, action: Coroutine[Any, Any, Any], what: str) -> Any:
        """Do it; None when it did not work. Raises NodeDown."""
        try:
            async with asyncio.timeout(_ANSWER):
                return await action
        except (OrderRefused, CommandFailed, LinkLost) as reason:
            self.note(f"cannot {what}: {reason}")
        except TimeoutError:
            self.node.env.trace.fault(f"{self.name} never got an answer to: {what}")
        return None

    async def sign(self, order: str, action: Coroutine[Any, Any, Outcome], what: str) -> Outcome | None:
        """Sign something at the station; keeps what the person was told. Raises NodeDown."""
        what = f"{what} {order}"
        outcome: Outcome | None = await self.try_to(self.node.do(action), what)
        if outcome is None or outcome.kind is OutcomeKind.REFUSED:
            self._back_at[order] = asyncio.get_running_loop().time() + self.rng.uniform(*_PAUSE)
        if outcome:
            self.note(f"{what}: {outcome.kind.value} {outcome.reason}")
            if outcome.kind is not OutcomeKind.PENDING:
                taken = outcome.kind is OutcomeKind.TAKEN
                self.equipment.told.append(Told(self.node.name, outcome.order, outcome.event_hash, taken))
        return outcome

    def note(self, what: str) -> None:
        """Write to the trace."""
        self.node.env.trace.note(what, self.node.name)

    def must_wait(self, order: str) -> bool:
        """Whether something signed here is still on its way, or was refused a moment ago."""
        if asyncio.get_running_loop().time() < self._back_at.get(order, 0.0):
            return True
        return any(row.order == order for row in self.client().station.pending.values())

    def mood(self, record: OrderRecord, about: str) -> float:
        """How this person feels about an order as it stands: in [0, 1), the same whenever asked."""
        key = (record.order, record.position, about)
        if key not in self._moods:
            self._moods[key] = self.rng.random()
        return self._moods[key]
