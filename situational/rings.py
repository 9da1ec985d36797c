"""The storage of `NodeSeries`: a ring of samples per node, in common arrays that grow with the nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from situational.letters import FloatArray, IntArray

_FIRST_ROWS = 16
# A window reaches back no further than this many times its length: what a node told before it was away is
# no part of the present curve.
_REACH = 1.5


class _Bucket:
    """Sums of the samples since the bucket began."""

    __slots__ = ("counts", "index", "sums")

    def __init__(self, index: int, metrics: int) -> None:
        self.index = index
        self.sums = [0.0] * metrics
        self.counts = [0] * metrics

    def add(self, values: Sequence[float]) -> None:
        for i, value in enumerate(values):
            if not math.isnan(value):
                self.sums[i] += value
                self.counts[i] += 1

    def means(self) -> list[float]:
        return [
            total / count if count else math.nan for total, count in zip(self.sums, self.counts, strict=True)
        ]


class Rings:
    """Per row the last `size` samples of `metrics` values; NaN: not measured.

    A sample is one push, or the mean of the pushes within `step_s` when `averaged`; such a bucket becomes a
    sample, stamped with its middle, when a later one begins.
    """

    def __init__(self, *, metrics: int, size: int, step_s: float, averaged: bool) -> None:
        self._step_s = step_s
        self._averaged = averaged
        self._t: FloatArray = np.full((_FIRST_ROWS, size), math.nan)
        self._y: FloatArray = np.full((_FIRST_ROWS, size, metrics), math.nan)
        self._count: IntArray = np.zeros(_FIRST_ROWS, dtype=np.intp)
        self._open: dict[int, _Bucket] = {}

    @property
    def bytes_per_row(self) -> int:
        """Of the arrays; an open bucket is a small object besides."""
        return int(self._t[0].nbytes + self._y[0].nbytes + self._count.itemsize)

    def push(self, row: int, time_s: float, values: Sequence[float]) -> None:
        if row >= len(self._count):
            self._grow(row)
        if not self._averaged:
            self._write(row, time_s, values)
            return
        index = math.floor(time_s / self._step_s)
        bucket = self._open.get(row)
        if bucket is not None and bucket.index != index:
            self._write(row, (bucket.index + 0.5) * self._step_s, bucket.means())
            bucket = None
        if bucket is None:
            bucket = self._open[row] = _Bucket(index, len(values))
        bucket.add(values)

    def latest(self, rows: IntArray, size: int) -> tuple[FloatArray, FloatArray]:
        """The newest `size` samples of rows, oldest first: t (rows, size) and y (rows, metrics, size)."""
        ring = self._t.shape[1]
        place = self._count[rows, None] + np.arange(-size, 0)
        at = rows[:, None], place % ring
        t, y = self._t[at], self._y[at].transpose(0, 2, 1)
        reach = _REACH * size * self._step_s
        old = (place < 0) | (t < t[:, -1:] - reach)
        return np.where(old, math.nan, t), np.where(old[:, None], math.nan, y)

    def clear(self, row: int) -> None:
        if row < len(self._count):
            self._t[row] = self._y[row] = math.nan
            self._count[row] = 0
        self._open.pop(row, None)

    def _write(self, row: int, time_s: float, values: Sequence[float]) -> None:
        place = self._count[row] % self._t.shape[1]
        self._t[row, place] = time_s
        self._y[row, place] = values
        self._count[row] += 1

    def _grow(self, row: int) -> None:
        more = max(len(self._count), row + 1 - len(self._count))
        self._t = np.concatenate([self._t, np.full((more, *self._t.shape[1:]), math.nan)])
        self._y = np.concatenate([self._y, np.full((more, *self._y.shape[1:]), math.nan)])
        self._count = np.concatenate([self._count, np.zeros(more, dtype=np.intp)])
