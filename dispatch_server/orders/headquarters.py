"""Headquarters: every order's sequencer until it is confirmed, its observer while the plant executes.

What a person asks for is checked (session, both factors, rights, rules) and may be refused. What a plant
reports of an order in its custody is a fact: it is recorded if its chain and signature hold, always.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import structlog

from dispatch_server.orders.checks import Rules, Surroundings, objection
from protocol.aio.station import Station, Work
from protocol.compose import follow
from protocol.errors import OrderRefused, RefusalCode
from protocol.items import (
    AnswerItem,
    AskItem,
    EventItem,
    Item,
    RefusalItem,
    event_item,
    order_of,
    refusal_item,
)
from protocol.keys import PERSON_ROLES, Role
from protocol.lifecycle import TWO_FACTOR, Custody, Input, State
from protocol.limits import CLOCK_SKEW_MS
from protocol.orders import GENESIS, Draft, Issue, VerifiedEvent, approval_digest
from protocol.record import OrderRecord
from situational import Posture

_log = structlog.get_logger("orders")
_OBSERVED = frozenset({State.CONFIRMED, State.RECALLING, State.EXECUTING})
_LOST = frozenset({State.UNKNOWN, State.UNKNOWN_EXECUTING})
_OF_PLANT = frozenset({Role.OPERATOR, Role.PLANT})


class People(Protocol):
    """What headquarters asks about the person behind an event. Both raise OrderRefused."""

    def check_session(self, session: bytes, person: str, node: str, at_ms: int) -> None:
        """The person was logged in on this node at that time."""
        ...

    async def use_grant(self, issue: Issue, node: str, digest: bytes, event_hash: bytes) -> None:
        """Both factors were given for exactly this digest, and for nothing else since."""
        ...


class Headquarters:
    """The policy of the HQ station. `routes`: plant -> the direct subordinate that leads to it.

    `heard` is told of each plant that gave a sign of life, also from behind a center.
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
    ) -> None:
        self._station = station
        self._routes = routes
        self._people = people
        self._rules = rules
        self._posture_of = posture_of
        self._heard = heard
        self._grants: dict[tuple[str, bytes], OrderRefused | None] = {}

    async def prepare(self, peer: str, item: Item) -> None:
        """Use the grant of an event that issues; `on_item` then decides by the outcome."""
        if not isinstance(item, EventItem):
            return
        try:
            verified = self._station.verify(item.signed)
            if isinstance(verified.event, Issue):
                await self._use_grant(peer, verified, verified.event)
        except OrderRefused:
            return  # on_item meets the same refusal and answers it

    async def _use_grant(self, peer: str, verified: VerifiedEvent, issue: Issue) -> None:
        digest = approval_digest(issue.order, issue.input, issue.previous)
        try:
            await self._people.use_grant(issue, peer, digest, verified.hash)
            self._grants[peer, verified.hash] = None
        except OrderRefused as refusal:
            self._grants[peer, verified.hash] = refusal

    def on_item(self, work: Work, peer: str, item: Item) -> None:
        """Decide on an item of a direct subordinate."""
        match item:
            case EventItem():
                self._on_event(work, peer, item)
            case AnswerItem():
                self._on_answer(work, peer, item)
            case RefusalItem() | AskItem():
                work.note("security", peer, what="item that only a superior sends", item=item.kind)

    def _on_event(self, work: Work, peer: str, item: EventItem) -> None:
        try:
            verified = self._station.verify(item.signed)
        except OrderRefused as refusal:
            work.note("security", peer, what="event refused", code=refusal.code, why=refusal.detail)
            if order := order_of(item):
                self._tell(work, peer, item.signed.hash, order, refusal)
            return
        no_grant = OrderRefused(RefusalCode.FACTORS, "both factors are needed for this")
        grant = self._grants.pop((peer, verified.hash), no_grant)
        record = work.order(verified.event.order)
        if record and record.has(verified.hash):
            return
        try:
            self._admit(peer, verified, record)
            if grant and verified.event.input in TWO_FACTOR:
                raise grant
            record = self._sequence(work, verified)
        except OrderRefused as refusal:
            self._refuse(work, peer, verified, refusal)
            return
        if verified.signer.role in _OF_PLANT:
            self._heard(record.content.plant)

    # --- may it be? ---

    def _admit(self, peer: str, verified: VerifiedEvent, record: OrderRecord | None) -> None:
        event, signer = verified.event, verified.signer
        if signer.role is Role.HQ:
            raise OrderRefused(RefusalCode.UNAUTHORISED, "headquarters signs its own events itself")
        if peer != self._origin(verified, record):
            raise OrderRefused(RefusalCode.UNAUTHORISED, f"'{peer}' does not speak for '{signer.name}'")
        if record and record.custody is Custody.PLANT and signer.role in _OF_PLANT:
            return  # a fact
        now = self._station.wall_ms()
        if event.at_ms > now + CLOCK_SKEW_MS:
            raise OrderRefused(RefusalCode.CLOCK, "its time is in the future: set that station's clock")
        self._station.check_still_valid(signer)
        if signer.role in PERSON_ROLES and peer in signer.stations:
            self._people.check_session(event.session, signer.name, peer, event.at_ms)

    def _origin(self, verified: VerifiedEvent, record: OrderRecord | None) -> str | None:
        """The direct subordinate from which an event of this signer must come."""
        event = verified.event
        content = event.content if isinstance(event, Draft) else record.content if record else None
        if content is None:
            raise OrderRefused(RefusalCode.UNKNOWN_ORDER, f"order '{event.order}' is not known here")
        if verified.signer.role in _OF_PLANT:
            return self._routes.get(content.plant)
        return content.desk

    def _refuse(self, work: Work, peer: str, verified: VerifiedEvent, refusal: OrderRefused) -> None:
        event, signer = verified.event, verified.signer
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
        self._tell(work, peer, verified.hash, event.order, refusal)

    def _tell(self, work: Work, peer: str, event: bytes, order: str, refusal: OrderRefused) -> None:
        """To the station that the event came from: where `peer` leads to the order's plant, that plant."""
        record = work.order(order)
        plant = record.content.plant if record else None
        to = plant if plant and self._routes.get(plant) == peer else peer
        work.post(peer, refusal_item(event, order, to, refusal))

    # --- put it on the chain, tell who must know, and go on ---

    def _sequence(self, work: Work, verified: VerifiedEvent) -> OrderRecord:
        before = work.order(verified.event.order)
        record = work.record(verified)
        self._distribute(work, before, record, verified)
        now = self._station.wall_ms()  # once: what the checks find in time is accepted in time
        if record.state is State.ISSUED:
            reason = objection(record, self._rules, self._surroundings(work, record, now))
            if reason is None:
                self._append(work, record, Input.ACCEPT, now)
            else:
                self._append(work, record, Input.REJECT, now, reason=reason)
        elif record.state is State.COMPLETED:
            self._append(work, record, Input.CLOSE, now)
        return record

    def _append(self, work: Work, record: OrderRecord, given: Input, at_ms: int, **details: Any) -> None:
        verified = follow(
            record,
            given,
            self._station.local.key,
            deployment=self._station.local.deployment,
            at_ms=at_ms,
            **details,
        )
        self._sequence(work, verified)

    def _surroundings(self, work: Work, record: OrderRecord, now: int) -> Surroundings:
        route = self._routes.get(record.content.plant)
        return Surroundings(
            now_ms=now,
            posture=self._posture_of(
                {self._station.local.name, record.content.desk, record.content.plant, route or ""}
            ),
            plant_is_known=route is not None,
            plant_is_crowded=route is not None and self._station.is_crowded(route),
            others=[
                other
                for other in (self._station.orders | work.orders).values()
                if other.is_open and other.state not in {State.DRAFTED, State.COMPLETED}
            ],
        )

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
            self._send_to_plant(work, plant, event_item(verified.signed, plant))
        elif event.input is Input.ACCEPT:
            for earlier in record.after(GENESIS):
                self._send_to_plant(work, plant, event_item(earlier.signed, plant))

    def _send_to_plant(self, work: Work, plant: str, item: EventItem | AskItem) -> None:
        if route := self._routes.get(plant):
            work.post(route, item)
        else:  # the plant was taken out of the configuration while an order was open
            work.note("undeliverable", plant, order=order_of(item))

    # --- time passes, plants fall silent and come back ---

    def on_tick(self, silent: Callable[[str], bool]) -> Work | None:
        """What is due now: expiry, no answer, a lost plant. `silent`: nothing was heard of a plant lately."""
        work = self._station.work()
        now = self._station.wall_ms()
        for record in list(self._station.orders.values()):
            if record.is_open and (given := self._due(record, now, silent)):
                self._append(work, record, given, now)
                if given is Input.LOSE:
                    self._ask(work, record)
        return work if work.orders else None

    def _due(self, record: OrderRecord, now: int, silent: Callable[[str], bool]) -> Input | None:
        if record.custody is Custody.HEADQUARTERS:
            if now >= record.content.valid_until_ms and record.state is not State.COMPLETED:
                return Input.EXPIRE
            if record.state is State.DELIVERED and now >= _accepted_ms(record) + self._rules.answer_within_ms:
                return Input.NO_ANSWER
        elif record.state in _OBSERVED and silent(record.content.plant):
            return Input.LOSE
        return None

    def _ask(self, work: Work, record: OrderRecord) -> None:
        plant = record.content.plant
        self._send_to_plant(work, plant, AskItem(to=plant, order=record.order, head=record.head))

    def _on_answer(self, work: Work, peer: str, item: AnswerItem) -> None:
        record = work.order(item.order)
        plant = record.content.plant if record else None
        if record is None or item.plant != plant or self._routes.get(plant) != peer:
            work.note("security", peer, what="answer about an order that is not its own", order=item.order)
            return
        self._heard(plant)
        if record.state not in _LOST:
            return
        if item.head == record.head:
            self._append(work, record, Input.FIND, self._station.wall_ms())
        else:
            work.note(
                "security", item.order, what="the plant answers with another chain", head=item.head.hex()
            )


def _accepted_ms(record: OrderRecord) -> int:
    """When this headquarters accepted it last, by its own clock: a plant's clock may be off."""
    return max(event.event.at_ms for event in record.events if event.event.input is Input.ACCEPT)


def _has_reached_plant(record: OrderRecord) -> bool:
    return any(event.event.input is Input.ACCEPT for event in record.events)
