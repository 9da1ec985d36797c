"""LM256, the Logistic chaotic cipher of P1 section 2.2 on integers: one layer of the order's envelope."""

from chaos_cipher.cache import KeystreamCache
from chaos_cipher.cipher import MAX_MESSAGE_BYTES, EncryptingCipher, LogisticCipher
from chaos_cipher.errors import (
    ChaosError,
    ChaosKeyError,
    ChaosLengthError,
    ChaosNonceError,
    ChaosNonceReuseError,
    ChaosParameterError,
    Weakness,
)
from chaos_cipher.logistic import Parameters, step
from chaos_cipher.schedule import KEY_BYTES, NONCE_BYTES, derive_parameters
from chaos_cipher.stream import BLOCK_BYTES, SEGMENT_BYTES, keystream

__all__ = [
    "BLOCK_BYTES",
    "KEY_BYTES",
    "MAX_MESSAGE_BYTES",
    "NONCE_BYTES",
    "SEGMENT_BYTES",
    "ChaosError",
    "ChaosKeyError",
    "ChaosLengthError",
    "ChaosNonceError",
    "ChaosNonceReuseError",
    "ChaosParameterError",
    "EncryptingCipher",
    "KeystreamCache",
    "LogisticCipher",
    "Parameters",
    "Weakness",
    "derive_parameters",
    "keystream",
    "step",
]
