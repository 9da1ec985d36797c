"""Certificates of every kind, also such as an authority would never give out."""

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatch_server import pki
from dispatch_server.demo.deployment import DEPLOYMENT, write_private
from protocol.keys import Role, SigningKey, load_signing_key
from tests.system.grid import Grid


@dataclass(frozen=True, slots=True)
class Credentials:
    """A certificate with its key, and the authority that its holder trusts."""

    certificate: Path
    key: Path
    authority: Path

    def context(self, side: "ssl._SSLMethod") -> ssl.SSLContext:
        """TLS as a program of the deployment would speak it, but the peer's certificate is not looked at."""
        context = ssl.SSLContext(side)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE if side is ssl.PROTOCOL_TLS_CLIENT else ssl.CERT_REQUIRED
        context.load_verify_locations(cafile=self.authority)
        context.load_cert_chain(self.certificate, self.key)
        return context

    @property
    def signing_key(self) -> SigningKey:
        """The same for what is signed."""
        return load_signing_key(self.key.read_bytes(), self.certificate.read_bytes())


def of_node(grid: Grid, name: str) -> Credentials:
    """What a node of the deployment really holds."""
    folder = grid.nodes[name].folder
    return Credentials(folder / "node.crt", folder / "node.key", grid.deployment.authority)


class Issuer:
    """Issues with the deployment's authority, or with a stranger's that calls itself the same."""

    def __init__(self, grid: Grid, folder: Path) -> None:
        self._grid = grid
        self._folder = folder
        self._foreign = pki.create_authority(DEPLOYMENT, datetime.now(UTC), days=1)

    def issue(
        self, role: Role, name: str, *stations: str, foreign: bool = False, age_days: int = 0
    ) -> Credentials:
        """A certificate that was valid for a day, made `age_days` ago."""
        authority = self._foreign if foreign else self._grid.authority
        made = datetime.now(UTC) - timedelta(days=age_days)
        private = Ed25519PrivateKey.generate()
        certificate = pki.issue(
            authority, private.public_key(), role, name, stations=stations, now=made, days=1
        )
        place = self._folder / f"{name}-{certificate.serial_number:x}"
        write_private(place.with_suffix(".key"), pki.private_pem(private))
        place.with_suffix(".crt").write_bytes(pki.certificate_pem(certificate))
        return Credentials(
            place.with_suffix(".crt"), place.with_suffix(".key"), self._grid.deployment.authority
        )

    def revoke(self, *certificates: Path) -> None:
        """Publish a list of these alone; programs that run take it within seconds."""
        now = datetime.now(UTC)
        serials = [x509.load_pem_x509_certificate(path.read_bytes()).serial_number for path in certificates]
        rows = [pki.Revocation(serial, now) for serial in serials]
        revocations = pki.revocation_list(self._grid.authority, rows, now, days=1)
        self._grid.deployment.revocations.write_bytes(pki.certificate_pem(revocations))
