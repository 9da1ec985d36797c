"""Perception: bounded series of what the nodes report, at four time scales (P1 §2.3)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import NamedTuple

import numpy as np

from situational.errors import (
    BadSettingError,
    SampleNotFiniteError,
    TimeWentBackwardsError,
    TooManyNodesError,
)
from situational.letters import FloatArray
from situational.rings import Rings

__all__ = ["METRICS", "FloatArray", "Matrix", "Metric", "NodeSeries", "Sample", "Scale", "Series", "Window"]

DEFAULT_CAPACITY = 60  # five minutes at one poll every 5 s
PERIOD_S = 5.0  # one poll


class Metric(StrEnum):
    """The four curves that P1 §2.3 builds per node."""

    LOGGED_IN_NODES = "logged_in_nodes"  # count
    NETWORK_FLOW = "network_flow"  # bytes/s
    EXTERNAL_CONNECTIONS = "external_connections"  # count
    MEMORY_USED = "memory_used"  # bytes


METRICS: tuple[Metric, ...] = tuple(Metric)


class Scale(Enum):
    """A window's length in samples, and how many polls are averaged into one of them."""

    EARLY = (24, 1)  # two minutes of single polls: an early word
    DECIDING = (60, 1)  # five minutes of single polls
    HALF_HOUR = (60, 6)  # means of 30 s
    FIVE_HOURS = (60, 60)  # means of 5 min

    @property
    def samples(self) -> int:
        return int(self.value[0])

    @property
    def polls(self) -> int:
        return int(self.value[1])


@dataclass(frozen=True, slots=True)
class Sample:
    """What one poll told of one node; a metric that was not measured this time is left out."""

    time_s: float
    values: Mapping[Metric, float]


class Window(NamedTuple):
    """Times in monotonic seconds and values of one series, both of shape (n,), oldest first."""

    t: FloatArray
    y: FloatArray


class Matrix(NamedTuple):
    """Windows of many nodes for `classify_batch`: t and y of shape (m, n), NaN where there is no sample."""

    keys: list[tuple[str, Metric]]
    t: FloatArray
    y: FloatArray


class Series:
    """The last `capacity` samples of one metric of one node."""

    __slots__ = ("_count", "_last_s", "_ring")

    def __init__(self, *, capacity: int = DEFAULT_CAPACITY) -> None:
        if capacity < 1:
            raise BadSettingError("capacity", capacity, "at least 1")
        self._ring = np.empty((2, capacity), dtype=np.float64)
        self._count = 0
        self._last_s = -math.inf

    def __len__(self) -> int:
        return min(self._count, self._ring.shape[1])

    def append(self, time_s: float, value: float) -> None:
        """Raises SampleNotFiniteError, TimeWentBackwardsError; nothing changes then."""
        check(self._last_s, time_s, (value,))
        self._ring[:, self._count % self._ring.shape[1]] = time_s, value
        self._count += 1
        self._last_s = time_s

    def window(self) -> Window:
        """A copy of what is kept."""
        size = len(self)
        kept = np.roll(self._ring[:, :size], -(self._count % size), axis=1) if size else self._ring[:, :0]
        return Window(kept[0], kept[1])


class NodeSeries:
    """Per node the four series at all scales; memory is bounded by `max_nodes`, see `bytes_per_node`.

    Polls come every `period_s`. `capacity` bounds the samples of a window.
    """

    def __init__(
        self, *, max_nodes: int, capacity: int = DEFAULT_CAPACITY, period_s: float = PERIOD_S
    ) -> None:
        if max_nodes < 1:
            raise BadSettingError("max_nodes", max_nodes, "at least 1")
        if capacity < 1:
            raise BadSettingError("capacity", capacity, "at least 1")
        if not (period_s > 0 and math.isfinite(period_s)):
            raise BadSettingError("period_s", period_s, "a positive number")
        self._max_nodes = max_nodes
        self._capacity = capacity
        self._period_s = period_s
        polls = sorted({scale.polls for scale in Scale})
        self._rings = {
            count: Rings(metrics=len(METRICS), size=capacity, step_s=count * period_s, averaged=count > 1)
            for count in polls
        }
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self._last_s: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, node: str) -> bool:
        return node in self._rows

    @property
    def bytes_per_node(self) -> int:
        return sum(rings.bytes_per_row for rings in self._rings.values())

    def record(self, node: str, sample: Sample) -> None:
        """Take in the whole sample or, when any part is refused, nothing of it.

        Raises SampleNotFiniteError, TimeWentBackwardsError, TooManyNodesError.
        """
        row = self._rows.get(node)
        if row is None and len(self._rows) >= self._max_nodes:
            raise TooManyNodesError(node, self._max_nodes)
        check(self._last_s.get(node, -math.inf), sample.time_s, sample.values.values())
        if row is None:
            row = self._free.pop() if self._free else len(self._rows)
            self._rows[node] = row
        values = [sample.values.get(metric, math.nan) for metric in METRICS]
        for rings in self._rings.values():
            rings.push(row, sample.time_s, values)
        self._last_s[node] = sample.time_s

    def last_s(self, node: str) -> float:
        """When its last sample was taken; −inf for a node that is not known."""
        return self._last_s.get(node, -math.inf)

    def matrix(
        self,
        scale: Scale = Scale.DECIDING,
        *,
        now_s: float | None = None,
        nodes: Sequence[str] | None = None,
    ) -> Matrix:
        """All windows of a scale, or those of `nodes`, which must be known.

        With `now_s`, a node silent for more than three samples of the scale has none.
        """
        wanted = self._rows if nodes is None else nodes
        rows = np.fromiter((self._rows[node] for node in wanted), dtype=np.intp, count=len(wanted))
        size = min(scale.samples, self._capacity)
        t, y = self._rings[scale.polls].latest(rows, size)
        if now_s is not None:
            last = np.array([self._last_s[node] for node in wanted])
            y[now_s - last > 3 * scale.polls * self._period_s] = math.nan
        keys = [(node, metric) for node in wanted for metric in METRICS]
        return Matrix(keys, np.repeat(t, len(METRICS), axis=0), y.reshape(len(keys), size))

    def windows(
        self, scale: Scale = Scale.DECIDING, *, now_s: float | None = None
    ) -> dict[tuple[str, Metric], Window]:
        """The windows of `matrix` without their gaps, ready for `classify_windows`."""
        keys, t, y = self.matrix(scale, now_s=now_s)
        there = np.isfinite(y)
        return {key: Window(t[i, there[i]], y[i, there[i]]) for i, key in enumerate(keys)}

    def forget(self, node: str) -> None:
        """Drop a node's series, for example when its link was given up; unknown nodes are no error."""
        row = self._rows.pop(node, None)
        self._last_s.pop(node, None)
        if row is not None:
            self._free.append(row)
            for rings in self._rings.values():
                rings.clear(row)


def check(last_s: float, time_s: float, values: Iterable[float]) -> None:
    """Raises SampleNotFiniteError, TimeWentBackwardsError."""
    for value in values:
        if not (math.isfinite(time_s) and math.isfinite(value)):
            raise SampleNotFiniteError(time_s, value)
    if time_s < last_s:
        raise TimeWentBackwardsError(last_s, time_s)
