"""SP 800-22 rev 1a tests for linear and periodic structure: sections 2.5, 2.6 and 2.10."""

import math
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chaos_cipher.quality.bits import Bits, Counts, PValues, class_p_value
from chaos_cipher.quality.special import two_sided

# section 3.10 as exact fractions; the table of section 2.10.4 rounds them, its example misprints the first
COMPLEXITY_LAW: Final = (1 / 96, 1 / 32, 1 / 8, 1 / 2, 1 / 4, 1 / 16, 1 / 48)
COMPLEXITY_EDGES: Final = (-2.5, -1.5, -0.5, 0.5, 1.5, 2.5)


def matrix_rank(bits: Bits) -> PValues:
    """Section 2.5: the ranks of 32 x 32 matrices over GF(2)."""
    ranks = binary_ranks(bits, 32)
    full, one_less = int((ranks == 32).sum()), int((ranks == 31).sum())
    counts = np.array([full, one_less, len(ranks) - full - one_less])
    return (class_p_value(counts, rank_law(32)),)


def binary_ranks(bits: Bits, size: int) -> Counts:
    """The rank of each size x size matrix (size at most 64) that the bits fill row by row."""
    count = len(bits) // size**2
    weights = np.uint64(1) << np.arange(size - 1, -1, -1, dtype=np.uint64)
    cells = bits[: count * size**2].reshape(count, size, size)
    rows = np.ascontiguousarray((cells * weights).sum(axis=2, dtype=np.uint64).T)
    ranks = np.zeros(count, dtype=np.int64)
    for place in range(size):
        pivot = rows[place]
        ranks += pivot != 0
        lowest = pivot & (~pivot + np.uint64(1))
        below = rows[place + 1 :]
        below ^= np.where(below & lowest != 0, pivot, np.uint64(0))
    return ranks


@cache
def rank_law(size: int) -> tuple[float, float, float]:
    """The probabilities of full rank, one less, and the rest (section 3.5)."""
    full, one_less = _rank_share(size, size), _rank_share(size, size - 1)
    return full, one_less, 1 - full - one_less


def _rank_share(size: int, rank: int) -> float:
    ways = math.prod((1 - 2.0 ** (i - size)) ** 2 / (1 - 2.0 ** (i - rank)) for i in range(rank))
    return 2.0 ** (rank * (2 * size - rank) - size**2) * ways


def spectral(bits: Bits) -> PValues:
    """Section 2.6: peaks of the discrete Fourier transform above the height that 5 % should exceed.

    With the variance n * 0.95 * 0.05 / 4 of rev 1a. The peak at frequency 0 counts, as in the standard.
    """
    return (spectral_p_value(spectral_peaks_below(bits), len(bits)),)


def spectral_peaks_below(bits: Bits) -> int:
    """How many of the first n/2 peaks stay below sqrt(n ln(1 / 0.05))."""
    heights = np.abs(np.fft.rfft(2.0 * bits - 1.0))[: len(bits) // 2]
    return int((heights < math.sqrt(math.log(1 / 0.05) * len(bits))).sum())


def spectral_p_value(below: int, n: int) -> float:
    """The P-value of so many low peaks of n bits."""
    return two_sided((below - 0.95 * n / 2) / math.sqrt(n * 0.95 * 0.05 / 4))


def linear_complexity(bits: Bits, block: int = 500) -> PValues:
    """Section 2.10: the shortest feedback register that makes each block."""
    return (class_p_value(complexity_counts(bits, block), COMPLEXITY_LAW),)


def complexity_counts(bits: Bits, block: int) -> Counts:
    """How many blocks fall into each of the seven classes of section 2.10.4 step 5."""
    count = len(bits) // block
    lengths = register_lengths(bits[: count * block].reshape(count, block))
    sign = -1 if block % 2 else 1
    mean = block / 2 + (9 - sign) / 36 - (block / 3 + 2 / 9) / 2.0**block
    deviations = sign * (lengths - mean) + 2 / 9
    return np.bincount(np.searchsorted(COMPLEXITY_EDGES, deviations, side="left"), minlength=7)


def register_lengths(blocks: Bits) -> Counts:
    """Berlekamp and Massey's algorithm on all rows of blocks (count x length) at once.

    Polynomials are columns of 64-bit words, lowest coefficient first. `seen` holds the bits so far, the
    latest lowest, so that the discrepancy is the parity of polynomial & seen; `older` is the polynomial
    before the last change of length, kept shifted to where it will be added.
    """
    count, length = blocks.shape
    words = length // 64 + 1
    polynomial, older, seen = (np.zeros((words, count), dtype=np.uint64) for _ in range(3))
    polynomial[0] = older[0] = 1
    lengths = np.zeros(count, dtype=np.int64)
    for n in range(length):
        used = slice(0, (n + 1) // 64 + 1)  # no coefficient above n + 1 can be set yet
        _shift(seen[used])
        seen[0] |= blocks[:, n]
        _shift(older[used])
        odd = _parity(np.bitwise_and(polynomial[used], seen[used]))
        longer = odd & (2 * lengths <= n)
        before = polynomial[used].copy()
        polynomial[used] ^= older[used] * odd
        older[used] = np.where(longer, before, older[used])
        lengths = np.where(longer, n + 1 - lengths, lengths)
    return lengths


def _shift(columns: NDArray[np.uint64]) -> None:
    carried = columns[:-1] >> np.uint64(63)
    columns <<= np.uint64(1)
    columns[1:] |= carried


def _parity(columns: NDArray[np.uint64]) -> NDArray[np.bool_]:
    odd: NDArray[np.bool_] = np.bitwise_count(np.bitwise_xor.reduce(columns, axis=0)) % 2 == 1
    return odd
