"""A regional center: takes items for others in, makes them durable, passes them on; signatures stay whole.

Downward it passes what verifies. Upward each child speaks only for itself, and an operator's wish needs a
session here, for the center is the authority over its region's people.
"""

from collections.abc import Collection
from typing import Protocol

import structlog

from protocol.aio.station import Station, Work
from protocol.errors import OrderRefused, RefusalCode
from protocol.items import HEADQUARTERS, AnswerItem, EventItem, Item, answer_item, order_of, refusal_item
from protocol.keys import Role
from protocol.lifecycle import Custody
from protocol.orders import VerifiedEvent
from protocol.record import OrderRecord

_log = structlog.get_logger("orders")


class Sessions(Protocol):
    """What a center asks about an operator. Raises OrderRefused."""

    def check_session(self, session: bytes, person: str, node: str, at_ms: int) -> None:
        """The person was logged in on this node at that time."""
        ...


class Relay:
    """The policy of a center's station."""

    def __init__(
        self, station: Station, superior: str, children: Collection[str], sessions: Sessions
    ) -> None:
        self._station = station
        self._superior = superior
        self._children = children
        self._sessions = sessions

    async def prepare(self, peer: str, item: Item) -> None:
        """Nothing has to be waited for."""

    def on_item(self, work: Work, peer: str, item: Item) -> None:
        """Pass an item on, up or down."""
        if peer == self._superior:
            self._down(work, item)
        else:
            self._up(work, peer, item)

    def _down(self, work: Work, item: Item) -> None:
        if item.to not in self._children:
            work.note("security", self._superior, what="item for a node that is not ours", to=item.to)
            return
        if isinstance(item, EventItem):
            try:
                verified = self._station.verify(item.signed)
                if not self._holds(work, verified):
                    work.record(verified)
            except OrderRefused as refusal:
                self._object(work, self._superior, refusal)
                if order := order_of(item):  # headquarters must not believe that it went on
                    work.post(self._superior, answer_item(item.to, order, work.order(order)))
                return
        work.post(item.to, item)

    def _up(self, work: Work, peer: str, item: Item) -> None:
        if item.to != HEADQUARTERS or not isinstance(item, EventItem | AnswerItem):
            work.refusals += 1
            work.note("security", peer, what="item that a subordinate may not send", item=item.kind)
            return
        try:
            if isinstance(item, EventItem):
                self._admit(work, peer, self._station.verify(item.signed))
            else:
                self._admit_answer(peer, item)
        except OrderRefused as refusal:
            self._object(work, peer, refusal)
            if isinstance(item, EventItem) and (order := order_of(item)):
                work.post(peer, refusal_item(item.signed.hash, order, peer, refusal))
            return
        work.post(self._superior, item)

    def _admit_answer(self, peer: str, item: AnswerItem) -> None:
        if item.plant != peer:
            raise OrderRefused(RefusalCode.UNAUTHORISED, f"'{peer}' answers for '{item.plant}'")

    def _admit(self, work: Work, peer: str, verified: VerifiedEvent) -> None:
        signer, event = verified.signer, verified.event
        if signer.name != peer and not (signer.role is Role.OPERATOR and peer in signer.stations):
            raise OrderRefused(RefusalCode.UNAUTHORISED, f"'{peer}' does not speak for '{signer.name}'")
        record = work.order(event.order)
        if record is None or record.content.plant != peer:
            raise OrderRefused(RefusalCode.UNKNOWN_ORDER, f"'{peer}' has no order '{event.order}'")
        if record.has(verified.hash):
            return
        if record.custody is Custody.PLANT:
            self._record_fact(work, record, verified)
            return
        self._station.check_still_valid(signer)
        if signer.role is Role.OPERATOR:
            self._sessions.check_session(event.session, signer.name, peer, event.at_ms)

    def _record_fact(self, work: Work, record: OrderRecord, verified: VerifiedEvent) -> None:
        """A wish that was signed before the confirmation came is no fact: headquarters will refuse it."""
        try:
            work.record(verified)
        except OrderRefused as refusal:
            _log.info("passed on unrecorded", order=record.order, why=str(refusal))

    def _holds(self, work: Work, verified: VerifiedEvent) -> bool:
        record = work.order(verified.event.order)
        return record is not None and record.has(verified.hash)

    def _object(self, work: Work, peer: str, refusal: OrderRefused) -> None:
        _log.warning("not passed on", peer=peer, why=str(refusal))
        work.refusals += 1
        kind = "late" if refusal.code is RefusalCode.STALE else "security"
        work.note(kind, peer, what="not passed on", code=refusal.code, why=refusal.detail)
