from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chaos_cipher.fold.errors import LatticeError
from chaos_cipher.fold.lattice import reduce_basis
from tests.chaos_cipher.support import few, fixed_bits

Matrix = list[list[int]]
Shares = list[list[Fraction]]
ROUNDING = Fraction(1, 10**6)  # what float64 may add to the bounds


def dot(one: list[Fraction], other: list[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(one, other, strict=True)), Fraction(0))


def gram_schmidt(rows: Matrix) -> tuple[Shares, list[Fraction]]:
    """Exactly: each row's shares of the directions before it, and the squared length of each direction."""
    directions: list[list[Fraction]] = []
    shares: Shares = []
    for row in rows:
        rest = [Fraction(entry) for entry in row]
        mine = [dot(rest, d) / dot(d, d) if any(d) else Fraction(0) for d in directions]
        for share, direction in zip(mine, directions, strict=True):
            rest = [a - share * b for a, b in zip(rest, direction, strict=True)]
        directions.append(rest)
        shares.append(mine)
    return shares, [dot(direction, direction) for direction in directions]


def hermite(rows: Matrix) -> Matrix:
    """The Hermite normal form: equal for two bases if and only if they span the same lattice."""
    rows = [list(row) for row in rows]
    done: Matrix = []
    for column in range(len(rows[0])):
        while len(live := [row for row in rows if row[column]]) > 1:
            pivot = min(live, key=lambda row: abs(row[column]))
            for row in live:
                if row is not pivot:
                    subtract(row, pivot, row[column] // pivot[column])
        if live:
            rows = [row for row in rows if row is not live[0]]
            pivot = live[0] if live[0][column] > 0 else [-entry for entry in live[0]]
            for row in done:
                subtract(row, pivot, row[column] // pivot[column])
            done.append(pivot)
    return done


def subtract(row: list[int], other: list[int], multiple: int) -> None:
    row[:] = [a - multiple * b for a, b in zip(row, other, strict=True)]


def assert_reduced(rows: Matrix) -> None:
    shares, squares = gram_schmidt(rows)
    assert all(abs(share) <= Fraction(51, 100) + ROUNDING for row in shares for share in row)
    for k, (before, own) in enumerate(pairwise(squares), start=1):
        assert own >= (Fraction(99, 100) - ROUNDING - shares[k][k - 1] ** 2) * before


@st.composite
def bases(draw: st.DrawFn) -> Matrix:
    size, bits = draw(st.integers(1, 6)), draw(st.sampled_from([3, 20, 70, 200, 400]))
    entries = st.integers(-(2**bits), 2**bits)
    extra = draw(st.integers(0, 2))
    rows = draw(
        st.lists(
            st.lists(entries, min_size=size + extra, max_size=size + extra), min_size=size, max_size=size
        )
    )
    assume(all(gram_schmidt(rows)[1]))
    return rows


@few
@given(bases())
def test_a_reduced_basis_spans_the_same_lattice_and_meets_the_exact_conditions(rows: Matrix) -> None:
    reduced = reduce_basis(rows)
    assert hermite(reduced) == hermite(rows)
    assert_reduced(reduced)


@pytest.mark.parametrize("bits", [30, 150, 256])
def test_the_relations_of_14_long_numbers_are_reduced(bits: int) -> None:
    numbers = [fixed_bits(f"relation {i}", bits) for i in range(14)]
    rows = [[int(i == j) for j in range(14)] + [number] for i, number in enumerate(numbers)]
    reduced = reduce_basis(rows)
    assert hermite(reduced) == hermite(rows)
    assert_reduced(reduced)


def test_a_planted_short_vector_comes_first() -> None:
    modulus, secret = 2**200 + 235, 2**90 + 12345
    other = pow(fixed_bits("planted", 200), -1, modulus)
    rows = [[1, secret * other % modulus], [0, modulus]]
    first = reduce_basis(rows)[0]
    assert max(abs(entry) for entry in first) < 2**101


def test_entries_whose_sizes_differ_by_300_bits_are_reduced() -> None:
    rows = [[1, 0, 2**300 + 7], [0, 1, 2**299 - 5], [0, 0, 3**190]]
    reduced = reduce_basis(rows)
    assert hermite(reduced) == hermite(rows)
    assert_reduced(reduced)


def test_a_reduced_basis_stays_as_it_is_and_an_empty_one_is_none() -> None:
    assert reduce_basis([[1, 0], [0, 1]]) == [[1, 0], [0, 1]]
    assert reduce_basis([]) == []


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([[1, 2], [3]], "different lengths"),
        ([[1], [2]], "more rows than columns"),
        ([[2**500]], "more than 500 bits"),
        ([[0, 0]], "dependent"),
        ([[1, 2], [2, 4]], "dependent"),
        ([[3, 5, 7], [2, 4, 8], [5, 9, 15]], "dependent"),
        ([[2**200, 3**100], [2**201, 2 * 3**100]], "dependent"),
    ],
)
def test_what_cannot_be_reduced_is_refused_by_name(rows: Matrix, reason: str) -> None:
    with pytest.raises(LatticeError, match=reason):
        reduce_basis(rows)
