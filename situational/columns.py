"""What judging keeps of every node: columns of numbers, a row per node, and a small memory beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from situational.adoption import NOT_VOTED, Codes, Flags, Votes, no_votes
from situational.danger import NO_DANGER, Danger
from situational.hazard import Hazard
from situational.letters import FloatArray, Trend
from situational.series import METRICS, Metric

Counts = npt.NDArray[np.int8]

RECENT = 3  # windows that a hit counts for
SHAPE, REGIME = 0, 1  # places in `votes`
SLOW_SCALES = 2


@dataclass(frozen=True, slots=True)
class Columns:
    """Shapes with R rows and M = 4 metrics; every column of a node's row belongs to that node alone."""

    votes: Codes  # (R, 2, M, OF), shapes and regimes
    adopted: Codes  # (R, 2, M)
    large: Flags  # (R, M, RECENT): the newest windows grew largely
    short: Codes  # (R, M, RECENT): letters of the short windows while in danger
    early: Counts  # (R, M): early windows on end that grew largely
    slow: Counts  # (R, SLOW_SCALES, M): hits less misses of the slow windows
    lines: FloatArray  # (R, M, 2), see `usual.Line`
    lines_until_s: FloatArray  # (R,)

    @staticmethod
    def empty(rows: int) -> Columns:
        m = len(METRICS)
        votes = no_votes(rows, 2, m)
        return Columns(
            votes=votes.cast,
            adopted=votes.adopted,
            large=np.zeros((rows, m, RECENT), dtype=np.bool_),
            short=np.full((rows, m, RECENT), NOT_VOTED, dtype=np.uint8),
            early=np.zeros((rows, m), dtype=np.int8),
            slow=np.zeros((rows, SLOW_SCALES, m), dtype=np.int8),
            lines=np.full((rows, m, 2), math.nan),
            lines_until_s=np.full(rows, -math.inf),
        )

    def take(self, rows: npt.NDArray[np.intp]) -> Columns:
        """A copy of these rows."""
        return Columns(*(getattr(self, name)[rows] for name in Columns.__slots__))

    def put(self, rows: npt.NDArray[np.intp], other: Columns) -> None:
        for name in Columns.__slots__:
            getattr(self, name)[rows] = getattr(other, name)

    def grown(self) -> Columns:
        """Twice as many rows, the new ones empty."""
        fresh = Columns.empty(len(self.lines_until_s))
        return Columns(
            *(np.concatenate([getattr(self, name), getattr(fresh, name)]) for name in Columns.__slots__)
        )

    def polled(self) -> Votes:
        return Votes(self.votes, self.adopted)


@dataclass(frozen=True, slots=True)
class Memory:
    """`trends`: of each metric the newest window of the adopted regime. `drivers` put the node in danger."""

    danger: Danger = NO_DANGER
    hazard: Hazard | None = None
    trends: Mapping[Metric, Trend] = field(default_factory=dict)
    drivers: frozenset[Metric] = frozenset()


NO_MEMORY = Memory()
