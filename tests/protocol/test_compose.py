"""protocol/compose.py: what is made here is what record.py takes."""

import pytest
from pydantic import ValidationError

from protocol import compose
from protocol.lifecycle import TRANSITIONS, Input, State
from protocol.orders import EVENTS, verify_event
from protocol.record import apply
from tests.protocol.parties import CONTENT, DISPATCHER, TRUST, Chain, right_key
from tests.support.pki import DEPLOYMENT, NOW_MS


def test_a_composed_draft_begins_an_order() -> None:
    event = compose.draft("o-1", CONTENT, DISPATCHER, deployment=DEPLOYMENT, at_ms=NOW_MS, session=bytes(16))
    assert apply(None, event) == Chain().record
    assert verify_event(event.signed, TRUST, DEPLOYMENT) == event


@pytest.mark.parametrize(("state", "given"), [pair for pair in TRANSITIONS if pair[0]])
def test_a_composed_event_follows_the_head_of_its_order(state: State, given: Input) -> None:
    chain = Chain.at(state)
    expected = chain.event(given)
    common = {"deployment", "order", "position", "previous", "signer", "certificate", "input", "version"}
    fields = expected.event.model_dump()
    event = compose.follow(
        chain.record,
        given,
        right_key(state, given),
        **{name: value for name, value in fields.items() if name not in common},
        deployment=DEPLOYMENT,
    )
    assert event == expected
    assert EVENTS.validate_python(event.event) == event.event


def test_an_event_without_its_details_is_not_made() -> None:
    chain = Chain.at(State.DELIVERED)
    with pytest.raises(ValidationError):
        compose.follow(
            chain.record, Input.READ_BACK, DISPATCHER, deployment=DEPLOYMENT, at_ms=NOW_MS, session=b""
        )
