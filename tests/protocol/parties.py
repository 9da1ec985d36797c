"""The nodes and people of the protocol's tests, and orders that they write event by event."""

from collections import deque
from functools import cache
from typing import Any

from protocol import record
from protocol.keys import Role, SigningKey
from protocol.lifecycle import (
    CUSTODY,
    OFF_CHAIN,
    SECOND_PERSON,
    SIGNERS,
    TRANSITIONS,
    Custody,
    Input,
    Signer,
    State,
)
from protocol.orders import (
    GENESIS,
    Content,
    Draft,
    Issue,
    OrderType,
    Plain,
    ReadBack,
    Reasoned,
    Recalled,
    SignableEvent,
    Step,
    Ticket,
    VerifiedEvent,
    sign_event,
)
from tests.support.pki import DEPLOYMENT, NOW_MS, TestAuthority

AUTHORITY = TestAuthority()
TRUST = AUTHORITY.trust()

HQ = AUTHORITY.key(Role.HQ, "hq")
CENTER = AUTHORITY.key(Role.CENTER, "center-1")
DESK = AUTHORITY.key(Role.DESK, "desk-1")
PLANT = AUTHORITY.key(Role.PLANT, "plant-1")
OTHER_PLANT = AUTHORITY.key(Role.PLANT, "plant-2")
DISPATCHER = AUTHORITY.key(Role.DISPATCHER, "li", "desk-1")
OPERATOR = AUTHORITY.key(Role.OPERATOR, "wang", "plant-1")
SUPERVISOR = AUTHORITY.key(Role.SUPERVISOR, "zhao", "desk-1")
OTHER_SUPERVISOR = AUTHORITY.key(Role.SUPERVISOR, "gao", "desk-2")
OTHER_DISPATCHER = AUTHORITY.key(Role.DISPATCHER, "chen", "desk-2")
OTHER_OPERATOR = AUTHORITY.key(Role.OPERATOR, "sun", "plant-2")

VALID_UNTIL_MS = NOW_MS + 3_600_000
CONTENT = Content(
    type=OrderType.PERMITTED_OPERATION,
    desk="desk-1",
    plant="plant-1",
    ticket=Ticket(number="2026-17", title="线路停电", steps=(Step(device="断路器 201", action="断开"),)),
    valid_until_ms=VALID_UNTIL_MS,
)

_KEYS = {
    Signer.DISPATCHER: DISPATCHER,
    Signer.SUPERVISOR: SUPERVISOR,
    Signer.OPERATOR: OPERATOR,
    Signer.HEADQUARTERS: HQ,
    Signer.PLANT: PLANT,
}
_CLASSES: dict[Input, type[SignableEvent]] = {
    Input.DRAFT: Draft,
    Input.ISSUE: Issue,
    Input.REISSUE: Issue,
    Input.APPROVE: Issue,
    Input.DECLINE: Issue,
    Input.READ_BACK: ReadBack,
    Input.RECALLED: Recalled,
    **dict.fromkeys(
        (*(Input.REJECT, Input.REFUSE, Input.CANCEL, Input.RECALL, Input.COMPLETE, Input.FAIL), Input.SETTLE),
        Reasoned,
    ),
}


def right_key(state: State | None, given: Input) -> SigningKey:
    """Whose signature `given` needs in `state`."""
    if given is Input.EXPIRE:
        return PLANT if state and CUSTODY[state] is Custody.PLANT else HQ
    (signer,) = SIGNERS[given]
    return _KEYS[signer]


class Chain:
    """An order that grows event by event, each one rightly placed and signed unless a test says otherwise."""

    def __init__(self, known: record.OrderRecord | None = None) -> None:
        self.record = known or record.apply(None, write(None, Input.DRAFT))

    @classmethod
    def at(cls, state: State) -> "Chain":
        """An order that came to `state` by the shortest way."""
        return cls(_record_at(state))

    @classmethod
    def along(cls, *way: Input) -> "Chain":
        """A drafted order to which all this happened."""
        chain = cls()
        for given in way:
            chain.add(given)
        return chain

    def event(self, given: Input, *, by: SigningKey | None = None, **fields: Any) -> VerifiedEvent:
        """The next event, not yet applied; `fields` replace what would be right."""
        return write(self.record, given, by=by, **fields)

    def add(self, given: Input, *, by: SigningKey | None = None, **fields: Any) -> VerifiedEvent:
        """Write and apply the next event."""
        event = self.event(given, by=by, **fields)
        self.record = record.apply(self.record, event)
        return event


@cache
def _record_at(state: State) -> record.OrderRecord:
    return Chain.along(*shortest_way(state)[1:]).record


def write(
    known: record.OrderRecord | None, given: Input, *, by: SigningKey | None = None, **fields: Any
) -> VerifiedEvent:
    """One signed event that follows `known`; without it, the draft of order o-1."""
    key = by or right_key(known.state if known else None, given)
    position = 0 if known is None else known.position + (given not in OFF_CHAIN)
    right: dict[str, Any] = {
        "deployment": DEPLOYMENT,
        "order": known.order if known else "o-1",
        "position": position,
        "previous": known.head if known else GENESIS,
        "signer": key.certificate.name,
        "certificate": key.certificate.fingerprint,
        "session": b"" if key.certificate.is_node or given in SECOND_PERSON else bytes(16),
        "at_ms": VALID_UNTIL_MS if given is Input.EXPIRE else NOW_MS,
        "input": given,
    }
    body = _CLASSES.get(given, Plain)
    return sign_event(body(**right | _details(known, body, given) | fields), key)


def _details(known: record.OrderRecord | None, body: type[SignableEvent], given: Input) -> dict[str, Any]:
    if body is Draft:
        return {"content": CONTENT}
    if body is Issue:
        return {"challenge": bytes(16), "reason": "too risky" if given is Input.DECLINE else ""}
    if body is ReadBack:
        return {"content_hash": known.content_hash if known else bytes(32), "words": "断开 201"}
    if body is Recalled:
        return {"recall": last_recall(known) or bytes(32)}
    return {"reason": "because"} if body is Reasoned else {}


def shortest_way(target: State) -> list[Input]:
    """The fewest inputs that lead from nothing to `target`, recalls included where they are needed."""
    ways: dict[State, list[Input]] = {State.DRAFTED: [Input.DRAFT]}
    queue = deque([State.DRAFTED])
    while queue:
        here = queue.popleft()
        for (state, given), after in TRANSITIONS.items():
            if state is here and after not in ways and given is not Input.RECALLED:
                ways[after] = [*ways[here], given]
                queue.append(after)
    return ways[target]


def last_recall(known: record.OrderRecord | None) -> bytes | None:
    """The hash of the latest recall that an order holds."""
    recalls = [event.hash for event in known.events if event.event.input is Input.RECALL] if known else []
    return recalls[-1] if recalls else None
