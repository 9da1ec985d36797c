"""LLL reduction (Lenstra, Lenstra and Lovász 1982) with exact rows, after Nguyen and Stehlé's L2 (2009).

Rows and their inner products are exact integers; only the orthogonal shares that follow are float64.
The rows before the current one are reduced already, which keeps that triangular system well conditioned.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chaos_cipher.fold.errors import LatticeError

Floats = NDArray[np.float64]
Integers = NDArray[np.object_]

LOVASZ: Final = 0.99  # delta: 1 would be the least, in more time
SIZE: Final = 0.51  # eta: exactly 1/2 cannot be told in floats
MOST_BITS: Final = 500  # sums of squares of such entries still are float64 numbers
MOST_PASSES: Final = 100


def reduce_basis(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """An LLL-reduced basis (delta 0.99, eta 0.51) of the lattice that the independent rows span.

    Raises LatticeError: rows of unequal lengths, dependent rows, entries of more than 500 bits.
    """
    _check(rows)
    basis = _Basis(rows)
    k = 0
    while k < len(rows):
        k = basis.settle(k) + 1
    return [[int(entry) for entry in row] for row in basis.rows]


def _check(rows: Sequence[Sequence[int]]) -> None:
    if len({len(row) for row in rows}) > 1:
        raise LatticeError("its rows have different lengths")
    if rows and len(rows[0]) < len(rows):
        raise LatticeError("it has more rows than columns, so they are dependent")
    if any(abs(entry).bit_length() > MOST_BITS for row in rows for entry in row):
        raise LatticeError(f"an entry has more than {MOST_BITS} bits; drop low bits that do not matter")


class _Basis:
    """The rows, and for those already settled the share that each has of every direction."""

    def __init__(self, rows: Sequence[Sequence[int]]) -> None:
        self.rows: Integers = np.array([list(row) for row in rows], dtype=object)
        self._shares: Floats = np.zeros((len(rows), len(rows)))  # lower triangle; the diagonal is positive

    def settle(self, k: int) -> int:
        """Shortens row k by those before it and moves it up to where Lovász wants it; returns that place."""
        shares, square = self._shortened(k)
        squares = square - np.concatenate(([0.0], np.cumsum(shares * shares)))  # of what is left from j on
        place = self._place(k, squares)
        if squares[place] <= 0.0:
            raise LatticeError("its rows are dependent")
        self.rows[place : k + 1] = np.roll(self.rows[place : k + 1], 1, axis=0)
        self._shares[place, :place] = shares[:place]
        self._shares[place, place] = np.sqrt(squares[place])
        return place

    def _shortened(self, k: int) -> tuple[Floats, float]:
        """Row k's shares of the directions before it, none above a half of theirs, and its squared length."""
        for _ in range(MOST_PASSES):
            products = (self.rows[: k + 1] @ self.rows[k]).astype(np.float64)
            if products[k] == 0.0:
                raise LatticeError("its rows are dependent")
            shares = np.linalg.solve(self._shares[:k, :k], products[:k])
            multiples = self._multiples(shares.copy(), k)
            if not multiples:
                return shares, float(products[k])
            places = list(multiples)
            self.rows[k] -= np.array(list(multiples.values()), dtype=object) @ self.rows[places]
        raise LatticeError("float64 is too coarse for it")

    def _multiples(self, shares: Floats, k: int) -> dict[int, int]:
        """Which multiples of the rows before k bring every share of row k to at most about a half."""
        limits = SIZE * np.diagonal(self._shares)[:k]
        found: dict[int, int] = {}
        while (too_long := np.flatnonzero(np.abs(shares) > limits)).size:
            j = int(too_long[-1])
            multiple = np.rint(shares[j] / self._shares[j, j])
            shares = shares[:j] - multiple * self._shares[j, :j]
            limits = limits[:j]
            found[j] = int(multiple)
        return found

    def _place(self, k: int, squares: Floats) -> int:
        place = k
        while place > 0 and squares[place - 1] < LOVASZ * self._shares[place - 1, place - 1] ** 2:
            place -= 1
        return place
