"""The attack on drawn segments, judged against the truth: the fold, LM256/2's hash, and wrong guesses."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import shake_256
from itertools import islice, product
from typing import Final

from chaos_cipher.fold.equations import Leading, equations, system
from chaos_cipher.fold.errors import NoStateError
from chaos_cipher.fold.keystream import (
    BLOCK_BYTES,
    HALF_BITS,
    SEGMENT_BLOCKS,
    as_bytes,
    continued,
    fold_blocks,
    states,
)
from chaos_cipher.fold.recover import Recovered, recover
from chaos_cipher.logistic import GUARD, Parameters
from chaos_cipher.stream import BLOCK_BYTES as HASH_BYTES
from chaos_cipher.stream import keystream

# leading bits, known blocks: where nearly all of the measured segments fell (README.md)
ENOUGH: Final = ((72, 7), (68, 8), (64, 9), (60, 11), (58, 12), (56, 13), (54, 15), (52, 17), (0, 21))


def blocks_needed(bits: int) -> int:
    """How many known blocks to give the attack with this many leading bits."""
    return next(blocks for least, blocks in ENOUGH if bits >= least)


@dataclass(frozen=True, slots=True)
class Trial:
    """One recovery with the true leading bits handed over; `recovered` is None if none was found."""

    known_bytes: int
    recovered: Recovered | None
    state_right: bool
    bytes_right: int  # of those after the known ones
    bytes_unknown: int
    seconds: float  # CPU time

    @property
    def fell(self) -> bool:
        return self.state_right and self.bytes_right == self.bytes_unknown


@dataclass(frozen=True, slots=True)
class Stand:
    """The same on LM256/2: whether nothing was found, and how many equations are true of the real orbit."""

    stood: bool
    equations: int
    fold_holds: int
    hash_holds: int


@dataclass(frozen=True, slots=True)
class Guess:
    """One of the guesses of a search: whether it is the true one, and what it gave."""

    true: bool
    found: bool
    right: bool  # the state found is the true one
    seconds: float


def draw_parameters(seed: int, number: int) -> Parameters:
    """x0 and a as the key schedule would make them, from a seed."""
    okm = shake_256(f"LM256/1 parameters {seed} {number}".encode()).digest(48)
    x0 = (int.from_bytes(okm[:32], "big") >> 33 << 32) | GUARD
    return Parameters(x0=x0, a=(1 << 128) - ((1 << 95) | (int.from_bytes(okm[32:], "big") >> 33)))


def try_fold(parameters: Parameters, bits: int, known: int) -> Trial:
    """Recover state and a from the first `known` blocks, then predict the whole rest of the segment.

    Raises HintError, TooFewBlocksError.
    """
    x, a = next(states(parameters.x0, parameters.a)), parameters.a
    blocks = fold_blocks(parameters.x0, a, SEGMENT_BLOCKS)
    start = time.process_time()
    found = _recovered(blocks[:known], Leading.of(x >> HALF_BITS, bits), Leading.of(a, bits))
    seconds = time.process_time() - start
    right, rest = 0, as_bytes(blocks[known:])
    if found is not None:
        predicted = as_bytes(continued(found.x, found.a, 1, SEGMENT_BLOCKS)[known:])
        right = sum(one == other for one, other in zip(predicted, rest, strict=True))
    return Trial(
        known_bytes=known * BLOCK_BYTES,
        recovered=found,
        state_right=found is not None and (found.x, found.a) == (x, a),
        bytes_right=right,
        bytes_unknown=len(rest),
        seconds=seconds,
    )


def _recovered(blocks: Sequence[int], hi: Leading, a: Leading) -> Recovered | None:
    try:
        return recover(blocks, hi, a)
    except NoStateError:
        return None


def try_hash(parameters: Parameters, bits: int, known: int) -> Stand:
    """The same with 16 bytes of each of LM256/2's blocks, whose states are the same.

    Raises HintError, TooFewBlocksError.
    """
    true = list(islice(states(parameters.x0, parameters.a), known))
    hi, a = Leading.of(true[0] >> HALF_BITS, bits), Leading.of(parameters.a, bits)
    hashes, folds = hash_blocks(parameters, known), fold_blocks(parameters.x0, parameters.a, known)
    return Stand(
        stood=_recovered(hashes, hi, a) is None,
        equations=len(system(list(equations(folds, hi, a))).equations),
        fold_holds=_holding(folds, true, hi, a),
        hash_holds=_holding(hashes, true, hi, a),
    )


def hash_blocks(parameters: Parameters, count: int) -> list[int]:
    """The first 16 bytes of each of LM256/2's first blocks, as numbers."""
    stream = keystream(parameters, count * HASH_BYTES)
    starts = range(0, len(stream), HASH_BYTES)
    return [int.from_bytes(stream[start : start + BLOCK_BYTES], "little") for start in starts]


def _holding(blocks: Sequence[int], true: Sequence[int], hi: Leading, a: Leading) -> int:
    used = system(list(equations(blocks, hi, a))).equations
    return sum(equation.holds(true[equation.place]) for equation in used)


def search(parameters: Parameters, bits: int, known: int, guessed: int) -> Iterator[Guess]:
    """All 2^(2*guessed) ways to continue the true leading bits to `bits`, as an attacker would try them.

    Raises HintError, TooFewBlocksError.
    """
    x, a = next(states(parameters.x0, parameters.a)), parameters.a
    blocks = fold_blocks(parameters.x0, a, known)
    true = Leading.of(x >> HALF_BITS, bits), Leading.of(a, bits)
    for guess in product(_continuations(true[0], guessed), _continuations(true[1], guessed)):
        start = time.process_time()
        found = _recovered(blocks, *guess)
        seconds = time.process_time() - start
        right = found is not None and (found.x, found.a) == (x, a)
        yield Guess(true=guess == true, found=found is not None, right=right, seconds=seconds)


def _continuations(true: Leading, guessed: int) -> Iterator[Leading]:
    start = true.value >> guessed << guessed
    return (Leading(start + tail, true.bits) for tail in range(1 << guessed))
