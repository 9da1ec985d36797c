"""dispatch_server/counters.py: what is counted, and under which name."""

import ssl

import pytest

from dispatch_server.counters import Counters
from protocol.errors import KeyRefused, LinkLost, PeerFault, WireCode
from situational.risk import COUNTERS

# By hand, not from the table: what each code is to the risk board.
NAMES = {
    WireCode.VERSION: "version_mismatch",
    WireCode.DEPLOYMENT: "handshake_refused",
    WireCode.IDENTITY: "handshake_refused",
    WireCode.TERM: "handshake_refused",
    WireCode.OVERSIZED: "malformed_frames",
    WireCode.MALFORMED: "malformed_frames",
    WireCode.UNEXPECTED: "malformed_frames",
    WireCode.SEQUENCE: "stale_or_replayed",
    WireCode.CURSOR: "stale_or_replayed",
    WireCode.SEAL: "seal_failed",
    WireCode.SIGNATURE: "signature_failed",
    WireCode.SILENT: "poll_overruns",
}
# The ends of a link that say nothing of an attack or of a bad network.
NOT_COUNTED = {
    *(WireCode.STOPPING, WireCode.LIMIT, WireCode.REPLACED, WireCode.LOST, WireCode.TIMERS),
    WireCode.INTERNAL,
}


def counted(counters: Counters) -> dict[str, float]:
    return {name: count for name, count in counters.snapshot().items() if count}


def test_every_code_of_the_wire_is_either_counted_or_left_out_on_purpose() -> None:
    assert NAMES.keys() | NOT_COUNTED == set(WireCode)
    assert not NAMES.keys() & NOT_COUNTED


@pytest.mark.parametrize("kind", [PeerFault, LinkLost])
@pytest.mark.parametrize("code", WireCode)
def test_each_fault_is_counted_once_under_its_name(code: WireCode, kind: type[PeerFault | LinkLost]) -> None:
    counters = Counters()
    counters.add_fault(kind(code, "tests"))
    assert counted(counters) == ({NAMES[code]: 1.0} if code in NAMES else {})


def test_a_certificate_that_does_not_verify_is_a_refused_handshake() -> None:
    counters = Counters()
    counters.add_fault(ssl.SSLCertVerificationError(1, "self-signed certificate"))
    assert counted(counters) == {"handshake_refused": 1.0}


@pytest.mark.parametrize(
    "error", [OSError("no route"), TimeoutError(), ssl.SSLError(1, "tests"), KeyRefused("a", "b")]
)
def test_what_is_nobodys_fault_is_not_counted(error: Exception) -> None:
    counters = Counters()
    counters.add_fault(error)
    assert counted(counters) == {}


def test_every_name_that_the_risk_board_reads_is_there_from_the_start() -> None:
    assert dict(Counters().snapshot()) == dict.fromkeys(COUNTERS, 0.0)


def test_a_name_that_nobody_reads_is_an_error() -> None:
    counters = Counters()
    with pytest.raises(KeyError, match="typing_errors"):
        counters.add("typing_errors")
    assert counters.snapshot().keys() == set(COUNTERS)


def test_a_snapshot_does_not_change_with_what_is_counted_later() -> None:
    counters = Counters()
    before = counters.snapshot()
    counters.add("polls", 3)
    counters.add("polls")
    assert before["polls"] == 0
    assert counters.snapshot()["polls"] == 4
