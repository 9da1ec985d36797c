"""Passwords: Argon2id (RFC 9106) in PHC strings, rules for new ones after NIST SP 800-63B §3.1.1."""

import base64
import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from dispatch_server.identity.errors import PasswordRefused

MIN_NEW_CHARACTERS: Final = 12
MIN_DIFFERENT_CHARACTERS: Final = 5
MAX_BYTES: Final = 256
SALT_BYTES: Final = 16
HASH_BYTES: Final = 32

_PHC: Final = re.compile(
    r"\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,2}),p=(\d{1,2})\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}", re.ASCII
)
# A stored string is data: it must not be able to make the server allocate without limit.
_MAX_MEMORY_KIB: Final = 1024 * 1024
_MAX_ITERATIONS: Final = 16
_MAX_LANES: Final = 16


@dataclass(frozen=True, slots=True)
class Argon2Parameters:
    """Cost of one hash: KiB of memory, passes, lanes.

    Raises ValueError outside the limits, and below the floor (19 MiB, 2 passes: the least that OWASP
    advises) unless `production=False`, which is for tests and simulations alone.
    """

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 1
    production: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.lanes <= _MAX_LANES or not 1 <= self.iterations <= _MAX_ITERATIONS:
            raise ValueError(f"Argon2 lanes must be 1..{_MAX_LANES}, iterations 1..{_MAX_ITERATIONS}")
        if not 8 * self.lanes <= self.memory_kib <= _MAX_MEMORY_KIB:
            raise ValueError(f"Argon2 memory must be {8 * self.lanes}..{_MAX_MEMORY_KIB} KiB")
        if self.production and (self.memory_kib < 19 * 1024 or self.iterations < 2):
            raise ValueError("Argon2 is too cheap for production: use at least 19456 KiB and 2 passes")

    @property
    def phc(self) -> str:
        return f"$argon2id$v=19$m={self.memory_kib},t={self.iterations},p={self.lanes}$"


def hash_password(password: str, parameters: Argon2Parameters, salt: bytes) -> str:
    """PHC string of `password`. Raises PasswordRefused when it is longer than 256 bytes of UTF-8."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"salt must be {SALT_BYTES} random bytes, not {len(salt)}")
    material = _key_material(password)
    kdf = Argon2id(
        salt=salt,
        length=HASH_BYTES,
        iterations=parameters.iterations,
        lanes=parameters.lanes,
        memory_cost=parameters.memory_kib,
    )
    return kdf.derive_phc_encoded(material)


def verify_password(password: str, stored: str) -> None:
    """Raise PasswordRefused unless `password` is the one that `stored` (PHC) was made from."""
    material = _key_material(password)
    _require_bounded(stored)
    try:
        Argon2id.verify_phc_encoded(material, stored)
    except InvalidKey:
        raise PasswordRefused("password does not match") from None


def is_hashed_with(stored: str, parameters: Argon2Parameters) -> bool:
    return stored.startswith(parameters.phc)


def dummy_hash(parameters: Argon2Parameters, salt: bytes, tag: bytes) -> str:
    """A PHC string that costs as much as a real one and that no password matches (random 32-byte `tag`)."""
    if len(salt) != SALT_BYTES or len(tag) != HASH_BYTES:
        raise ValueError(f"dummy hash needs {SALT_BYTES} and {HASH_BYTES} random bytes")
    return f"{parameters.phc}{_base64(salt)}${_base64(tag)}"


def check_new_password(password: str, *, person: str, blocklist: Collection[str] = ()) -> None:
    """Raise PasswordRefused when a password may not be set.

    `blocklist` holds common or leaked passwords in lower case. Nothing else about the composition is
    asked, as SP 800-63B §3.1.1.2 advises.
    """
    _key_material(password)
    normal = unicodedata.normalize("NFKC", password)
    if len(normal) < MIN_NEW_CHARACTERS:
        raise PasswordRefused(f"a new password needs at least {MIN_NEW_CHARACTERS} characters")
    if len(set(normal)) < MIN_DIFFERENT_CHARACTERS:
        raise PasswordRefused(f"a new password needs {MIN_DIFFERENT_CHARACTERS} different characters")
    # A very short id would be found in any password.
    if len(person) >= 4 and person in normal.casefold():
        raise PasswordRefused("a new password must not contain the person's id")
    if normal.casefold() in blocklist:
        raise PasswordRefused("this password is on the list of common passwords")


def _key_material(password: str) -> bytes:
    try:
        raw = password.encode()
    except UnicodeEncodeError:
        raise PasswordRefused("password is not valid Unicode") from None
    if not 0 < len(raw) <= MAX_BYTES:
        raise PasswordRefused(f"password must have 1 to {MAX_BYTES} bytes")
    # Full-width and half-width input methods must give the same password (SP 800-63B §3.1.1.2).
    return unicodedata.normalize("NFKC", password).encode()


def _require_bounded(stored: str) -> None:
    match = _PHC.fullmatch(stored)
    if match is None:
        raise PasswordRefused("stored hash is malformed: set a new password")
    memory, iterations, lanes = map(int, match.groups())
    try:
        Argon2Parameters(memory, iterations, lanes, production=False)
    except ValueError:
        raise PasswordRefused("stored hash has parameters out of range: set a new password") from None


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).rstrip(b"=").decode()
