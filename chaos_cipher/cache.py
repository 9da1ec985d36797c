"""Keystream made before its message: what takes 0.1 ms is done while nobody waits."""

from typing import Final

from chaos_cipher.cipher import LogisticCipher, MessageKeystream, check_length, xor
from chaos_cipher.errors import ChaosLengthError
from chaos_cipher.schedule import check_nonce
from chaos_cipher.stream import SEGMENT_BYTES

DEFAULT_LENGTH: Final = 1024  # a signed order event with its signer's certificate has some 900 bytes
MAX_CAPACITY: Final = 64  # x 64 KiB: no setting may take more than 4 MiB for one direction of one link


class KeystreamCache:
    """A LogisticCipher that works ahead for messages whose nonces are known, as sequence numbers make them.

    It keeps the first `length` bytes (rounded up to blocks) of at most `capacity` messages; the oldest gives
    way. Each serves one message and is overwritten then, as far as Python lets: the numbers of the orbit and
    of the XOR are left to the garbage collector. Raises ChaosKeyError, ChaosLengthError.
    """

    __slots__ = ("_capacity", "_cipher", "_length", "_ready")

    def __init__(self, key: bytes, *, capacity: int = 1, length: int = DEFAULT_LENGTH) -> None:
        if not 1 <= capacity <= MAX_CAPACITY:
            raise ChaosLengthError("number of messages kept", capacity, MAX_CAPACITY, least=1)
        if not 1 <= length <= SEGMENT_BYTES:
            raise ChaosLengthError("keystream kept for a message", length, SEGMENT_BYTES, least=1)
        self._cipher = LogisticCipher(key)
        self._capacity = capacity
        self._length = length
        self._ready: dict[bytes, tuple[bytearray, MessageKeystream]] = {}

    def __len__(self) -> int:
        return len(self._ready)

    def prepare(self, nonce: bytes) -> None:
        """Work ahead for the message with this nonce. Raises ChaosNonceError."""
        check_nonce(nonce)
        if nonce in self._ready:
            return
        while len(self._ready) >= self._capacity:
            self._drop(next(iter(self._ready)))
        stream = self._cipher.begin(nonce)
        self._ready[bytes(nonce)] = bytearray(stream.take(self._length)), stream

    def apply(self, nonce: bytes, data: bytes) -> bytes:
        """What LogisticCipher.apply gives, sooner if it was prepared. Raises as that does."""
        check_nonce(nonce)
        check_length(data)
        ready = self._ready.pop(nonce, None)
        if ready is None:
            return self._cipher.apply(nonce, data)
        head, stream = ready
        missing = len(data) - len(head)
        mixed = xor(data, head + stream.take(missing) if missing > 0 else head)
        _overwrite(head)
        return mixed

    def wipe(self) -> None:
        """Forget everything that was made ahead."""
        for nonce in list(self._ready):
            self._drop(nonce)

    def _drop(self, nonce: bytes) -> None:
        head, _ = self._ready.pop(nonce)
        _overwrite(head)


def _overwrite(secret: bytearray) -> None:
    secret[:] = bytes(len(secret))
