"""Virtual second persons: they are called to a desk, look at what was issued, and approve, decline, or never
answer; the dispatcher's login is none of their business."""

from typing_extensions import override

from protocol.lifecycle import Input, State
from protocol.record import OrderRecord
from tests.simulation.cast import supervisor_of
from tests.simulation.equipment import Equipment
from tests.simulation.people import CODE, password_of
from tests.simulation.persons import PATIENCE, Person
from tests.simulation.programs import DeskNode


class Supervisor(Person):
    """The second person of one desk."""

    def __init__(self, node: DeskNode, equipment: Equipment) -> None:
        super().__init__(node, equipment, supervisor_of(node.name))
        self._desk_node = node

    @override
    async def is_ready(self) -> bool:
        return True  # nobody logs in for one decision

    @override
    async def look_and_act(self) -> None:
        """Decide what waits for a decision, in the order in which it came."""
        for record in tuple(self.client().station.orders.values()):
            if record.state is State.AWAITING and not self.must_wait(record.order):
                await self._decide(record)

    async def _decide(self, record: OrderRecord) -> None:
        mood = self.mood(record, "decide")
        if mood < 0.7:
            await decide(self, self._desk_node, record, Input.APPROVE)
        elif mood < 0.85:
            await decide(self, self._desk_node, record, Input.DECLINE)


async def decide(person: Person, node: DeskNode, record: OrderRecord, given: Input) -> None:
    """Prove both factors of this person for one decision and sign it. May raise NodeDown, OrderRefused."""
    digest = node.desk.approval(record.order, given)
    step_up = node.authenticator(person.key).step_up(
        person.name, digest, password_of(person.name), "totp", CODE
    )
    challenge = await person.try_to(node.do(step_up), f"step up for {record.order}")
    if challenge:
        desk = node.desk
        verified = desk.decision(record, given, person.key, challenge, "looked at")
        await person.sign(record.order, desk.propose(verified, record, PATIENCE), given.value)
