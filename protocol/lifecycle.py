"""The life cycle of an order: states, inputs, and THE transition table.

Servers, clients, relays, the ledger verifier, the diagram in the README and the tests all use this
one table. An input is an order event (orders.py); each names who may sign it. `CUSTODY` says who may
put the next event on the chain in a state, so two stations can never fork it: headquarters until the
order is confirmed, the plant from then until the outcome is known.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from protocol.errors import OrderRefused, RefusalCode


class State(StrEnum):
    """Where an order is."""

    DRAFTED = "drafted"
    ISSUED = "issued"
    AWAITING = "awaiting-approval"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    UNDELIVERED = "undelivered"
    DELIVERED = "delivered"
    UNANSWERED = "unanswered"
    READ_BACK = "read-back"
    CONFIRMED = "confirmed"
    RECALLING = "recalling"
    UNKNOWN = "unknown"
    EXECUTING = "executing"
    UNKNOWN_EXECUTING = "unknown-executing"
    COMPLETED = "completed"
    CLOSED = "closed"
    FAILED = "failed"
    SETTLED = "settled"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Input(StrEnum):
    """What moves an order. Each is one kind of signed event."""

    DRAFT = "draft"
    ISSUE = "issue"
    ASK_APPROVAL = "ask-approval"
    APPROVE = "approve"
    DECLINE = "decline"
    ACCEPT = "accept"
    REJECT = "reject"
    DELIVER = "deliver"
    NO_ANSWER = "no-answer"
    READ_BACK = "read-back"
    CONFIRM = "confirm"
    REISSUE = "reissue"
    BEGIN = "begin"
    COMPLETE = "complete"
    FAIL = "fail"
    CLOSE = "close"
    SETTLE = "settle"
    REFUSE = "refuse"
    CANCEL = "cancel"
    RECALL = "recall"
    RECALLED = "recalled"
    EXPIRE = "expire"
    LOSE = "lose"
    FIND = "find"


class Signer(StrEnum):
    """In which capacity an event is signed."""

    DISPATCHER = "dispatcher"
    SUPERVISOR = "supervisor"
    OPERATOR = "operator"
    HEADQUARTERS = "headquarters"
    PLANT = "plant"


class Custody(StrEnum):
    """Who puts the next event on the chain."""

    HEADQUARTERS = "headquarters"
    PLANT = "plant"
    NOBODY = "nobody"


_HQ = frozenset({Signer.HEADQUARTERS})
_DISPATCHER = frozenset({Signer.DISPATCHER})
_SUPERVISOR = frozenset({Signer.SUPERVISOR})
_OPERATOR = frozenset({Signer.OPERATOR})
_PLANT = frozenset({Signer.PLANT})

SIGNERS: Mapping[Input, frozenset[Signer]] = MappingProxyType(
    {
        Input.DRAFT: _DISPATCHER,
        Input.ISSUE: _DISPATCHER,
        Input.ASK_APPROVAL: _HQ,
        Input.APPROVE: _SUPERVISOR,
        Input.DECLINE: _SUPERVISOR,
        Input.ACCEPT: _HQ,
        Input.REJECT: _HQ,
        Input.DELIVER: _PLANT,
        Input.NO_ANSWER: _HQ,
        Input.READ_BACK: _OPERATOR,
        Input.CONFIRM: _DISPATCHER,
        Input.REISSUE: _DISPATCHER,
        Input.BEGIN: _OPERATOR,
        Input.COMPLETE: _OPERATOR,
        Input.FAIL: _OPERATOR,
        Input.CLOSE: _HQ,
        Input.SETTLE: _DISPATCHER,
        Input.REFUSE: _OPERATOR,
        Input.CANCEL: _DISPATCHER,
        Input.RECALL: _DISPATCHER,
        Input.RECALLED: _PLANT,
        Input.EXPIRE: _HQ | _PLANT,
        Input.LOSE: _HQ,
        Input.FIND: _HQ,
    }
)

# Observations and requests hang off the chain: they name the head that they saw and do not become it,
# so what headquarters observes can never collide with what the plant does at the same moment.
OFF_CHAIN = frozenset({Input.NO_ANSWER, Input.RECALL, Input.LOSE, Input.FIND})

ISSUING = frozenset({Input.ISSUE, Input.REISSUE})

# What a second person says to an issue: somebody else than who issued, whoever drafted.
SECOND_PERSON = frozenset({Input.APPROVE, Input.DECLINE})

# Inputs that need both factors afresh, bound to this order (P1 §2.1.4).
TWO_FACTOR = ISSUING | SECOND_PERSON

_BEFORE_CONFIRMATION = {Input.CANCEL: State.CANCELLED, Input.EXPIRE: State.EXPIRED}
_AT_PLANT = {Input.REFUSE: State.REFUSED, Input.EXPIRE: State.EXPIRED, Input.RECALLED: State.CANCELLED}

_BY_STATE: dict[State, dict[Input, State]] = {
    State.DRAFTED: {Input.ISSUE: State.ISSUED, **_BEFORE_CONFIRMATION},
    State.ISSUED: {
        Input.ACCEPT: State.ACCEPTED,
        Input.REJECT: State.REJECTED,
        Input.ASK_APPROVAL: State.AWAITING,
        **_BEFORE_CONFIRMATION,
    },
    # An approved order is issued once more: the checks look at it again, for it may have waited long.
    State.AWAITING: {Input.APPROVE: State.ISSUED, Input.DECLINE: State.REJECTED, **_BEFORE_CONFIRMATION},
    State.ACCEPTED: {
        Input.DELIVER: State.DELIVERED,
        Input.NO_ANSWER: State.UNDELIVERED,
        **_BEFORE_CONFIRMATION,
    },
    State.UNDELIVERED: {Input.DELIVER: State.DELIVERED, **_BEFORE_CONFIRMATION},
    State.DELIVERED: {
        Input.READ_BACK: State.READ_BACK,
        Input.REFUSE: State.REFUSED,
        Input.NO_ANSWER: State.UNANSWERED,
        **_BEFORE_CONFIRMATION,
    },
    State.UNANSWERED: {
        Input.READ_BACK: State.READ_BACK,
        Input.REFUSE: State.REFUSED,
        **_BEFORE_CONFIRMATION,
    },
    State.READ_BACK: {
        Input.CONFIRM: State.CONFIRMED,
        Input.REISSUE: State.ISSUED,
        Input.REFUSE: State.REFUSED,
        **_BEFORE_CONFIRMATION,
    },
    State.CONFIRMED: {
        Input.BEGIN: State.EXECUTING,
        Input.RECALL: State.RECALLING,
        Input.LOSE: State.UNKNOWN,
        **_AT_PLANT,
    },
    State.RECALLING: {
        Input.BEGIN: State.EXECUTING,
        Input.RECALL: State.RECALLING,
        Input.LOSE: State.UNKNOWN,
        **_AT_PLANT,
    },
    State.UNKNOWN: {
        Input.BEGIN: State.EXECUTING,
        Input.RECALL: State.UNKNOWN,
        Input.FIND: State.CONFIRMED,
        **_AT_PLANT,
    },
    State.EXECUTING: {
        Input.COMPLETE: State.COMPLETED,
        Input.FAIL: State.FAILED,
        Input.LOSE: State.UNKNOWN_EXECUTING,
    },
    State.UNKNOWN_EXECUTING: {
        Input.COMPLETE: State.COMPLETED,
        Input.FAIL: State.FAILED,
        Input.FIND: State.EXECUTING,
    },
    State.COMPLETED: {Input.CLOSE: State.CLOSED},
    # Half-switched equipment stays under its order until a dispatcher has settled what becomes of it.
    State.FAILED: {Input.SETTLE: State.SETTLED},
}

TRANSITIONS: Mapping[tuple[State | None, Input], State] = MappingProxyType(
    {(None, Input.DRAFT): State.DRAFTED}
    | {(state, given): after for state, row in _BY_STATE.items() for given, after in row.items()}
)

TERMINAL = frozenset(State) - _BY_STATE.keys()

_HQ_STATES = (
    State.DRAFTED,
    State.ISSUED,
    State.AWAITING,
    State.ACCEPTED,
    State.UNDELIVERED,
    State.DELIVERED,
    State.UNANSWERED,
    State.READ_BACK,
    State.COMPLETED,
    State.FAILED,
)
_PLANT_STATES = (
    State.CONFIRMED,
    State.RECALLING,
    State.UNKNOWN,
    State.EXECUTING,
    State.UNKNOWN_EXECUTING,
)
CUSTODY: Mapping[State, Custody] = MappingProxyType(
    dict.fromkeys(_HQ_STATES, Custody.HEADQUARTERS)
    | dict.fromkeys(_PLANT_STATES, Custody.PLANT)
    | dict.fromkeys(TERMINAL, Custody.NOBODY)
)


def next_state(state: State | None, given: Input) -> State:
    """The state after `given`. Raises OrderRefused(ILLEGAL) naming the pair."""
    try:
        return TRANSITIONS[state, given]
    except KeyError:
        where = state.value if state else "no order"
        raise OrderRefused(
            RefusalCode.ILLEGAL, f"'{given.value}' is not possible in state '{where}'"
        ) from None
