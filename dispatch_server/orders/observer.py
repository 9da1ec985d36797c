"""Headquarters as an observer: time passes, plants fall silent, come back, and say where they stand.

Nothing here commands anything. What it sees hangs off the chain of an order in a plant's custody; an order
whose fate is not known is asked for by its id, and told again where the plant missed something.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from dispatch_server.orders.checks import Rules
from protocol.aio.station import Station, Work
from protocol.errors import OrderRefused
from protocol.items import AnswerItem, AskItem, EventItem, event_item
from protocol.lifecycle import TRANSITIONS, Custody, Input, State
from protocol.record import OrderRecord

_log = structlog.get_logger("orders")
_OBSERVED = frozenset({State.CONFIRMED, State.RECALLING, State.EXECUTING})
_LOST = frozenset({State.UNKNOWN, State.UNKNOWN_EXECUTING})


class Hands(Protocol):
    """What the observer may do through headquarters."""

    def append(self, work: Work, record: OrderRecord, given: Input, at_ms: int) -> None:
        """Sign an event as headquarters and put it on the order. Raises OrderRefused."""
        ...

    def send_to_plant(self, work: Work, plant: str, item: EventItem | AskItem) -> None:
        """Post an item on the way that leads to a plant."""
        ...

    def charge(self, work: Work, peer: str, order: str, plant: str | None = None) -> None:
        """Something that `peer` brought about this order is refused."""
        ...


class Observer:
    """`heard` is told of each plant that gave a sign of life, also from behind a center."""

    def __init__(
        self,
        station: Station,
        routes: Mapping[str, str],
        rules: Rules,
        hands: Hands,
        heard: Callable[[str], None],
    ) -> None:
        self._station = station
        self._routes = routes
        self._rules = rules
        self._hands = hands
        self._heard = heard
        # Order -> wall ms of our last question about it, and of the last time that we told it again.
        self._asked: dict[str, int] = {}
        self._mended: dict[str, int] = {}

    def changed(self, record: OrderRecord, now: int) -> None:
        """An order moved: a confirmed one is being told now, a closed one is never asked for again."""
        if record.state is State.CONFIRMED:
            self._asked.setdefault(record.order, now)
        elif not record.is_open:
            self._asked.pop(record.order, None)
            self._mended.pop(record.order, None)

    def on_tick(self, silent: Callable[[str], bool]) -> Work | None:
        """What is due now: expiry, no answer, a lost plant, a question. `silent`: nothing heard lately."""
        work = self._station.work()
        now = self._station.wall_ms()
        for record in [record for record in self._station.orders.values() if record.is_open]:
            if given := self._due(record, now, silent):
                self._observe(work, record, given, now)
            elif self._should_ask(record, now, silent):
                self._ask(work, record, now)
        return work if work.orders or work.posts else None

    def _observe(self, work: Work, record: OrderRecord, given: Input, now: int) -> None:
        try:
            self._hands.append(work, record, given, now)
        except OrderRefused as refusal:  # one order in trouble must not keep the others from their time
            _log.error("cannot observe", order=record.order, input=given, why=str(refusal))

    def _due(self, record: OrderRecord, now: int, silent: Callable[[str], bool]) -> Input | None:
        if record.custody is Custody.HEADQUARTERS:
            if now >= record.content.valid_until_ms and (record.state, Input.EXPIRE) in TRANSITIONS:
                return Input.EXPIRE
            waits = record.state in {State.ACCEPTED, State.DELIVERED}
            if waits and now >= _accepted_ms(record) + self._rules.answer_within_ms:
                return Input.NO_ANSWER
        elif record.state in _OBSERVED and silent(record.content.plant):
            return Input.LOSE
        return None

    def _should_ask(self, record: OrderRecord, now: int, silent: Callable[[str], bool]) -> bool:
        """A lost order is asked for as soon as its plant is heard again, and again until it answers.

        So is, once after our own start, every order in a plant's hands: links may lead another way now.
        """
        if record.custody is not Custody.PLANT or silent(record.content.plant):
            return False
        asked = self._asked.get(record.order)
        return asked is None or (record.state in _LOST and now >= asked + self._rules.lost_after_ms)

    def _ask(self, work: Work, record: OrderRecord, now: int) -> None:
        self._asked[record.order] = now
        plant = record.content.plant
        self._hands.send_to_plant(work, plant, AskItem(to=plant, order=record.order, head=record.head))

    def on_answer(self, work: Work, peer: str, item: AnswerItem) -> None:
        record = work.order(item.order)
        plant = record.content.plant if record else None
        if record is None or item.plant != plant or self._routes.get(plant) != peer:
            self._hands.charge(work, peer, item.order, item.plant)
            work.note("security", peer, what="answer about an order that is not its own", order=item.order)
            return
        self._heard(plant)
        if not record.is_open:
            return  # what it misses of the end is on its way to it
        if item.head != record.head:
            self._mend(work, record, item.head)
        elif record.state in _LOST:
            self._hands.append(work, record, Input.FIND, self._station.wall_ms())

    def _mend(self, work: Work, record: OrderRecord, head: bytes) -> None:
        """The plant stands elsewhere: it missed something, or refused to take it. Tell it again, slowly."""
        now = self._station.wall_ms()
        if now < self._mended.get(record.order, 0) + self._rules.lost_after_ms:
            return  # a plant that contradicts itself must not fill the order and the ledger
        self._mended[record.order] = now
        missing = record.after(head)
        work.note(
            "diverged", record.order, plant_head=head.hex(), our_head=record.head.hex(), missing=len(missing)
        )
        _log.error("plant stands elsewhere", order=record.order, missing=len(missing))
        if record.custody is not Custody.PLANT:
            return  # it is on its way, or the order ends here by its validity
        if record.state in _OBSERVED:
            self._hands.append(work, record, Input.LOSE, now)
        plant = record.content.plant
        for event in missing:
            self._hands.send_to_plant(work, plant, event_item(event.signed, plant))


def _accepted_ms(record: OrderRecord) -> int:
    """When this headquarters accepted it last, by its own clock: a plant's clock may be off."""
    return max(event.event.at_ms for event in record.events if event.event.input is Input.ACCEPT)
