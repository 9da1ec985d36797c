"""The dispatcher's desk: drafts, issues, confirms, cancels, recalls; a second person approves or declines."""

from dispatch_client.client import Client, Outcome
from protocol.compose import draft, follow
from protocol.keys import SigningKey
from protocol.lifecycle import CUSTODY, Custody, Input
from protocol.orders import Content, OrderType, Ticket, VerifiedEvent, approval_digest
from protocol.record import OrderRecord, apply


class Desk(Client):
    """The policy and the actions of a desk."""

    async def draft(
        self,
        order: str,
        *,
        order_type: OrderType,
        plant: str,
        ticket: Ticket,
        valid_until_ms: int,
        patience: float,
    ) -> Outcome:
        """Write an order. Nothing is issued by that."""
        login = self.person()
        content = Content(
            type=order_type,
            desk=self.station.local.name,
            plant=plant,
            ticket=ticket,
            valid_until_ms=valid_until_ms,
        )
        self.station.check_room()
        verified = draft(
            order,
            content,
            login.key,
            deployment=self.station.local.deployment,
            at_ms=self.station.wall_ms(),
            session=login.session,
        )
        return await self.propose(verified, self.station.orders.get(order), patience)

    def approval(self, order: str, given: Input) -> bytes:
        """What both factors must be given for before `given` can be signed: 32 bytes."""
        record = self.order(order)
        return approval_digest(order, given, record.head)

    async def issue(
        self, order: str, given: Input, challenge: bytes, reason: str, patience: float
    ) -> Outcome:
        """Issue or reissue under a challenge that both factors answered."""
        record = self.order(order)
        verified = self.compose(record, given, challenge=challenge, reason=reason)
        return await self.propose(verified, record, patience)

    def decision(
        self, record: OrderRecord, given: Input, key: SigningKey, challenge: bytes, reason: str
    ) -> VerifiedEvent:
        """What a second person says to an issue, signed with that person's own key and in no session.

        Raises OrderRefused for what no station would take."""
        verified = follow(
            record,
            given,
            key,
            deployment=self.station.local.deployment,
            at_ms=self.now_ms(),
            challenge=challenge,
            reason=reason,
        )
        apply(record, verified)
        return verified

    async def confirm(self, order: str, patience: float) -> Outcome:
        """What was read back is right: the plant may begin."""
        record = self.order(order)
        return await self.propose(self.compose(record, Input.CONFIRM), record, patience)

    async def cancel(self, order: str, reason: str, patience: float) -> Outcome:
        """Cancel; once it is confirmed only the plant can say whether that comes in time (a recall)."""
        record = self.order(order)
        given = Input.RECALL if CUSTODY[record.state] is Custody.PLANT else Input.CANCEL
        return await self.propose(self.compose(record, given, reason=reason), record, patience)

    async def settle(self, order: str, reason: str, patience: float) -> Outcome:
        """End a failed order once it is clear what becomes of its equipment, which it holds until then."""
        record = self.order(order)
        return await self.propose(self.compose(record, Input.SETTLE, reason=reason), record, patience)
