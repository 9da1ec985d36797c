"""What a second factor is to the server: the port that TOTP, face recognition and FIDO2 implement.

A factor keeps what it knows about one person in an *enrolment*: bytes that only it can read and that the
store keeps sealed. It is pure: no I/O of its own, time and randomness come in.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from dispatch_server.identity.errors import FactorRefused

MAX_RESPONSE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class FactorAttempt:
    """One answer to be judged.

    enrolment: the factor's own state for the person. challenge: exactly what `SecondFactor.challenge` gave
    out. binding: 32 bytes that name this challenge, person, node, purpose, session and order digest; a factor
    that can sign (FIDO2) must have it covered by the signature. at_ms: server's wall clock, Unix ms.
    """

    enrolment: bytes = field(repr=False)
    challenge: bytes
    binding: bytes
    response: bytes = field(repr=False)
    at_ms: int


class SecondFactor(Protocol):
    @property
    def kind(self) -> str:
        """Short name on the wire and in the store, e.g. "totp"."""

    def decoy(self, seed: bytes) -> bytes:
        """An enrolment made from 32 secret bytes, for persons who have none: nobody must be able to tell it
        from a real one by what `challenge` gives out or by the time that `verify` takes."""

    def challenge(self, enrolment: bytes, binding: bytes) -> bytes:
        """What the client's device needs to answer, derived from `binding` (unpredictable, single use)."""

    def verify(self, attempt: FactorAttempt) -> bytes:
        """The enrolment as it must be stored if the whole proof is accepted (last step, signature counter).

        Raises FactorRefused."""


class FactorRegistry:
    """The factors of this deployment, by kind."""

    def __init__(self, factors: Iterable[SecondFactor]) -> None:
        self._factors: dict[str, SecondFactor] = {}
        for factor in factors:
            if factor.kind in self._factors:
                raise ValueError(f"two factors of kind {factor.kind!r}")
            self._factors[factor.kind] = factor
        if not self._factors:
            raise ValueError("at least one second factor is needed: a password alone opens nothing")

    def __iter__(self) -> Iterator[SecondFactor]:
        return iter(self._factors.values())

    def get(self, kind: str) -> SecondFactor:
        """Raises FactorRefused for a kind that is not in use here."""
        try:
            return self._factors[kind]
        except KeyError:
            raise FactorRefused("unknown", "this kind of factor is not in use here") from None
