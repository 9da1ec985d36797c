"""Known blocks and leading bits of the first state and of a -> that state and a, by one lattice reduction."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from chaos_cipher.fold.equations import PUBLIC_BITS, Equation, Leading, System, equations, system
from chaos_cipher.fold.errors import NoStateError, TooFewBlocksError
from chaos_cipher.fold.keystream import HALF_BITS, LOW, continued
from chaos_cipher.fold.lattice import reduce_basis
from chaos_cipher.fold.polynomial import FRACTION_BITS, Monomial, middle
from chaos_cipher.logistic import HIGHEST_A, LOWEST_A, ONE, SHIFT

GRAIN_BITS: Final = 3  # a monomial is rounded to 1/8 of what the equations can see of it


@dataclass(frozen=True, slots=True)
class Recovered:
    """The state at the first known block, a, and what the lattice was."""

    x: int = field(repr=False)
    a: int = field(repr=False)
    dimension: int
    entry_bits: int
    equations: int
    told: int


def recover(blocks: Sequence[int], hi: Leading, a: Leading, first: int = 1) -> Recovered:
    """The state whose high half begins with `hi`, and the a that begins with `a`, that give the blocks.

    `blocks` are the numbers of neighbouring blocks from number `first` on.
    Raises HintError, TooFewBlocksError, NoStateError.
    """
    every = list(equations(blocks, hi, a))
    chosen = system(every)
    unknown = 2 * HALF_BITS - hi.bits - max(a.bits, PUBLIC_BITS)
    if len(every) < 2 or chosen.told < unknown:
        raise TooFewBlocksError(len(blocks), chosen.told, unknown)
    rows = lattice(chosen)
    candidates = 0
    for values in _short_values(reduce_basis(rows), chosen):
        for x, found_a in _completed(values, every, blocks, first):
            candidates += 1
            if continued(x, found_a, first, len(blocks)) == list(blocks):
                return _described(x, found_a, rows, chosen)
    raise NoStateError(candidates)


def _described(x: int, a: int, rows: list[list[int]], chosen: System) -> Recovered:
    entry_bits = max(abs(entry).bit_length() for row in rows for entry in row)
    return Recovered(x, a, len(rows), entry_bits, len(chosen.equations), chosen.told)


def lattice(chosen: System) -> list[list[int]]:
    """Rows whose combination with the true unknowns is short: every entry at most about 1, i.e. 2^scale.

    Columns: each equation's miss in units of 2^-(129 + bits); each monomial's value; 1.
    Rows: a grain of each monomial; 2^-128 in each equation (the modulus); what all equations miss at 0.
    """
    scale = _scale(chosen)
    count, width = len(chosen.equations), len(chosen.equations) + len(chosen.monomials) + 1
    rows: list[list[int]] = []
    for place, (monomial, bits) in enumerate(chosen.monomials.items(), start=count):
        grain = bits + GRAIN_BITS
        misses = [_scaled(e.polynomial.get(monomial, 0), e, scale - grain) for e in chosen.equations]
        rows.append(_row(width, misses, {place: 1 << scale - grain + _lift(monomial)}))
    for place, equation in reversed(list(enumerate(chosen.equations))):
        rows.append(_row(width, [], {place: 1 << scale + equation.bits + 1}))
    misses = [_missed(equation, scale) for equation in chosen.equations]
    rows.append(_row(width, misses, {width - 1: 1 << scale}))
    return rows


def _lift(monomial: Monomial) -> int:
    """A product of several unknowns is mostly far below 1, about half as large for each one more."""
    return sum(monomial) - 1


def _scale(chosen: System) -> int:
    return max(chosen.monomials.values()) + 2 * GRAIN_BITS


def _row(width: int, start: list[int], others: dict[int, int]) -> list[int]:
    row = start + [0] * (width - len(start))
    for place, value in others.items():
        row[place] = value
    return row


def _scaled(value: int, equation: Equation, scale: int) -> int:
    """A number in units of 2^-FRACTION_BITS -> in units of 2^-(129 + bits + scale)."""
    return _shifted(value, HALF_BITS + 1 + equation.bits + scale - FRACTION_BITS)


def _missed(equation: Equation, scale: int) -> int:
    missed = middle(equation.polynomial) - _shifted(equation.target, FRACTION_BITS - 2 * HALF_BITS)
    return _scaled(missed, equation, scale) % (1 << scale + equation.bits + 1)


def _shifted(value: int, places: int) -> int:
    return value << places if places >= 0 else value >> -places


def _short_values(basis: list[list[int]], chosen: System) -> Iterator[dict[Monomial, int]]:
    """The monomials' values, in units of 2^-FRACTION_BITS, of each row that has exactly one target in it."""
    scale = _scale(chosen)
    for row in basis:
        if abs(row[-1]) == 1 << scale:
            sign = 1 if row[-1] > 0 else -1
            entries = row[len(chosen.equations) : -1]
            pairs = zip(chosen.monomials, entries, strict=True)
            yield {m: _shifted(sign * entry, FRACTION_BITS - scale - _lift(m)) for m, entry in pairs}


def _completed(
    values: dict[Monomial, int], every: Sequence[Equation], blocks: Sequence[int], first: int
) -> Iterator[tuple[int, int]]:
    """The first state and a that the values mean, if a is in its range: two neighbouring states give it."""
    x, following = (
        _state(values, equation, block) for equation, block in zip(every[:2], blocks, strict=False)
    )
    bent = x * (ONE - x)
    a = -(-((following ^ first + 1) << SHIFT) // max(bent, 1))  # the least a that leads there
    if LOWEST_A <= a <= HIGHEST_A:
        yield x, a


def _state(values: dict[Monomial, int], equation: Equation, block: int) -> int:
    """The high half that is nearest to the polynomial's value, and the low half that the block then gives."""
    polynomial = equation.polynomial
    moved = sum(polynomial.get(monomial, 0) * value >> FRACTION_BITS for monomial, value in values.items())
    above = middle(polynomial) + moved - (equation.target << FRACTION_BITS - 2 * HALF_BITS)
    shift = FRACTION_BITS - HALF_BITS
    high = (above + (1 << shift - 1) >> shift) & LOW
    return high << HALF_BITS | high ^ block
