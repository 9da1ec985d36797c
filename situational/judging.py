"""One pass of judging over many nodes: a pure function of a snapshot, for a worker thread.

Windows that may matter are classified at every poll: those above what is usual, those of nodes in danger or
without history. The others are for display and have their turn every TURN polls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from situational.adoption import Flags, among, pushed
from situational.columns import RECENT, REGIME, Columns, Counts
from situational.fusing import EARLY_HITS, SHORT, SLOW_HITS, fused
from situational.hazard import GROWING
from situational.large import Limits
from situational.letters import NONE_CODE, FloatArray, Letter
from situational.passes import RECENT_SAMPLES, Judgement, Pass, Rules, Seen, recent
from situational.passes import seen as seen_in
from situational.series import METRICS, Metric, Scale
from situational.trend import classify_batch
from situational.usual import REFRESH_S, line_of, maybe_large

TURN = 6  # polls
_DEEP = (Letter.B, Letter.C)
_PART = 12  # samples

T = TypeVar("T", bound=np.generic)


def judge(asked: Pass, rules: Rules) -> Judgement:
    columns = _with_lines(asked, rules.limits)
    active = np.array([memory.danger.active for memory in asked.memories], dtype=np.bool_)
    above = _top(asked.y) >= columns.lines[..., 0]
    fresh = ~asked.stale[:, None]
    urgent = (np.isnan(columns.lines[..., 0]) | above | active[:, None]) & fresh
    seen = _classified(asked, Scale.DECIDING.samples, (urgent | asked.turns[:, None]) & fresh)
    hits = among(seen.codes[REGIME], GROWING) & maybe_large(
        seen.rise, seen.level, columns.lines, rules.limits
    )
    votes = pushed(columns.polled(), seen.codes.transpose(1, 0, 2), seen.chosen[:, None].repeat(2, axis=1))
    short = _classified(asked, SHORT, (active[:, None] & fresh).repeat(len(METRICS), axis=1))
    after = replace(
        columns,
        votes=votes.cast,
        adopted=np.where(asked.stale[:, None, None], np.uint8(NONE_CODE), votes.adopted),
        large=np.where(seen.chosen[..., None], _shifted(columns.large, hits), columns.large),
        short=np.where(
            short.chosen[..., None], _shifted(columns.short, short.codes[REGIME]), np.uint8(NONE_CODE)
        ),
        early=_early(asked, columns, above & fresh, rules.limits),
        slow=_slow(asked, columns, rules.limits),
    )
    return Judgement(asked, after, fused(asked, after, seen, rules))


def _with_lines(asked: Pass, limits: Mapping[Metric, Limits]) -> Columns:
    lines, until = asked.columns.lines.copy(), asked.columns.lines_until_s.copy()
    for place in np.flatnonzero(until <= asked.now_s).tolist():
        for i, metric in enumerate(METRICS):
            baseline = asked.baselines[place].get(metric)
            if baseline is not None:
                lines[place, i] = line_of(baseline, limits[metric], asked.wall_s, asked.utc_offset_s)
        until[place] = asked.now_s + REFRESH_S
    return replace(asked.columns, lines=lines, lines_until_s=until)


def _top(y: FloatArray) -> FloatArray:
    return np.asarray(np.fmax.reduce(y[..., -RECENT_SAMPLES:], axis=-1))


def _classified(asked: Pass, samples: int, chosen: Flags) -> Seen:
    """The last `samples` of the windows chosen, (k, M), in one batch."""
    rows, metrics = np.nonzero(chosen)
    trends = classify_batch(asked.t[rows, -samples:], asked.y[rows, metrics, -samples:])
    return seen_in(chosen, trends, recent(asked.y))


def _early(asked: Pass, columns: Columns, above: Flags, limits: Mapping[Metric, Limits]) -> Counts:
    seen = _classified(asked, Scale.EARLY.samples, above)
    hit = among(seen.codes[REGIME], _DEEP) & maybe_large(seen.rise, seen.level, columns.lines, limits)
    return np.asarray(np.where(hit, np.minimum(columns.early + 1, EARLY_HITS), 0).astype(np.int8))


_FIVE_HOURS = 1  # place among the slow scales


def _slow(asked: Pass, columns: Columns, limits: Mapping[Metric, Limits]) -> Counts:
    """Count up where a new window of a slow scale grows to a level that is not usual, else down."""
    counts = columns.slow.copy()
    least = np.array([limits[metric].relative * limits[metric].floor for metric in METRICS])
    for scale, windows in enumerate(asked.slow):
        level = np.median(windows.y[..., -RECENT:], axis=-1)
        chosen = level >= columns.lines[windows.places, :, 0]
        rows, metrics = np.nonzero(chosen)
        seen = seen_in(chosen, classify_batch(windows.t[rows], windows.y[rows, metrics]), level)
        hit = among(seen.codes[REGIME], GROWING) & (seen.rise >= least)
        if scale == _FIVE_HOURS:  # half an hour without a letter is a step more often than a leak
            hit |= chosen & among(seen.codes[REGIME], (Letter.NONE,)) & _risen(windows.y, least)
        counts[windows.places, scale] = _counted(counts[windows.places, scale], hit)
    return counts


def _risen(y: FloatArray, least: FloatArray) -> Flags:
    """Whether windows that follow no curve end higher than they began, hour by hour in the long ones."""
    first, last = np.median(y[..., :_PART], axis=-1), np.median(y[..., -_PART:], axis=-1)
    return np.asarray(last - first >= least)


def _counted(counts: Counts, hit: Flags) -> Counts:
    """0 … twice SLOW_HITS, above SLOW_HITS is on: what turns on or off goes to the far end."""
    after = np.clip(counts + np.where(hit, 1, -1), 0, 2 * SLOW_HITS)
    after[(counts < SLOW_HITS) & (after == SLOW_HITS)] = 2 * SLOW_HITS
    after[(counts > SLOW_HITS) & (after == SLOW_HITS)] = 0
    return np.asarray(after, dtype=np.int8)


def _shifted(recent: npt.NDArray[T], newest: npt.NDArray[T]) -> npt.NDArray[T]:
    return np.concatenate([recent[..., 1:], newest[..., None]], axis=-1)
