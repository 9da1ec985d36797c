"""Makes the next event of an order and signs it; the counterpart of record.py."""

from typing import Any

from protocol.keys import SigningKey
from protocol.lifecycle import OFF_CHAIN, Input
from protocol.orders import EVENTS, GENESIS, Content, Draft, VerifiedEvent, sign_event
from protocol.record import OrderRecord


def draft(
    order: str, content: Content, key: SigningKey, *, deployment: str, at_ms: int, session: bytes
) -> VerifiedEvent:
    """The first event of a new order, signed by a dispatcher."""
    event = Draft(
        deployment=deployment,
        order=order,
        position=0,
        previous=GENESIS,
        signer=key.certificate.name,
        certificate=key.certificate.fingerprint,
        session=session,
        at_ms=at_ms,
        input=Input.DRAFT,
        content=content,
    )
    return sign_event(event, key)


def follow(
    record: OrderRecord,
    given: Input,
    key: SigningKey,
    *,
    deployment: str,
    at_ms: int,
    session: bytes = b"",
    **details: Any,
) -> VerifiedEvent:
    """The event `given` on top of the record's head. `details`: the fields that this input needs.

    Raises pydantic.ValidationError for details that do not fit. Whether it may happen is `apply`'s question.
    """
    fields = {
        "deployment": deployment,
        "order": record.order,
        "position": record.position + (given not in OFF_CHAIN),
        "previous": record.head,
        "signer": key.certificate.name,
        "certificate": key.certificate.fingerprint,
        "session": session,
        "at_ms": at_ms,
        "input": given,
    }
    return sign_event(EVENTS.validate_python(fields | details), key)
