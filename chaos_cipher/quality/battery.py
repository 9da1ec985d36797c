"""One sequence -> the outcomes of the fifteen tests, with the parameters of NIST's own program."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from chaos_cipher.quality.bits import Bits, PValues
from chaos_cipher.quality.errors import SequenceTooShort
from chaos_cipher.quality.excursions import (
    STATES,
    VARIANT_STATES,
    NotApplicable,
    Reason,
    random_excursions,
    random_excursions_variant,
)
from chaos_cipher.quality.frequency import block_frequency, cumulative_sums, frequency
from chaos_cipher.quality.patterns import approximate_entropy, serial, universal
from chaos_cipher.quality.runs import longest_run, runs
from chaos_cipher.quality.structure import linear_complexity, matrix_rank, spectral
from chaos_cipher.quality.templates import (
    aperiodic_templates,
    non_overlapping_templates,
    overlapping_templates,
)

Outcome: TypeAlias = PValues | NotApplicable
Outcomes: TypeAlias = Mapping[str, Outcome]

LEAST_BITS: Final = 1_000  # below this not even the frequency tests say anything of use


@dataclass(frozen=True, slots=True)
class Test:
    """A test, what its P-values are called (in their order), and the bits it needs (its section's x.7)."""

    function: Callable[[Bits], Outcome]
    statistics: tuple[str, ...]
    least_bits: int


def _single(function: Callable[[Bits], Outcome], least_bits: int) -> Test:
    return Test(function, ("",), least_bits)


TESTS: Final[Mapping[str, Test]] = {
    "frequency": _single(frequency, 100),
    "block-frequency": _single(block_frequency, 12_800),
    "runs": _single(runs, 100),
    "longest-run": _single(longest_run, 128),
    "matrix-rank": _single(matrix_rank, 38 * 1024),
    "spectral": _single(spectral, 1_000),
    "non-overlapping": Test(
        non_overlapping_templates, tuple(f"{code:09b}" for code in aperiodic_templates()), 1_000_000
    ),
    "overlapping": _single(overlapping_templates, 1_000_000),
    "universal": _single(universal, 387_840),
    "linear-complexity": _single(linear_complexity, 1_000_000),
    "serial": Test(serial, ("first", "second"), 1 << 19),  # pattern width 16 < log2(n) - 2
    "approximate-entropy": _single(approximate_entropy, 1 << 16),  # width 10 < log2(n) - 5
    "cumulative-sums": Test(cumulative_sums, ("forward", "backward"), 100),
    "random-excursions": Test(random_excursions, tuple(f"{x:+d}" for x in STATES), 1_000_000),
    "excursions-variant": Test(
        random_excursions_variant, tuple(f"{x:+d}" for x in VARIANT_STATES), 1_000_000
    ),
}
STATISTICS: Final = tuple((name, label) for name, test in TESTS.items() for label in test.statistics)


def evaluate(data: bytes, bits: int, names: Collection[str] = tuple(TESTS)) -> Outcomes:
    """The outcomes of the named tests on the first bits of data, the highest bit of a byte first.

    Raises SequenceTooShort.
    """
    if bits < LEAST_BITS:
        raise SequenceTooShort(bits, LEAST_BITS)
    if 8 * len(data) < bits:
        raise SequenceTooShort(8 * len(data), bits)
    sequence = np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=bits)
    return {name: _apply(TESTS[name], sequence) for name in TESTS if name in names}


def _apply(test: Test, sequence: Bits) -> Outcome:
    if len(sequence) < test.least_bits:
        return NotApplicable(Reason.TOO_FEW_BITS)
    return test.function(sequence)
