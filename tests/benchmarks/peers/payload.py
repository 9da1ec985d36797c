"""The bytes of one poll and of its report, as our own protocol writes them: frame header and body."""

import struct

from protocol.frames import Kind
from protocol.messages import LedgerHead, Poll, Report, Sample

_NOW_MS = 1_795_219_200_000
_HEAD = LedgerHead(entry=1_000, hash=bytes(range(32)))


def _framed(kind: Kind, body: bytes) -> bytes:
    return struct.pack("!IB", len(body), kind) + body


POLL = _framed(
    Kind.POLL, Poll(seq=1_000, hold_ms=0, acknowledged=100, wall_ms=_NOW_MS, ledger=_HEAD).encode()
)
REPORT = _framed(
    Kind.REPORT,
    Report(
        seq=1_000,
        acknowledged=100,
        ledger=_HEAD,
        samples=(
            Sample(
                node="plant-00001",
                at_ms=_NOW_MS,
                logged_in_nodes=3.0,
                network_flow=12_345.5,
                external_connections=2.0,
                memory_used=734_003_200.0,
            ),
        ),
    ).encode(),
)
