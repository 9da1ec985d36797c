"""Headquarters: puts admitted events on their orders' chains, adds its own, and tells who must know."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from dispatch_server.orders.admission import OF_PLANT, Admission, People
from dispatch_server.orders.charges import Charges, loop_time
from dispatch_server.orders.checks import Rules
from dispatch_server.orders.observer import Observer
from protocol.aio.station import Station, Work
from protocol.compose import follow
from protocol.errors import OrderRefused
from protocol.items import (
    AnswerItem,
    AskItem,
    EventItem,
    Item,
    PostureItem,
    RefusalItem,
    event_item,
    order_of,
    refusal_item,
)
from protocol.lifecycle import Custody, Input, State
from protocol.orders import GENESIS, VerifiedEvent
from protocol.record import OrderRecord
from situational import Posture

_log = structlog.get_logger("orders")


class Headquarters:
    """The policy of the HQ station. `routes`: plant -> the direct subordinate that leads to it.

    `heard` is told of each plant that gave a sign of life, also from behind a center; `on_refused` of each
    event that was not taken, with the direct peer that it came from.
    """

    def __init__(
        self,
        station: Station,
        routes: Mapping[str, str],
        people: People,
        rules: Rules,
        *,
        posture_of: Callable[[Iterable[str]], Posture],
        heard: Callable[[str], None],
        on_refused: Callable[[str, OrderRefused], None] = lambda _peer, _refusal: None,
        now: Callable[[], float] = loop_time,
    ) -> None:
        self._station = station
        self._routes = routes
        self._heard = heard
        self._on_refused = on_refused
        self._charges = Charges(routes, now)
        self._admission = Admission(station, routes, people, rules, posture_of)
        self._observer = Observer(station, routes, rules, self, heard)

    def fence_by(self, is_fenced: Callable[[str], bool]) -> None:
        """Ask this of each direct subordinate before an order is accepted that would have to pass it."""
        self._admission.is_fenced = is_fenced

    async def prepare(self, peer: str, item: Item) -> None:
        """Use the grant of an event that needs both factors."""
        await self._admission.prepare(peer, item)

    def on_tick(self, silent: Callable[[str], bool]) -> Work | None:
        """See Observer.on_tick."""
        return self._observer.on_tick(silent)

    def on_item(self, work: Work, peer: str, item: Item) -> None:
        """Decide on an item of a direct subordinate."""
        match item:
            case EventItem():
                self._on_event(work, peer, item)
            case AnswerItem():
                self._observer.on_answer(work, peer, item)
            case RefusalItem() | AskItem() | PostureItem():
                work.refusals += 1
                work.note("security", peer, what="item that only a superior sends", item=item.kind)

    def _on_event(self, work: Work, peer: str, item: EventItem) -> None:
        try:
            verified = self._station.verify(item.signed)
        except OrderRefused as refusal:
            self._on_refused(peer, refusal)
            work.note("security", peer, what="event refused", code=refusal.code, why=refusal.detail)
            order = order_of(item)
            self.charge(work, peer, order)
            if order:
                self._tell(work, peer, item.signed.hash, order, refusal)
            return
        record = work.order(verified.event.order)
        if record and record.has(verified.hash):
            self._admission.forget(peer, verified)
            return
        try:
            self._admission.admit(work, peer, verified, record)
            record = self._sequence(work, verified)
        except OrderRefused as refusal:
            self._refuse(work, peer, verified, refusal)
            return
        if verified.signer.role in OF_PLANT:
            self._heard(record.content.plant)

    def _refuse(self, work: Work, peer: str, verified: VerifiedEvent, refusal: OrderRefused) -> None:
        event, signer = verified.event, verified.signer
        self._on_refused(peer, refusal)
        _log.warning(
            "event refused", order=event.order, input=event.input, signer=signer.name, why=str(refusal)
        )
        work.note(
            "refused",
            event.order,
            input=event.input,
            signer=signer.name,
            code=refusal.code,
            why=refusal.detail,
        )
        self.charge(work, peer, event.order)
        self._tell(work, peer, verified.hash, event.order, refusal)

    def charge(self, work: Work, peer: str, order: str, plant: str | None = None) -> None:
        """Something that `peer` brought about this order is refused. See Charges."""
        record = work.order(order)
        self._charges.charge(work, peer, plant or (record.content.plant if record else None))

    def _tell(self, work: Work, peer: str, event: bytes, order: str, refusal: OrderRefused) -> None:
        """To the station that the event came from: where `peer` leads to the order's plant, that plant."""
        record = work.order(order)
        plant = record.content.plant if record else None
        to = plant if plant and self._routes.get(plant) == peer else peer
        if not self._station.is_flooded(peer):
            work.post(peer, refusal_item(event, order, to, refusal))

    # --- put it on the chain, tell who must know, and go on ---

    def _sequence(self, work: Work, verified: VerifiedEvent) -> OrderRecord:
        before = work.order(verified.event.order)
        record = work.record(verified)
        self._distribute(work, before, record, verified)
        now = self._station.wall_ms()  # once: what the checks find in time is accepted in time
        if record.state is State.ISSUED:
            if reason := self._admission.objection(work, record, now):
                self.append(work, record, Input.REJECT, now, reason=reason)
            elif self._admission.needs_second_person(record):
                self.append(work, record, Input.ASK_APPROVAL, now)
            else:
                self.append(work, record, Input.ACCEPT, now)
        elif record.state is State.COMPLETED:
            self.append(work, record, Input.CLOSE, now)
        self._observer.changed(record, now)
        return record

    def append(self, work: Work, record: OrderRecord, given: Input, at_ms: int, **details: Any) -> None:
        """Sign an event as headquarters and put it on the order. Raises OrderRefused."""
        verified = follow(
            record,
            given,
            self._station.local.key,
            deployment=self._station.local.deployment,
            at_ms=at_ms,
            **details,
        )
        if not record.has(verified.hash):  # the same observation in the same millisecond is the same event
            self._sequence(work, verified)

    def _distribute(
        self, work: Work, before: OrderRecord | None, record: OrderRecord, verified: VerifiedEvent
    ) -> None:
        desk, plant = record.content.desk, record.content.plant
        work.post(desk, event_item(verified.signed, desk))
        event = verified.event
        if before is None or event.input in {Input.LOSE, Input.FIND, Input.NO_ANSWER}:
            return
        if before.custody is Custody.PLANT and event.input is not Input.RECALL:
            return  # the plant put it there itself
        if _has_reached_plant(before):
            self.send_to_plant(work, plant, event_item(verified.signed, plant))
        elif event.input is Input.ACCEPT:
            for earlier in record.after(GENESIS):
                self.send_to_plant(work, plant, event_item(earlier.signed, plant))

    def send_to_plant(self, work: Work, plant: str, item: EventItem | AskItem) -> None:
        """Post an item on the way that leads to a plant."""
        if route := self._routes.get(plant):
            work.post(route, item)
        else:  # the plant was taken out of the configuration while an order was open
            work.note("undeliverable", plant, order=order_of(item))


def _has_reached_plant(record: OrderRecord) -> bool:
    return any(event.event.input is Input.ACCEPT for event in record.events)
