"""What known blocks and leading bits say of the two unknowns.

The leading t bits of a state's high half and the block give the leading t bits of its low half: the state,
a polynomial in the unknowns, is then known modulo 2^-128 up to 2^-(128 + t).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Final

from chaos_cipher.fold.errors import HintError
from chaos_cipher.fold.keystream import HALF_BITS, LOW
from chaos_cipher.fold.polynomial import (
    CONSTANT,
    FRACTION_BITS,
    UNIT,
    Monomial,
    Polynomial,
    linear,
    mapped,
    middle,
    radius,
)
from chaos_cipher.logistic import HIGHEST_A, LOWEST_A

PUBLIC_BITS: Final = 33  # of a: from LOWEST_A up to HIGHEST_A the first 33 of its 128 bits are the same
LEAST_BITS: Final = 6  # an equation that tells less costs more than it gives
U: Final[Monomial] = (1, 0)
V: Final[Monomial] = (0, 1)


@dataclass(frozen=True, slots=True)
class Leading:
    """The first `bits` of a 128-bit number. Raises HintError."""

    value: int = field(repr=False)
    bits: int

    def __post_init__(self) -> None:
        if not 1 <= self.bits < HALF_BITS:
            raise HintError("number of leading bits", 1, HALF_BITS - 1)
        if not 0 <= self.value < 1 << self.bits:
            raise HintError(f"value of {self.bits} leading bits", 0, (1 << self.bits) - 1)

    @classmethod
    def of(cls, number: int, bits: int) -> "Leading":
        return cls(number >> (HALF_BITS - bits), bits)

    @property
    def low(self) -> int:
        return self.value << (HALF_BITS - self.bits)

    @property
    def high(self) -> int:
        """The first number above all that begin so."""
        return self.value + 1 << (HALF_BITS - self.bits)


@dataclass(frozen=True, slots=True)
class Equation:
    """x = polynomial, and x modulo 2^-128 is within 2^-(129 + bits) of target * 2^-256.

    x is the state `place` blocks after the first known one.
    """

    place: int
    polynomial: Polynomial = field(repr=False)
    bits: int
    target: int = field(repr=False)

    def holds(self, x: int) -> bool:
        """Whether the low half of the state x begins as the block and the state's leading bits tell."""
        return (x ^ self.target) & LOW < 1 << HALF_BITS - self.bits


def equations(blocks: Sequence[int], hi: Leading, a: Leading) -> Iterator[Equation]:
    """One for each block, as long as the state is known well enough. Raises HintError."""
    pairs = zip(_states(hi, a), blocks, strict=False)
    return (_equation(place, x, block) for place, (x, block) in enumerate(pairs))


def _states(hi: Leading, a: Leading) -> Iterator[Polynomial]:
    low_a, high_a = max(a.low, LOWEST_A), min(a.high, HIGHEST_A + 1)
    if low_a >= high_a:
        raise HintError(
            f"value of a's {a.bits} leading bits", LOWEST_A >> 128 - a.bits, HIGHEST_A >> 128 - a.bits
        )
    mu = linear(low_a, high_a, HALF_BITS - 2, variable=V)
    x = linear(hi.low, hi.high, HALF_BITS, variable=U)
    return takewhile(_is_known, _orbit(x, mu))


def _orbit(x: Polynomial, mu: Polynomial) -> Iterator[Polynomial]:
    while True:
        yield x
        x = mapped(x, mu)


def _is_known(x: Polynomial) -> bool:
    return radius(x) < UNIT >> LEAST_BITS


def _equation(place: int, x: Polynomial, block: int) -> Equation:
    shift = FRACTION_BITS - HALF_BITS
    low, high = middle(x) - radius(x) >> shift, middle(x) + radius(x) - 1 >> shift
    low, high = max(low, 0), min(high, LOW)
    unknown = (low ^ high).bit_length()  # bits of the high half behind those that all its values share
    target = (low ^ block) >> unknown << unknown | 1 << unknown >> 1
    return Equation(place, x, HALF_BITS - unknown, target)


@dataclass(frozen=True, slots=True)
class System:
    """The equations worth using, and how many bits of each monomial they can see, fewest first."""

    equations: tuple[Equation, ...]
    monomials: dict[Monomial, int]

    @property
    def told(self) -> int:
        return sum(equation.bits for equation in self.equations)


def system(every: Sequence[Equation]) -> System:
    """The equations that tell enough, with each monomial that some of them can tell from 0."""
    used = tuple(equation for equation in every if equation.bits >= LEAST_BITS)
    seen: dict[Monomial, int] = {}
    for equation in used:
        for monomial, value in equation.polynomial.items():
            bits = abs(value).bit_length() - FRACTION_BITS + HALF_BITS + equation.bits + 1
            seen[monomial] = max(seen.get(monomial, 0), bits)
    matter = ((bits, monomial) for monomial, bits in seen.items() if bits > 0 and monomial != CONSTANT)
    return System(used, {monomial: bits for bits, monomial in sorted(matter)})
