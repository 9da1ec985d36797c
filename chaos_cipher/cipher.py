"""LM256: a message XOR the keystream of its segments. A layer inside an AEAD, never a protection alone."""

from typing import Final

from chaos_cipher.errors import ChaosLengthError, ChaosNonceReuseError
from chaos_cipher.schedule import check_key, check_nonce, derive_parameters
from chaos_cipher.stream import BLOCK_BYTES, Orbit

MAX_MESSAGE_BYTES: Final = 16 << 20  # half a second of one core; an order's body has some 256 bytes


class MessageKeystream:
    """The keystream of one message, segment after segment. Raises ChaosKeyError, ChaosNonceError."""

    __slots__ = ("_key", "_nonce", "_orbit", "_segment")

    def __init__(self, key: bytes, nonce: bytes) -> None:
        self._key, self._nonce, self._segment = key, nonce, 0
        self._orbit = Orbit(derive_parameters(key, nonce, 0))

    def take(self, length: int) -> bytes:
        """The next `length` bytes, rounded up to whole blocks of 32."""
        wanted = -(-length // BLOCK_BYTES)
        pieces: list[bytes] = []
        while True:
            count = min(wanted, self._orbit.blocks_left)
            pieces.append(self._orbit.blocks(count))
            wanted -= count
            if not wanted:
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._segment += 1
            self._orbit = Orbit(derive_parameters(self._key, self._nonce, self._segment))


class LogisticCipher:
    """Encrypts and decrypts under one key of 32 bytes. Raises ChaosKeyError.

    It cannot know which of the two it is doing, so it refuses no nonce: who encrypts with nonces that are
    not right by construction holds an EncryptingCipher.
    """

    __slots__ = ("_key",)  # the inherited repr shows the address only, so the key is in no log

    def __init__(self, key: bytes) -> None:
        check_key(key)
        self._key = bytes(key)

    def apply(self, nonce: bytes, data: bytes) -> bytes:
        """Data (at most 16 MiB) XOR keystream: its own inverse. Raises ChaosNonceError, ChaosLengthError."""
        check_nonce(nonce)
        check_length(data)
        return xor(data, self.begin(nonce).take(len(data)))

    def begin(self, nonce: bytes) -> MessageKeystream:
        """The keystream of the message with this nonce, from its start. Raises ChaosNonceError."""
        return MessageKeystream(self._key, nonce)


class EncryptingCipher:
    """The one encrypting side of a key: each nonce, read as a big-endian number, is above all before it.

    It remembers in memory only, and two objects on one key do not see each other: make one per key, and a new
    key per session. One task owns it; it is not for sharing between threads.
    """

    __slots__ = ("_cipher", "_highest")

    def __init__(self, key: bytes) -> None:
        self._cipher = LogisticCipher(key)
        self._highest: bytes | None = None

    def encrypt(self, nonce: bytes, data: bytes) -> bytes:
        """As LogisticCipher.apply, but each nonce works once, even if its data is refused.

        Raises ChaosNonceError, ChaosNonceReuseError, ChaosLengthError.
        """
        check_nonce(nonce)
        if self._highest is not None and nonce <= self._highest:
            raise ChaosNonceReuseError(nonce, self._highest)
        self._highest = nonce
        return self._cipher.apply(nonce, data)


def check_length(data: bytes) -> None:
    """Raises ChaosLengthError for more than 16 MiB."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise ChaosLengthError("message length", len(data), MAX_MESSAGE_BYTES)


def xor(data: bytes, stream: bytes | bytearray) -> bytes:
    """Data XOR the beginning of a stream that is at least as long."""
    mixed = int.from_bytes(data, "little") ^ int.from_bytes(stream[: len(data)], "little")
    return mixed.to_bytes(len(data), "little")
