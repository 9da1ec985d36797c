"""A person's signing key at rest: made on the desk, kept under the person's password, never leaving it.

Argon2id (RFC 9106) makes the wrapping key, AES-256-GCM wraps the 32 bytes of the Ed25519 key.
"""

import json
import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.x509.oid import NameOID
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from typing_extensions import override

from protocol.errors import DispatchError
from protocol.keys import SigningKey, parse_certificate

_AAD = b"dispatch person key 1"
_MAX_FILE = 4_096


class KeyFileError(DispatchError):
    """A person's key cannot be used. The text tells the person what to do."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    @override
    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class WrappingCost:
    """Argon2id's cost: memory in KiB, passes, lanes (RFC 9106 §4, second recommendation)."""

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 1


class _KeyFile(BaseModel):
    """The file's JSON; bytes are hexadecimal. Limits keep a planted file from costing us memory."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)

    format: Literal["dispatch person key 1"]
    memory_kib: Annotated[int, Field(ge=8, le=1 << 20)]
    iterations: Annotated[int, Field(ge=1, le=16)]
    lanes: Annotated[int, Field(ge=1, le=8)]
    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    nonce: Annotated[str, Field(pattern=r"^[0-9a-f]{24}$")]
    wrapped: Annotated[str, Field(pattern=r"^[0-9a-f]{96}$")]


def _wrapping_key(password: str, salt: bytes, cost: WrappingCost) -> AESGCM:
    kdf = Argon2id(
        salt=salt, length=32, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory_kib
    )
    # NFKC as at the server: one input method must not open what another cannot.
    return AESGCM(kdf.derive(unicodedata.normalize("NFKC", password).encode()))


def _wrap(private: bytes, password: str, random: Callable[[int], bytes], cost: WrappingCost) -> str:
    salt, nonce = random(16), random(12)
    wrapped = _wrapping_key(password, salt, cost).encrypt(nonce, private, _AAD)
    content = _KeyFile(
        format="dispatch person key 1",
        memory_kib=cost.memory_kib,
        iterations=cost.iterations,
        lanes=cost.lanes,
        salt=salt.hex(),
        nonce=nonce.hex(),
        wrapped=wrapped.hex(),
    )
    return content.model_dump_json(indent=1)


def _unwrap(path: Path, password: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = _KeyFile.model_validate(json.loads(file.read(_MAX_FILE)))
    except FileNotFoundError:
        raise _missing(path) from None
    except (OSError, ValueError, ValidationError, RecursionError):
        raise KeyFileError(path, "it cannot be read") from None
    cost = WrappingCost(content.memory_kib, content.iterations, content.lanes)
    wrapping = _wrapping_key(password, bytes.fromhex(content.salt), cost)
    try:
        return wrapping.decrypt(bytes.fromhex(content.nonce), bytes.fromhex(content.wrapped), _AAD)
    except InvalidTag:
        raise KeyFileError(path, "the password does not open it") from None


def _missing(path: Path) -> KeyFileError:
    return KeyFileError(path, "it is not on this machine: make a key or bring the certificate")


def _write_new(path: Path, text: str) -> None:
    """A new file for its owner alone, on the disk when this returns. Raises FileExistsError."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def create_key(
    person: str, password: str, folder: Path, random: Callable[[int], bytes], cost: WrappingCost
) -> Path:
    """Make a key and its certificate request: `<person>.key` (mode 0600) and `<person>.csr`.

    Gives the request's path. Raises KeyFileError when a key is there already.
    """
    private = Ed25519PrivateKey.generate()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{person}.key"
    try:
        _write_new(path, _wrap(private.private_bytes_raw(), password, random, cost))
    except FileExistsError:
        raise KeyFileError(
            path, "there is a key already; move it away first if it must be replaced"
        ) from None
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, person)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(private, None)
    request_path = folder / f"{person}.csr"
    request_path.write_bytes(request.public_bytes(serialization.Encoding.PEM))
    return request_path


def change_password(
    person: str, folder: Path, *, old: str, new: str, random: Callable[[int], bytes], cost: WrappingCost
) -> None:
    """Put `<person>.key` under a new password. Raises KeyFileError and then leaves the old file."""
    path = folder / f"{person}.key"
    text = _wrap(_unwrap(path, old), new, random, cost)
    beside = folder / f".{person}.key.new"
    beside.unlink(missing_ok=True)
    _write_new(beside, text)
    beside.replace(path)


def unlock_key(person: str, password: str, folder: Path) -> SigningKey:
    """Open `<person>.key` with `<person>.crt`. Slow on purpose. Raises KeyFileError, KeyRefused."""
    certificate_path = folder / f"{person}.crt"
    private = _unwrap(folder / f"{person}.key", password)
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    except FileNotFoundError:
        raise _missing(certificate_path) from None
    except (OSError, ValueError):
        raise KeyFileError(certificate_path, "it cannot be read") from None
    der = certificate.public_bytes(serialization.Encoding.DER)
    return SigningKey(Ed25519PrivateKey.from_private_bytes(private), parse_certificate(der))
