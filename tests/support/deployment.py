"""Key files of a node as they lie on its disk, valid at the real time."""

from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatch_server import pki
from protocol.keys import Role


def write_keys(
    folder: Path, role: Role, name: str, *, days: float = 90, authority: pki.Authority | None = None
) -> pki.Authority:
    """authority.crt, node.crt and node.key; gives the authority that signed them."""
    now = datetime.now(UTC)
    authority = authority or pki.create_authority("test-grid", now, 365)
    key = Ed25519PrivateKey.generate()
    certificate = pki.issue(authority, key.public_key(), role, name, now=now, days=days)
    (folder / "authority.crt").write_bytes(pki.certificate_pem(authority.certificate))
    (folder / "node.crt").write_bytes(pki.certificate_pem(certificate))
    (folder / "node.key").touch(0o600)
    (folder / "node.key").write_bytes(pki.private_pem(key))
    return authority
