"""Keeps the curves of all nodes, judges them tick by tick off the loop, and holds each node's posture.

A node's readings move the posture of what concerns that node alone: a captured plant that fakes a surge
must not stop the whole grid.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType

import structlog

from dispatch_server.awareness.recorder import Recorder
from dispatch_server.counters import Counters
from protocol.messages import Sample
from situational import (
    DEFAULT_PLAYBOOK,
    METRICS,
    BaselineError,
    Change,
    Hazard,
    Metric,
    Playbook,
    Posture,
    SampleError,
    Stance,
    TooManyNodesError,
    Watch,
    decide,
    release,
)
from situational import Sample as SeriesSample

MAX_NODES = 20_000
OnChange = Callable[[str, Change], None]
_PASS = 100  # nodes judged at once: what a pass does on the loop takes it less than some 4 ms
_SLICE = 200  # series whose usual levels are packed or read before the loop has its turn again
_TELL_EVERY_S = 60.0  # so often the log tells of one node's readings that are refused
_log = structlog.get_logger("awareness")


@dataclass(frozen=True, slots=True)
class Now:
    """One moment: monotonic seconds; wall-clock ms; how far local time is ahead of UTC, in s."""

    monotonic_s: float
    wall_ms: int
    utc_offset_s: float


class Awareness:
    """Third line of defence (P1 §2.3). `on_change(node, change)` is told of each change of a posture."""

    def __init__(
        self,
        on_change: OnChange,
        recorder: Recorder,
        counters: Counters,
        *,
        playbook: Playbook = DEFAULT_PLAYBOOK,
        period_s: float = 5.0,
    ) -> None:
        self._on_change = on_change
        self._recorder = recorder
        self._counters = counters
        self._playbook = playbook
        self._period_s = period_s
        self._watch = Watch(max_nodes=MAX_NODES, period_s=period_s)
        self._stances: dict[str, Stance] = {}
        self._heard: dict[str, float] = {}
        self._taken: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._most = _PASS
        # Its own: judging must not wait behind names that do not resolve in the loop's common threads.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="judging")

    # --- what is known ---

    @property
    def nodes(self) -> list[str]:
        """Every node of which anything was judged or held, by name."""
        return sorted({*self._watch.hazards(), *self._stances})

    def hazards(self) -> Mapping[str, Hazard]:
        """What was judged last, of each node of which anything was."""
        return self._watch.hazards()

    def hazard(self, node: str) -> Hazard | None:
        """What was judged of a node last; None when nothing was."""
        return self._watch.hazard(node)

    def letters(self, node: str) -> dict[str, str]:
        """Metric -> adopted letter."""
        return {metric.value: letter.value for metric, letter in self._watch.letters(node).items()}

    @property
    def posture(self) -> Posture:
        """The strongest posture of any node, for display."""
        return self.posture_of(self._stances)

    def posture_of(self, nodes: Iterable[str]) -> Posture:
        """The strongest posture of these nodes."""
        held = (self._stances[node].posture for node in nodes if node in self._stances)
        return max(held, default=Posture.NORMAL)

    def stances(self) -> Mapping[str, Stance]:
        """The stance of each node that has one."""
        return MappingProxyType(self._stances)

    def heard_at(self, node: str) -> float | None:
        """When a sign of life of a node came last (monotonic s); None before the first one."""
        return self._heard.get(node)

    @property
    def recording_failed(self) -> str:
        """Why curves are not kept on disk at the moment although they should be; empty when they are."""
        return self._recorder.failing

    # --- what comes in ---

    def take(self, samples: Iterable[Sample], now: Now) -> None:
        """Take readings in, stamped with our own clocks: a node's clock is not trusted.

        What a node tells more often than every half period is a sign of life only: it can neither fill our
        disk nor make its curves look steeper.
        """
        for sample in samples:
            self._heard[sample.node] = now.monotonic_s
            values = {metric: getattr(sample, metric.value) for metric in METRICS}
            present = {metric: value for metric, value in values.items() if value is not None}
            last = self._taken.get(sample.node)
            if present and (last is None or now.monotonic_s - last >= self._period_s / 2):
                self._take(sample.node, SeriesSample(now.monotonic_s, present), now)

    def _take(self, node: str, reading: SeriesSample, now: Now) -> None:
        self._counters.add("readings")
        try:
            self._watch.record(node, reading)
        except (SampleError, TooManyNodesError) as error:
            self.refused(node, str(error), now.monotonic_s)
        else:
            self._taken[node] = now.monotonic_s
            self._recorder.take(node, reading, now.wall_ms)

    def refused(self, node: str, why: str, now_s: float, readings: int = 1) -> None:
        """Readings that a node sent count for nothing. A node cannot flood our log with them."""
        self._counters.add("readings_refused", readings)
        if now_s - self._told.get(node, -_TELL_EVERY_S) >= _TELL_EVERY_S:
            self._told[node] = now_s
            _log.warning("readings refused", peer=node, why=why)

    def heard(self, node: str, now_s: float) -> None:
        """A sign of life."""
        self._heard[node] = now_s

    def is_silent(self, node: str, now_s: float, after_s: float) -> bool:
        """Whether nothing was heard of a node for `after_s`; one never heard of is given that time first."""
        return now_s - self._heard.setdefault(node, now_s) >= after_s

    # --- judging ---

    async def tick(self, now: Now) -> None:
        """Judge every node that has something new, off the loop; move postures.

        It ends after a period whatever still comes in: alarms wait for it.
        """
        loop = asyncio.get_running_loop()
        until_s, wall_s, defects = loop.time() + self._period_s, now.wall_ms / 1000, 0
        while loop.time() <= until_s:
            asked = self._watch.snapshot(now.monotonic_s, wall_s, now.utc_offset_s, most=self._most)
            if asked is None:
                break
            try:
                hazards = self._watch.adopt(
                    await loop.run_in_executor(self._thread, self._watch.judge, asked)
                )
            except Exception:  # noqa: BLE001 - met by one node's numbers: it must not blind us to the others
                defects += 1
                self._most = 1  # each by itself, so that only the node that it comes from goes unjudged
                _log.exception("judging failed", nodes=len(asked.nodes), first=asked.nodes[0])
                continue
            for node, hazard in hazards.items():
                stance = self._stances.get(node, Stance(since_s=now.monotonic_s))
                self._move(node, *decide(stance, hazard, now.monotonic_s, self._playbook))
        if not defects:
            self._most = _PASS

    def release(self, person: str, now_s: float) -> None:
        """A person takes every posture back to normal; what those nodes told so far no longer counts."""
        for node, stance in list(self._stances.items()):
            if stance.posture is Posture.NORMAL:
                continue  # its curves are still good: forgetting them would blind us for minutes
            hazard = self._watch.hazard(node)
            self._watch.reset(node)
            self._move(node, *release(stance, person, now_s, hazard))

    def _move(self, node: str, stance: Stance, change: Change | None) -> None:
        self._stances[node] = stance
        if change:
            self._on_change(node, change)

    # --- over restarts ---

    def restore(self, postures: Mapping[str, Posture], now_s: float) -> None:
        """Take up the postures that held before a restart."""
        for node, posture in postures.items():
            self._stances[node] = Stance(posture, now_s)

    async def load(self) -> None:
        """Take up what was usual before a restart."""
        for place, ((node, name), data) in enumerate((await self._recorder.usual()).items(), start=1):
            try:
                self._watch.restore(node, Metric(name), data)
            except (BaselineError, ValueError) as error:
                _log.warning("what was usual is learned anew", about=node, metric=name, why=str(error))
            if place % _SLICE == 0:
                await asyncio.sleep(0)

    async def save(self, wall_ms: int) -> None:
        """Write what was recorded, and what is usual where that changed."""
        await self._recorder.save(await self._usual(), wall_ms)

    async def close(self, wall_ms: int) -> None:
        """Write everything that waits."""
        self._thread.shutdown(wait=False)
        await self._recorder.close(await self._usual(), wall_ms)

    async def _usual(self) -> dict[tuple[str, str], bytes]:
        found: dict[tuple[str, str], bytes] = {}
        while changed := self._watch.baselines(most=_SLICE):
            found |= {(node, metric.value): data for (node, metric), data in changed.items()}
            await asyncio.sleep(0)
        return found
