"""The plant: takes orders in, reads back, begins, completes, refuses. It alone knows whether work began."""

from collections.abc import Callable

import structlog
from typing_extensions import override

from dispatch_client.client import Client, Outcome, OutcomeKind
from protocol.aio.station import Station, Work
from protocol.compose import follow
from protocol.errors import OrderRefused, RefusalCode
from protocol.items import HEADQUARTERS, event_item
from protocol.lifecycle import TRANSITIONS, Custody, Input, State
from protocol.orders import VerifiedEvent
from protocol.record import OrderRecord

_log = structlog.get_logger("orders")


class Plant(Client):
    """The policy and the actions of a plant. `superior_ms`: the superior's wall clock, 0 while unknown."""

    def __init__(
        self, station: Station, superior: str, on_signed: Callable[[bytes], None] = lambda _hash: None
    ) -> None:
        super().__init__(station, superior, on_signed)
        self.superior_ms: Callable[[], int] = lambda: 0

    @override
    def now_ms(self) -> int:
        """The later of both clocks: what has expired by either must not begin."""
        return max(super().now_ms(), self.superior_ms())

    @override
    def check_incoming(self, verified: VerifiedEvent) -> None:
        """The word that lets work begin must come from somebody whose key counts now, not only then."""
        if verified.event.input is Input.CONFIRM:
            self.station.check_still_valid(verified.signer)

    @override
    def on_not_taken(self, work: Work, order: str) -> None:
        """Headquarters must not believe that we have what we refused."""
        if order:
            self.say_where_we_stand(work, order)

    @override
    def on_recorded(self, work: Work, record: OrderRecord, verified: VerifiedEvent) -> None:
        """Say that an order is durable here; give a recalled order up unless it has begun."""
        if verified.event.input is Input.ACCEPT:
            delivered = self._sign(record, Input.DELIVER, self.now_ms())
            work.post(self.superior, event_item(delivered.signed, HEADQUARTERS))
        elif record.state is State.RECALLING:
            self._put(work, self._sign(record, Input.RECALLED, self.now_ms(), recall=verified.hash))

    def _sign(self, record: OrderRecord, given: Input, at_ms: int, **details: bytes) -> VerifiedEvent:
        local = self.station.local
        return follow(
            record,
            given,
            local.key,
            deployment=local.deployment,
            at_ms=at_ms,
            session=b"",
            **details,
        )

    def _put(self, work: Work, verified: VerifiedEvent) -> OrderRecord:
        """Put an event on the chain that is in our custody, and report it."""
        record = work.record(verified)
        work.post(self.superior, event_item(verified.signed, HEADQUARTERS))
        return record

    @override
    def on_tick(self) -> Work | None:
        """Let confirmed orders expire that nobody began in time."""
        work = self.station.work()
        now = self.now_ms()
        for record in list(self.station.orders.values()):
            waits = record.custody is Custody.PLANT and (record.state, Input.EXPIRE) in TRANSITIONS
            if waits and now >= record.content.valid_until_ms:
                self._expire(work, record, now)
        return work if work.orders else None

    def _expire(self, work: Work, record: OrderRecord, now: int) -> None:
        try:
            self._put(work, self._sign(record, Input.EXPIRE, now))
        except OrderRefused as refusal:  # one order that cannot expire must not keep the others from it
            _log.error("cannot expire", order=record.order, why=str(refusal))

    async def read_back(self, order: str, words: str, patience: float) -> Outcome:
        """Repeat the order (复诵)."""
        record = self.order(order)
        verified = self.compose(record, Input.READ_BACK, content_hash=record.content_hash, words=words)
        return await self.propose(verified, record, patience)

    async def begin(self, order: str) -> Outcome:
        """Begin the operation: refused unless the order is confirmed and in time."""
        return await self._state_fact(order, Input.BEGIN)

    async def complete(self, order: str, result: str) -> Outcome:
        """The operation is done."""
        return await self._state_fact(order, Input.COMPLETE, reason=result)

    async def fail(self, order: str, reason: str) -> Outcome:
        """The operation was begun and cannot be finished."""
        return await self._state_fact(order, Input.FAIL, reason=reason)

    async def refuse(self, order: str, reason: str, patience: float) -> Outcome:
        """Refuse before beginning, with a reason."""
        record = self.order(order)
        if record.custody is Custody.PLANT:
            return await self._state_fact(order, Input.REFUSE, reason=reason)
        return await self.propose(self.compose(record, Input.REFUSE, reason=reason), record, patience)

    async def _state_fact(self, order: str, given: Input, **details: str) -> Outcome:
        record = self.order(order)
        if record.custody is not Custody.PLANT:
            raise OrderRefused(
                RefusalCode.ILLEGAL, f"'{given.value}' is not possible in state '{record.state.value}'"
            )
        verified = self.compose(record, given, **details)
        work = self.station.work()
        self._put(work, verified)
        self.on_signed(verified.hash)
        await self.station.commit(work)
        return Outcome(OutcomeKind.TAKEN, order, verified.hash)
