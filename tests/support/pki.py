"""A throw-away authority with the nodes and people that tests need."""

from datetime import UTC, datetime

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatch_server import pki
from protocol.keys import Role, SigningKey, TrustStore, parse_certificate

DEPLOYMENT = "test-grid"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


class TestAuthority:
    """Makes keys with certificates; `trust` believes them."""

    __test__ = False

    def __init__(self) -> None:
        self.authority = pki.create_authority(DEPLOYMENT, NOW, days=365)

    def key(self, role: Role, name: str, *stations: str, now: datetime = NOW, days: float = 30) -> SigningKey:
        private = Ed25519PrivateKey.generate()
        certificate = pki.issue(
            self.authority, private.public_key(), role, name, stations=stations, now=now, days=days
        )
        der = certificate.public_bytes(serialization.Encoding.DER)
        return SigningKey(private, parse_certificate(der))

    def trust(self, *revoked: SigningKey, at: datetime = NOW) -> TrustStore:
        rows = [pki.Revocation(key.certificate.serial, at) for key in revoked]
        return TrustStore(
            [self.authority.certificate], [pki.revocation_list(self.authority, rows, NOW, days=30)]
        )
