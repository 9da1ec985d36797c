"""Whether an event may come onto an order's chain: rights, factors, time, rules.

A wish may be refused. What a plant reports of an order in its custody is a fact: it is recorded if its chain
and signature hold, and written down as doubtful where its signer should not have done it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import structlog

from dispatch_server.orders.checks import Rules, Surroundings, needs_second_person, objection
from protocol.aio.station import Station, Work
from protocol.errors import OrderRefused, PeerFault, RefusalCode
from protocol.items import EventItem, Item
from protocol.keys import PERSON_ROLES, Role
from protocol.lifecycle import SECOND_PERSON, TWO_FACTOR, Custody, Input, State
from protocol.limits import CLOCK_SKEW_MS, MAX_RECALLS, MAX_WISH_AGE_MS
from protocol.models import decode_as
from protocol.orders import EVENTS, Draft, Issue, SignableEvent, VerifiedEvent, approval_digest
from protocol.record import OrderRecord
from situational import Posture

_log = structlog.get_logger("orders")
OF_PLANT = frozenset({Role.OPERATOR, Role.PLANT})


class People(Protocol):
    """What headquarters asks about the person behind an event. Both raise OrderRefused."""

    def check_session(self, session: bytes, person: str, node: str, at_ms: int) -> None:
        """The person was logged in on this node at that time."""
        ...

    async def use_grant(self, issue: Issue, node: str, digest: bytes, event_hash: bytes) -> None:
        """Both factors were given for exactly this digest, and for nothing else since."""
        ...


class Admission:
    """`routes`: plant -> the direct subordinate that leads to it."""

    def __init__(
        self,
        station: Station,
        routes: Mapping[str, str],
        people: People,
        rules: Rules,
        posture_of: Callable[[Iterable[str]], Posture],
    ) -> None:
        self._station = station
        self._routes = routes
        self._people = people
        self._rules = rules
        self._posture_of = posture_of
        self.is_fenced: Callable[[str], bool] = lambda _route: False  # whether a peer obeys another server
        self._grants: dict[tuple[str, bytes], OrderRefused | None] = {}

    async def prepare(self, peer: str, item: Item) -> None:
        """Use the grant of an event that needs both factors; `admit` then decides by the outcome."""
        if not isinstance(item, EventItem) or not _claims_factors(item):
            return
        try:
            verified = self._station.verify(item.signed)
            if isinstance(verified.event, Issue):
                await self._use_grant(peer, verified, verified.event)
        except OrderRefused:
            return  # whoever takes the item meets the same refusal and answers it

    async def _use_grant(self, peer: str, verified: VerifiedEvent, issue: Issue) -> None:
        digest = approval_digest(issue.order, issue.input, issue.previous)
        try:
            await self._people.use_grant(issue, peer, digest, verified.hash)
            self._grants[peer, verified.hash] = None
        except OrderRefused as refusal:
            self._grants[peer, verified.hash] = refusal

    def admit(self, work: Work, peer: str, verified: VerifiedEvent, record: OrderRecord | None) -> None:
        """Raises OrderRefused for a wish that may not be; notes a fact that should not have been."""
        event, signer = verified.event, verified.signer
        no_grant = OrderRefused(RefusalCode.FACTORS, "both factors are needed for this")
        grant = self._grants.pop((peer, verified.hash), no_grant)
        if signer.role is Role.HQ:
            raise OrderRefused(RefusalCode.UNAUTHORISED, "headquarters signs its own events itself")
        if peer != self._origin(verified, record):
            raise OrderRefused(RefusalCode.UNAUTHORISED, f"'{peer}' does not speak for '{signer.name}'")
        if event.input is Input.DELIVER:
            return  # a station says that it has the order: nobody's wish
        if record and record.custody is Custody.PLANT and signer.role in OF_PLANT:
            self._doubt_fact(work, peer, verified)
            return
        self._check_clock(event)
        self._check_person(peer, verified)
        if isinstance(event, Draft):
            self._check_share(peer)
            self._check_draft(event)
        elif event.input is Input.ISSUE:
            self._check_share(peer)
            self._station.check_room()
        elif event.input is Input.RECALL and record:
            _check_recalls(record)
        elif event.input is Input.CONFIRM and record:
            self._check_objection(work, record)
        if grant and event.input in TWO_FACTOR:
            raise grant

    def _check_objection(self, work: Work, record: OrderRecord) -> None:
        """What spoke for an order when it was issued may not hold any more when it is confirmed."""
        if reason := self.objection(work, record, self._station.wall_ms()):
            raise OrderRefused(RefusalCode.POSTURE, reason)

    def _check_clock(self, event: SignableEvent) -> None:
        now = self._station.wall_ms()
        if event.at_ms > now + CLOCK_SKEW_MS:
            raise OrderRefused(RefusalCode.CLOCK, "its time is in the future: set that station's clock")
        if event.at_ms < now - MAX_WISH_AGE_MS:  # the grid is not what it was when this was decided
            raise OrderRefused(RefusalCode.CLOCK, "it was signed too long ago: look again and decide again")

    def _check_person(self, peer: str, verified: VerifiedEvent) -> None:
        self._station.check_still_valid(verified.signer)
        event = verified.event
        if event.input in SECOND_PERSON:
            _refuse_session(event)
        elif verified.signer.role in PERSON_ROLES and peer in verified.signer.stations:
            self._people.check_session(event.session, event.signer, peer, event.at_ms)

    def _check_share(self, desk: str) -> None:
        """A desk that reads nothing must not use up the room that all have together."""
        if self._station.is_crowded(desk):
            raise OrderRefused(
                RefusalCode.LIMIT, f"too much waits for '{desk}' already: let it take that in first"
            )

    def _check_draft(self, event: Draft) -> None:
        """A draft that never ends, or drafts without end, would stay with us for ever."""
        if event.content.valid_until_ms > self._station.wall_ms() + self._rules.max_validity_ms:
            hours = self._rules.max_validity_ms // 3_600_000
            raise OrderRefused(RefusalCode.LIMIT, f"its validity is longer than {hours} h: shorten it")
        self._station.check_room()
        self._station.check_open(event.content.plant)
        of_desk = self._station.open_orders.of(event.content.desk)
        drafts = sum(record.state is State.DRAFTED for record in of_desk)
        if drafts >= self._rules.max_drafts:
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
        if verified.signer.role in OF_PLANT:
            return self._routes.get(content.plant)
        return content.desk

    def forget(self, peer: str, verified: VerifiedEvent) -> None:
        """The event was on its chain already: its grant needs no decision."""
        self._grants.pop((peer, verified.hash), None)

    def objection(self, work: Work, record: OrderRecord, now: int) -> str | None:
        """What the rules have against an order now (wall ms); None when nothing."""
        return objection(record, self._rules, self._surroundings(work, record, now))

    def needs_second_person(self, record: OrderRecord) -> bool:
        """Whether an issued order must wait for an approval now."""
        return needs_second_person(record, self._posture(record))

    def _posture(self, record: OrderRecord) -> Posture:
        """The strongest posture of the nodes that take part in an order."""
        content = record.content
        route = self._routes.get(content.plant, "")
        return self._posture_of({self._station.local.name, content.desk, content.plant, route})

    def _others(self, work: Work, plant: str) -> list[OrderRecord]:
        """The orders of a plant that lock equipment, as this work sees them."""
        orders = {record.order: record for record in self._station.open_orders.of(plant)} | work.orders
        return [
            other
            for other in orders.values()
            if other.is_open and other.state not in {State.DRAFTED, State.COMPLETED}
        ]

    def _surroundings(self, work: Work, record: OrderRecord, now: int) -> Surroundings:
        route = self._routes.get(record.content.plant)
        return Surroundings(
            now_ms=now,
            posture=self._posture(record),
            plant_is_known=route is not None,
            plant_is_crowded=route is not None and self._station.is_crowded(route),
            plant_is_fenced=route is not None and self.is_fenced(route),
            others=self._others(work, record.content.plant),
        )


def _claims_factors(item: EventItem) -> bool:
    """Without a look at its signature, which costs ten times as much and is verified when it is taken."""
    try:
        return isinstance(decode_as(EVENTS, item.body), Issue)
    except PeerFault:
        return False


def _check_recalls(record: OrderRecord) -> None:
    """The plant keeps what it was told: asking without end would only fill its way and the order."""
    if sum(event.event.input is Input.RECALL for event in record.events) >= MAX_RECALLS:
        raise OrderRefused(
            RefusalCode.LIMIT, f"it was recalled {MAX_RECALLS} times already: wait for the plant, or call it"
        )


def _refuse_session(event: SignableEvent) -> None:
    """Both factors stand behind this one decision alone; the session at that desk is somebody else's."""
    if event.session:
        raise OrderRefused(RefusalCode.SESSION, f"'{event.input.value}' is signed outside of any session")
