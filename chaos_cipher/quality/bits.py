"""What several tests count: windows of bits read as numbers, and the chi-square of counts."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from chaos_cipher.quality.special import igamc

Bits: TypeAlias = NDArray[np.uint8]  # one element per bit, 0 or 1
Counts: TypeAlias = NDArray[np.int64]
PValues: TypeAlias = tuple[float, ...]


def windows(bits: Bits, width: int) -> NDArray[np.uint16]:
    """The overlapping windows of width (1 to 16) bits, first bit highest: len(bits) - width + 1 numbers."""
    codes = np.zeros(len(bits) - width + 1, dtype=np.uint16)
    for place in range(width):
        codes <<= 1
        codes |= bits[place : place + len(codes)]
    return codes


def circular_counts(bits: Bits, width: int) -> Counts:
    """How often each of the 2^width patterns occurs when the end of the bits is joined to their start."""
    joined = np.concatenate((bits, bits[: width - 1]))
    counts: Counts = np.bincount(windows(joined, width), minlength=1 << width)
    return counts


def shorter(counts: Counts) -> Counts:
    """circular_counts of the width that is one less."""
    halved: Counts = counts.reshape(-1, 2).sum(axis=1)
    return halved


def chi_square(counts: Counts, probabilities: Sequence[float]) -> float:
    """Pearson's statistic of the counts of len(probabilities) classes."""
    expected = counts.sum() * np.asarray(probabilities)
    return float(((counts - expected) ** 2 / expected).sum())


def class_p_value(counts: Counts, probabilities: Sequence[float]) -> float:
    """P-value of counts over classes of these probabilities, one degree of freedom fewer than classes."""
    return igamc((len(probabilities) - 1) / 2, chi_square(counts, probabilities) / 2)
