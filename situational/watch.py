"""The whole of comprehension for many nodes: samples in, a hazard per node out (P1 §2.3). No I/O, no clock.

`record` may go on in one thread while `judge` runs in another: `snapshot` copies what judging needs, `judge`
touches nothing but that, `adopt` takes the result over. `snapshot`, `adopt` and all else belong to the thread
that records.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from situational.baseline import HOURS, Baseline, ClockWentBackwardsError
from situational.columns import NO_MEMORY, SHAPE, Columns, Memory
from situational.danger import DEFAULT_PATIENCE, Patience
from situational.errors import BadSettingError
from situational.hazard import DEFAULT_LIMITS, Hazard
from situational.judging import TURN, judge
from situational.large import Limits
from situational.letters import LETTERS, Letter
from situational.passes import Judgement, Pass, Rules, Slow
from situational.series import METRICS, PERIOD_S, Metric, NodeSeries, Sample, Scale

MOST_PER_PASS = 2_000
STALE_PERIODS = 3
_SLOW_SCALES = (Scale.HALF_HOUR, Scale.FIVE_HOURS)
# A wall clock that stepped back by more was wrong before: what was learned ahead of it is forgotten.
_CLOCK_WAS_WRONG_S = 3600.0

CELL_BYTES = HOURS * 2 * 2  # of a baseline's bytes, at the end; before them is what changes at every sample
NO_BUCKET = -1

BaselineKey = tuple[str, Metric]


@dataclass(slots=True)
class _Node:
    row: int
    memory: Memory = NO_MEMORY
    polls: int = 0
    buckets: list[int] = field(default_factory=lambda: [NO_BUCKET, NO_BUCKET])  # open, per slow scale
    stale: bool = False


class Watch:
    """Series, letters, what is usual and what is remembered of up to `max_nodes` nodes."""

    def __init__(
        self,
        *,
        max_nodes: int,
        limits: Mapping[Metric, Limits] = DEFAULT_LIMITS,
        patience: Patience = DEFAULT_PATIENCE,
        period_s: float = PERIOD_S,
    ) -> None:
        for metric in METRICS:
            if metric not in limits:
                raise BadSettingError(f"limits of {metric}", math.nan, "given")
        self._series = NodeSeries(max_nodes=max_nodes, period_s=period_s)
        self._rules = Rules(limits, patience)
        self._period_s = period_s
        self._nodes: dict[str, _Node] = {}
        self._free: list[int] = []
        self._columns = Columns.empty(16)
        self._waiting: dict[str, None] = {}  # nodes with a sample that is not judged, in order of arrival
        self._baselines: dict[str, dict[Metric, Baseline]] = {}
        self._learned: dict[BaselineKey, None] = {}
        self._saved: dict[BaselineKey, int] = {}

    def __contains__(self, node: str) -> bool:
        return node in self._nodes

    def record(self, node: str, sample: Sample) -> None:
        """Take a sample in, stamped with our own monotonic clock.

        Raises SampleNotFiniteError, TimeWentBackwardsError, TooManyNodesError; nothing has changed then.
        """
        self._series.record(node, sample)
        if node not in self._nodes:
            self._nodes[node] = self._added()
        self._waiting[node] = None

    def _added(self) -> _Node:
        row = self._free.pop() if self._free else len(self._nodes)
        if row >= len(self._columns.lines_until_s):
            self._columns = self._columns.grown()
        self._columns.put(np.array([row]), Columns.empty(1))
        return _Node(row)

    def tick(self, now_s: float, wall_s: float, utc_offset_s: float) -> Mapping[str, Hazard]:
        """Judge everything that waits, in this thread; the hazards of the nodes judged."""
        told: dict[str, Hazard] = {}
        while (asked := self.snapshot(now_s, wall_s, utc_offset_s)) is not None:
            told.update(self.adopt(self.judge(asked)))
        return told

    def snapshot(
        self, now_s: float, wall_s: float, utc_offset_s: float, *, most: int = MOST_PER_PASS
    ) -> Pass | None:
        """The next nodes to judge, those that wait longest first; None when there are none.

        A node silent for more than STALE_PERIODS polls is judged once more, as one of which nothing is known.
        """
        silent = now_s - STALE_PERIODS * self._period_s
        names = list(islice(self._waiting, most))
        if len(names) < most:
            names += self._fallen_silent(silent, most - len(names))
        if not names:
            return None
        nodes = [self._nodes[name] for name in names]
        for name in names:
            self._waiting.pop(name, None)
        rows = np.array([node.row for node in nodes])
        turns = np.array([(node.polls + node.row) % TURN == 0 for node in nodes])
        stale = np.array([self._series.last_s(name) < silent for name in names])
        matrix = self._series.matrix(Scale.DECIDING, now_s=now_s, nodes=names)
        shape = len(names), len(METRICS), Scale.DECIDING.samples
        for node, is_stale in zip(nodes, stale.tolist(), strict=True):
            node.polls += 1
            node.stale = is_stale
        return Pass(
            nodes=names,
            owners=nodes,
            rows=rows,
            t=matrix.t[:: len(METRICS)],
            y=np.where(stale[:, None, None], math.nan, matrix.y.reshape(shape)),
            slow=(self._completed(names, nodes, 0), self._completed(names, nodes, 1)),
            turns=turns,
            stale=stale,
            columns=self._columns.take(rows),
            memories=[node.memory for node in nodes],
            baselines=[dict(self._baselines.get(name, {})) for name in names],
            now_s=now_s,
            wall_s=wall_s,
            utc_offset_s=utc_offset_s,
        )

    def judge(self, asked: Pass) -> Judgement:
        """Pure, and what takes the time: run it in a worker thread."""
        return judge(asked, self._rules)

    def adopt(self, judged: Judgement) -> Mapping[str, Hazard]:
        """Take a judgement over, but for nodes forgotten meanwhile; the hazards of the others."""
        asked, told = judged.asked, {}
        alive = [
            place
            for place, (name, node) in enumerate(zip(asked.nodes, asked.owners, strict=True))
            if self._nodes.get(name) is node
        ]
        places = np.array(alive, dtype=np.intp)
        self._columns.put(asked.rows[places], judged.columns.take(places))
        for place in alive:
            name, memory = asked.nodes[place], judged.memories[place]
            self._nodes[name].memory = memory
            if memory.hazard is not None:
                told[name] = memory.hazard
        self._learn(asked, set(alive))
        return told

    def hazard(self, node: str) -> Hazard | None:
        """What was told of a node last."""
        return self._nodes[node].memory.hazard if node in self._nodes else None

    def hazards(self) -> dict[str, Hazard]:
        told = ((name, node.memory.hazard) for name, node in self._nodes.items())
        return {name: hazard for name, hazard in told if hazard is not None}

    def letters(self, node: str) -> dict[Metric, Letter]:
        """The adopted letters for display; empty for a node that is not known."""
        known = self._nodes.get(node)
        if known is None:
            return {}
        codes = self._columns.adopted[known.row, SHAPE].tolist()
        return {metric: LETTERS[code] for metric, code in zip(METRICS, codes, strict=True)}

    def reset(self, node: str) -> None:
        """A person's word: what was measured so far no longer counts, but what is usual is kept."""
        known = self._nodes.pop(node, None)
        self._series.forget(node)
        self._waiting.pop(node, None)
        if known is not None:
            self._free.append(known.row)

    def forget(self, node: str) -> None:
        """Drop a node with all that was learned of it; unknown nodes are no error."""
        self.reset(node)
        self._baselines.pop(node, None)
        for metric in METRICS:
            self._learned.pop((node, metric), None)
            self._saved.pop((node, metric), None)

    def restore(self, node: str, metric: Metric, data: bytes) -> None:
        """What `baselines` gave before a restart. Raises BaselineVersionError, BaselineDamagedError."""
        self._baselines.setdefault(node, {})[metric] = Baseline.from_bytes(data)

    def baselines(self, *, most: int | None = None) -> dict[BaselineKey, bytes]:
        """What is usual now, to be kept: of at most `most` series, those changed since they were given."""
        changed: dict[BaselineKey, bytes] = {}
        while self._learned and (most is None or len(changed) < most):
            key = next(iter(self._learned))
            del self._learned[key]
            data = self._baselines[key[0]][key[1]].to_bytes()
            checksum = zlib.crc32(data[-CELL_BYTES:])
            if self._saved.get(key) != checksum:
                self._saved[key] = checksum
                changed[key] = data
        return changed

    def _fallen_silent(self, before_s: float, most: int) -> list[str]:
        silent = (
            name
            for name, node in self._nodes.items()
            if not node.stale and name not in self._waiting and self._series.last_s(name) < before_s
        )
        return list(islice(silent, most))

    def _completed(self, names: list[str], nodes: list[_Node], scale: int) -> Slow:
        """The windows of nodes whose newest bucket of a slow scale is complete since they were asked last."""
        step_s = _SLOW_SCALES[scale].polls * self._period_s
        places = []
        for place, (name, node) in enumerate(zip(names, nodes, strict=True)):
            bucket = math.floor(self._series.last_s(name) / step_s)
            if node.buckets[scale] not in {bucket, NO_BUCKET}:
                places.append(place)
            node.buckets[scale] = bucket
        matrix = self._series.matrix(_SLOW_SCALES[scale], nodes=[names[place] for place in places])
        y = matrix.y.reshape(len(places), len(METRICS), matrix.y.shape[1])
        return Slow(np.array(places, dtype=np.intp), matrix.t[:: len(METRICS)], y)

    def _learn(self, asked: Pass, alive: set[int]) -> None:
        """Half a minute's means, at the wall clock's time; nothing is learned of a node in danger."""
        slow = asked.slow[0]
        for i, place in enumerate(slow.places.tolist()):
            if place in alive:
                at_s = asked.wall_s - (asked.now_s - float(slow.t[i, -1]))
                self._learn_node(asked, asked.nodes[place], at_s, slow.y[i, :, -1].tolist())

    def _learn_node(self, asked: Pass, node: str, at_s: float, means: list[float]) -> None:
        in_hazard = self._nodes[node].memory.danger.active
        known = self._baselines.setdefault(node, {})
        for metric, mean in zip(METRICS, means, strict=True):
            if math.isnan(mean):
                continue
            baseline = known.setdefault(metric, Baseline())
            try:
                baseline.update(mean, at_s, utc_offset_s=asked.utc_offset_s, in_hazard=in_hazard)
            except ClockWentBackwardsError as error:
                if error.last_s - at_s > _CLOCK_WAS_WRONG_S:
                    baseline.rewind(at_s, utc_offset_s=asked.utc_offset_s)
            else:
                self._learned[node, metric] = None
