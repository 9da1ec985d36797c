"""Certificates of nodes and people, and what they sign.

One authority per deployment signs X.509 certificates over Ed25519 keys (RFC 5280, RFC 8410). A name
stands in the subject alternative names as URIs: `dispatch:node:<role>:<name>` or
`dispatch:person:<role>:<name>` with one `dispatch:station:<node>` per node where the person works.
This module decides trust; it reads no files and knows no time but the one passed in.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.errors import KeyRefused
from protocol.models import NAME

_CACHE = 4_096  # certificates whose chain was checked; a deployment has hundreds
_UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.UnsupportedGeneralNameType,
)


class Role(StrEnum):
    """What a certificate's holder is."""

    HQ = "hq"
    CENTER = "center"
    DESK = "desk"
    PLANT = "plant"
    DISPATCHER = "dispatcher"
    SUPERVISOR = "supervisor"
    OPERATOR = "operator"


NODE_ROLES = frozenset({Role.HQ, Role.CENTER, Role.DESK, Role.PLANT})
PERSON_ROLES = frozenset(Role) - NODE_ROLES


@dataclass(frozen=True, slots=True)
class Certificate:
    """A parsed certificate of this deployment's form. Parsing alone proves nothing: see TrustStore."""

    role: Role
    name: str
    stations: frozenset[str]
    fingerprint: bytes
    serial: int
    not_before_ms: int
    not_after_ms: int
    public_key: Ed25519PublicKey = field(repr=False, compare=False)
    der: bytes = field(repr=False)

    @property
    def is_node(self) -> bool:
        """Whether this names a node and not a person."""
        return self.role in NODE_ROLES


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def uris(role: Role, name: str, stations: Iterable[str] = ()) -> list[str]:
    """The subject alternative names of a certificate, as parsed by `parse_certificate`."""
    kind = "node" if role in NODE_ROLES else "person"
    return [f"dispatch:{kind}:{role.value}:{name}", *(f"dispatch:station:{s}" for s in sorted(stations))]


def _read_names(found: Sequence[str]) -> tuple[Role, str, frozenset[str]]:
    holders = [uri.split(":") for uri in found if uri.startswith(("dispatch:node:", "dispatch:person:"))]
    stations = frozenset(uri.removeprefix("dispatch:station:") for uri in found if ":station:" in uri)
    if len(holders) != 1 or len(holders[0]) != 4:
        raise ValueError("exactly one dispatch:node or dispatch:person name is needed")
    _, kind, role_text, name = holders[0]
    role = Role(role_text)
    if (kind == "node") != (role in NODE_ROLES):
        raise ValueError(f"role '{role_text}' does not go with '{kind}'")
    if not all(re.fullmatch(NAME, part) for part in (name, *stations)):
        raise ValueError("a name is 1 to 32 lower-case letters, digits and hyphens")
    return role, name, stations


def parse_certificate(der: bytes) -> Certificate:
    """Read a certificate of this deployment's form. Raises KeyRefused."""
    try:
        parsed = x509.load_der_x509_certificate(der)
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        role, name, stations = _read_names(names.get_values_for_type(x509.UniformResourceIdentifier))
        key = parsed.public_key()
    except _UNREADABLE as error:
        # Anybody may have written this certificate: what it says must not flood or forge lines of a log.
        reason = f"not of this deployment's form ({str(error)[:100]!a})"
        raise KeyRefused("certificate", reason) from None
    if not isinstance(key, Ed25519PublicKey):
        raise KeyRefused(name, "the key is not Ed25519")
    return Certificate(
        role=role,
        name=name,
        stations=stations,
        fingerprint=hashlib.sha256(der).digest(),
        serial=parsed.serial_number,
        not_before_ms=_milliseconds(parsed.not_valid_before_utc),
        not_after_ms=_milliseconds(parsed.not_valid_after_utc),
        public_key=key,
        der=der,
    )


class SigningKey:
    """A private key with its certificate."""

    def __init__(self, private: Ed25519PrivateKey, certificate: Certificate) -> None:
        if private.public_key() != certificate.public_key:
            raise KeyRefused(certificate.name, "the private key does not belong to the certificate")
        self._private = private
        self.certificate = certificate

    def sign(self, domain: bytes, data: bytes) -> bytes:
        """Sign `domain ‖ data`, 64 bytes. A domain keeps one kind of signature from serving as another."""
        return self._private.sign(domain + data)


def _blocks(pem: bytes) -> list[bytes]:
    begin = b"-----BEGIN"
    blocks = [begin + block for block in pem.split(begin)[1:]]
    return blocks or [pem]  # without any: let the parser say so


class TrustStore:
    """Which certificates count: issued by one of our authorities, within their time, not revoked."""

    def __init__(
        self, authorities: Sequence[x509.Certificate], revocations: Sequence[x509.CertificateRevocationList]
    ) -> None:
        if not authorities:
            raise KeyRefused("trust store", "no authority certificate is configured")
        self._authorities = tuple(authorities)
        self._revoked: dict[int, int] = {}
        for revocation_list in revocations:
            self._add_revocations(revocation_list)
        self._checked: dict[bytes, Certificate] = {}

    @classmethod
    def from_pem(cls, authorities: bytes, revocations: bytes | None = None) -> "TrustStore":
        """Read PEM texts. Raises KeyRefused."""
        try:
            issuers = x509.load_pem_x509_certificates(authorities)
            lists = [x509.load_pem_x509_crl(block) for block in _blocks(revocations)] if revocations else []
        except ValueError as error:
            raise KeyRefused("trust store", f"PEM cannot be read ({error})") from None
        return cls(issuers, lists)

    def for_history(self) -> "TrustStore":
        """The same authorities without revocations: for what was admitted when it was signed."""
        return TrustStore(self._authorities, ())

    def _add_revocations(self, revocation_list: x509.CertificateRevocationList) -> None:
        keys = [authority.public_key() for authority in self._authorities]
        if not any(isinstance(k, Ed25519PublicKey) and revocation_list.is_signature_valid(k) for k in keys):
            raise KeyRefused("revocation list", "it is not signed by an authority of this deployment")
        for entry in revocation_list:
            self._revoked[entry.serial_number] = _milliseconds(entry.revocation_date_utc)

    def identify(self, der: bytes, at_ms: int) -> Certificate:
        """The holder of a certificate that counts at wall-clock `at_ms`. Raises KeyRefused."""
        certificate = self._checked.get(der) or self._check_issuer(der)
        if not certificate.not_before_ms <= at_ms <= certificate.not_after_ms:
            raise KeyRefused(certificate.name, "the certificate is not valid at this time")
        if at_ms >= self._revoked.get(certificate.serial, at_ms + 1):
            raise KeyRefused(certificate.name, "the certificate is revoked")
        return certificate

    def _check_issuer(self, der: bytes) -> Certificate:
        certificate = parse_certificate(der)
        parsed = x509.load_der_x509_certificate(der)
        for authority in self._authorities:
            try:
                parsed.verify_directly_issued_by(authority)
            except (ValueError, TypeError, InvalidSignature):
                continue
            if len(self._checked) >= _CACHE:
                self._checked.clear()
            self._checked[der] = certificate
            return certificate
        raise KeyRefused(certificate.name, "the certificate is not issued by this deployment's authority")

    def verify(self, der: bytes, domain: bytes, data: bytes, signature: bytes, at_ms: int) -> Certificate:
        """The holder who signed `domain ‖ data`. Raises KeyRefused."""
        certificate = self.identify(der, at_ms)
        verify_signature(certificate, domain, data, signature)
        return certificate


def verify_signature(certificate: Certificate, domain: bytes, data: bytes, signature: bytes) -> None:
    """Raises KeyRefused unless the holder's key signed `domain ‖ data`."""
    try:
        certificate.public_key.verify(signature, domain + data)
    except InvalidSignature:
        raise KeyRefused(certificate.name, "the signature does not hold") from None


def load_signing_key(key_pem: bytes, certificate_pem: bytes) -> SigningKey:
    """A node's key pair from PEM texts. Raises KeyRefused."""
    try:
        private = serialization.load_pem_private_key(key_pem, password=None)
        certificate = x509.load_pem_x509_certificate(certificate_pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyRefused("key file", f"PEM cannot be read ({error})") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyRefused("key file", "the key is not Ed25519")
    return SigningKey(private, parse_certificate(certificate.public_bytes(serialization.Encoding.DER)))
