"""A regional center: takes items for others in, makes them durable, passes them on; signatures stay whole.

Downward it passes what verifies. Upward each child speaks only for itself or, if it is a center, for the
plants that it leads to. A wish of an operator at one of our own plants needs a session here, for a center is
the authority over the people whose plants it dials. What a child sends in vain is charged to its own link.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import structlog

from dispatch_server.orders.charges import Charges, loop_time
from protocol.aio.station import Station, Work
from protocol.errors import OrderRefused, RefusalCode
from protocol.items import (
    HEADQUARTERS,
    AnswerItem,
    AskItem,
    EventItem,
    Item,
    RefusalItem,
    answer_item,
    order_of,
    refusal_item,
)
from protocol.keys import Certificate, Role
from protocol.lifecycle import Custody
from protocol.limits import MAX_OPEN_ORDERS
from protocol.orders import VerifiedEvent
from protocol.record import OrderRecord, apply

K = TypeVar("K")
V = TypeVar("V")
_log = structlog.get_logger("orders")


class Sessions(Protocol):
    """What a center asks about an operator. Raises OrderRefused."""

    def check_session(self, session: bytes, person: str, node: str, at_ms: int) -> None:
        """The person was logged in on this node at that time."""
        ...


class Relay:
    """The policy of a center's station. `routes`: plant -> the direct child that leads to it."""

    def __init__(
        self,
        station: Station,
        superior: str,
        routes: Mapping[str, str],
        sessions: Sessions,
        now: Callable[[], float] = loop_time,
    ) -> None:
        self._station = station
        self._superior = superior
        self._routes = routes
        self._sessions = sessions
        self._charges = Charges(routes, now)
        self._wished: dict[str, bytes] = {}  # order -> the head on which its plant wished something last
        self._asked: dict[str, None] = {}  # orders of which headquarters asked and heard nothing yet
        self._passed: dict[bytes, str] = {}  # events passed up -> the child that sent them
        self._owed: Counter[str] = Counter()  # child -> refusals from above, charged with what it sends next

    async def prepare(self, peer: str, item: Item) -> None:
        """Nothing has to be waited for."""

    def on_item(self, work: Work, peer: str, item: Item) -> None:
        """Pass an item on, up or down."""
        if peer == self._superior:
            self._down(work, item)
        else:
            self._up(work, peer, item)

    # --- down ---

    def _down(self, work: Work, item: Item) -> None:
        child = self._routes.get(item.to)
        if child is None:
            work.note("security", self._superior, what="item for a node that is not ours", to=item.to)
            return
        if isinstance(item, EventItem):
            try:
                verified = self._station.verify(item.signed)
                if not self._holds(work, verified):
                    self._record(work, verified)
                elif self._station.is_flooded(child):
                    return
            except OrderRefused as refusal:
                self._object(work, self._superior, refusal)
                # Headquarters must not believe that it went on.
                if (order := order_of(item)) and not self._station.is_flooded(self._superior):
                    work.post(self._superior, answer_item(item.to, order, work.order(order)))
                return
        elif self._station.is_flooded(child):
            return  # anybody above could fill our disk with what nobody signed
        elif isinstance(item, RefusalItem):
            self._wished.pop(item.order, None)
            if self._passed.pop(item.event, None) == item.to:
                self._owed[item.to] += 1
        elif isinstance(item, AskItem):
            _remember(self._asked, item.order, None)
        work.post(child, item)

    def _record(self, work: Work, verified: VerifiedEvent) -> None:
        work.record(verified)
        self._wished.pop(verified.event.order, None)

    # --- up ---

    def _up(self, work: Work, peer: str, item: Item) -> None:
        work.refusals += self._owed.pop(peer, 0)
        if item.to != HEADQUARTERS or not isinstance(item, EventItem | AnswerItem):
            work.refusals += 1
            work.note("security", peer, what="item that a subordinate may not send", item=item.kind)
            return
        try:
            if isinstance(item, EventItem):
                self._admit(work, peer, self._station.verify(item.signed))
            else:
                self._admit_answer(work, peer, item)
        except OrderRefused as refusal:
            self._refuse(work, peer, item, refusal)
            return
        if isinstance(item, EventItem):
            _remember(self._passed, item.signed.hash, peer)
        work.post(self._superior, item)

    def _refuse(self, work: Work, peer: str, item: EventItem | AnswerItem, refusal: OrderRefused) -> None:
        order = order_of(item)
        record = work.order(order)
        plant = record.content.plant if record else None
        self._charges.charge(work, peer, item.plant if isinstance(item, AnswerItem) else plant)
        self._object(work, peer, refusal)
        if isinstance(item, EventItem) and order and not self._station.is_flooded(peer):
            to = plant if plant and self._routes.get(plant) == peer else peer
            work.post(peer, refusal_item(item.signed.hash, order, to, refusal))

    def _admit_answer(self, work: Work, peer: str, item: AnswerItem) -> None:
        record = work.order(item.order)
        if self._routes.get(item.plant) != peer:
            raise OrderRefused(RefusalCode.UNAUTHORISED, f"'{peer}' answers for '{item.plant}'")
        if record.content.plant != item.plant if record else item.order not in self._asked:
            raise OrderRefused(RefusalCode.UNKNOWN_ORDER, f"'{item.plant}' has no order '{item.order}'")
        self._refuse_when_crowded()
        self._charge_unasked(work, peer, item.plant, item.order)
        self._asked.pop(item.order, None)

    def _admit(self, work: Work, peer: str, verified: VerifiedEvent) -> None:
        signer, event = verified.signer, verified.event
        places = _places(signer)
        if not any(self._routes.get(place) == peer for place in places):
            raise OrderRefused(RefusalCode.UNAUTHORISED, f"'{peer}' does not speak for '{signer.name}'")
        record = work.order(event.order)
        if record is None or self._routes.get(record.content.plant) != peer:
            raise OrderRefused(RefusalCode.UNKNOWN_ORDER, f"'{peer}' has no order '{event.order}'")
        plant = record.content.plant
        if plant not in places:
            raise OrderRefused(RefusalCode.UNAUTHORISED, f"'{plant}' does not speak for '{signer.name}'")
        if record.has(verified.hash):
            self._refuse_when_crowded()
            self._charge_unasked(work, peer, plant, record.order)
        elif record.custody is Custody.PLANT:
            self._record_fact(work, record, verified)
        else:
            self._admit_wish(peer, record, verified)

    def _admit_wish(self, peer: str, record: OrderRecord, verified: VerifiedEvent) -> None:
        """Headquarters, whose order is as far as ours or further, would refuse what does not fit here."""
        signer, event = verified.signer, verified.event
        apply(record, verified)
        self._refuse_when_crowded()
        self._station.check_still_valid(signer)
        if signer.role is Role.OPERATOR and peer == record.content.plant:
            self._sessions.check_session(event.session, signer.name, peer, event.at_ms)
        self._refuse_second_wish(record)

    def _record_fact(self, work: Work, record: OrderRecord, verified: VerifiedEvent) -> None:
        """A wish that was signed before the confirmation came is no fact: headquarters will refuse it."""
        try:
            self._record(work, verified)
        except OrderRefused as refusal:
            self._refuse_second_wish(record)
            _log.info("passed on unrecorded", order=record.order, why=str(refusal))

    def _refuse_second_wish(self, record: OrderRecord) -> None:
        """Of several wishes on one head headquarters can take one: so many never wait here for it."""
        if self._wished.get(record.order) == record.head:
            raise OrderRefused(
                RefusalCode.STALE, "an earlier decision about this order waits for headquarters' answer"
            )
        self._wished[record.order] = record.head

    def _charge_unasked(self, work: Work, peer: str, plant: str, order: str) -> None:
        """What nobody asked for may be said now and then, not without end."""
        if order not in self._asked:
            self._charges.charge(work, peer, plant)

    def _refuse_when_crowded(self) -> None:
        """A new fact always passes: it took place. What can be done without must not fill our disk."""
        if self._station.is_crowded(self._superior):
            raise OrderRefused(
                RefusalCode.LIMIT, "too much waits for headquarters, who cannot be reached: use the telephone"
            )

    def _holds(self, work: Work, verified: VerifiedEvent) -> bool:
        record = work.order(verified.event.order)
        return record is not None and record.has(verified.hash)

    def _object(self, work: Work, peer: str, refusal: OrderRefused) -> None:
        _log.warning("not passed on", peer=peer, why=str(refusal))
        kind = "late" if refusal.code is RefusalCode.STALE else "security"
        work.note(kind, peer, what="not passed on", code=refusal.code, why=refusal.detail)


def _remember(known: dict[K, V], key: K, value: V) -> None:
    """Keep the newest; what a peer can make us keep has an end."""
    known.pop(key, None)
    known[key] = value
    if len(known) > MAX_OPEN_ORDERS:
        del known[next(iter(known))]


def _places(signer: Certificate) -> frozenset[str]:
    """The plants for which a signer may speak."""
    if signer.role is Role.PLANT:
        return frozenset({signer.name})
    return signer.stations if signer.role is Role.OPERATOR else frozenset()
