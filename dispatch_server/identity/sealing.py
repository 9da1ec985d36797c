"""The key file and what it protects: enrolments are sealed with AES-256-GCM before they are stored."""

import hashlib
import hmac
import os
import stat
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from dispatch_server.identity.errors import FileExposed, SealBroken, StoreRefused

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12


class Sealer:
    """Seals enrolments under one 32-byte key, each bound to its person and kind."""

    __slots__ = ("_aead", "_decoy_key")

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise StoreRefused(f"the identity key must have {KEY_BYTES} bytes, not {len(key)}")
        self._aead = AESGCM(_subkey(key, b"dispatch identity seal v1"))
        self._decoy_key = _subkey(key, b"dispatch identity decoy v1")

    def seal(self, person: str, kind: str, blob: bytes, nonce: bytes) -> bytes:
        """nonce (12 fresh random bytes) followed by the AES-GCM output."""
        if len(nonce) != NONCE_BYTES:
            raise ValueError(f"nonce must have {NONCE_BYTES} bytes")
        return nonce + self._aead.encrypt(nonce, blob, _associated(person, kind))

    def open(self, person: str, kind: str, sealed: bytes) -> bytes:
        """Raises SealBroken."""
        try:
            return self._aead.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _associated(person, kind))
        except (InvalidTag, ValueError):
            raise SealBroken(person, kind) from None

    def decoy_seed(self, person: str, kind: str) -> bytes:
        """32 secret bytes, the same each time, for the decoy enrolment of a person who has none."""
        return hmac.digest(self._decoy_key, _associated(person, kind), hashlib.sha256)

    def pseudonym(self, person: str) -> str:
        """How the audit log names an id that belongs to nobody: people type passwords into name fields."""
        tag = hmac.digest(self._decoy_key, b"\0" + person.encode(errors="replace"), hashlib.sha256)
        return f"?{tag[:6].hex()}"


def create_key_file(path: Path, key: bytes) -> None:
    """Write a new key file with mode 0600. Raises FileExistsError rather than overwrite one."""
    if len(key) != KEY_BYTES:
        raise StoreRefused(f"the identity key must have {KEY_BYTES} bytes, not {len(key)}")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())


def read_key_file(path: Path) -> bytes:
    """The 32 bytes of the key file. Raises StoreRefused, or FileExposed when others may read it."""
    try:
        with path.open("rb") as file:
            require_private(path, os.fstat(file.fileno()))
            key = file.read(KEY_BYTES + 1)
    except OSError as error:
        raise StoreRefused(
            f"{path} cannot be read ({error.strerror}): for a new server run dispatch-server user init"
        ) from None
    if len(key) != KEY_BYTES:
        raise StoreRefused(f"{path} is not an identity key: it must hold exactly {KEY_BYTES} bytes")
    return key


def require_private(path: Path, status: os.stat_result) -> None:
    """Raises FileExposed when group or others have any right on the file."""
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise FileExposed(str(path), mode)


def _subkey(key: bytes, label: bytes) -> bytes:
    return HKDFExpand(SHA256(), 32, label).derive(key)


def _associated(person: str, kind: str) -> bytes:
    return b"".join(len(part).to_bytes(2) + part for part in (person.encode(), kind.encode()))
