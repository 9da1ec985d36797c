"""Perception: bounded series of what the nodes report (P1 §2.3)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from situational.errors import (
    BadSettingError,
    SampleNotFiniteError,
    TimeWentBackwardsError,
    TooManyNodesError,
)

FloatArray = npt.NDArray[np.float64]

DEFAULT_CAPACITY = 60  # five minutes at one poll every 5 s


class Metric(StrEnum):
    """The four curves that P1 §2.3 builds per node."""

    LOGGED_IN_NODES = "logged_in_nodes"  # count
    NETWORK_FLOW = "network_flow"  # bytes/s
    EXTERNAL_CONNECTIONS = "external_connections"  # count
    MEMORY_USED = "memory_used"  # bytes


METRICS: tuple[Metric, ...] = tuple(Metric)


@dataclass(frozen=True, slots=True)
class Sample:
    """What one poll told of one node; a metric that was not measured this time is left out."""

    time_s: float
    values: Mapping[Metric, float]


class Window(NamedTuple):
    """Times in monotonic seconds and values of one series, both of shape (n,), oldest first."""

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

    def check(self, time_s: float, value: float) -> None:
        """Raise what `append` would raise (SampleNotFiniteError, TimeWentBackwardsError); change nothing."""
        if not (math.isfinite(time_s) and math.isfinite(value)):
            raise SampleNotFiniteError(time_s, value)
        if time_s < self._last_s:
            raise TimeWentBackwardsError(self._last_s, time_s)

    def append(self, time_s: float, value: float) -> None:
        self.check(time_s, value)
        self._ring[:, self._count % self._ring.shape[1]] = time_s, value
        self._count += 1
        self._last_s = time_s

    def window(self) -> Window:
        """A copy of what is kept."""
        size = len(self)
        kept = np.roll(self._ring[:, :size], -(self._count % size), axis=1) if size else self._ring[:, :0]
        return Window(kept[0], kept[1])


class NodeSeries:
    """Per node the four series; memory is bounded by `max_nodes` x 4 x `capacity` samples."""

    def __init__(self, *, max_nodes: int, capacity: int = DEFAULT_CAPACITY) -> None:
        if max_nodes < 1:
            raise BadSettingError("max_nodes", max_nodes, "at least 1")
        self._max_nodes = max_nodes
        self._capacity = capacity
        self._nodes: dict[str, dict[Metric, Series]] = {}

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, node: str) -> bool:
        return node in self._nodes

    def record(self, node: str, sample: Sample) -> None:
        """Take in the whole sample or, when any part is refused, nothing of it.

        Raises SampleNotFiniteError, TimeWentBackwardsError, TooManyNodesError.
        """
        series = self._nodes.get(node)
        if series is None:
            if len(self._nodes) >= self._max_nodes:
                raise TooManyNodesError(node, self._max_nodes)
            series = {metric: Series(capacity=self._capacity) for metric in METRICS}
        for metric, value in sample.values.items():
            series[metric].check(sample.time_s, value)
        for metric, value in sample.values.items():
            series[metric].append(sample.time_s, value)
        self._nodes[node] = series

    def windows(self) -> dict[tuple[str, Metric], Window]:
        """All windows of all nodes, ready for `classify_windows`."""
        return {
            (node, metric): series.window()
            for node, four in self._nodes.items()
            for metric, series in four.items()
        }

    def forget(self, node: str) -> None:
        """Drop a node's series, for example when its link was given up; unknown nodes are no error."""
        self._nodes.pop(node, None)
