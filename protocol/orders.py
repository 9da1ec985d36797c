"""What an order says, and the signed events that move it.

An event's canonical bytes name the order, its place in the order's chain and the hash of the event
before it; a person or a station signs them with Ed25519 (RFC 8032) and puts its certificate beside, so
that anyone who holds the deployment's authority certificate can verify a chain alone.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from protocol.errors import KeyRefused, OrderRefused, PeerFault, RefusalCode
from protocol.keys import Certificate, SigningKey, TrustStore
from protocol.lifecycle import Input
from protocol.limits import MAX_CERTIFICATE, MAX_EVENT_BODY, MAX_STEPS
from protocol.models import Count, Hash, Id16, Line, Name, Sig, Text, Wire, decode_as

GENESIS = bytes(32)
_EVENT_DOMAIN = b"dispatch order event 1\x00"


class OrderType(StrEnum):
    """The eight kinds of dispatching work of P1 Table 3."""

    OUTAGE_NOTICE = "outage-notice"
    OUTAGE_APPLICATION = "outage-application"
    RESTORATION_APPLICATION = "restoration-application"
    PERMITTED_OPERATION = "permitted-operation"
    DIRECT_OPERATION = "direct-operation"
    COORDINATED_OPERATION = "coordinated-operation"
    ENTRUSTED_OPERATION = "entrusted-operation"
    MAINTENANCE_WORK = "maintenance-work"


ORDER_TYPE_ZH = {
    OrderType.OUTAGE_NOTICE: "停电通知",
    OrderType.OUTAGE_APPLICATION: "停电申请",
    OrderType.RESTORATION_APPLICATION: "复电申请",
    OrderType.PERMITTED_OPERATION: "许可操作",
    OrderType.DIRECT_OPERATION: "直接操作",
    OrderType.COORDINATED_OPERATION: "配合操作",
    OrderType.ENTRUSTED_OPERATION: "委托操作",
    OrderType.MAINTENANCE_WORK: "检修工作管理",
}

OrderId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,47}$")]


class Step(Wire):
    """One switching step of a ticket."""

    device: Line
    action: Line


class Ticket(Wire):
    """An operation ticket (操作票): steps in the order in which they are carried out."""

    number: Line
    title: Line
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MAX_STEPS)]


class Content(Wire):
    """What is ordered: never changed once drafted. Times are wall-clock ms since the epoch."""

    type: Annotated[OrderType, Field(strict=False)]
    desk: Name
    plant: Name
    ticket: Ticket
    valid_until_ms: Count


class Event(Wire):
    """What every order event says. `session` is empty for events that a station signs."""

    version: Literal[1] = 1
    deployment: Name
    order: OrderId
    position: Count
    previous: Hash
    signer: Name
    certificate: Hash
    session: Annotated[bytes, Field(max_length=16)]
    at_ms: Count
    input: Annotated[Input, Field(strict=False)]


class Draft(Event):
    """The first event: the content itself."""

    input: Literal[Input.DRAFT]
    content: Content


class Issue(Event):
    """Issued, or decided upon by a second person, under a challenge that both factors of the signer answered
    for this very order."""

    input: Literal[Input.ISSUE, Input.REISSUE, Input.APPROVE, Input.DECLINE]
    challenge: Id16
    reason: Text


class ReadBack(Event):
    """The operator repeats the order (复诵): the hash of what was shown, and the operator's words."""

    input: Literal[Input.READ_BACK]
    content_hash: Hash
    words: Text


class Reasoned(Event):
    """An event with a text that people must read."""

    input: Literal[
        Input.REJECT,
        Input.REFUSE,
        Input.CANCEL,
        Input.RECALL,
        Input.COMPLETE,
        Input.FAIL,
        Input.SETTLE,
    ]
    reason: Text


class Recalled(Event):
    """The plant's answer to a recall: not begun, and it will not begin."""

    input: Literal[Input.RECALLED]
    recall: Hash


class Plain(Event):
    """An event that says all by its input."""

    input: Literal[
        Input.ASK_APPROVAL,
        Input.ACCEPT,
        Input.DELIVER,
        Input.NO_ANSWER,
        Input.CONFIRM,
        Input.BEGIN,
        Input.CLOSE,
        Input.EXPIRE,
        Input.LOSE,
        Input.FIND,
    ]


SignableEvent = Draft | Issue | ReadBack | Reasoned | Recalled | Plain
AnyEvent = Annotated[SignableEvent, Field(discriminator="input")]
EVENTS: TypeAdapter[SignableEvent] = TypeAdapter(AnyEvent)


class SignedEvent(Wire):
    """An event's canonical bytes, the signer's certificate (X.509 DER) and the signature."""

    body: Annotated[bytes, Field(max_length=MAX_EVENT_BODY)]
    certificate: Annotated[bytes, Field(max_length=MAX_CERTIFICATE)]
    signature: Sig

    @property
    def hash(self) -> bytes:
        """The event's identity: SHA-256 of the domain and the body, 32 bytes."""
        return event_hash(self.body)


@dataclass(frozen=True, slots=True)
class VerifiedEvent:
    """An event whose signature and signer hold. Only `verify_event` and `sign_event` make one."""

    event: SignableEvent
    signer: Certificate
    signed: SignedEvent
    hash: bytes


def event_hash(body: bytes) -> bytes:
    """SHA-256 over domain and canonical body, 32 bytes."""
    return hashlib.sha256(_EVENT_DOMAIN + body).digest()


def order_named_by(body: bytes) -> str:
    """Which order an unverified event speaks of; "" when it cannot be read."""
    try:
        return decode_as(EVENTS, body).order
    except PeerFault:
        return ""


def approval_digest(order: str, given: Input, previous: bytes) -> bytes:
    """What a challenge for `given` is bound to: 32 bytes that fix it, the order and its whole chain."""
    return hashlib.sha256(
        b"dispatch approval 1\x00" + f"{order}\x00{given.value}\x00".encode() + previous
    ).digest()


def sign_event(event: SignableEvent, key: SigningKey) -> VerifiedEvent:
    """Sign an event whose `certificate` field names `key`'s certificate. Raises OrderRefused(LIMIT)."""
    body = event.encode()
    if len(body) > MAX_EVENT_BODY:
        raise OrderRefused(
            RefusalCode.LIMIT, f"the event has {len(body)} B, limit {MAX_EVENT_BODY} B: split the ticket"
        )
    signed = SignedEvent(body=body, certificate=key.certificate.der, signature=key.sign(_EVENT_DOMAIN, body))
    return VerifiedEvent(event=event, signer=key.certificate, signed=signed, hash=event_hash(body))


def verify_event(signed: SignedEvent, trust: TrustStore, deployment: str) -> VerifiedEvent:
    """Check form, certificate (valid at the event's own time), signature and deployment.

    Raises OrderRefused(MALFORMED | SIGNATURE). Whether the signer *may* do this is the record's question.
    """
    try:
        event = decode_as(EVENTS, signed.body)
    except PeerFault as error:
        raise OrderRefused(RefusalCode.MALFORMED, error.detail) from None
    try:
        signer = trust.verify(
            signed.certificate, _EVENT_DOMAIN, signed.body, signed.signature, at_ms=event.at_ms
        )
    except KeyRefused as error:
        raise OrderRefused(RefusalCode.SIGNATURE, str(error)) from None
    if event.deployment != deployment:
        raise OrderRefused(RefusalCode.SIGNATURE, f"event of deployment '{event.deployment}'")
    if event.certificate != signer.fingerprint or event.signer != signer.name:
        raise OrderRefused(RefusalCode.SIGNATURE, f"event names '{event.signer}', signed by '{signer.name}'")
    return VerifiedEvent(event=event, signer=signer, signed=signed, hash=signed.hash)
