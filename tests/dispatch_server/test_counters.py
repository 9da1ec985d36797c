"""dispatch_server/counters.py: what is counted, and under which name."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch_server.counters import HISTOGRAMS, OPERATIONS, SECONDS, Counters, Histogram, quantile
from protocol.errors import KeyRefused, LinkLost, PeerFault, RefusalCode, WireCode
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
    assert dict(Counters().snapshot()) == dict.fromkeys((*COUNTERS, *OPERATIONS), 0.0)


def test_no_name_is_used_twice() -> None:
    assert not set(COUNTERS) & set(OPERATIONS)


def test_a_name_that_nobody_reads_is_an_error() -> None:
    counters = Counters()
    with pytest.raises(KeyError, match="typing_errors"):
        counters.add("typing_errors")
    assert counters.snapshot().keys() == {*COUNTERS, *OPERATIONS}


def test_a_snapshot_does_not_change_with_what_is_counted_later() -> None:
    counters = Counters()
    before = counters.snapshot()
    counters.add("polls", 3)
    counters.add("polls")
    assert before["polls"] == 0
    assert counters.snapshot()["polls"] == 4


# Ends of links and refusals by code


ENDS = [
    *((kind(code, "tests"), code.name.lower()) for code in WireCode for kind in (PeerFault, LinkLost)),
    (ssl.SSLCertVerificationError(1, "self-signed certificate"), "certificate"),
    (ssl.SSLError(1, "tests"), "network"),
    (OSError("no route"), "network"),
    (TimeoutError(), "network"),
    (KeyRefused("a", "b"), "defect"),
    (ZeroDivisionError(), "defect"),
]


@pytest.mark.parametrize(("error", "code"), ENDS)
def test_each_end_of_a_link_is_counted_by_its_code(error: Exception, code: str) -> None:
    counters = Counters()
    counters.add_fault(error)
    assert {name: count for name, count in counters.link_ends.items() if count} == {code: 1}
    assert not any(counters.handshake_failures.values())


def test_an_end_before_the_session_was_open_is_a_failed_handshake_too() -> None:
    counters = Counters()
    counters.add_fault(PeerFault(WireCode.TERM, "an older one"), in_handshake=True)
    counters.add_fault(LinkLost(WireCode.SILENT, "no report"))
    assert {name: n for name, n in counters.handshake_failures.items() if n} == {"term": 1}
    assert {name: n for name, n in counters.link_ends.items() if n} == {"term": 1, "silent": 1}


@pytest.mark.parametrize("code", RefusalCode)
def test_each_refusal_is_counted_by_its_code(code: RefusalCode) -> None:
    counters = Counters()
    counters.add_refusal(code)
    assert {name: count for name, count in counters.refusals.items() if count} == {code: 1}


def test_codes_are_there_from_the_start_and_cannot_be_set_from_outside() -> None:
    counters = Counters()
    assert {code.name.lower() for code in WireCode} < counters.link_ends.keys()
    assert counters.refusals.keys() == set(RefusalCode)
    assert not hasattr(counters.link_ends, "__setitem__")


# Histograms


@pytest.mark.parametrize("name", ["poll_round_trip", "handshake", "commit", "loop_lag"])
def test_a_histogram_is_one_and_the_same_whenever_it_is_asked_for(name: str) -> None:
    counters = Counters()
    counters.histogram(name).observe(0.004)
    assert sum(counters.histogram(name).counts) == 1
    assert counters.histogram(name).bounds == SECONDS


def test_a_histogram_that_nobody_reads_is_an_error() -> None:
    with pytest.raises(KeyError, match="coffee_break"):
        Counters().histogram("coffee_break")


@pytest.mark.parametrize("bounds", HISTOGRAMS.values())
def test_bounds_ascend(bounds: tuple[float, ...]) -> None:
    assert list(bounds) == sorted(set(bounds))


@given(st.lists(st.floats(0, 100)))
def test_each_value_is_in_the_first_bucket_whose_end_it_does_not_pass(values: list[float]) -> None:
    histogram = Histogram((1.0, 5.0, 25.0))
    for value in values:
        histogram.observe(value)
    assert histogram.counts == [
        sum(v <= 1 for v in values),
        sum(1 < v <= 5 for v in values),
        sum(5 < v <= 25 for v in values),
        sum(v > 25 for v in values),
    ]
    assert histogram.total == pytest.approx(sum(values))


@given(st.lists(st.floats(0, 30), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_the_end_of_the_bucket_that_holds_it(values: list[float], share: float) -> None:
    bounds = (1.0, 5.0, 25.0)
    histogram = Histogram(bounds)
    for value in values:
        histogram.observe(value)
    told = quantile(bounds, histogram.counts, share)
    assert told is not None
    at_most = sum(value <= told for value in values)
    assert at_most >= share * len(values) or told == bounds[-1]
    lower = [bound for bound in bounds if bound < told]
    assert not lower or sum(value <= lower[-1] for value in values) < share * len(values)


def test_nothing_has_no_quantile() -> None:
    assert quantile((1.0, 2.0), [0, 0, 0], 0.99) is None
