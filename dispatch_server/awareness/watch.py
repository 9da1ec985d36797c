"""Keeps the series of all nodes, classifies them tick by tick off the loop, and holds each node's posture.

A node's readings move the posture of what concerns that node alone: a captured plant that fakes a surge
must not stop the whole grid. *Held* is latched: it ends by a person's word, or when all four curves can be
judged again and none is dangerous; a curve that stops making sense is not the end of a danger.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from protocol.messages import Sample
from situational import (
    METRICS,
    Hazard,
    LetterFilter,
    Metric,
    NodeSeries,
    Posture,
    SampleError,
    TooManyNodesError,
    Trend,
    classify_windows,
    fuse,
    posture_for,
)
from situational import Sample as SeriesSample

_MAX_NODES = 20_000
_log = structlog.get_logger("awareness")


@dataclass(slots=True)
class NodeView:
    """What is known of one node: the adopted trends, the hazard of its curves, the posture that follows."""

    filters: dict[Metric, LetterFilter] = field(default_factory=dict)
    hazard: Hazard | None = None
    posture: Posture = Posture.NORMAL

    @property
    def letters(self) -> dict[str, str]:
        """Metric -> adopted letter."""
        return {metric.value: kept.trend.letter.value for metric, kept in self.filters.items()}


class Awareness:
    """Third line of defence (P1 §2.3). `on_posture(node, before, after, why)` is told of each change."""

    def __init__(self, on_posture: Callable[[str, Posture, Posture, str], None]) -> None:
        self.nodes: dict[str, NodeView] = {}
        self._series = NodeSeries(max_nodes=_MAX_NODES)
        self._heard: dict[str, float] = {}
        self._on_posture = on_posture

    @property
    def posture(self) -> Posture:
        """The strongest posture of any node, for display."""
        return self.posture_of(self.nodes)

    def posture_of(self, nodes: Iterable[str]) -> Posture:
        """The strongest posture of these nodes."""
        return max((self.nodes[node].posture for node in nodes if node in self.nodes), default=Posture.NORMAL)

    def take(self, samples: Iterable[Sample], now: float) -> None:
        """Take readings in, stamped with our own monotonic clock: a node's clock is not trusted."""
        for sample in samples:
            self._heard[sample.node] = now
            values = {metric: getattr(sample, metric.value) for metric in METRICS}
            present = {metric: value for metric, value in values.items() if value is not None}
            try:
                self._series.record(sample.node, SeriesSample(now, present))
            except (SampleError, TooManyNodesError) as error:
                _log.warning("sample dropped", node=sample.node, why=str(error))

    def heard(self, node: str, now: float) -> None:
        """A sign of life."""
        self._heard[node] = now

    def is_silent(self, node: str, now: float, after_s: float) -> bool:
        """Whether nothing was heard of a node for `after_s`; one never heard of is given that time first."""
        return now - self._heard.setdefault(node, now) >= after_s

    async def tick(self) -> None:
        """Classify everything, adopt letters that last, move postures."""
        trends = await asyncio.to_thread(classify_windows, self._series.windows())
        by_node: dict[str, dict[Metric, Trend]] = {}
        for (node, metric), trend in trends.items():
            by_node.setdefault(node, {})[metric] = trend
        for node, latest in by_node.items():
            self._judge(node, self.nodes.setdefault(node, NodeView()), latest)

    def _judge(self, node: str, view: NodeView, latest: dict[Metric, Trend]) -> None:
        for metric, trend in latest.items():
            view.filters[metric] = view.filters.get(metric, LetterFilter()).push(trend)
        view.hazard = fuse({metric: kept.trend for metric, kept in view.filters.items()})
        wanted = posture_for({node: view.hazard}).posture
        still_held = view.posture is Posture.HELD and view.hazard.judged < len(METRICS)
        if not (still_held and wanted < Posture.HELD):
            self._move(node, view, wanted, view.hazard.level.name.lower())

    def release(self, person: str) -> None:
        """A person takes every posture back to normal; what was measured so far no longer counts."""
        for node, view in self.nodes.items():
            view.filters.clear()
            view.hazard = None
            self._series.forget(node)
            self._move(node, view, Posture.NORMAL, f"released by {person}")

    def restore(self, postures: Mapping[str, Posture]) -> None:
        """Take up the postures that held before a restart."""
        for node, posture in postures.items():
            self.nodes[node] = NodeView(posture=posture)

    def _move(self, node: str, view: NodeView, posture: Posture, why: str) -> None:
        before, view.posture = view.posture, posture
        if before is not posture:
            self._on_posture(node, before, posture, why)
