"""protocol/record.py: an order for which a second person was asked goes on by that person's word alone."""

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatch_server import pki
from protocol.errors import OrderRefused, RefusalCode
from protocol.keys import Role, SigningKey, parse_certificate
from protocol.lifecycle import ISSUING, SECOND_PERSON, Input, State
from protocol.orders import VerifiedEvent, verify_event
from protocol.record import OrderRecord, apply, replay
from tests.protocol.parties import (
    AUTHORITY,
    DISPATCHER,
    HQ,
    OPERATOR,
    OTHER_SUPERVISOR,
    SUPERVISOR,
    TRUST,
    Chain,
    write,
)
from tests.support.pki import DEPLOYMENT, NOW

TO_READ_BACK = (Input.ACCEPT, Input.DELIVER, Input.READ_BACK)
ASKED = (Input.ISSUE, Input.ASK_APPROVAL)
DECISIONS = sorted(SECOND_PERSON)


def refused(record: OrderRecord, event: VerifiedEvent) -> OrderRefused:
    with pytest.raises(OrderRefused) as caught:
        apply(record, event)
    return caught.value


def standing(chain: Chain) -> tuple[State, bool]:
    return chain.record.state, chain.record.is_approved


def certified(private: Ed25519PrivateKey, role: Role, name: str) -> SigningKey:
    """A person's key under a certificate of the tests' authority, for desk-1."""
    certificate = pki.issue(
        AUTHORITY.authority, private.public_key(), role, name, stations=("desk-1",), now=NOW, days=30
    )
    return SigningKey(private, parse_certificate(certificate.public_bytes(serialization.Encoding.DER)))


def test_an_approved_order_is_issued_again_and_then_goes_its_way() -> None:
    chain = Chain.along(*ASKED)
    assert standing(chain) == (State.AWAITING, False)
    chain.add(Input.APPROVE)
    assert standing(chain) == (State.ISSUED, True)
    for given in (*TO_READ_BACK, Input.CONFIRM, Input.BEGIN, Input.COMPLETE, Input.CLOSE):
        chain.add(given)
        assert chain.record.is_approved
    assert replay(chain.record.events) == chain.record


def test_a_declined_order_is_over_and_its_reason_stays() -> None:
    chain = Chain.along(*ASKED)
    event = chain.add(Input.DECLINE, reason="the line is manned")
    assert standing(chain) == (State.REJECTED, False)
    assert b"the line is manned" in event.signed.body


@pytest.mark.parametrize("given", [Input.ACCEPT, Input.REJECT, Input.DELIVER, Input.CONFIRM])
def test_nobody_takes_an_order_on_while_the_second_person_has_not_answered(given: Input) -> None:
    chain = Chain.along(*ASKED)
    assert refused(chain.record, chain.event(given)).code is RefusalCode.ILLEGAL


@pytest.mark.parametrize("given", DECISIONS)
@pytest.mark.parametrize("state", sorted(set(State) - {State.AWAITING}))
def test_nobody_decides_about_an_order_that_does_not_wait_for_it(state: State, given: Input) -> None:
    chain = Chain.at(state)
    assert refused(chain.record, chain.event(given)).code is RefusalCode.ILLEGAL


@pytest.mark.parametrize("given", DECISIONS)
@pytest.mark.parametrize("by", [DISPATCHER, OPERATOR, HQ, OTHER_SUPERVISOR])
def test_only_a_supervisor_of_the_orders_desk_decides(given: Input, by: SigningKey) -> None:
    chain = Chain.along(*ASKED)
    assert refused(chain.record, chain.event(given, by=by)).code is RefusalCode.UNAUTHORISED


@pytest.mark.parametrize("given", DECISIONS)
def test_another_dispatcher_of_the_desk_is_no_supervisor(given: Input) -> None:
    chain = Chain.along(*ASKED)
    colleague = AUTHORITY.key(Role.DISPATCHER, "zheng", "desk-1")
    assert refused(chain.record, chain.event(given, by=colleague)).code is RefusalCode.UNAUTHORISED


@pytest.mark.parametrize("given", DECISIONS)
def test_who_issued_is_not_the_second_person_under_another_certificate(given: Input) -> None:
    chain = Chain.along(*ASKED)
    both_roles = AUTHORITY.key(Role.SUPERVISOR, "li", "desk-1")
    error = refused(chain.record, chain.event(given, by=both_roles))
    assert error.code is RefusalCode.UNAUTHORISED
    assert "'li' issued it" in error.detail


@pytest.mark.parametrize("given", DECISIONS)
def test_the_issuers_key_under_another_name_is_not_a_second_person(given: Input) -> None:
    private = Ed25519PrivateKey.generate()
    chain = Chain()
    chain.add(Input.ISSUE, by=certified(private, Role.DISPATCHER, "zheng"))
    chain.add(Input.ASK_APPROVAL)
    error = refused(chain.record, chain.event(given, by=certified(private, Role.SUPERVISOR, "zhao")))
    assert error.code is RefusalCode.UNAUTHORISED
    assert "'zheng' issued it" in error.detail


def test_it_does_not_matter_who_drafted() -> None:
    """A supervisor who is certified as dispatcher too may have drafted what another then issued."""
    first = write(None, Input.DRAFT, by=AUTHORITY.key(Role.DISPATCHER, "zhao", "desk-1"))
    chain = Chain(apply(None, first))
    for given in (*ASKED, Input.APPROVE):
        chain.add(given)
    assert chain.record.is_approved


def test_the_last_issuer_counts_and_not_the_first() -> None:
    chain = Chain.along(Input.ISSUE, *TO_READ_BACK)
    chain.add(Input.REISSUE, by=AUTHORITY.key(Role.DISPATCHER, "zhao", "desk-1"))
    chain.add(Input.ASK_APPROVAL)
    assert refused(chain.record, chain.event(Input.APPROVE)).code is RefusalCode.UNAUTHORISED
    chain.add(Input.APPROVE, by=AUTHORITY.key(Role.SUPERVISOR, "li", "desk-1"))
    assert chain.record.is_approved


@pytest.mark.parametrize("reason", ["", " ", "\u3000"])
def test_a_decline_says_why(reason: str) -> None:
    chain = Chain.along(*ASKED)
    error = refused(chain.record, chain.event(Input.DECLINE, reason=reason))
    assert error.code is RefusalCode.ILLEGAL
    assert "why" in error.detail
    chain.add(Input.APPROVE, reason="")


def test_an_approval_covers_one_issue_and_no_reissue() -> None:
    chain = Chain.along(*ASKED, Input.APPROVE, *TO_READ_BACK)
    assert standing(chain) == (State.READ_BACK, True)
    chain.add(Input.REISSUE)
    assert standing(chain) == (State.ISSUED, False)
    chain.add(Input.ASK_APPROVAL)
    earlier = next(event for event in chain.record.events if event.event.input is Input.APPROVE)
    assert refused(chain.record, earlier).code is RefusalCode.STALE


def test_an_order_that_was_never_asked_about_is_not_approved() -> None:
    assert not Chain().record.is_approved
    assert not Chain.at(State.CONFIRMED).record.is_approved


@pytest.mark.parametrize("given", [*ISSUING, *DECISIONS])
def test_what_needs_both_factors_carries_its_challenge_through_the_wire(given: Input) -> None:
    chain = Chain.along(*ASKED) if given in SECOND_PERSON else Chain()
    event = chain.event(given, challenge=b"c" * 16)
    again = verify_event(event.signed, TRUST, DEPLOYMENT)
    assert again == event
    assert again.event.encode() == event.signed.body
    assert (b"c" * 16) in event.signed.body
    assert again.signer == (SUPERVISOR if given in SECOND_PERSON else DISPATCHER).certificate
