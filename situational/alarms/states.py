"""An alarm's states and inputs after ISA-18.2 (IEC 62682), and THE transition table.

ISA's three ways of setting an alarm aside are two states each here: without and with ("-active") the
condition. So the table alone says what becomes of an alarm that returns, and no flag stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from situational.alarms.errors import AlarmInputImpossibleError


class State(StrEnum):
    """Where an alarm is."""

    NORMAL = "normal"
    UNACKNOWLEDGED = "unacknowledged"
    ACKNOWLEDGED = "acknowledged"
    RETURNED = "returned-unacknowledged"
    SHELVED = "shelved"
    SHELVED_ACTIVE = "shelved-active"
    SUPPRESSED = "suppressed"
    SUPPRESSED_ACTIVE = "suppressed-active"
    OUT_OF_SERVICE = "out-of-service"
    OUT_OF_SERVICE_ACTIVE = "out-of-service-active"


class Input(StrEnum):
    """What moves an alarm. Each one taken is one ledger event, also when the state stays."""

    RAISE = "raise"  # the condition has come: an incident begins
    CLEAR = "clear"  # the condition has gone: the incident is over
    ESCALATE = "escalate"  # worse than before, in the same incident
    EASE = "ease"  # less bad than before, in the same incident
    ACKNOWLEDGE = "acknowledge"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"  # by a person
    SHELF_OVER = "shelf-over"  # its time has passed
    BREAK_SHELF = "break-shelf"  # the condition is major
    SUPPRESS = "suppress"
    UNSUPPRESS = "unsuppress"
    REMOVE = "remove-from-service"
    RETURN = "return-to-service"


SHELVED = frozenset({State.SHELVED, State.SHELVED_ACTIVE})
SUPPRESSED = frozenset({State.SUPPRESSED, State.SUPPRESSED_ACTIVE})
OUT_OF_SERVICE = frozenset({State.OUT_OF_SERVICE, State.OUT_OF_SERVICE_ACTIVE})
ASIDE = SHELVED | SUPPRESSED | OUT_OF_SERVICE

# The condition holds in these, and in no other.
ACTIVE = frozenset(
    {
        State.UNACKNOWLEDGED,
        State.ACKNOWLEDGED,
        State.SHELVED_ACTIVE,
        State.SUPPRESSED_ACTIVE,
        State.OUT_OF_SERVICE_ACTIVE,
    }
)
WITH_INCIDENT = ACTIVE | {State.RETURNED}
WANTS_ACKNOWLEDGEMENT = frozenset({State.UNACKNOWLEDGED, State.RETURNED})

SETTING_ASIDE = frozenset({Input.SHELVE, Input.SUPPRESS, Input.REMOVE})
BY_PERSON = SETTING_ASIDE | {Input.ACKNOWLEDGE, Input.UNSHELVE, Input.UNSUPPRESS, Input.RETURN}
ENDING_SHELF = frozenset({Input.UNSHELVE, Input.SHELF_OVER, Input.BREAK_SHELF})
BY_CONDITION = frozenset({Input.RAISE, Input.ESCALATE, Input.EASE, Input.BREAK_SHELF})

_REMOVE = {Input.REMOVE: State.OUT_OF_SERVICE}
_REMOVE_ACTIVE = {Input.REMOVE: State.OUT_OF_SERVICE_ACTIVE}
_SUPPRESS = {Input.SUPPRESS: State.SUPPRESSED, **_REMOVE}
_SUPPRESS_ACTIVE = {Input.SUPPRESS: State.SUPPRESSED_ACTIVE, **_REMOVE_ACTIVE}
_SET_ASIDE = {Input.SHELVE: State.SHELVED, **_SUPPRESS}
_SET_ASIDE_ACTIVE = {Input.SHELVE: State.SHELVED_ACTIVE, **_SUPPRESS_ACTIVE}

_BY_STATE: dict[State, dict[Input, State]] = {
    State.NORMAL: {Input.RAISE: State.UNACKNOWLEDGED, **_SET_ASIDE},
    State.UNACKNOWLEDGED: {
        Input.ACKNOWLEDGE: State.ACKNOWLEDGED,
        Input.CLEAR: State.RETURNED,
        Input.ESCALATE: State.UNACKNOWLEDGED,
        Input.EASE: State.UNACKNOWLEDGED,
        **_SET_ASIDE_ACTIVE,
    },
    State.ACKNOWLEDGED: {
        Input.CLEAR: State.NORMAL,
        Input.ESCALATE: State.UNACKNOWLEDGED,
        Input.EASE: State.ACKNOWLEDGED,
        **_SET_ASIDE_ACTIVE,
    },
    State.RETURNED: {
        Input.ACKNOWLEDGE: State.NORMAL,
        Input.RAISE: State.UNACKNOWLEDGED,
        **_SET_ASIDE,
    },
    State.SHELVED: {
        Input.RAISE: State.SHELVED_ACTIVE,
        **dict.fromkeys(ENDING_SHELF, State.NORMAL),
        **_SUPPRESS,
    },
    State.SHELVED_ACTIVE: {
        Input.CLEAR: State.SHELVED,
        Input.ESCALATE: State.SHELVED_ACTIVE,
        Input.EASE: State.SHELVED_ACTIVE,
        **dict.fromkeys(ENDING_SHELF, State.UNACKNOWLEDGED),
        **_SUPPRESS_ACTIVE,
    },
    State.SUPPRESSED: {
        Input.RAISE: State.SUPPRESSED_ACTIVE,
        Input.UNSUPPRESS: State.NORMAL,
        **_REMOVE,
    },
    State.SUPPRESSED_ACTIVE: {
        Input.CLEAR: State.SUPPRESSED,
        Input.ESCALATE: State.SUPPRESSED_ACTIVE,
        Input.EASE: State.SUPPRESSED_ACTIVE,
        Input.UNSUPPRESS: State.UNACKNOWLEDGED,
        **_REMOVE_ACTIVE,
    },
    State.OUT_OF_SERVICE: {Input.RAISE: State.OUT_OF_SERVICE_ACTIVE, Input.RETURN: State.NORMAL},
    State.OUT_OF_SERVICE_ACTIVE: {
        Input.CLEAR: State.OUT_OF_SERVICE,
        Input.ESCALATE: State.OUT_OF_SERVICE_ACTIVE,
        Input.EASE: State.OUT_OF_SERVICE_ACTIVE,
        Input.RETURN: State.UNACKNOWLEDGED,
    },
}

# In the order of the enums: a frozenset's order differs from run to run and the diagram must not.
TRANSITIONS: Mapping[tuple[State, Input], State] = MappingProxyType(
    {
        (state, given): _BY_STATE[state][given]
        for state in State
        for given in Input
        if given in _BY_STATE[state]
    }
)


def next_state(state: State, given: Input) -> State:
    """The state after `given`. Raises AlarmInputImpossibleError naming the pair."""
    try:
        return TRANSITIONS[state, given]
    except KeyError:
        raise AlarmInputImpossibleError(state.value, given.value) from None


def announces(before: State, given: Input, after: State) -> bool:
    """Whether the operator is called: an alarm that becomes unacknowledged, or gets worse while it is."""
    return after is State.UNACKNOWLEDGED and (before is not after or given is Input.ESCALATE)
