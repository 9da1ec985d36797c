"""The values of one pass of judging: what is asked, what was seen in its windows, what is to be adopted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from situational.adoption import Codes, Flags
from situational.baseline import Baseline
from situational.columns import Columns, Memory
from situational.danger import Patience
from situational.large import Limits
from situational.letters import NONE_CODE, FloatArray, IntArray, Trends
from situational.series import Metric

RECENT_SAMPLES = 6


@dataclass(frozen=True, slots=True)
class Slow:
    """Windows of a slow scale whose newest sample is new: t (s, 60), y (s, M, 60) of places in the pass."""

    places: IntArray
    t: FloatArray
    y: FloatArray


@dataclass(frozen=True, slots=True)
class Pass:
    """All that judging k nodes needs; t (k, n) and y (k, M, n), NaN where there is no sample."""

    nodes: Sequence[str]
    owners: Sequence[object]  # of the nodes' state: tells a node forgotten and recorded anew meanwhile
    rows: IntArray
    t: FloatArray
    y: FloatArray
    slow: tuple[Slow, Slow]
    turns: Flags
    stale: Flags
    columns: Columns
    memories: Sequence[Memory]
    baselines: Sequence[Mapping[Metric, Baseline]]
    now_s: float
    wall_s: float
    utc_offset_s: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to adopt for the nodes of `asked`."""

    asked: Pass
    columns: Columns
    memories: Sequence[Memory]


@dataclass(frozen=True, slots=True)
class Rules:
    limits: Mapping[Metric, Limits]
    patience: Patience


@dataclass(frozen=True, slots=True)
class Seen:
    """Of the windows classified in a pass: where in (k, M), the trends, each window's place in them."""

    chosen: Flags
    trends: Trends
    place: IntArray
    codes: Codes
    rise: FloatArray
    level: FloatArray


def recent(y: FloatArray) -> FloatArray:
    """The level of the last half minute; NaN where a poll of it is missing."""
    return np.asarray(np.median(y[..., -RECENT_SAMPLES:], axis=-1))


def seen(chosen: Flags, trends: Trends, recently: FloatArray) -> Seen:
    """A curve's end counts for no more than what the readings bear out."""
    place = np.zeros(chosen.shape, dtype=np.intp)
    place[chosen] = np.arange(len(trends))
    codes = np.full((2, *chosen.shape), NONE_CODE, dtype=np.uint8)
    codes[:, chosen] = trends.shape, trends.regime
    rise, level = np.zeros(chosen.shape), np.zeros(chosen.shape)
    start = trends.regime_curve[:, 0]
    level[chosen] = np.fmin(start + trends.regime_curve[:, 1], recently[chosen])
    rise[chosen] = level[chosen] - start
    return Seen(chosen, trends, place, codes, rise, level)
