"""Telemetry history: samples gathered into compact chunks, exported, and thrown away when they are old."""

from __future__ import annotations

import csv
import zlib
from array import array
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

import numpy as np

from situational.chunk import MAX_SAMPLES, SampleOutOfOrderError, check_sample, decode, encode
from situational.errors import BadSettingError

Key = TypeVar("Key", bound=Hashable)

# What is not a chunk yet dies with the process; an hour would save a fifth of the bytes.
SPAN_S = 600.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """`data` is what `situational.chunk.decode` reads; the rest is for finding it."""

    node: str
    metric: str
    first_ms: int
    last_ms: int
    count: int
    data: bytes


class Chunker:
    """Gathers samples and hands out chunks; nothing is kept of what was handed out.

    Memory is 16 bytes per sample waiting. Each series' spans begin at a moment of their own, so that not all
    of thousands end at once.
    """

    def __init__(self, *, span_s: float = SPAN_S, max_samples: int = MAX_SAMPLES) -> None:
        """Raise BadSettingError."""
        if not 1 <= span_s <= 366 * 86400:
            raise BadSettingError("span_s", span_s, "between a second and a year")
        if not 1 <= max_samples <= MAX_SAMPLES:
            raise BadSettingError("max_samples", max_samples, f"between 1 and {MAX_SAMPLES}")
        self._span_ms = round(span_s * 1000)
        self._max_samples = max_samples
        self._open: dict[tuple[str, str], tuple[array[int], array[float]]] = {}

    def append(self, node: str, metric: str, at_ms: int, value: float) -> Chunk | None:
        """Take a sample in; return the chunk that it finished by being the first of the next.

        Raises SampleTimeError, SampleNotFiniteError, SampleOutOfOrderError; nothing has changed then.
        """
        check_sample(at_ms, value)
        key, finished = (node, metric), None
        waiting = self._open.get(key)
        if waiting is not None:
            times = waiting[0]
            if at_ms < times[-1]:
                raise SampleOutOfOrderError(times[-1], at_ms)
            if len(times) >= self._max_samples or self._span(key, at_ms) != self._span(key, times[0]):
                finished, waiting = _chunk(key, *waiting), None
        if waiting is None:
            waiting = self._open[key] = array("q"), array("d")
        waiting[0].append(at_ms)
        waiting[1].append(value)
        return finished

    def flush(self, node: str | None = None) -> list[Chunk]:
        """Hand out what is waiting, of one node or of all; before stopping, and when a node is forgotten."""
        keys = [key for key in self._open if node is None or key[0] == node]
        return [_chunk(key, *self._open.pop(key)) for key in keys]

    def _span(self, key: tuple[str, str], at_ms: int) -> int:
        phase = zlib.crc32("\0".join(key).encode(errors="surrogatepass")) % self._span_ms
        return (at_ms + phase) // self._span_ms


def export_csv(chunks: Iterable[Chunk]) -> Iterator[str]:
    """Lines of a CSV file, a header first; times in UTC, values such that the same float is read back.

    Raises what `decode` raises.
    """
    writer = csv.writer(_Lines(), lineterminator="\n")
    yield _line(writer, ("time", "node", "metric", "value"))
    for chunk in chunks:
        at_ms, values = decode(chunk.data)
        for ms, value in zip(at_ms.tolist(), values.tolist(), strict=True):
            yield _line(writer, (_iso(ms), chunk.node, chunk.metric, repr(value)))


def expired(last_ms: Mapping[Key, int], *, now_ms: int, keep_s: float) -> tuple[Key, ...]:
    """Which chunks, by the time of their last sample, are older than `keep_s`. Raises BadSettingError."""
    if not keep_s > 0:
        raise BadSettingError("keep_s", keep_s, "above 0 seconds")
    return tuple(key for key, last in last_ms.items() if now_ms - last > keep_s * 1000)


class _Writer(Protocol):
    def writerow(self, row: Iterable[object], /) -> object: ...


class _Lines:
    """What csv.writer writes to: hands the line back as writerow's result."""

    def write(self, line: str) -> str:
        return line


def _line(writer: _Writer, row: Iterable[object]) -> str:
    return str(writer.writerow(row))


def _iso(ms: int) -> str:
    whole = datetime.fromtimestamp(ms // 1000, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03}Z"


def _chunk(key: tuple[str, str], times: array[int], values: array[float]) -> Chunk:
    node, metric = key
    data = encode(np.frombuffer(times, np.int64), np.frombuffer(values, np.float64))
    return Chunk(node, metric, times[0], times[-1], len(times), data)
