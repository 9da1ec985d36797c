"""SP 800-22 rev 1a tests of ones against zeros: sections 2.1, 2.2 and 2.13."""

import math

import numpy as np

from chaos_cipher.quality.bits import Bits, PValues
from chaos_cipher.quality.special import igamc, normal_cdf, two_sided


def frequency(bits: Bits) -> PValues:
    """Section 2.1: are there as many ones as zeros?"""
    return (two_sided(_excess(bits) / math.sqrt(len(bits))),)


def block_frequency(bits: Bits, block: int = 128) -> PValues:
    """Section 2.2: the same in each block of so many bits."""
    count = len(bits) // block
    shares = bits[: count * block].reshape(count, block).mean(axis=1)
    statistic = 4 * block * float(((shares - 0.5) ** 2).sum())
    return (igamc(count / 2, statistic / 2),)


def cumulative_sums(bits: Bits) -> PValues:
    """Section 2.13: the farthest point of the walk, forwards and backwards (two P-values)."""
    walk = np.cumsum(2 * bits.astype(np.int64) - 1)
    backwards = np.concatenate((walk[-1:], walk[-1] - walk[:-1]))
    return tuple(_farthest_p_value(int(np.abs(way).max()), len(bits)) for way in (walk, backwards))


def _excess(bits: Bits) -> int:
    return 2 * int(np.count_nonzero(bits)) - len(bits)


def _farthest_p_value(z: int, n: int) -> float:
    step = z / math.sqrt(n)
    last = math.floor((n / z - 1) / 4)
    near = sum(
        normal_cdf((4 * k + 1) * step) - normal_cdf((4 * k - 1) * step)
        for k in range(math.floor((-n / z + 1) / 4), last + 1)
    )
    far = sum(
        normal_cdf((4 * k + 3) * step) - normal_cdf((4 * k + 1) * step)
        for k in range(math.floor((-n / z - 3) / 4), last + 1)
    )
    return min(1.0, max(0.0, 1.0 - near + far))
