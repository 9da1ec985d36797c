"""Single-use challenges: what exactly a proof of both factors is for. Pure: ids and time come in.

Rules: an answer is judged against what the server stored when it gave the challenge out, never against
what the client says it is for; the first attempt uses a challenge up, whatever comes of it; a challenge
serves one person, node, purpose, session and digest, so a proof for one order cannot serve another.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dispatch_server.identity.errors import ChallengeRefused, PersonIdRefused

ID_BYTES: Final = 16
DIGEST_BYTES: Final = 32

_PERSON_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class Purpose(StrEnum):
    """APPROVE: a second person steps up to a node where somebody else may be logged in, for one decision."""

    LOGIN = "login"
    ISSUE = "issue"
    APPROVE = "approve"


@dataclass(frozen=True, slots=True)
class Binding:
    """What a challenge is for. `session`: 16 bytes for an issue, None for a login or an approval. `digest`:
    SHA-256 of the order (or of the client's login request)."""

    person: str
    node: str
    purpose: Purpose
    session: bytes | None
    digest: bytes

    def require_well_formed(self) -> None:
        """Raises ChallengeRefused, PersonIdRefused. The fields may come from the wire."""
        require_person_id(self.person)
        if len(self.digest) != DIGEST_BYTES:
            raise ChallengeRefused(f"digest must have {DIGEST_BYTES} bytes")
        if self.purpose is not Purpose.ISSUE:
            if self.session is not None:
                raise ChallengeRefused(f"a proof to {self.purpose} carries no session")
        elif self.session is None or len(self.session) != ID_BYTES:
            raise ChallengeRefused("an issue needs a session: log in first")

    def hash(self, challenge_id: bytes) -> bytes:
        """32 bytes that only this challenge for this binding has; factors derive their challenge from it."""
        fields = (
            challenge_id,
            self.person.encode(),
            self.node.encode(),
            self.purpose.encode(),
            self.session or b"",
            self.digest,
        )
        hashed = hashlib.sha256(b"dispatch identity challenge v1")
        for field in fields:
            hashed.update(len(field).to_bytes(4) + field)
        return hashed.digest()


@dataclass(frozen=True, slots=True)
class Challenge:
    """`factor_data`: per kind of factor, what was given to the client. `expires_at`: monotonic seconds."""

    id: bytes
    binding: Binding
    factor_data: Mapping[str, bytes]
    expires_at: float


class ChallengeTable:
    """The challenges that wait for an answer; memory is bounded per node and in all."""

    def __init__(self, *, lifetime_s: float, per_node: int, in_all: int) -> None:
        self._lifetime_s = lifetime_s
        self._per_node = per_node
        self._in_all = in_all
        # All live equally long, so the order of insertion is the order of expiry.
        self._waiting: dict[bytes, Challenge] = {}
        self._of_node: dict[str, list[bytes]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(
        self, challenge_id: bytes, binding: Binding, factor_data: Mapping[str, bytes], now: float
    ) -> Challenge:
        """Raises ChallengeRefused when the table is full. A node that asks too often loses its own oldest."""
        self._forget_expired(now)
        if len(challenge_id) != ID_BYTES or challenge_id in self._waiting:
            raise ChallengeRefused(f"challenge id must be {ID_BYTES} fresh random bytes")
        of_node = self._of_node.get(binding.node, [])
        if len(of_node) >= self._per_node:
            self._remove(of_node[0])
        if len(self._waiting) >= self._in_all:
            raise ChallengeRefused("too many challenges are waiting in all")
        challenge = Challenge(challenge_id, binding, dict(factor_data), now + self._lifetime_s)
        self._waiting[challenge_id] = challenge
        self._of_node.setdefault(binding.node, []).append(challenge_id)
        return challenge

    def redeem(self, challenge_id: bytes, node: str, now: float) -> Challenge:
        """Use up the challenge, even if it is then refused. Raises ChallengeRefused."""
        if challenge_id not in self._waiting:
            raise ChallengeRefused("no such challenge is waiting: unknown, used or expired")
        challenge = self._remove(challenge_id)
        if now >= challenge.expires_at:
            raise ChallengeRefused("challenge expired")
        if challenge.binding.node != node:
            raise ChallengeRefused(f"challenge was given to another node, not to {node!r}")
        return challenge

    def _forget_expired(self, now: float) -> None:
        while self._waiting:
            oldest = next(iter(self._waiting.values()))
            if now < oldest.expires_at:
                return
            self._remove(oldest.id)

    def _remove(self, challenge_id: bytes) -> Challenge:
        challenge = self._waiting.pop(challenge_id)
        of_node = self._of_node[challenge.binding.node]
        of_node.remove(challenge_id)
        if not of_node:
            del self._of_node[challenge.binding.node]
        return challenge


def require_person_id(person: str) -> None:
    """Raises PersonIdRefused. Lower-case ASCII, so that no two ids look alike or differ in case only."""
    if _PERSON_ID.fullmatch(person) is None:
        raise PersonIdRefused("a person id has 1 to 32 of a-z, 0-9 and '-', and starts with no '-'")
