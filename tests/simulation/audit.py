"""A second opinion on a ledger that shares no rule with the product: its own decoding, hashing, signatures,
and a list by hand of who may sign what. It knows no states; it asks what must have come before what.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgpack
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_DOMAIN = b"dispatch order event 1\x00"
_OFF_CHAIN = {"no-answer", "recall", "lose", "find"}
_BY_HQ = {"ask-approval", "accept", "reject", "no-answer", "close", "lose", "find"}
_BY_SUPERVISOR = {"approve", "decline"}
_BY_DESK = {"draft", "issue", "confirm", "reissue", "cancel", "recall", "settle"}
_BY_OPERATOR = {"read-back", "begin", "complete", "fail", "refuse"}
_BY_PLANT = {"deliver", "recalled"}
_LAST = {"reject", "decline", "refuse", "cancel", "recalled", "expire", "settle", "close"}
# What must stand right before these on the chain.
_DIRECTLY_BEFORE = {
    "ask-approval": {"issue", "reissue"},
    "approve": {"ask-approval"},
    "decline": {"ask-approval"},
    "accept": {"issue", "reissue", "approve"},
    "reject": {"issue", "reissue", "approve"},
    "deliver": {"accept"},
    "read-back": {"deliver"},
    "confirm": {"read-back"},
    "reissue": {"read-back"},
    "begin": {"confirm"},
    "recalled": {"confirm"},
    "complete": {"begin"},
    "fail": {"begin"},
    "close": {"complete"},
    "settle": {"fail"},
}


@dataclass(frozen=True, slots=True)
class Line:
    """One event as it was found: its fields, its own hash, who signed it."""

    fields: Mapping[str, Any]
    hash: bytes
    role: str
    name: str
    stations: frozenset[str]
    key: bytes

    @property
    def input(self) -> str:
        """What happened."""
        return str(self.fields["input"])


def read_line(entry: bytes, authority: x509.Certificate) -> Line:
    """Decode an entry's body and check certificate and signature. Raises ValueError, InvalidSignature."""
    outer = msgpack.unpackb(entry)
    certificate = x509.load_der_x509_certificate(outer["certificate"])
    certificate.verify_directly_issued_by(authority)
    key = certificate.public_key()
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidSignature
    key.verify(outer["signature"], _DOMAIN + outer["body"])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    parts = [uri.split(":") for uri in names.get_values_for_type(x509.UniformResourceIdentifier)]
    ((role, name),) = [(part[2], part[3]) for part in parts if part[1] != "station"]
    stations = frozenset(part[2] for part in parts if part[1] == "station")
    digest = hashlib.sha256(_DOMAIN + outer["body"]).digest()
    return Line(msgpack.unpackb(outer["body"]), digest, role, name, stations, key.public_bytes_raw())


def audit(entries: Iterable[bytes], authority: x509.Certificate) -> tuple[dict[str, list[Line]], list[str]]:
    """The lines of each order, and everything that is wrong with them."""
    orders: dict[str, list[Line]] = {}
    wrong: list[str] = []
    for entry in entries:
        try:
            line = read_line(entry, authority)
        except (ValueError, InvalidSignature) as error:
            wrong.append(f"an event that does not verify: {error!r}")
            continue
        orders.setdefault(str(line.fields["order"]), []).append(line)
    for order, lines in orders.items():
        wrong += [f"{order}: {what}" for what in _check(lines)]
    return orders, wrong


def _check(lines: list[Line]) -> Iterable[str]:
    first = lines[0]
    if first.input != "draft" or first.fields["previous"] != bytes(32):
        yield "it does not begin with a draft"
        return
    content = first.fields["content"]
    before = first
    for line in lines[1:]:
        yield from _check_place(before, line)
        yield from _check_content(first, before, line)
        if line.input not in _OFF_CHAIN:
            before = line
    for line in lines:
        if not _may_sign(line, content):
            yield f"{line.role} {line.name} signed {line.input}"
    yield from _check_second_persons(lines)
    if sum(line.input == "begin" for line in lines) > 1:
        yield "it was begun twice"


def _check_second_persons(lines: list[Line]) -> Iterable[str]:
    issuer = lines[0]
    for line in lines:
        if line.input in {"issue", "reissue"}:
            issuer = line
        if line.input in _BY_SUPERVISOR and (line.name == issuer.name or line.key == issuer.key):
            yield f"{line.input} by {line.name}, who issued it"
        if line.input == "decline" and not str(line.fields["reason"]).strip():
            yield "declined without a reason"


def _check_place(before: Line, line: Line) -> Iterable[str]:
    step = line.input not in _OFF_CHAIN
    if line.fields["previous"] != before.hash or line.fields["position"] != before.fields["position"] + step:
        yield f"{line.input} does not continue {before.input}"
    if before.input in _LAST:
        yield f"{line.input} after the end ({before.input})"
    if before.input not in _DIRECTLY_BEFORE.get(line.input, {before.input}):
        yield f"{line.input} right after {before.input}"


def _check_content(first: Line, before: Line, line: Line) -> Iterable[str]:
    valid_until_ms = first.fields["content"]["valid_until_ms"]
    if line.input == "read-back" and line.fields["content_hash"] != first.hash:
        yield "another order was read back"
    timely = {"issue", "reissue", "ask-approval", "approve", "accept", "confirm", "begin"}
    if line.input in timely and line.fields["at_ms"] >= valid_until_ms:
        yield f"{line.input} after its validity"
    if line.input == "expire" and line.fields["at_ms"] < valid_until_ms:
        yield "expired within its validity"
    if line.input == "expire" and (before.input == "confirm") != (line.role == "plant"):
        yield f"expired by {line.role} after {before.input}"


def _may_sign(line: Line, content: Mapping[str, Any]) -> bool:
    if line.input in _BY_DESK:
        return line.role == "dispatcher" and content["desk"] in line.stations
    if line.input in _BY_SUPERVISOR:
        return line.role == "supervisor" and content["desk"] in line.stations
    if line.input in _BY_OPERATOR:
        return line.role == "operator" and content["plant"] in line.stations
    at_plant = line.role == "plant" and line.name == content["plant"]
    if line.input in _BY_PLANT:
        return at_plant
    return line.role == "hq" if line.input in _BY_HQ else at_plant or line.role == "hq"
