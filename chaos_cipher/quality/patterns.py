"""SP 800-22 rev 1a tests of how often patterns occur: sections 2.9, 2.11 and 2.12."""

import math
from functools import cache
from typing import Final

import numpy as np

from chaos_cipher.quality.bits import Bits, Counts, PValues, circular_counts, shorter
from chaos_cipher.quality.special import igamc, two_sided

# section 2.9.7: from so many bits on blocks of so many bits
UNIVERSAL_SIZES: Final = (
    (1_059_061_760, 16), (496_435_200, 15), (231_669_760, 14), (107_560_960, 13), (49_643_520, 12),
    (22_753_280, 11), (10_342_400, 10), (4_654_080, 9), (2_068_480, 8), (904_960, 7), (387_840, 6),
)  # fmt: skip


def universal(bits: Bits) -> PValues:
    """Section 2.9 (Maurer): how far back each block was last seen. Needs 387,840 bits."""
    block = universal_block(len(bits))
    start = 10 << block
    count = len(bits) // block - start
    return (universal_p_value(universal_sum(bits, block, start), count, block, *universal_law(block)),)


def universal_block(n: int) -> int:
    """The block length for n bits. Raises ValueError when they are too few."""
    for least, block in UNIVERSAL_SIZES:
        if n >= least:
            return block
    raise ValueError(f"the universal test needs 387840 bits, not {n}")


def universal_sum(bits: Bits, block: int, start: int) -> float:
    """Sum of log2(distance to the last block of the same value) over all blocks after the first start."""
    count = len(bits) // block
    weights = 1 << np.arange(block - 1, -1, -1)
    values = bits[: count * block].reshape(count, block) @ weights
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    distance = np.arange(1, count + 1)  # what was never seen before counts from before the first block
    distance[order[again]] = order[again] - order[again - 1]
    return float(np.log2(distance[start:]).sum())


def universal_p_value(total: float, count: int, block: int, mean: float, variance: float) -> float:
    """The P-value of a sum over count blocks, with the correction c of section 2.9.4."""
    correction = 0.7 - 0.8 / block + (4 + 32 / block) * count ** (-3 / block) / 15
    return two_sided((total / count - mean) / (correction * math.sqrt(variance / count)))


@cache
def universal_law(block: int) -> tuple[float, float]:
    """Mean and variance of log2 of the distance, as printed in the table of section 2.9.4."""
    chance = 2.0**-block
    distance = np.arange(1, 50 << block, dtype=np.float64)  # what is left out has a share of e^-50
    share = chance * np.exp(np.log1p(-chance) * (distance - 1))
    logs = np.log2(distance)
    mean = float((share * logs).sum())
    return mean, float((share * logs**2).sum()) - mean**2


def serial(bits: Bits, width: int = 16) -> PValues:
    """Section 2.11: are all patterns of width bits equally frequent? Two P-values."""
    counts = [circular_counts(bits, width)]
    while len(counts) < 3:
        counts.append(shorter(counts[-1]))
    psi = [_psi_square(each, len(bits)) for each in counts]
    first = psi[0] - psi[1]
    second = psi[0] - 2 * psi[1] + psi[2]
    return igamc(2.0 ** (width - 2), max(0.0, first / 2)), igamc(2.0 ** (width - 3), max(0.0, second / 2))


def _psi_square(counts: Counts, n: int) -> float:
    return len(counts) / n * float((counts.astype(np.float64) ** 2).sum()) - n


def approximate_entropy(bits: Bits, width: int = 10) -> PValues:
    """Section 2.12: patterns of width bits against those of one bit more."""
    longer = circular_counts(bits, width + 1)
    entropy = _phi(shorter(longer), len(bits)) - _phi(longer, len(bits))
    statistic = max(0.0, 2 * len(bits) * (math.log(2) - entropy))
    return (igamc(2.0 ** (width - 1), statistic / 2),)


def _phi(counts: Counts, n: int) -> float:
    shares = counts[counts > 0] / n
    return float((shares * np.log(shares)).sum())
