"""Throw-away certificates for both ends of a measured link.

ECDSA on P-256, since gRPC's BoringSSL refuses Ed25519 unless it is built otherwise; the same for every peer,
so that no handshake is cheaper than another's.
"""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True)
class Side:
    """The files of one end; the authority's is the same for both."""

    authority: Path
    certificate: Path
    key: Path

    def context(self, protocol: int) -> ssl.SSLContext:
        """TLS 1.3 with certificates on both sides."""
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cafile=self.authority)
        context.load_cert_chain(self.certificate, self.key)
        return context


def side(folder: Path, name: str) -> Side:
    """Where the files of "poller" or "responder" lie in the folder."""
    return Side(folder / "authority.pem", folder / f"{name}.pem", folder / f"{name}.key")


def make(folder: Path) -> None:
    """Write authority, poller and responder into the folder."""
    key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("authority", key.public_key(), "authority", key, ca=True)
    (folder / "authority.pem").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    for name in ("poller", "responder"):
        own = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, own.public_key(), "authority", key, ca=False)
        files = side(folder, name)
        files.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        files.key.touch(mode=0o600)
        files.key.write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def _certificate(
    name: str, key: ec.EllipticCurvePublicKey, issuer: str, signer: ec.EllipticCurvePrivateKey, *, ca: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    addresses = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .sign(signer, hashes.SHA256())
    )
