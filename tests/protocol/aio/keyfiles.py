"""Key files of two deployments, valid at the real time, and TLS contexts made of them."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatch_server import pki
from protocol.aio.tls import tls_context
from protocol.keys import NODE_ROLES, Role
from protocol.settings import KeySettings

SERVER, CLIENT = ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT


class KeyRoom:
    """A folder for each holder, with authority.crt, node.crt and node.key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = datetime.now(UTC)
        self.authorities = {
            name: pki.create_authority("test-grid", self.now, 365) for name in ("ours", "theirs")
        }

    def make(
        self,
        holder: str,
        role: Role,
        name: str,
        *,
        authority: str = "ours",
        trusts: str = "ours",
        age: timedelta = timedelta(),
        days: float = 90,
    ) -> Path:
        """A holder's folder. `age`: how long ago the certificate was made."""
        place = self.folder / holder
        if place.exists():
            return place
        place.mkdir()
        private = Ed25519PrivateKey.generate()
        certificate = pki.issue(
            self.authorities[authority],
            private.public_key(),
            role,
            name,
            stations=() if role in NODE_ROLES else ("plant-1",),
            now=self.now - age,
            days=days,
        )
        (place / "authority.crt").write_bytes(pki.certificate_pem(self.authorities[trusts].certificate))
        (place / "node.crt").write_bytes(pki.certificate_pem(certificate))
        (place / "node.key").touch(0o600)
        (place / "node.key").write_bytes(pki.private_pem(private))
        return place

    def hq(self) -> Path:
        """The superior's folder."""
        return self.make("hq", Role.HQ, "hq")

    def plant(self) -> Path:
        """The folder of the plant that listens."""
        return self.make("plant", Role.PLANT, "plant-1")


def settings_of(place: Path) -> KeySettings:
    """The configuration that names a holder's files."""
    return KeySettings(
        authority=place / "authority.crt", certificate=place / "node.crt", key=place / "node.key"
    )


def context_of(side: ssl._SSLMethod, place: Path) -> ssl.SSLContext:
    """A holder's TLS context."""
    return tls_context(side, place / "authority.crt", place / "node.crt", place / "node.key")


def der_of(place: Path) -> bytes:
    """A holder's certificate."""
    return ssl.PEM_cert_to_DER_cert((place / "node.crt").read_text())
