"""What the running server counts, under the names that the risk board and people know. Numbers only grow."""

import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from protocol.errors import LinkLost, PeerFault, WireCode
from situational.risk import COUNTERS

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


class Counters:
    """One of each name from the start: a missing one would read as "not watched"."""

    def __init__(self) -> None:
        self._counts = dict.fromkeys(COUNTERS, 0.0)

    def add(self, name: str, amount: float = 1.0) -> None:
        """Count. Raises KeyError for a name that nobody reads."""
        self._counts[name] += amount

    def add_fault(self, error: Exception) -> None:
        """Count what ended a link, if it is one of the things that are counted."""
        if isinstance(error, ssl.SSLCertVerificationError):
            self.add("handshake_refused")
        elif isinstance(error, PeerFault | LinkLost) and (name := _BY_CODE.get(error.code)):
            self.add(name)

    def add_command(self, *, ok: bool) -> None:
        """Count a command of an administrator, and whether it was refused."""
        self.add("control_requests")
        self.add("control_denied", not ok)

    def snapshot(self) -> Mapping[str, float]:
        """All counts of this moment."""
        return dict(self._counts)
