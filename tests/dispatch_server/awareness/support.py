"""Readings, curves and stores for the tests of the awareness room."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from dispatch_server.awareness.store import Key, TelemetryStore
from dispatch_server.awareness.watch import Now
from protocol.messages import Sample
from situational import METRICS, Chunk, Hazard, Letter, Level, Reason, ReasonCode
from situational.chunk import encode
from tests.support.pki import NOW_MS

STEP = 5.0  # s between two readings
SIZES = {
    "logged_in_nodes": 40.0,
    "network_flow": 2e6,
    "external_connections": 300.0,
    "memory_used": 4e9,
}


def at(second: float, offset_s: float = 0.0) -> Now:
    """A moment whose clocks agree."""
    return Now(second, NOW_MS + round(second * 1000), offset_s)


def sample(node: str, share: float | None = 1.0, **values: float | None) -> Sample:
    """A reading: the usual size of each metric times `share`, unless a test says otherwise."""
    usual = {name: None if share is None else size * share for name, size in SIZES.items()}
    return Sample(node=node, at_ms=NOW_MS, **usual | values)


def storm(second: float, begins: float) -> float:
    """The share of its usual size that a curve has which doubles every 90 s; the ripple is a host's."""
    ripple = 0.004 * ((second / STEP * 7) % 5 - 2)
    return (1.0 if second < begins else 2.0 ** ((second - begins) / 90.0)) * (1 + ripple)


def hazard(level: Level, *, judged: int = len(METRICS), reasons: Sequence[Reason] = ()) -> Hazard:
    """What was judged of a node."""
    letter = Letter.B if judged else Letter.NONE
    code = ReasonCode.ALL_SURGING if level is Level.MAJOR else ReasonCode.DANGER_HOLDS
    return Hazard(level, letter, judged, tuple(reasons) or (Reason(code, None, letter, 1.0),))


def chunk(
    node: str = "plant-1", first_ms: int = NOW_MS, metric: str = "network_flow", count: int = 3
) -> Chunk:
    """A finished chunk, a sample per second."""
    times = [first_ms + 1000 * index for index in range(count)]
    return Chunk(node, metric, times[0], times[-1], count, encode(times, [1.0] * count))


class BrokenStore(TelemetryStore):
    """A disk that refuses while `broken`. `writes`: what was handed to it, refused or not."""

    broken = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.writes: list[tuple[list[Chunk], dict[Key, bytes]]] = []

    @override
    def add(self, chunks: Any, usual: Mapping[Key, bytes], *, drop_before_ms: int) -> None:
        self.writes.append((list(chunks), dict(usual)))
        if self.broken:
            raise sqlite3.OperationalError("database or disk is full")
        super().add(chunks, usual, drop_before_ms=drop_before_ms)

    @override
    def usual(self) -> dict[Key, bytes]:
        if self.broken:
            raise sqlite3.DatabaseError("database disk image is malformed")
        return super().usual()


def kept(store: TelemetryStore, node: str | None = None) -> list[Chunk]:
    """All chunks in a store."""
    return list(store.chunks(node=node, since_ms=0, until_ms=1 << 62))
