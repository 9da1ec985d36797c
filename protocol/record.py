"""One order as a station knows it: the chain so far, and what may come next.

`apply` decides trust, so it stands apart from everything that moves bytes. It enforces:
1. the event continues this chain: same order, previous hash and position are the head's;
2. the transition table allows it in this state;
3. the signer holds the capacity that the table demands, for this order's desk, plant or headquarters;
4. what is read back is what was drafted;
5. nothing expires before its validity ends, and nothing begins before it was confirmed;
6. nothing is issued, approved, confirmed or begun after the order's validity, which is bounded from its
   draft on;
7. who approves or declines is another person than who issued, with another key, and a decline says why.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from protocol.errors import OrderRefused, RefusalCode
from protocol.keys import Certificate, Role
from protocol.lifecycle import (
    CUSTODY,
    ISSUING,
    OFF_CHAIN,
    SECOND_PERSON,
    SIGNERS,
    TERMINAL,
    Custody,
    Input,
    Signer,
    State,
    next_state,
)
from protocol.limits import CLOCK_SKEW_MS, MAX_VALIDITY_MS
from protocol.orders import GENESIS, Content, Draft, Issue, ReadBack, Recalled, VerifiedEvent

_TIMELY = ISSUING | {Input.ASK_APPROVAL, Input.APPROVE, Input.ACCEPT, Input.CONFIRM, Input.BEGIN}


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order's state with all events that led to it, oldest first (observations included)."""

    order: str
    content: Content
    state: State
    head: bytes
    position: int
    content_hash: bytes
    events: tuple[VerifiedEvent, ...]

    @property
    def custody(self) -> Custody:
        """Who puts the next event on the chain."""
        return CUSTODY[self.state]

    @property
    def is_open(self) -> bool:
        """Whether anything can still happen to it."""
        return self.state not in TERMINAL

    @property
    def is_approved(self) -> bool:
        """Whether a second person approved it since it was issued or reissued last."""
        last = [event for event in self.events if event.event.input in ISSUING | SECOND_PERSON][-1:]
        return any(event.event.input is Input.APPROVE for event in last)

    def has(self, event_hash: bytes) -> bool:
        """Whether this event is in the record already."""
        return any(event.hash == event_hash for event in self.events)

    def after(self, head: bytes) -> tuple[VerifiedEvent, ...]:
        """Chain events that follow `head`; all of them for GENESIS; none if `head` is not ours."""
        chain = [event for event in self.events if event.event.input not in OFF_CHAIN]
        if head == GENESIS:
            return tuple(chain)
        for index, event in enumerate(chain):
            if event.hash == head:
                return tuple(chain[index + 1 :])
        return ()


def apply(record: OrderRecord | None, verified: VerifiedEvent) -> OrderRecord:
    """The record after one more event. Raises OrderRefused(STALE | ILLEGAL | UNAUTHORISED | EXPIRED …)."""
    if record is None:
        return _begin(verified)
    event = verified.event
    _check_place(record, verified)
    state = next_state(record.state, event.input)
    _check_signer(record.content, record.custody, verified)
    if isinstance(event, Issue) and event.input in SECOND_PERSON:
        _check_second_person(record, event, verified.signer)
    if isinstance(event, ReadBack) and event.content_hash != record.content_hash:
        raise OrderRefused(RefusalCode.ILLEGAL, "what was read back is not what was drafted")
    if isinstance(event, Recalled) and not _was_asked(record, event.recall):
        raise OrderRefused(RefusalCode.ILLEGAL, "no such recall was asked for")
    _check_time(record, verified)
    events = (*record.events, verified)
    if event.input in OFF_CHAIN:
        return replace(record, state=state, events=events)
    return replace(record, state=state, events=events, head=verified.hash, position=event.position)


def _check_second_person(record: OrderRecord, event: Issue, signer: Certificate) -> None:
    issuer = [issued.signer for issued in record.events if issued.event.input in ISSUING][-1]
    # One key under two names would be one person.
    if signer.name == issuer.name or signer.public_key == issuer.public_key:
        raise OrderRefused(
            RefusalCode.UNAUTHORISED,
            f"'{issuer.name}' issued it: '{event.input.value}' needs another person of this desk",
        )
    if event.input is Input.DECLINE and not event.reason.strip():
        raise OrderRefused(RefusalCode.ILLEGAL, "a decline must say why: the dispatcher reads it")


def _was_asked(record: OrderRecord, recall: bytes) -> bool:
    """Any recall of this order counts: the plant may have answered the first when a second was asked."""
    return any(seen.hash == recall and seen.event.input is Input.RECALL for seen in record.events)


def replay(events: Iterable[VerifiedEvent]) -> OrderRecord:
    """The record of a whole history. Raises OrderRefused at the first event that does not follow."""
    record: OrderRecord | None = None
    for event in events:
        record = apply(record, event)
    if record is None:
        raise OrderRefused(RefusalCode.UNKNOWN_ORDER, "there are no events")
    return record


def _begin(verified: VerifiedEvent) -> OrderRecord:
    event = verified.event
    if not isinstance(event, Draft):
        raise OrderRefused(RefusalCode.UNKNOWN_ORDER, f"order '{event.order}' is not known here")
    if event.previous != GENESIS or event.position != 0:
        raise OrderRefused(RefusalCode.ILLEGAL, "a draft is the first event of its chain")
    if event.content.valid_until_ms > event.at_ms + MAX_VALIDITY_MS:
        raise OrderRefused(RefusalCode.LIMIT, "no order is valid for longer than a week after its draft")
    state = next_state(None, event.input)
    _check_signer(event.content, Custody.HEADQUARTERS, verified)
    return OrderRecord(
        order=event.order,
        content=event.content,
        state=state,
        head=verified.hash,
        position=0,
        content_hash=verified.hash,
        events=(verified,),
    )


def _check_place(record: OrderRecord, verified: VerifiedEvent) -> None:
    event = verified.event
    position = record.position if event.input in OFF_CHAIN else record.position + 1
    if event.order != record.order or event.previous != record.head or event.position != position:
        raise OrderRefused(
            RefusalCode.STALE, f"the order has moved on to '{record.state.value}': look at it again"
        )


def _check_time(record: OrderRecord, verified: VerifiedEvent) -> None:
    event, until = verified.event, record.content.valid_until_ms
    if event.input in _TIMELY and event.at_ms >= until:
        raise OrderRefused(RefusalCode.EXPIRED, f"'{event.input.value}' after the order's validity")
    if event.input is Input.EXPIRE and event.at_ms < until:
        raise OrderRefused(RefusalCode.CLOCK, "the order's validity has not ended yet")
    if event.input is Input.BEGIN:
        confirmed = max(e.event.at_ms for e in record.events if e.event.input is Input.CONFIRM)
        if event.at_ms < confirmed - CLOCK_SKEW_MS:  # a clock that far behind would also miss the expiry
            raise OrderRefused(RefusalCode.CLOCK, "it begins before it was confirmed: set the plant's clock")


def _check_signer(content: Content, custody: Custody, verified: VerifiedEvent) -> None:
    needed = SIGNERS[verified.event.input]
    if verified.event.input is Input.EXPIRE:  # both may; each only while the order is in its hands
        needed = frozenset({Signer.PLANT if custody is Custody.PLANT else Signer.HEADQUARTERS})
    if not needed & capacities(content, verified):
        who = " or ".join(sorted(signer.value for signer in needed))
        raise OrderRefused(
            RefusalCode.UNAUTHORISED,
            f"'{verified.event.input.value}' needs the {who} of this order, not '{verified.signer.name}'",
        )


def capacities(content: Content, verified: VerifiedEvent) -> frozenset[Signer]:
    """In which capacities the signer stands towards this order."""
    signer = verified.signer
    held = {
        Signer.HEADQUARTERS: signer.role is Role.HQ,
        Signer.PLANT: signer.role is Role.PLANT and signer.name == content.plant,
        Signer.DISPATCHER: signer.role is Role.DISPATCHER and content.desk in signer.stations,
        Signer.SUPERVISOR: signer.role is Role.SUPERVISOR and content.desk in signer.stations,
        Signer.OPERATOR: signer.role is Role.OPERATOR and content.plant in signer.stations,
    }
    return frozenset(capacity for capacity, holds in held.items() if holds)
