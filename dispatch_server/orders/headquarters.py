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
from protocol.lifecycle import TRANSITIONS, TWO_FACTOR, Custody, Input, State
from protocol.limits import CLOCK_SKEW_MS, MAX_WISH_AGE_MS
from protocol.orders import GENESIS, Draft, Issue, SignableEvent, VerifiedEvent, approval_digest
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
        # Order -> wall ms of our last question about it, and of the last time that we told it again.
        self._asked: dict[str, int] = {}
        self._mended: dict[str, int] = {}

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
            self._admit(work, peer, verified, record)
            if grant and verified.event.input in TWO_FACTOR:
                raise grant
            record = self._sequence(work, verified)
        except OrderRefused as refusal:
            self._refuse(work, peer, verified, refusal)
            return
        if verified.signer.role in _OF_PLANT:
            self._heard(record.content.plant)

    # --- may it be? ---

    def _admit(self, work: Work, peer: str, verified: VerifiedEvent, record: OrderRecord | None) -> None:
        event, signer = verified.event, verified.signer
        if signer.role is Role.HQ:
            raise OrderRefused(RefusalCode.UNAUTHORISED, "headquarters signs its own events itself")
        if peer != self._origin(verified, record):
            raise OrderRefused(RefusalCode.UNAUTHORISED, f"'{peer}' does not speak for '{signer.name}'")
        if event.input is Input.DELIVER:
            return  # a station says that it has the order: nobody's wish
        if record and record.custody is Custody.PLANT and signer.role in _OF_PLANT:
            self._doubt_fact(work, peer, verified)
            return
        self._check_clock(event)
        self._check_person(peer, verified)
        if isinstance(event, Draft):
            self._check_draft(event)
        elif event.input is Input.CONFIRM and record:
            reason = objection(record, self._rules, self._surroundings(work, record, self._station.wall_ms()))
            if reason:
                raise OrderRefused(RefusalCode.POSTURE, reason)

    def _check_clock(self, event: SignableEvent) -> None:
        now = self._station.wall_ms()
        if event.at_ms > now + CLOCK_SKEW_MS:
            raise OrderRefused(RefusalCode.CLOCK, "its time is in the future: set that station's clock")
        if event.at_ms < now - MAX_WISH_AGE_MS:  # the grid is not what it was when this was decided
            raise OrderRefused(RefusalCode.CLOCK, "it was signed too long ago: look again and decide again")

    def _check_person(self, peer: str, verified: VerifiedEvent) -> None:
        self._station.check_still_valid(verified.signer)
        if verified.signer.role in PERSON_ROLES and peer in verified.signer.stations:
            event = verified.event
            self._people.check_session(event.session, event.signer, peer, event.at_ms)

    def _check_draft(self, event: Draft) -> None:
        """A draft that never ends, or drafts without end, would stay with us for ever."""
        if event.content.valid_until_ms > self._station.wall_ms() + self._rules.max_validity_ms:
            hours = self._rules.max_validity_ms // 3_600_000
            raise OrderRefused(RefusalCode.LIMIT, f"its validity is longer than {hours} h: shorten it")
        drafts = [
            record
            for record in self._station.orders.values()
            if record.state is State.DRAFTED and record.content.desk == event.content.desk
        ]
        if len(drafts) >= self._rules.max_drafts:
            raise OrderRefused(RefusalCode.LIMIT, "too many drafts wait at this desk: issue or cancel some")

    def _doubt_fact(self, work: Work, peer: str, verified: VerifiedEvent) -> None:
        """What took place is recorded even if its signer should not have done it; somebody has to know."""
        event = verified.event
        try:
            self._check_person(peer, verified)
            self._check_clock(event)
        except OrderRefused as refusal:
            _log.warning("fact in doubt", order=event.order, input=event.input, why=str(refusal))
            work.note(
                "doubt",
                event.order,
                input=event.input,
                signer=event.signer,
                code=refusal.code,
                why=refusal.detail,
            )

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
        work.refusals += 1
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
        elif record.state is State.CONFIRMED:
            self._asked.setdefault(record.order, now)  # it is being told now: no need to ask at once
        elif not record.is_open:
            self._asked.pop(record.order, None)
            self._mended.pop(record.order, None)
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
        if not record.has(verified.hash):  # the same observation in the same millisecond is the same event
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
            self._append(work, record, given, now)
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
        self._send_to_plant(work, plant, AskItem(to=plant, order=record.order, head=record.head))

    def _on_answer(self, work: Work, peer: str, item: AnswerItem) -> None:
        record = work.order(item.order)
        plant = record.content.plant if record else None
        if record is None or item.plant != plant or self._routes.get(plant) != peer:
            work.note("security", peer, what="answer about an order that is not its own", order=item.order)
            return
        self._heard(plant)
        if item.head != record.head:
            self._mend(work, record, item.head)
        elif record.state in _LOST:
            self._append(work, record, Input.FIND, self._station.wall_ms())

    def _mend(self, work: Work, record: OrderRecord, head: bytes) -> None:
        """The plant stands elsewhere: it missed something, or refused to take it. Tell it again, slowly."""
        missing = record.after(head)
        work.note(
            "diverged", record.order, plant_head=head.hex(), our_head=record.head.hex(), missing=len(missing)
        )
        _log.error("plant stands elsewhere", order=record.order, missing=len(missing))
        if record.custody is not Custody.PLANT:
            return  # it is on its way, or the order ends here by its validity
        if record.state in _OBSERVED:
            self._append(work, record, Input.LOSE, self._station.wall_ms())
        now = self._station.wall_ms()
        if now >= self._mended.get(record.order, 0) + self._rules.lost_after_ms:
            self._mended[record.order] = now
            for event in missing:
                self._send_to_plant(
                    work, record.content.plant, event_item(event.signed, record.content.plant)
                )


def _accepted_ms(record: OrderRecord) -> int:
    """When this headquarters accepted it last, by its own clock: a plant's clock may be off."""
    return max(event.event.at_ms for event in record.events if event.event.input is Input.ACCEPT)


def _has_reached_plant(record: OrderRecord) -> bool:
    return any(event.event.input is Input.ACCEPT for event in record.events)
