"""Virtual dispatchers: they draft, issue with two factors, compare what is read back, confirm, or change
their mind at any step."""

from typing_extensions import override

from dispatch_client.client import Outcome
from protocol.lifecycle import Input, State
from protocol.orders import OrderType, ReadBack, Step, Ticket
from protocol.record import OrderRecord
from tests.simulation.equipment import Equipment
from tests.simulation.people import CODE, password_of
from tests.simulation.persons import PATIENCE, Person
from tests.simulation.programs import DeskNode
from tests.simulation.supervisors import decide

_VALID_FOR_S = (15, 30, 30, 60, 90)
_DEVICES = 6
_TYPES = tuple(OrderType)


def right_words(record: OrderRecord) -> str:
    """What the operator must say."""
    step = record.content.ticket.steps[0]
    return f"{step.device} {step.action}"


class Dispatcher(Person):
    """The dispatcher of one desk. `drafted`: plant and end of validity by order."""

    def __init__(self, node: DeskNode, equipment: Equipment, plants: tuple[str, ...], orders: int) -> None:
        super().__init__(node, equipment)
        self.drafted: dict[str, tuple[str, int]] = {}
        self._desk_node = node
        self._plants = plants
        self._orders = orders

    @override
    async def look_and_act(self) -> None:
        """Begin something new now and then, and go on with what is open."""
        if len(self.drafted) < self._orders and not self.is_in_a_hurry and self.rng.random() < 0.5:
            order = f"{self.node.name}-order-{len(self.drafted) + 1}"
            validity = self.rng.choice(_VALID_FOR_S) * 1000
            self.drafted[order] = (self.rng.choice(self._plants), self.node.wall_ms() + validity)
        for order in tuple(self.drafted):
            if not self.must_wait(order):
                await self._go_on_with(order)

    async def _go_on_with(self, order: str) -> None:
        record = self.client().station.orders.get(order)
        if record is None:
            await self._draft(order)
        elif record.state is State.DRAFTED:
            await self._on_drafted(record)
        elif record.state is State.READ_BACK:
            await self._on_read_back(record)
        elif record.state is State.AWAITING and self.mood(record, "impatience") < 0.15:
            await decide(self, self._desk_node, record, Input.APPROVE)  # one's own issue: must be refused
        elif record.state in {State.AWAITING, State.ACCEPTED, State.DELIVERED, State.UNANSWERED}:
            if self.mood(record, "regret") < 0.04:
                await self._cancel(record)
        elif record.state is State.FAILED:
            await self.sign(order, self._desk_node.desk.settle(order, "inspected", PATIENCE), "settle")
        elif record.state in {State.CONFIRMED, State.UNKNOWN} and self.mood(record, "recall") < 0.2:
            await self._cancel(record)

    async def _draft(self, order: str) -> Outcome | None:
        plant, valid_until_ms = self.drafted[order]
        device = f"breaker {self.rng.randrange(_DEVICES)}"
        ticket = Ticket(number=order, title="switching", steps=(Step(device=device, action="open"),))
        draft = self._desk_node.desk.draft(
            order,
            order_type=self.rng.choice(_TYPES),
            plant=plant,
            ticket=ticket,
            valid_until_ms=valid_until_ms,
            patience=PATIENCE,
        )
        return await self.sign(order, draft, "draft")

    async def _on_drafted(self, record: OrderRecord) -> None:
        mood = self.mood(record, "issue")
        if mood < 0.9:
            await self._issue(record, Input.ISSUE)
        elif mood < 0.95:
            await self._cancel(record)

    async def _on_read_back(self, record: OrderRecord) -> None:
        mood = self.mood(record, "read back")
        last = record.events[-1].event
        is_right = isinstance(last, ReadBack) and last.words == right_words(record)
        if is_right and mood < 0.85:
            await self.sign(record.order, self._desk_node.desk.confirm(record.order, PATIENCE), "confirm")
        elif mood < 0.9:
            await self._issue(record, Input.REISSUE)
        elif mood < 0.95:
            await self._cancel(record)

    async def _issue(self, record: OrderRecord, given: Input) -> None:
        desk = self._desk_node.desk
        digest = desk.approval(record.order, given)
        approval = self.node.authenticator(self.key).approve(
            desk.person(), digest, password_of(self.name), "totp", CODE
        )
        challenge = await self.try_to(self.node.do(approval), f"approve {record.order}")
        if challenge:
            desk = self._desk_node.desk
            issue = desk.issue(record.order, given, challenge, "as planned", PATIENCE)
            await self.sign(record.order, issue, given.value)

    async def _cancel(self, record: OrderRecord) -> None:
        cancel = self._desk_node.desk.cancel(record.order, "changed plans", PATIENCE)
        await self.sign(record.order, cancel, "cancel")
