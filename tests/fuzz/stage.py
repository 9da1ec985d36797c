"""Nodes, people and orders whose keys are the same in every run, so that a corpus can be kept."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID

from protocol.compose import draft, follow
from protocol.keys import Role, SigningKey, TrustStore, parse_certificate, uris
from protocol.lifecycle import Input
from protocol.orders import Content, OrderType, Step, Ticket, VerifiedEvent
from protocol.record import OrderRecord, apply
from tests.support.pki import DEPLOYMENT, NOW, NOW_MS

_YEAR = timedelta(days=365)


def private_key(name: str) -> Ed25519PrivateKey:
    """The key that belongs to a name in every run; it guards nothing."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"fuzz " + name.encode()).digest())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


AUTHORITY_KEY = private_key("authority")
AUTHORITY = (
    x509.CertificateBuilder()
    .subject_name(_name("authority"))
    .issuer_name(_name("authority"))
    .public_key(AUTHORITY_KEY.public_key())
    .serial_number(1)
    .not_valid_before(NOW - _YEAR)
    .not_valid_after(NOW + _YEAR)
    .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    .sign(AUTHORITY_KEY, None)
)
TRUST = TrustStore([AUTHORITY], ())


def signing_key(role: Role, name: str, *stations: str) -> SigningKey:
    """A key with its certificate."""
    names = [x509.UniformResourceIdentifier(uri) for uri in uris(role, name, stations)]
    private = private_key(name)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(AUTHORITY.subject)
        .public_key(private.public_key())
        .serial_number(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]) | 1)
        .not_valid_before(NOW - _YEAR)
        .not_valid_after(NOW + _YEAR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(AUTHORITY_KEY, None)
    )
    return SigningKey(private, parse_certificate(certificate.public_bytes(serialization.Encoding.DER)))


HQ = signing_key(Role.HQ, "hq")
PLANT = signing_key(Role.PLANT, "plant-1")
DISPATCHER = signing_key(Role.DISPATCHER, "li", "desk-1")
OPERATOR = signing_key(Role.OPERATOR, "wang", "plant-1")
SIGNERS = (DISPATCHER, HQ, PLANT, OPERATOR)

CONTENT = Content(
    type=OrderType.PERMITTED_OPERATION,
    desk="desk-1",
    plant="plant-1",
    ticket=Ticket(number="2026-17", title="线路停电", steps=(Step(device="断路器 201", action="断开"),)),
    valid_until_ms=NOW_MS + 3_600_000,
)
_WAY: Sequence[tuple[Input, SigningKey]] = (
    (Input.ISSUE, DISPATCHER),
    (Input.ACCEPT, HQ),
    (Input.DELIVER, PLANT),
    (Input.READ_BACK, OPERATOR),
    (Input.CONFIRM, DISPATCHER),
    (Input.BEGIN, OPERATOR),
    (Input.COMPLETE, OPERATOR),
    (Input.CLOSE, HQ),
)


def _details(record: OrderRecord, given: Input) -> dict[str, object]:
    if given is Input.ISSUE:
        return {"challenge": bytes(16), "reason": ""}
    if given is Input.READ_BACK:
        return {"content_hash": record.content_hash, "words": "断开 201"}
    return {"reason": "done"} if given is Input.COMPLETE else {}


def whole_order() -> tuple[tuple[VerifiedEvent, ...], tuple[OrderRecord, ...]]:
    """The events of one order from draft to close, and its record after each."""
    first = draft("o-1", CONTENT, DISPATCHER, deployment=DEPLOYMENT, at_ms=NOW_MS, session=bytes(16))
    events, records = [first], [apply(None, first)]
    for given, key in _WAY:
        session = b"" if key.certificate.is_node else bytes(16)
        event = follow(
            records[-1],
            given,
            key,
            deployment=DEPLOYMENT,
            at_ms=NOW_MS,
            session=session,
            **_details(records[-1], given),
        )
        events.append(event)
        records.append(apply(records[-1], event))
    return tuple(events), tuple(records)


EVENTS, RECORDS = whole_order()
