"""SP 800-22 rev 1a tests of runs of equal bits: sections 2.3 and 2.4."""

import math
from functools import cache
from itertools import pairwise
from typing import Final

import numpy as np

from chaos_cipher.quality.bits import Bits, Counts, PValues, class_p_value

# section 2.4.2 and 2.4.4: least bits -> (block, shortest class, longest class); the first that fits is used
CLASSES: Final = ((750_000, 10_000, 10, 16), (6_272, 128, 4, 9), (128, 8, 1, 4))


def runs(bits: Bits) -> PValues:
    """Section 2.3: the number of runs. As section 2.3.4 says, 0 when the frequency test has failed anyway."""
    n = len(bits)
    share = float(bits.mean())
    if abs(share - 0.5) >= 2 / math.sqrt(n):
        return (0.0,)
    count = 1 + int(np.count_nonzero(bits[1:] != bits[:-1]))
    mixed = share * (1 - share)
    return (math.erfc(abs(count - 2 * n * mixed) / (2 * math.sqrt(2 * n) * mixed)),)


def longest_run(bits: Bits) -> PValues:
    """Section 2.4: the longest run of ones in each block. Needs 128 bits."""
    block, low, high = classes_for(len(bits))
    return (class_p_value(longest_run_counts(bits, block, low, high), longest_run_law(block, low, high)),)


def classes_for(n: int) -> tuple[int, int, int]:
    """Block length, and the lengths of the first (or less) and last (or more) class. Raises ValueError."""
    for least, block, low, high in CLASSES:
        if n >= least:
            return block, low, high
    raise ValueError(f"the longest-run test needs 128 bits, not {n}")


def longest_run_counts(bits: Bits, block: int, low: int, high: int) -> Counts:
    """How many blocks have a longest run of at most low, low + 1, ..., at least high."""
    count = len(bits) // block
    ended = np.zeros((count, block + 1), dtype=np.uint8)  # the column added ends the run at each block's end
    ended[:, :block] = bits[: count * block].reshape(count, block)
    zeros = np.flatnonzero(ended.ravel() == 0)
    lengths = np.diff(zeros, prepend=-1) - 1
    first_of_block = np.searchsorted(zeros, np.arange(count) * (block + 1))
    longest = np.maximum.reduceat(lengths, first_of_block)
    return np.bincount(np.clip(longest, low, high) - low, minlength=high - low + 1)


@cache
def longest_run_law(block: int, low: int, high: int) -> tuple[float, ...]:
    """The exact probabilities of those classes (the standard prints them to four places)."""
    below = [_share_without_run(block, limit + 1) for limit in range(low, high)]
    edges = [0.0, *below, 1.0]
    return tuple(right - left for left, right in pairwise(edges))


def _share_without_run(block: int, length: int) -> float:
    """The share of blocks without length ones in a row, by the length of the run that the bits end in."""
    ending = np.zeros(length)
    ending[0] = 1.0
    for _ in range(block):
        ending[1:], ending[0] = ending[:-1] / 2, ending.sum() / 2
    return float(ending.sum())
