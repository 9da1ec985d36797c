"""What a desk and a plant have in common: the person at it, events on their way, and what comes back.

Only what headquarters put on an order's chain is the order; what was signed here is *pending* until it
comes back on the chain or is refused.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import structlog

from protocol.aio.station import Station, Work
from protocol.compose import follow
from protocol.errors import OrderRefused, RefusalCode
from protocol.items import (
    HEADQUARTERS,
    AnswerItem,
    AskItem,
    EventItem,
    Item,
    PostureItem,
    RefusalItem,
    answer_item,
    event_item,
    order_of,
)
from protocol.keys import SigningKey
from protocol.lifecycle import Input
from protocol.orders import Draft, SignableEvent, VerifiedEvent
from protocol.record import OrderRecord, apply

POSTURE = "posture of "  # the key of a node's posture in the journal
_NORMAL = "normal"
_log = structlog.get_logger("orders")


class OutcomeKind(StrEnum):
    """The three honest answers."""

    TAKEN = "taken"
    REFUSED = "refused"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an event that was signed here."""

    kind: OutcomeKind
    order: str
    event_hash: bytes
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Login:
    """The person who works here now."""

    key: SigningKey
    session: bytes
    expires_ms: int

    @property
    def person(self) -> str:
        """The person's name."""
        return self.key.certificate.name


class Client:
    """The policy of a client's station; Desk and Plant say what is particular to them."""

    def __init__(
        self, station: Station, superior: str, on_signed: Callable[[bytes], None] = lambda _hash: None
    ) -> None:
        self.station = station
        self.superior = superior
        self.login: Login | None = None
        self.on_signed = on_signed
        self._waiting: dict[bytes, asyncio.Future[Outcome]] = {}
        station.watch_orders(self._on_order)

    # --- what comes down ---

    async def prepare(self, peer: str, item: Item) -> None:
        """Nothing has to be waited for."""

    def on_item(self, work: Work, peer: str, item: Item) -> None:
        """Take what headquarters sends."""
        if item.to != self.station.local.name:
            work.note("security", peer, what="item for another node", to=item.to)
            return
        match item:
            case EventItem():
                self._on_event(work, peer, item)
            case RefusalItem():
                self._on_refusal(work, item)
            case AskItem():
                self._on_ask(work, item)
            case PostureItem():
                self._on_posture(work, item)
            case AnswerItem():
                work.note("security", peer, what="an answer that nobody asked for")

    def _on_posture(self, work: Work, item: PostureItem) -> None:
        """Kept over restarts: whoever issues here must see it before they try."""
        work.note(
            "posture",
            item.node,
            before=item.before,
            after=item.posture,
            why=item.cause,
            hazard=item.level,
            person=item.person,
        )
        work.batch.meta[POSTURE + item.node] = item.posture.encode()

    @property
    def postures(self) -> dict[str, str]:
        """Node -> posture, as headquarters told last; normal ones are left out."""
        told = {
            key.removeprefix(POSTURE): value.decode()
            for key, value in self.station.meta.items()
            if key.startswith(POSTURE)
        }
        return {node: posture for node, posture in sorted(told.items()) if posture != _NORMAL}

    def _on_event(self, work: Work, peer: str, item: EventItem) -> None:
        try:
            verified = self.station.verify(item.signed)
            known = work.order(verified.event.order)
            if known and known.has(verified.hash):
                return
            self._refuse_foreign(verified.event)
            self.check_incoming(verified)
            record = work.record(verified)
        except OrderRefused as refusal:
            _log.warning("event not taken", why=str(refusal))
            # A recall that met a begun order is late, not suspect.
            kind = "late" if refusal.code is RefusalCode.STALE else "security"
            work.note(kind, peer, what="event not taken", code=refusal.code, why=refusal.detail)
            self.on_not_taken(work, order_of(item))
            return
        self.on_recorded(work, record, verified)

    def _refuse_foreign(self, event: SignableEvent) -> None:
        """What another station has to do with must not wait here for something that we cannot sign."""
        name = self.station.local.name
        if isinstance(event, Draft) and name not in {event.content.desk, event.content.plant}:
            raise OrderRefused(RefusalCode.UNAUTHORISED, f"order '{event.order}' is not for '{name}'")

    def check_incoming(self, verified: VerifiedEvent) -> None:
        """What this kind of station demands of an event beyond its order's record. Raises OrderRefused."""

    def on_recorded(self, work: Work, record: OrderRecord, verified: VerifiedEvent) -> None:
        """Something that the station itself must answer to an event."""

    def on_not_taken(self, work: Work, order: str) -> None:
        """An event of headquarters was not taken."""

    def _on_refusal(self, work: Work, item: RefusalItem) -> None:
        work.settle(item.event)
        work.note("refused", item.order, event=item.event.hex(), code=item.code, why=item.detail)
        self._resolve(
            Outcome(OutcomeKind.REFUSED, item.order, item.event, f"{item.code.value}: {item.detail}")
        )

    def _on_ask(self, work: Work, item: AskItem) -> None:
        """Say everything that came after the asked head, then where we stand."""
        record = work.order(item.order)
        if record:
            for event in record.after(item.head):
                work.post(self.superior, event_item(event.signed, HEADQUARTERS))
        self.say_where_we_stand(work, item.order)

    def say_where_we_stand(self, work: Work, order: str) -> None:
        """Tell headquarters our end of an order's chain."""
        work.post(self.superior, answer_item(self.station.local.name, order, work.order(order)))

    def on_tick(self) -> Work | None:
        """What the station does because time passed."""
        return None

    # --- what goes up ---

    def order(self, order: str) -> OrderRecord:
        """An order of this station. Raises OrderRefused(UNKNOWN_ORDER)."""
        record = self.station.orders.get(order)
        if record is None:
            raise OrderRefused(
                RefusalCode.UNKNOWN_ORDER, f"there is no order '{order}' here: list the orders"
            )
        return record

    def person(self) -> Login:
        """Who is logged in. Raises OrderRefused(SESSION | SIGNATURE)."""
        if self.login is None or self.station.wall_ms() >= self.login.expires_ms:
            self.login = None
            raise OrderRefused(RefusalCode.SESSION, "nobody is logged in here: log in first")
        # A fact under a certificate that is over would part this chain from everybody else's.
        self.station.check_still_valid(self.login.key.certificate)
        return self.login

    def now_ms(self) -> int:
        """The wall clock by which this station acts."""
        return self.station.wall_ms()

    def compose(self, record: OrderRecord, given: Input, **details: Any) -> VerifiedEvent:
        """Sign an event as the person who is logged in."""
        login = self.person()
        return follow(
            record,
            given,
            login.key,
            deployment=self.station.local.deployment,
            at_ms=self.now_ms(),
            session=login.session,
            **details,
        )

    async def propose(self, verified: VerifiedEvent, record: OrderRecord | None, patience: float) -> Outcome:
        """Send an event for headquarters to put on the chain. What cannot hold is refused here already.

        Raises OrderRefused.
        """
        apply(record, verified)
        self._refuse_second_wish(verified)
        work = self.station.work()
        work.intend(verified)
        work.post(self.superior, event_item(verified.signed, HEADQUARTERS))
        return await self._send(work, verified, patience)

    def _refuse_second_wish(self, verified: VerifiedEvent) -> None:
        if any(row.order == verified.event.order for row in self.station.pending.values()):
            raise OrderRefused(
                RefusalCode.STALE, "something signed for this order is still on its way: wait for its outcome"
            )

    async def _send(self, work: Work, verified: VerifiedEvent, patience: float) -> Outcome:
        self.on_signed(verified.hash)
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting[verified.hash] = future
        order = verified.event.order
        try:
            await self.station.commit(work)
            async with asyncio.timeout(patience):
                return await future
        except TimeoutError:
            return Outcome(OutcomeKind.PENDING, order, verified.hash, "headquarters has not answered yet")
        finally:
            self._waiting.pop(verified.hash, None)

    def _on_order(self, record: OrderRecord) -> None:
        for event in record.events:
            self._resolve(Outcome(OutcomeKind.TAKEN, record.order, event.hash))

    def _resolve(self, outcome: Outcome) -> None:
        future = self._waiting.get(outcome.event_hash)
        if future and not future.done():
            future.set_result(outcome)
