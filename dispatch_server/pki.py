"""The deployment's own certificate authority: nodes, people, revocation (RFC 5280, RFC 8410).

Meant for a machine that is not on the network. Everything is Ed25519; nothing here reads a clock or a
file: the command line (cli/authority.py) does.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocol.errors import KeyRefused
from protocol.keys import NODE_ROLES, Role, uris

_BACKDATE = timedelta(minutes=5)  # other machines' clocks may be a little behind
_TLS_USES = {
    Role.HQ: (ExtendedKeyUsageOID.CLIENT_AUTH,),  # the side that dials is the TLS client
    Role.CENTER: (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH),
    Role.DESK: (ExtendedKeyUsageOID.SERVER_AUTH,),
    Role.PLANT: (ExtendedKeyUsageOID.SERVER_AUTH,),
}


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority's certificate and private key."""

    certificate: x509.Certificate
    key: Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Revocation:
    """One revoked certificate."""

    serial: int
    at: datetime


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def create_authority(deployment: str, now: datetime, days: int) -> Authority:
    """A new self-signed authority for a deployment, valid for `days`."""
    key = Ed25519PrivateKey.generate()
    name = _name(f"{deployment} dispatch authority")
    public = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, None)
    )
    return Authority(certificate, key)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def issue(
    authority: Authority,
    public_key: Ed25519PublicKey,
    role: Role,
    name: str,
    *,
    stations: Iterable[str] = (),
    now: datetime,
    days: float,
) -> x509.Certificate:
    """A certificate for a node or a person. `stations`: the desks or plants where a person works.

    Raises KeyRefused for a person without a station.
    """
    stations = tuple(stations)
    if role not in NODE_ROLES and not stations:
        raise KeyRefused(name, "a person needs at least one station (a desk or a plant)")
    uses = _TLS_USES.get(role, (ExtendedKeyUsageOID.CODE_SIGNING,))  # people sign, they open no TLS
    alternatives = [x509.UniformResourceIdentifier(uri) for uri in uris(role, name, stations)]
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(authority.certificate.subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
        .sign(authority.key, None)
    )


def revocation_list(
    authority: Authority, revoked: Iterable[Revocation], now: datetime, days: int, *, after: int = 0
) -> x509.CertificateRevocationList:
    """A list of everything that is revoked so far. `after`: the number of the list before it.

    Numbers are Unix ms: they grow even when the list before was lost, or two are made in one second.
    """
    number = max(after + 1, int(now.timestamp() * 1000))
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - _BACKDATE)
        .next_update(now + timedelta(days=days))
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for entry in revoked:
        row = x509.RevokedCertificateBuilder().serial_number(entry.serial).revocation_date(entry.at)
        builder = builder.add_revoked_certificate(row.build())
    return builder.sign(authority.key, None)


def read_request(pem: bytes, holder: str | None = None) -> Ed25519PublicKey:
    """The public key of a certificate signing request that its holder made. Raises KeyRefused.

    `holder`: whose it must be by its own words, so that two people's files cannot be mixed up.
    """
    try:
        request = x509.load_pem_x509_csr(pem)
    except ValueError as error:
        raise KeyRefused("certificate request", f"PEM cannot be read ({error})") from None
    key = request.public_key()
    if not isinstance(key, Ed25519PublicKey) or not request.is_signature_valid:
        raise KeyRefused("certificate request", "it must carry an Ed25519 key and be signed by it")
    if holder is not None and request.subject != _name(holder):
        raise KeyRefused("certificate request", f"it is not {holder}'s: it names {_common_name(request)!a}")
    return key


def _common_name(request: x509.CertificateSigningRequest) -> str:
    found = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value)[:64] if found else ""


def private_pem(key: Ed25519PrivateKey, passphrase: bytes | None = None) -> bytes:
    """PKCS #8 PEM, encrypted when a passphrase is given."""
    how = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)


def certificate_pem(certificate: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    """PEM text."""
    return certificate.public_bytes(serialization.Encoding.PEM)
