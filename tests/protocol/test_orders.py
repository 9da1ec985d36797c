"""protocol/orders.py: what an order says, and the signatures of its events."""

import hashlib
from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from protocol.errors import OrderRefused, RefusalCode
from protocol.keys import Role, SigningKey, TrustStore
from protocol.lifecycle import TWO_FACTOR, Input
from protocol.limits import MAX_CERTIFICATE, MAX_EVENT_BODY, MAX_STEPS
from protocol.orders import (
    GENESIS,
    ORDER_TYPE_ZH,
    Draft,
    Event,
    Issue,
    OrderType,
    Plain,
    ReadBack,
    Reasoned,
    Recalled,
    SignedEvent,
    Step,
    Ticket,
    VerifiedEvent,
    approval_digest,
    event_hash,
    order_named_by,
    sign_event,
    verify_event,
)
from tests.protocol.parties import (
    AUTHORITY,
    CONTENT,
    DISPATCHER,
    HQ,
    OPERATOR,
    OTHER_DISPATCHER,
    TRUST,
    Chain,
    write,
)
from tests.support.pki import DEPLOYMENT, NOW, NOW_MS, TestAuthority

CLASSES: dict[type[Event], set[Input]] = {
    Draft: {Input.DRAFT},
    Issue: {Input.ISSUE, Input.REISSUE, Input.APPROVE, Input.DECLINE},
    ReadBack: {Input.READ_BACK},
    Recalled: {Input.RECALLED},
    Reasoned: {
        Input.REJECT,
        Input.REFUSE,
        Input.CANCEL,
        Input.RECALL,
        Input.COMPLETE,
        Input.FAIL,
        Input.SETTLE,
    },
}


def draft(**fields: Any) -> VerifiedEvent:
    return write(None, Input.DRAFT, **fields)


def altered(signed: SignedEvent, **fields: bytes) -> SignedEvent:
    return signed.model_copy(update=fields)


def refusal(signed: SignedEvent, trust: TrustStore = TRUST, deployment: str = DEPLOYMENT) -> OrderRefused:
    with pytest.raises(OrderRefused) as caught:
        verify_event(signed, trust, deployment)
    return caught.value


@pytest.mark.parametrize("given", Input)
def test_every_event_comes_back_verified_as_it_was_signed(given: Input) -> None:
    event = write(None if given is Input.DRAFT else Chain().record, given)
    received = SignedEvent.decode(event.signed.encode())
    assert verify_event(received, TRUST, DEPLOYMENT) == event


@pytest.mark.parametrize("given", Input)
def test_every_input_has_one_form_of_event(given: Input) -> None:
    event = write(None if given is Input.DRAFT else Chain().record, given).event
    (form,) = [form for form, inputs in CLASSES.items() if given in inputs] or [Plain]
    assert isinstance(event, form)
    assert event.input is given


def test_the_hash_of_an_event_is_sha_256_over_its_domain_and_its_body() -> None:
    event = draft()
    assert event.hash == hashlib.sha256(b"dispatch order event 1\x00" + event.signed.body).digest()
    assert event.hash == event.signed.hash == event_hash(event.signed.body)


@pytest.mark.parametrize("place", [0, 1, 40, -1])
def test_an_altered_body_is_refused(place: int) -> None:
    signed = draft().signed
    body = bytearray(signed.body)
    body[place] ^= 1
    assert refusal(altered(signed, body=bytes(body))).code in {RefusalCode.SIGNATURE, RefusalCode.MALFORMED}


def test_a_readable_body_that_was_altered_is_refused_for_its_signature() -> None:
    signed = draft().signed
    body = signed.body.replace(b"201", b"202")
    assert body != signed.body
    assert refusal(altered(signed, body=body)).code is RefusalCode.SIGNATURE


def test_an_altered_signature_is_refused() -> None:
    signed = draft().signed
    flipped = bytes([signed.signature[0] ^ 1]) + signed.signature[1:]
    assert refusal(altered(signed, signature=flipped)).code is RefusalCode.SIGNATURE


def test_an_event_that_is_shown_with_the_certificate_of_another_person_is_refused() -> None:
    error = refusal(altered(draft().signed, certificate=OTHER_DISPATCHER.certificate.der))
    assert error.code is RefusalCode.SIGNATURE


def test_a_signature_for_another_purpose_is_refused() -> None:
    signed = draft().signed
    elsewhere = DISPATCHER.sign(b"dispatch hello 1\x00", signed.body)
    assert refusal(altered(signed, signature=elsewhere)).code is RefusalCode.SIGNATURE


def test_an_event_that_names_another_signer_than_its_certificate_is_refused() -> None:
    error = refusal(draft(signer="chen").signed)
    assert error.code is RefusalCode.SIGNATURE
    assert "'chen'" in error.detail
    assert "'li'" in error.detail


def test_an_event_that_names_another_certificate_of_the_same_person_is_refused() -> None:
    renewed = AUTHORITY.key(Role.DISPATCHER, "li", "desk-1")
    error = refusal(draft(certificate=renewed.certificate.fingerprint).signed)
    assert error.code is RefusalCode.SIGNATURE


def test_an_event_of_another_deployment_is_refused() -> None:
    error = refusal(draft(deployment="other-grid").signed)
    assert error.code is RefusalCode.SIGNATURE
    assert "other-grid" in error.detail


EXPIRED = AUTHORITY.key(Role.DISPATCHER, "li", "desk-1", now=NOW - timedelta(days=2), days=1)
TOO_EARLY = AUTHORITY.key(Role.DISPATCHER, "li", "desk-1", now=NOW + timedelta(days=2), days=1)
FOREIGN = TestAuthority().key(Role.DISPATCHER, "li", "desk-1")


@pytest.mark.parametrize(
    ("key", "trust", "reason"),
    [
        pytest.param(EXPIRED, TRUST, "not valid at this time", id="expired"),
        pytest.param(TOO_EARLY, TRUST, "not valid at this time", id="not yet valid"),
        pytest.param(FOREIGN, TRUST, "not issued by", id="of a foreign authority"),
        pytest.param(DISPATCHER, AUTHORITY.trust(DISPATCHER), "revoked", id="revoked"),
    ],
)
def test_an_event_under_a_certificate_that_does_not_count_is_refused(
    key: SigningKey, trust: TrustStore, reason: str
) -> None:
    error = refusal(draft(by=key).signed, trust)
    assert error.code is RefusalCode.SIGNATURE
    assert reason in error.detail


def test_an_event_stays_good_after_its_certificate_has_expired_or_was_revoked_later() -> None:
    event = draft(at_ms=NOW_MS)
    later = AUTHORITY.trust(DISPATCHER, at=NOW + timedelta(hours=1))
    assert verify_event(event.signed, later, DEPLOYMENT) == event


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x80", draft().signed.body + b"\x00"])
def test_a_body_that_is_no_event_is_refused(body: bytes) -> None:
    signed = SignedEvent(body=body, certificate=b"", signature=bytes(64))
    assert refusal(signed).code is RefusalCode.MALFORMED
    assert order_named_by(body) == ""


def test_a_body_that_is_not_canonical_is_refused_even_with_a_good_signature() -> None:
    canonical = draft().signed.body
    body = b"\xde\x00" + bytes([canonical[0] & 0x0F]) + canonical[1:]  # the same map with a longer header
    signed = SignedEvent(
        body=body,
        certificate=DISPATCHER.certificate.der,
        signature=DISPATCHER.sign(b"dispatch order event 1\x00", body),
    )
    assert refusal(signed).detail == "not the canonical encoding"


def test_an_unverified_event_says_of_which_order_it_speaks() -> None:
    assert order_named_by(draft().signed.body) == "o-1"


def draft_of(size: int) -> VerifiedEvent:
    """A draft whose body has exactly this many bytes."""

    def with_last(characters: int) -> VerifiedEvent:
        steps = (
            *[Step(device="x" * 200, action="y" * 200)] * 37,
            Step(device="z" * characters, action="y" * 200),
        )
        ticket = Ticket(number="1", title="t" * 200, steps=steps)
        return draft(content=CONTENT.model_copy(update={"ticket": ticket}))

    return with_last(100 + size - len(with_last(100).signed.body))


def test_an_order_that_is_too_long_to_be_sent_is_refused_to_its_author() -> None:
    assert len(draft_of(MAX_EVENT_BODY).signed.body) == MAX_EVENT_BODY
    with pytest.raises(OrderRefused, match="split the ticket") as caught:
        draft_of(MAX_EVENT_BODY + 1)
    assert caught.value.code is RefusalCode.LIMIT


@pytest.mark.parametrize("steps", [0, MAX_STEPS + 1])
def test_a_ticket_has_at_least_one_step_and_not_too_many(steps: int) -> None:
    with pytest.raises(ValidationError):
        Ticket(number="1", title="t", steps=(Step(device="d", action="a"),) * steps)


@pytest.mark.parametrize(("body", "certificate"), [(MAX_EVENT_BODY + 1, 0), (0, MAX_CERTIFICATE + 1)])
def test_a_signed_event_over_its_limits_is_refused_before_it_is_parsed(body: int, certificate: int) -> None:
    with pytest.raises(ValidationError):
        SignedEvent(body=bytes(body), certificate=bytes(certificate), signature=bytes(64))


def test_an_event_of_another_version_is_refused() -> None:
    body = draft().signed.body
    assert body.startswith(b"\x8b\xa7version\x01")
    newer = body.replace(b"\xa7version\x01", b"\xa7version\x02", 1)
    signed = SignedEvent(body=newer, certificate=b"", signature=bytes(64))
    assert refusal(signed).code is RefusalCode.MALFORMED


def test_an_approval_is_bound_to_order_input_and_history() -> None:
    digests = {
        approval_digest(order, given, previous)
        for order in ("o-1", "o-2")
        for given in TWO_FACTOR
        for previous in (GENESIS, bytes(31) + b"\x01")
    }
    assert len(digests) == 16
    assert all(len(digest) == 32 for digest in digests)


def test_each_of_the_eight_order_types_has_its_chinese_name() -> None:
    assert len(OrderType) == 8
    assert set(ORDER_TYPE_ZH) == set(OrderType)
    assert len(set(ORDER_TYPE_ZH.values())) == 8


def test_what_a_station_signs_needs_no_session() -> None:
    event = Chain.along(Input.ISSUE).event(Input.ACCEPT)
    assert event.signer == HQ.certificate
    assert event.event.session == b""


def test_signing_and_verifying_give_the_same_event() -> None:
    event = draft()
    assert sign_event(event.event, DISPATCHER) == event
    assert verify_event(event.signed, TRUST, DEPLOYMENT).signer != OPERATOR.certificate
