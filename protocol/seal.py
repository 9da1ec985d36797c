"""How an item is sealed: the chaotic cipher inside, a standard AEAD outside, keys that never meet.

X25519 (RFC 7748) -> HKDF-SHA256 (RFC 5869) over the handshake transcript -> one secret per direction ->
per epoch one key for AES-256-GCM (NIST SP 800-38D) and another for the inner cipher. Sequence numbers make
the nonces, so none is ever used twice. Opening checks the AEAD first; there is no way to seal or to open
with the inner cipher alone.
"""

import struct
from collections.abc import Callable
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from protocol.errors import PeerFault, WireCode
from protocol.limits import REKEY_AFTER


class InnerCipher(Protocol):
    """A keyed stream cipher that is its own inverse; `nonce` is 16 bytes, unique per key."""

    def apply(self, nonce: bytes, data: bytes, /) -> bytes:
        """Encrypt or decrypt."""
        ...

    def prepare(self, nonce: bytes, /) -> None:
        """Work ahead for the message with this nonce, or do nothing."""
        ...

    def wipe(self) -> None:
        """Forget what was worked ahead."""
        ...


InnerCipherFactory = Callable[[bytes], InnerCipher]


class Sealer:
    """One direction of one session. Both ends hold an equal one and use it strictly in order.

    Most links never carry an order: keys are derived, and work is done ahead, from the first message on.
    """

    __slots__ = ("_aead", "_epoch", "_inner", "_inner_factory", "_prepared", "_secret", "_sequence")

    def __init__(self, secret: bytes, inner: InnerCipherFactory) -> None:
        self._secret = secret
        self._inner_factory = inner
        self._sequence = 0
        self._prepared = 0
        self._epoch = -1
        self._aead: AESGCM | None = None
        self._inner: InnerCipher | None = None

    @property
    def is_prepared(self) -> bool:
        """Whether the inner cipher has worked ahead for the next message, if there was one at all."""
        return self._prepared == self._sequence

    def prepare(self) -> None:
        """Let the inner cipher work ahead for the next message; call it when nobody waits."""
        if not self.is_prepared:
            place = self._place()
            self._keys()[1].prepare(_inner_nonce(place))
            self._prepared = self._sequence

    def wipe(self) -> None:
        """The session ends: forget what was worked ahead."""
        if self._inner:
            self._inner.wipe()
            self._prepared = -1

    def _keys(self) -> tuple[AESGCM, InnerCipher]:
        """The ciphers of the present epoch."""
        epoch = self._sequence // REKEY_AFTER
        if epoch == self._epoch and self._aead and self._inner:
            return self._aead, self._inner
        if self._inner:
            self._inner.wipe()
        self._epoch = epoch
        self._aead = AESGCM(self._derive(b"aead", epoch))
        self._inner = self._inner_factory(self._derive(b"inner", epoch))
        return self._aead, self._inner

    def _derive(self, label: bytes, epoch: int) -> bytes:
        info = b"dispatch seal 1 " + label + struct.pack("!I", epoch)
        return HKDFExpand(SHA256(), 32, info).derive(self._secret)

    def _place(self) -> bytes:
        """Epoch and number of the next message: its nonce under the AEAD."""
        return struct.pack("!IQ", self._sequence // REKEY_AFTER, self._sequence)

    def seal(self, plain: bytes, header: bytes) -> bytes:
        """Seal `plain` (any length); `header` is authenticated with it. Adds 16 bytes."""
        aead, inner = self._keys()
        place = self._place()
        self._sequence += 1
        return aead.encrypt(place, inner.apply(_inner_nonce(place), plain), header)

    def open(self, sealed: bytes, header: bytes) -> bytes:
        """The plain bytes. Raises PeerFault(SEAL) for anything altered, replayed or out of order."""
        aead, inner = self._keys()
        place = self._place()
        self._sequence += 1
        try:
            inside = aead.decrypt(place, sealed, header)
        except InvalidTag:
            raise PeerFault(WireCode.SEAL, "a sealed message does not verify") from None
        return inner.apply(_inner_nonce(place), inside)


def _inner_nonce(place: bytes) -> bytes:
    return bytes(4) + place


def agree(own: X25519PrivateKey, peer: bytes, transcript: bytes) -> tuple[bytes, bytes]:
    """The (downward, upward) secrets, 32 bytes each. Raises PeerFault(SEAL) for a degenerate peer key."""
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError:
        raise PeerFault(WireCode.SEAL, "the peer's ephemeral key is not usable") from None
    digest = Hash(SHA256())
    digest.update(transcript)
    both = HKDF(SHA256(), 64, salt=digest.finalize(), info=b"dispatch session 1").derive(shared)
    return both[:32], both[32:]
