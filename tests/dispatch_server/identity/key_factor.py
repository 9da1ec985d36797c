"""A second factor for tests that works like a FIDO2 key: it signs the server's challenge and counts."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from typing_extensions import override

from dispatch_server.identity.errors import FactorRefused
from dispatch_server.identity.factors import FactorAttempt, SecondFactor


class KeyFactor(SecondFactor):
    """Enrolment: public key (32 bytes), counter (4). Response: counter (4), signature of both."""

    @property
    @override
    def kind(self) -> str:
        return "key"

    @override
    def decoy(self, seed: bytes) -> bytes:
        return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw() + bytes(4)

    @override
    def challenge(self, enrolment: bytes, binding: bytes) -> bytes:
        return b"sign " + binding

    @override
    def verify(self, attempt: FactorAttempt) -> bytes:
        public, counter = attempt.enrolment[:32], attempt.enrolment[32:]
        new_counter, signature = attempt.response[:4], attempt.response[4:]
        if new_counter <= counter:
            raise FactorRefused("key", "counter went back: the key may have been cloned")
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, attempt.challenge + new_counter)
        except InvalidSignature:
            raise FactorRefused("key", "signature does not match") from None
        return public + new_counter


class Key:
    """The person's device."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self.count = 0

    def enrolment(self) -> bytes:
        return self._private.public_key().public_bytes_raw() + bytes(4)

    def answer(self, challenge: bytes) -> bytes:
        self.count += 1
        counter = self.count.to_bytes(4)
        return counter + self._private.sign(challenge + counter)
