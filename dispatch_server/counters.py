"""What the running server counts, under the names that the risk board, the metrics and people know.

Numbers only grow. Every name is there from the start: a missing one would read as "not watched". All of it is
for the loop's thread alone.
"""

import ssl
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from protocol.errors import LinkLost, PeerFault, RefusalCode, WireCode
from situational.risk import COUNTERS

# What people watch beside the risk board's names.
OPERATIONS: Final = (
    "fenced",  # a subordinate that obeys another server
    "loop_stalls",
    "metrics_scrapes",
    "metrics_refused",
    "requests_refused",  # questions about people beyond what a server answers at once
    "renewals",
    "renewals_refused",
    "revocations_overdue",
)

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PIECES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
HISTOGRAMS: Final[Mapping[str, Sequence[float]]] = MappingProxyType(
    {
        "poll_round_trip": SECONDS,  # from a poll to its report, less the time for which it was to be held
        "handshake": SECONDS,  # from the dial to the open session
        "commit": SECONDS,  # from handing a batch in until it is durable
        "commit_group": _PIECES,  # batches that became durable together
        "loop_lag": SECONDS,  # how late the loop was when it looked
    }
)
_BY_CODE: Final[Mapping[WireCode, str]] = MappingProxyType(
    {
        WireCode.VERSION: "version_mismatch",
        WireCode.DEPLOYMENT: "handshake_refused",
        WireCode.IDENTITY: "handshake_refused",
        WireCode.TERM: "handshake_refused",
        WireCode.SIGNATURE: "signature_failed",
        WireCode.SEAL: "seal_failed",
        WireCode.OVERSIZED: "malformed_frames",
        WireCode.MALFORMED: "malformed_frames",
        WireCode.UNEXPECTED: "malformed_frames",
        WireCode.SEQUENCE: "stale_or_replayed",
        WireCode.CURSOR: "stale_or_replayed",
        WireCode.SILENT: "poll_overruns",
    }
)
# What no wire code tells apart: the peer's certificate, and everything between the two machines.
CERTIFICATE: Final = "certificate"
NETWORK: Final = "network"
DEFECT: Final = "defect"
_ENDS: Final = (*(code.name.lower() for code in WireCode), CERTIFICATE, NETWORK, DEFECT)


class Histogram:
    """How often a value lay in which bucket. `bounds` (ascending) are the buckets' inclusive upper ends."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)  # the last one is for what lies above all bounds
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Take a value in. It is called at every poll of every link: it costs two tenths of a microsecond."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


def quantile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """The upper end of the bucket in which that share (0 … 1) of the values ends; None without values.

    What lies above all bounds is told as the highest one.
    """
    wanted = share * sum(counts)
    reached = 0
    for place, count in enumerate(counts):
        reached += count
        if count and reached >= wanted:
            return bounds[min(place, len(bounds) - 1)]
    return None


class Counters:
    """One of each name from the start."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys((*COUNTERS, *OPERATIONS), 0.0)
        self._histograms = {name: Histogram(bounds) for name, bounds in HISTOGRAMS.items()}
        self._ends = dict.fromkeys(_ENDS, 0)
        self._handshakes = dict.fromkeys(_ENDS, 0)
        self._refusals = dict.fromkeys(RefusalCode, 0)

    def add(self, name: str, amount: float = 1.0) -> None:
        """Count. Raises KeyError for a name that nobody reads."""
        self._counts[name] += amount

    def histogram(self, name: str) -> Histogram:
        """One of HISTOGRAMS, to be kept by whoever observes. Raises KeyError."""
        return self._histograms[name]

    def add_fault(self, error: Exception, *, in_handshake: bool = False) -> None:
        """Count what ended a link by its code, and for the risk board if it is one of its things.

        `in_handshake`: it ended before its session was open, however far the dial had come.
        """
        code = _code_of(error)
        self._ends[code] += 1
        self._handshakes[code] += in_handshake
        if isinstance(error, ssl.SSLCertVerificationError):
            self.add("handshake_refused")
        elif isinstance(error, PeerFault | LinkLost) and (name := _BY_CODE.get(error.code)):
            self.add(name)

    def add_refusal(self, code: RefusalCode) -> None:
        """Count an order event that was not taken."""
        self._refusals[code] += 1

    def add_command(self, *, ok: bool) -> None:
        """Count a command of an administrator, and whether it was refused."""
        self.add("control_requests")
        self.add("control_denied", not ok)

    def snapshot(self) -> Mapping[str, float]:
        """All plain counts of this moment."""
        return dict(self._counts)

    @property
    def link_ends(self) -> Mapping[str, int]:
        """How often a link ended, by code."""
        return MappingProxyType(self._ends)

    @property
    def handshake_failures(self) -> Mapping[str, int]:
        """How often a dial came to no session, by code."""
        return MappingProxyType(self._handshakes)

    @property
    def refusals(self) -> Mapping[RefusalCode, int]:
        """How many order events were not taken, by code."""
        return MappingProxyType(self._refusals)


def _code_of(error: Exception) -> str:
    match error:
        case PeerFault() | LinkLost():
            return error.code.name.lower()
        case ssl.SSLCertVerificationError():
            return CERTIFICATE
        case OSError() | TimeoutError():
            return NETWORK
        case _:
            return DEFECT
