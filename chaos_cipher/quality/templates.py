"""SP 800-22 rev 1a template tests: sections 2.7 and 2.8."""

from collections.abc import Sequence
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chaos_cipher.quality.bits import Bits, Counts, PValues, class_p_value, windows
from chaos_cipher.quality.special import igamc

WIDTH: Final = 9
MOST: Final = 5  # section 2.8.4: five matches and more are one class


@cache
def aperiodic_templates(width: int = WIDTH) -> tuple[int, ...]:
    """The templates that cannot overlap themselves, in ascending order: 148 of nine bits."""
    return tuple(code for code in range(1 << width) if _is_aperiodic(code, width))


def _is_aperiodic(code: int, width: int) -> bool:
    return all(code >> shift != code & ((1 << width - shift) - 1) for shift in range(1, width))


def non_overlapping_templates(bits: Bits) -> PValues:
    """Section 2.7 with eight blocks: one P-value for each template of nine bits."""
    return template_p_values(bits, WIDTH, 8, aperiodic_templates())


def template_p_values(bits: Bits, width: int, blocks: int, templates: Sequence[int]) -> PValues:
    """Matches of each template in each block. A template that cannot overlap itself has no other matches
    than those the standard's scan, which jumps over each match, would find.
    """
    size = len(bits) // blocks
    parts = bits[: size * blocks].reshape(blocks, size)
    counts = np.stack([np.bincount(windows(part, width), minlength=1 << width) for part in parts])
    mean = (size - width + 1) / 2**width
    variance = size * (1 / 2**width - (2 * width - 1) / 2 ** (2 * width))
    statistics = ((counts[:, list(templates)] - mean) ** 2 / variance).sum(axis=0)
    return tuple(igamc(blocks / 2, float(statistic) / 2) for statistic in statistics)


def overlapping_templates(bits: Bits, width: int = WIDTH, block: int = 1032) -> PValues:
    """Section 2.8: runs of width ones, overlaps counted, in each block."""
    return (class_p_value(overlapping_counts(bits, width, block), overlapping_law(width, block)),)


def overlapping_counts(bits: Bits, width: int, block: int) -> Counts:
    """How many blocks have 0, 1, ..., 4 and at least 5 matches."""
    count = len(bits) // block
    parts = bits[: count * block].reshape(count, block)
    matches = np.ones((count, block - width + 1), dtype=np.uint8)
    for place in range(width):
        matches &= parts[:, place : place + matches.shape[1]]
    return np.bincount(np.minimum(matches.sum(axis=1, dtype=np.int64), MOST), minlength=MOST + 1)


@cache
def overlapping_law(width: int, block: int) -> tuple[float, ...]:
    """The exact probabilities of those classes; section 3.8 only approximates them.

    A chain over (matches so far, length of the run of ones at the end), bit by bit.
    """
    chain: NDArray[np.float64] = np.zeros((MOST + 1, width + 1))
    chain[0, 0] = 1.0
    for _ in range(block):
        following = np.zeros_like(chain)
        following[:, 0] = chain.sum(axis=1) / 2
        following[:, 1:width] = chain[:, : width - 1] / 2
        matching = (chain[:, width - 1] + chain[:, width]) / 2
        following[1:, width] = matching[:-1]
        following[MOST, width] += matching[MOST]
        chain = following
    return tuple(float(share) for share in chain.sum(axis=1))
