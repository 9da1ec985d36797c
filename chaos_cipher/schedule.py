"""Key, nonce and segment number -> the parameters of that segment (HKDF-Expand, RFC 5869 section 2.3)."""

from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from chaos_cipher.errors import ChaosKeyError, ChaosLengthError, ChaosNonceError
from chaos_cipher.logistic import GUARD, Parameters

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 16
LAST_SEGMENT: Final = (1 << 32) - 1
LABEL: Final = b"LM256/2"
DROPPED_BITS: Final = 33  # leaves 223 of 256 bits for x0 and 95 of 128 for mu


def check_key(key: bytes) -> None:
    """Raises ChaosKeyError unless the key has 32 bytes."""
    if len(key) != KEY_BYTES:
        raise ChaosKeyError(len(key), KEY_BYTES)


def check_nonce(nonce: bytes) -> None:
    """Raises ChaosNonceError unless the nonce has 16 bytes."""
    if len(nonce) != NONCE_BYTES:
        raise ChaosNonceError(len(nonce), NONCE_BYTES)


def derive_parameters(key: bytes, nonce: bytes, segment: int) -> Parameters:
    """The parameters of one 64 KiB segment (0 to 2^32 - 1) of the message with this nonce.

    The key is 32 uniformly random bytes, used for nothing else.
    Raises ChaosKeyError, ChaosNonceError, ChaosLengthError.
    """
    check_key(key)
    check_nonce(nonce)
    if not 0 <= segment <= LAST_SEGMENT:
        raise ChaosLengthError("segment number", segment, LAST_SEGMENT)
    okm = HKDFExpand(SHA256(), 48, LABEL + nonce + segment.to_bytes(4, "big")).derive(key)
    x0 = (int.from_bytes(okm[:32], "big") >> DROPPED_BITS << 32) | GUARD
    gap = (1 << 95) | (int.from_bytes(okm[32:], "big") >> DROPPED_BITS)
    return Parameters(x0=x0, a=(1 << 128) - gap)
