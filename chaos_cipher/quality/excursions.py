"""SP 800-22 rev 1a tests of the walk's cycles from zero to zero: sections 2.14 and 2.15."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chaos_cipher.quality.bits import Bits, Counts, PValues, class_p_value

STATES: Final = (-4, -3, -2, -1, 1, 2, 3, 4)
VARIANT_STATES: Final = (*range(-9, 0), *range(1, 10))
MOST: Final = 5  # section 2.14.4: five visits and more are one class


class Reason(StrEnum):
    """Why a test says nothing about a sequence."""

    TOO_FEW_CYCLES = "too-few-cycles"
    TOO_FEW_BITS = "too-few-bits"


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The outcome of a test whose approximations do not hold for this sequence. It is not a P-value."""

    reason: Reason


def random_excursions(bits: Bits) -> PValues | NotApplicable:
    """Section 2.14: visits to each of eight states in a cycle (eight P-values)."""
    walk = walk_of(bits)
    if cycles_of(walk) < cycles_needed(len(bits)):
        return NotApplicable(Reason.TOO_FEW_CYCLES)
    return excursion_p_values(walk)


def random_excursions_variant(bits: Bits) -> PValues | NotApplicable:
    """Section 2.15: visits to each of eighteen states in the whole walk (eighteen P-values)."""
    walk = walk_of(bits)
    if cycles_of(walk) < cycles_needed(len(bits)):
        return NotApplicable(Reason.TOO_FEW_CYCLES)
    return variant_p_values(walk)


def cycles_needed(n: int) -> float:
    """Section 2.14.4 step 4: with fewer cycles the chi-square approximation does not hold."""
    return max(500.0, 0.005 * math.sqrt(n))


def walk_of(bits: Bits) -> NDArray[np.int64]:
    """The walk after each bit (a one is +1, a zero is -1), with a last zero appended."""
    walk = np.cumsum(2 * bits.astype(np.int64) - 1)
    return walk if walk[-1] == 0 else np.append(walk, 0)


def cycles_of(walk: NDArray[np.int64]) -> int:
    return int(np.count_nonzero(walk == 0))


def excursion_p_values(walk: NDArray[np.int64]) -> PValues:
    """One P-value for each of STATES."""
    cycles = cycles_of(walk)
    cycle = np.cumsum(walk == 0)
    visits = (np.bincount(cycle[walk == state], minlength=cycles) for state in STATES)
    classes = (np.bincount(np.minimum(each, MOST), minlength=MOST + 1) for each in visits)
    return tuple(
        class_p_value(counts, visit_law(state)) for counts, state in zip(classes, STATES, strict=True)
    )


def visit_law(state: int) -> tuple[float, ...]:
    """The probabilities of 0, 1, ..., 4 and at least 5 visits to a state in a cycle (section 3.14)."""
    leave = 1 / (2 * abs(state))
    stay = 1 - leave
    return (stay, *(leave**2 * stay ** (k - 1) for k in range(1, MOST)), leave * stay ** (MOST - 1))


def variant_counts(walk: NDArray[np.int64]) -> Counts:
    """How often the walk is at each of VARIANT_STATES."""
    seen = np.bincount(np.clip(walk, -10, 10) + 10, minlength=21)
    return seen[[state + 10 for state in VARIANT_STATES]]


def variant_p_values(walk: NDArray[np.int64]) -> PValues:
    """One P-value for each of VARIANT_STATES."""
    cycles = cycles_of(walk)
    return tuple(
        math.erfc(abs(int(seen) - cycles) / math.sqrt(2 * cycles * (4 * abs(state) - 2)))
        for seen, state in zip(variant_counts(walk), VARIANT_STATES, strict=True)
    )
