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
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocol.errors import KeyRefused
from protocol.models import NAME
from protocol.revocations import Anchors, Revocations, milliseconds, utc

_CACHE = 32_768  # certificates whose chain was checked: more than a deployment has nodes and people
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
        not_before_ms=milliseconds(parsed.not_valid_before_utc),
        not_after_ms=milliseconds(parsed.not_valid_after_utc),
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


class TrustStore:
    """Which certificates count: issued by one of our authorities, within their time, not revoked.

    All who ask share one store, so what is revoked or renewed while a program runs holds everywhere at once.
    """

    def __init__(
        self, authorities: Sequence[x509.Certificate], revocations: Sequence[x509.CertificateRevocationList]
    ) -> None:
        self.anchors = Anchors.of(authorities, revocations)
        self._revoked = self.anchors.revoked()
        self._checked: dict[bytes, tuple[Certificate, int]] = {}  # DER -> holder, end of its authority (ms)
        self._history: TrustStore | None = None

    @classmethod
    def of(cls, anchors: Anchors) -> "TrustStore":
        """A store that hangs on these."""
        store = cls(anchors.authorities, ())
        store.renew(anchors)
        return store

    @classmethod
    def from_pem(cls, authorities: bytes, revocations: bytes | None = None) -> "TrustStore":
        """Read PEM texts. Raises KeyRefused."""
        return cls.of(Anchors.from_pem(authorities, revocations))

    def for_history(self) -> "TrustStore":
        """The same authorities without revocations: for what was admitted when it was signed.

        It goes on believing an authority that is taken away while the program runs.
        """
        if self._history is None:
            self._history = TrustStore(self.anchors.authorities, ())
        return self._history

    @property
    def revocations(self) -> tuple[Revocations, ...]:
        """The lists in force, one for each authority that has one."""
        return tuple(self.anchors.lists.values())

    @property
    def holders(self) -> list[Certificate]:
        """Whose certificates this program has met and found to be of our authorities, also in its history."""
        own = [holder for holder, _ in self._checked.values()]
        return own + self._history.holders if self._history else own

    def revoked_holders(self) -> dict[Certificate, int]:
        """Those of them who are revoked, and since when (ms)."""
        return {each: self._revoked[each.serial] for each in self.holders if each.serial in self._revoked}

    def renew(self, anchors: Anchors) -> None:
        """Hang on other anchors from now on.

        Raises KeyRefused, and changes nothing, when a revocation list is older than ours or is missing.
        """
        anchors.check_follows(self.anchors)
        if set(self.anchors.authorities) - set(anchors.authorities):
            self._checked.clear()
        self.anchors, self._revoked = anchors, anchors.revoked()
        if self._history:
            both = dict.fromkeys((*self._history.anchors.authorities, *anchors.authorities))
            self._history.renew(Anchors(tuple(both)))

    def identify(self, der: bytes, at_ms: int) -> Certificate:
        """The holder of a certificate that counts at wall-clock `at_ms`. Raises KeyRefused."""
        certificate, authority_until_ms = self._checked.get(der) or self._check_issuer(der)
        _check_time(certificate, at_ms)
        if at_ms > authority_until_ms:  # its authority may have been renewed since that was looked up
            _, authority_until_ms = self._check_issuer(der)
        if at_ms > authority_until_ms:
            ended = f"its authority's certificate ended at {utc(authority_until_ms)}"
            raise KeyRefused(
                certificate.name, f"the certificate is not valid at this time, {utc(at_ms)}: {ended}"
            )
        if at_ms >= self._revoked.get(certificate.serial, at_ms + 1):
            raise KeyRefused(certificate.name, "the certificate is revoked")
        return certificate

    def _check_issuer(self, der: bytes) -> tuple[Certificate, int]:
        certificate = parse_certificate(der)
        parsed = x509.load_der_x509_certificate(der)
        ends = [
            milliseconds(authority.not_valid_after_utc)
            for authority in self.anchors.authorities
            if _is_issued_by(parsed, authority)
        ]
        if not ends:
            raise KeyRefused(certificate.name, "the certificate is not issued by this deployment's authority")
        while len(self._checked) >= _CACHE:
            del self._checked[next(iter(self._checked))]
        # An authority that was renewed with its key stands there twice, and what it issued lives on.
        self._checked[der] = certificate, max(ends)
        return self._checked[der]

    def verify(self, der: bytes, domain: bytes, data: bytes, signature: bytes, at_ms: int) -> Certificate:
        """The holder who signed `domain ‖ data`. Raises KeyRefused."""
        certificate = self.identify(der, at_ms)
        verify_signature(certificate, domain, data, signature)
        return certificate


def _is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _check_time(certificate: Certificate, at_ms: int) -> None:
    """Names both times: two machines whose clocks differ look like a certificate that does not count."""
    if at_ms < certificate.not_before_ms:
        why = f"it begins at {utc(certificate.not_before_ms)}: check the clocks"
    elif at_ms > certificate.not_after_ms:
        why = f"it ended at {utc(certificate.not_after_ms)}: renew it, or check the clocks"
    else:
        return
    raise KeyRefused(certificate.name, f"the certificate is not valid at this time, {utc(at_ms)}: {why}")


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
    except (*_UNREADABLE, TypeError, InternalError) as error:
        raise KeyRefused("key file", f"PEM cannot be read ({error})") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyRefused("key file", "the key is not Ed25519")
    return SigningKey(private, parse_certificate(certificate.public_bytes(serialization.Encoding.DER)))
