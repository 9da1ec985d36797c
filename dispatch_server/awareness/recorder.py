"""Keeps telemetry: history in chunks and what is usual, in one file, written by one thread of its own.

Curves are not orders: when the disk fails, this says so, counts it, and dispatching goes on without it.
"""

import asyncio
import sqlite3
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import structlog

from dispatch_server.awareness.store import Key, TelemetryStore
from dispatch_server.counters import Counters
from situational import METRICS, Chunk, Chunker, SituationalError
from situational import Sample as SeriesSample
from situational.chunk import SampleOutOfOrderError

_SPAN_S = 600.0  # of a chunk; what is not one yet dies in a crash
_MAX_WAITING = 100_000  # chunks, when the disk refuses for hours
_DAY_MS = 86_400_000
_log = structlog.get_logger("awareness")


class Recorder:
    """Without a store it keeps nothing."""

    def __init__(self, store: TelemetryStore | None, counters: Counters, *, keep_days: float) -> None:
        self.failing = ""  # why the disk takes nothing; empty while it does
        self._store = store
        self._counters = counters
        self._keep_ms = int(keep_days * _DAY_MS)
        self._chunker = Chunker(span_s=_SPAN_S)
        self._finished: list[Chunk] = []
        self._usual: dict[Key, bytes] = {}  # waits to be written, as the chunks do
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="telemetry")

    def take(self, node: str, sample: SeriesSample, wall_ms: int) -> None:
        """Take a reading in, under our own wall clock."""
        if self._store is None:
            return
        try:
            for metric in METRICS:
                if (value := sample.values.get(metric)) is not None:
                    self._append(node, metric.value, wall_ms, value)
        except SituationalError as error:  # our clock names no time that can be written
            _log.warning("history leaves a reading out", about=node, why=str(error))

    def _append(self, node: str, metric: str, wall_ms: int, value: float) -> None:
        try:
            chunk = self._chunker.append(node, metric, wall_ms, value)
        except SampleOutOfOrderError:  # our clock was set back: what came before it ends here
            self._finished += self._chunker.flush(node)
            chunk = self._chunker.append(node, metric, wall_ms, value)
        if chunk:
            self._finished.append(chunk)

    async def usual(self) -> Mapping[Key, bytes]:
        """What was usual when it was saved last; nothing when that cannot be read."""
        if self._store is None:
            return {}
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._store.usual)
        except sqlite3.Error as error:
            self._failed(error)
            return {}

    async def save(self, usual: Mapping[Key, bytes], wall_ms: int) -> bool:
        """Write what is finished, and what is usual now; whether that went well. What did not waits."""
        store = self._store
        if store is None:
            return True
        self._usual.update(usual)
        del self._finished[:-_MAX_WAITING]
        chunks, kept = tuple(self._finished), dict(self._usual)

        def write() -> None:
            store.add(chunks, kept, drop_before_ms=wall_ms - self._keep_ms)

        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, write)
        except sqlite3.Error as error:
            self._failed(error)
            return False
        self.failing = ""
        del self._finished[: len(chunks)]
        self._usual = {key: data for key, data in self._usual.items() if kept.get(key) is not data}
        return True

    async def close(self, usual: Mapping[Key, bytes], wall_ms: int) -> None:
        """Write everything that waits, then close the file."""
        self._finished += self._chunker.flush()
        await self.save(usual, wall_ms)
        if self._store:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._store.close)
        self._thread.shutdown()

    def _failed(self, error: sqlite3.Error) -> None:
        self.failing = str(error)
        self._counters.add("storage_faults")
        _log.error("telemetry is not kept", why=str(error))
