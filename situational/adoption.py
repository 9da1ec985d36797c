"""Adopting letters for many series at once, in columns; `LetterFilter` is the same for one series.

Codes are places in LETTERS. An adopted letter that hardly any vote still speaks for gives way to NONE.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from situational.letters import LETTERS, NONE_CODE, IntArray, Letter

Codes = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

NEED, OF = 9, 12
KEEP = 3  # of OF
NOT_VOTED = 255


class Votes(NamedTuple):
    """The newest votes, last one last, shape (..., OF), and the letters adopted, shape (...)."""

    cast: Codes
    adopted: Codes


def no_votes(*shape: int) -> Votes:
    return Votes(np.full((*shape, OF), NOT_VOTED, dtype=np.uint8), np.full(shape, NONE_CODE, dtype=np.uint8))


def pushed(votes: Votes, codes: IntArray | Codes, voting: Flags) -> Votes:
    """After one more vote each where `voting`; elsewhere nothing changes."""
    new = codes.astype(np.uint8)
    cast = np.concatenate([votes.cast[..., 1:], new[..., None]], axis=-1)
    agree = (cast == new[..., None]).sum(axis=-1)
    support = (cast == votes.adopted[..., None]).sum(axis=-1)
    kept = np.where(support >= KEEP, votes.adopted, np.uint8(NONE_CODE))
    adopted = np.where(agree >= NEED, new, kept).astype(np.uint8)
    return Votes(np.where(voting[..., None], cast, votes.cast), np.where(voting, adopted, votes.adopted))


def among(codes: IntArray | Codes, letters: tuple[Letter, ...]) -> Flags:
    """Which codes are one of the letters."""
    return np.isin(codes, [LETTERS.index(letter) for letter in letters])
