"""The known-plaintext attack: keystream bytes from the start of one message -> the keys that give them."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from chaos_cipher.paper.cipher import GRID
from chaos_cipher.paper.errors import NoKeyError, TooFewKnownBytesError, UndecidedKeyError
from chaos_cipher.paper.intervals import Floats
from chaos_cipher.paper.search import Indices, Stage, find_starts, narrow_mu, replay

LEAST_KNOWN: Final = 128  # a key has some 75 bits; a byte of a chaotic orbit tells between 0.2 and 1
VOTERS: Final = 4096  # survivors that predict together when there are many


@dataclass(frozen=True, slots=True)
class Prediction:
    """Keystream after the known bytes, as most surviving keys have it; sure: leading bytes all agree on."""

    stream: bytes
    sure: int
    mu_index: int
    state: float  # at the position of the attack
    agreeing: float  # share of the survivors


@dataclass(frozen=True, slots=True)
class Broken:
    """Keys that give every known byte from `position` on: mu, the states there and at the last byte."""

    stages: tuple[Stage, ...]
    position: int
    candidates: float
    exhaustive: bool
    mu_indices: Indices
    starts: Floats
    ends: Floats

    @property
    def survivors(self) -> int:
        return len(self.ends)

    def predict(self, length: int) -> Prediction:
        """The next `length` keystream bytes."""
        chosen = np.unique(np.linspace(0, self.survivors - 1, VOTERS).astype(np.int64))
        votes = _continued(self.mu_indices[chosen] / GRID, self.ends[chosen], length)
        streams, first, count = np.unique(votes, axis=0, return_index=True, return_counts=True)
        best = int(count.argmax())
        split = np.flatnonzero((streams != streams[0]).any(axis=0))
        winner = chosen[first[best]]
        return Prediction(
            stream=streams[best].tobytes(),
            sure=int(split[0]) if len(split) else length,
            mu_index=int(self.mu_indices[winner]),
            state=float(self.starts[winner]),
            agreeing=float(count[best]) / len(chosen),
        )


def attack(known: bytes) -> Broken:
    """Keys whose keystream starts with these bytes (plaintext XOR ciphertext), found in float64 exactly.

    Raises TooFewKnownBytesError (under 128 bytes), NoKeyError, UndecidedKeyError.
    """
    if len(known) < LEAST_KNOWN:
        raise TooFewKnownBytesError(len(known), LEAST_KNOWN)
    narrowed = narrow_mu(known)
    left = tuple((stage.known, stage.left) for stage in narrowed.stages)
    if not len(narrowed.mu_indices):
        if not narrowed.complete:
            raise UndecidedKeyError(max(count for _, count in left))
        raise NoKeyError(next(used for used, count in left if count == 0), left)
    starts = find_starts(known, narrowed.mu_indices)
    which, ends = replay(known[starts.position :], starts.mu_indices / GRID, starts.states)
    exhaustive = narrowed.complete and starts.exhaustive
    if not len(which):
        raise NoKeyError(len(known), left) if exhaustive else UndecidedKeyError(starts.total)
    return Broken(
        stages=narrowed.stages,
        position=starts.position,
        candidates=starts.total,
        exhaustive=exhaustive,
        mu_indices=starts.mu_indices[which],
        starts=starts.states[which],
        ends=ends,
    )


def _continued(mu: Floats, x: Floats, length: int) -> np.typing.NDArray[np.uint8]:
    votes = np.empty((len(x), length), np.uint8)
    for i in range(length):
        x = mu * x * (1 - x)
        votes[:, i] = np.minimum(np.floor(256 * x), 255)
    return votes
