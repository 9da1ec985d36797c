"""The last step of a pass: letters, verdicts and memory of each node of which something is to be told."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from situational.adoption import NOT_VOTED, Codes, among
from situational.baseline import Baseline
from situational.columns import REGIME, Columns, Memory
from situational.danger import Outlook, remember
from situational.hazard import DANGER, FALLING, GROWING, SEVERITY, Level, Reason, ReasonCode, fuse
from situational.large import LargeVerdict, Limits
from situational.large import judge as by_share
from situational.letters import LETTERS, NO_TREND, NONE_CODE, Letter, Trend
from situational.passes import Pass, Rules, Seen, recent
from situational.series import METRICS, Metric

EARLY_HITS = 5  # early windows on end; a step looks like growth for the first samples
SLOW_HITS = 5  # net hits that turn slow growth on, net misses that turn it off
SHORT = 10  # samples of the window that sees a danger lift
FALLS = 2  # of the recent short windows
# Once three metrics are B and large, the fourth counts as B with so many of its last votes.
JOINT_NEED = 4

_B = LETTERS.index(Letter.B)
_UNKNOWN = Baseline()


def fused(asked: Pass, columns: Columns, seen: Seen, rules: Rules) -> list[Memory]:
    """Fuse the nodes of which anything is to be told; of the others nothing has changed."""
    regimes = columns.adopted[:, REGIME]
    busy = among(regimes, (*GROWING, *FALLING)).any(axis=1)
    busy |= (regimes != asked.columns.adopted[:, REGIME]).any(axis=1)
    busy |= (columns.early >= EARLY_HITS).any(axis=1) | (columns.slow > SLOW_HITS).any(axis=(1, 2))
    return [
        _remembered(asked, columns, seen, rules, place) if busy[place] or _unquiet(memory) else memory
        for place, memory in enumerate(asked.memories)
    ]


def _unquiet(memory: Memory) -> bool:
    told = memory.hazard
    return told is None or told.level is not Level.NORMAL or told.peak is not Level.NORMAL


def _remembered(asked: Pass, columns: Columns, seen: Seen, rules: Rules, place: int) -> Memory:
    before, short = asked.memories[place], columns.short[place]
    falls = among(short, FALLING).sum(axis=1) >= FALLS
    trends = _trends(before, columns, seen, place)
    large: dict[Metric, LargeVerdict] = {}
    for i, metric in enumerate(METRICS):
        if trends[metric].regime in GROWING and columns.large[place, i].any() and not falls[i]:
            large[metric] = _verdict(asked, trends[metric], metric, rules.limits[metric], place)
    large |= _fourth(trends, large, seen, rules, place)
    told_now = fuse(trends, large, _hints(columns, trends, place))
    drivers = before.drivers if before.danger.active else frozenset()
    if told_now.level >= DANGER:
        drivers |= {metric for metric, verdict in large.items() if verdict.large}
    driving = np.array([metric in drivers for metric in METRICS], dtype=np.bool_)
    growing = among(short[:, -1], GROWING)
    usual = np.median(asked.y[place, :, -SHORT:], axis=-1) <= columns.lines[place, :, 0]
    known = columns.adopted[place, REGIME] != NONE_CODE
    outlook = Outlook(
        falling=bool(2 * (falls & driving).sum() >= max(driving.sum(), 1) and not (growing & driving).any()),
        settled=bool((known | usual)[driving].all()),
        letter=min(
            (LETTERS[code] for code in short[driving, -1].tolist() if code != NOT_VOTED),
            key=SEVERITY.index,
            default=Letter.NONE,
        ),
    )
    danger, told = remember(before.danger, told_now, outlook, asked.now_s, rules.patience)
    return Memory(danger, told, trends, drivers)


def _joint(columns: Columns, seen: Seen, place: int) -> Codes:
    """The adopted regimes; where three surge, the fourth is adopted sooner."""
    adopted = columns.adopted[place, REGIME]
    surging = (adopted == _B) & columns.large[place].any(axis=1)
    soon = ((columns.votes[place, REGIME] == _B).sum(axis=1) >= JOINT_NEED) & (
        seen.codes[REGIME, place] == _B
    )
    return np.where(soon, np.uint8(_B), adopted) if surging.sum() == len(METRICS) - 1 else adopted


def _trends(before: Memory, columns: Columns, seen: Seen, place: int) -> dict[Metric, Trend]:
    """Of each metric the newest window that had the adopted regime."""
    adopted, trends = _joint(columns, seen, place), {}
    for i, metric in enumerate(METRICS):
        if adopted[i] == NONE_CODE:
            trends[metric] = NO_TREND
        elif seen.chosen[place, i] and seen.codes[REGIME, place, i] == adopted[i]:
            trends[metric] = seen.trends[int(seen.place[place, i])]
        else:
            trends[metric] = before.trends.get(metric, NO_TREND)
    return trends


def _fourth(
    trends: Mapping[Metric, Trend],
    large: Mapping[Metric, LargeVerdict],
    seen: Seen,
    rules: Rules,
    place: int,
) -> dict[Metric, LargeVerdict]:
    """Where three metrics surge beyond what is usual, the fourth need only surge: a job that it has every day
    must not hide an attack on all four."""
    left = [
        (i, metric)
        for i, metric in enumerate(METRICS)
        if metric not in large or not large[metric].large or trends[metric].regime is not Letter.B
    ]
    i, metric = left[0] if left else (0, METRICS[0])
    if len(left) != 1 or trends[metric].regime is not Letter.B or seen.codes[REGIME, place, i] != _B:
        return {}
    rise, level = float(seen.rise[place, i]), float(seen.level[place, i])
    return {metric: by_share(rise, level, rules.limits[metric], days=(), hours=(), cold=True)}


def _verdict(asked: Pass, trend: Trend, metric: Metric, limits: Limits, place: int) -> LargeVerdict:
    curve, baseline = trend.regime_curve, asked.baselines[place].get(metric, _UNKNOWN)
    readings = recent(asked.y[place, METRICS.index(metric)])
    level = float(np.fmin(curve.start + curve.rise, readings))
    return baseline.is_large(
        level - curve.start, level, asked.wall_s, limits, utc_offset_s=asked.utc_offset_s
    )


def _hints(columns: Columns, trends: Mapping[Metric, Trend], place: int) -> list[Reason]:
    early = columns.early[place] >= EARLY_HITS
    slow = (columns.slow[place] > SLOW_HITS).any(axis=0)
    return [
        Reason(code, metric, trends[metric].regime, 0.0)
        for code, flags in ((ReasonCode.GROWTH_EARLY, early), (ReasonCode.GROWTH_SLOW, slow))
        for metric, flag in zip(METRICS, flags.tolist(), strict=True)
        if flag
    ]
