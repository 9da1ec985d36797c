"""Virtual operators: they read back (rightly or not), wait for the confirmation or not, begin, complete."""

import asyncio

from typing_extensions import override

from protocol.lifecycle import State
from protocol.record import OrderRecord
from tests.simulation.dispatchers import right_words
from tests.simulation.equipment import Equipment, Execution
from tests.simulation.persons import PATIENCE, Person
from tests.simulation.programs import PlantNode

_LATE_MS = 500


class Operator(Person):
    """The operator of one plant."""

    def __init__(self, node: PlantNode, equipment: Equipment) -> None:
        super().__init__(node, equipment)
        self._plant_node = node

    @override
    async def look_and_act(self) -> None:
        """Go on with what is open, in the order in which it came."""
        for record in tuple(self.client().station.orders.values()):
            now = self.client().station.orders.get(record.order)  # earlier acts took their time
            if now and now.is_open and not self.must_wait(now.order):
                await self._go_on_with(now)

    async def _go_on_with(self, record: OrderRecord) -> None:
        match record.state:
            case State.DELIVERED:
                await self._on_delivered(record)
            case State.READ_BACK if self.mood(record, "impatience") < 0.15:
                await self._begin(record)  # before the confirmation: must be refused
            case State.CONFIRMED:
                await self._on_confirmed(record)
            case State.EXECUTING:
                await self._on_executing(record)
            case _:
                pass

    async def _on_delivered(self, record: OrderRecord) -> None:
        mood = self.mood(record, "read back")
        plant = self._plant_node.plant
        if mood < 0.85:
            words = right_words(record) if mood < 0.7 else "breaker 9 close"
            await self.sign(record.order, plant.read_back(record.order, words, PATIENCE), "read back")
        elif mood < 0.92:
            await self.sign(record.order, plant.refuse(record.order, "not safe", PATIENCE), "refuse")

    async def _on_confirmed(self, record: OrderRecord) -> None:
        mood = self.mood(record, "begin")
        is_late = self.node.wall_ms() >= record.content.valid_until_ms + _LATE_MS
        if mood < 0.8 or (mood < 0.9 and is_late):
            await self._begin(record)
        elif mood < 0.95:
            refusal = self._plant_node.plant.refuse(record.order, "not safe any more", PATIENCE)
            await self.sign(record.order, refusal, "refuse")

    async def _begin(self, record: OrderRecord) -> None:
        """One hand on the mouse, or a nervous double click; the other hand on the switch."""
        clicks = 2 if self.mood(record, "nerves") < 0.2 else 1
        await asyncio.gather(*(self._begin_once(record) for _ in range(clicks)))

    async def _begin_once(self, record: OrderRecord) -> None:
        asked_ms = self.node.wall_ms()
        outcome = await self.sign(record.order, self._plant_node.plant.begin(record.order), "begin")
        if outcome:
            self._execute(record, outcome.event_hash, asked_ms, is_resumed=False)

    def _execute(self, record: OrderRecord, event: bytes | None, asked_ms: int, *, is_resumed: bool) -> None:
        now = self.node.wall_ms()
        self.note(f"EXECUTES {record.order}")
        execution = Execution(record.order, self.node.name, event, asked_ms, now, is_resumed)
        self.equipment.executions.append(execution)

    async def _on_executing(self, record: OrderRecord) -> None:
        plant, order = self._plant_node.plant, record.order
        if not self.equipment.has_executed(order):  # the crash came before we were told
            now = self.node.wall_ms()
            if now >= record.content.valid_until_ms:
                await self.sign(order, plant.fail(order, "interrupted, not carried out"), "fail")
                return
            self._execute(record, None, now, is_resumed=True)
        mood = self.mood(record, "complete")
        if mood < 0.75 or (self.is_in_a_hurry and mood >= 0.9):
            await self.sign(order, plant.complete(order, "done"), "complete")
        elif mood < 0.9:
            await self.sign(order, plant.fail(order, "the breaker is stuck"), "fail")
