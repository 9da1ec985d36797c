"""The comparison with other ways to poll runs, and says what it leaves out; no test has a time limit."""

import sys
from typing import Never

import pytest

from tests.benchmarks.peers import program, raw, row, run
from tests.benchmarks.peers.aiohttp_tls import answer
from tests.benchmarks.peers.iec104 import Station
from tests.benchmarks.peers.payload import POLL, REPORT
from tests.benchmarks.peers.polling import Ask
from tests.benchmarks.peers.row import Load, Row

A_LOAD = Load(polls=10, seconds=1, cpu_us=5, busy=0.5, p50_ms=1, p99_ms=2, stall_ms=3)


@pytest.fixture
def _no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "compiler", lambda: None)


@pytest.mark.usefixtures("_no_compiler")
def test_polls_over_raw_sockets_are_measured_in_both_loads(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(raw, "INTERVAL", 0.05)
    ask = [
        "--links",
        "4",
        "--seconds",
        "0.05",
        "--variant",
        "python",
        "--loop",
        "asyncio",
        "--rhythm",
        "--json",
    ]
    program.main(raw.PEER, ask)
    measured = row.ROW.validate_json(capsys.readouterr().out)
    assert measured.saturated
    assert measured.rhythm
    assert measured.rhythm.polls >= 2
    assert measured.saturated.cpu_us > 0


@pytest.mark.usefixtures("_no_compiler")
def test_without_a_compiler_the_row_in_c_says_so() -> None:
    measured = program.measure(raw.PEER, Ask(4, 0.05, "c", "asyncio", rhythm=False))
    assert measured.skipped == "no C compiler"
    assert measured.saturated is None


def test_a_peer_whose_package_is_missing_is_a_row_that_names_it() -> None:
    def never(_: object) -> Never:
        raise AssertionError

    peer = program.Peer("nobody", ("no_such_package_here",), ("only",), never, never)
    measured = program.measure(peer, Ask(4, 0.05, "only", "asyncio", rhythm=False))
    assert measured.peer == "nobody only"
    assert measured.skipped == "not installed: no_such_package_here"


def test_a_row_is_the_median_of_its_rounds_and_a_failed_round_leaves_it_without_figures() -> None:
    rounds = [Row("a", "b", 4, rss_kib=kib, saturated=A_LOAD) for kib in (1.0, 9.0, 2.0)]
    assert row.median_row(rounds) == Row("a", "b", 4, rss_kib=2.0, saturated=A_LOAD)
    assert row.median_row([*rounds, Row("a", "", 4, skipped="failed")]).saturated is None


def test_a_subject_that_fails_is_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    (measured,) = run.rows(4, 0.05, subjects=[("raw", "python")])
    assert measured.skipped == "failed with exit code 1"


def test_the_canned_web_server_answers_whole_requests_only() -> None:
    request = b"POST / HTTP/1.1\r\nHost: x\r\n\r\n" + POLL
    buffer = bytearray(request + request[:-1])
    assert answer(buffer).count(REPORT) == 1
    assert bytes(buffer) == request[:-1]


def test_the_canned_station_numbers_what_it_sends_and_acknowledges_what_it_took() -> None:
    station = Station()
    assert station.answer(bytearray.fromhex("680407000000")).hex() == "68040b000000"
    read = bytearray.fromhex("680d00000000660105000100010000")
    station.answer(bytearray(read))
    said = station.answer(read)
    assert said[:2] == bytes((0x68, len(said) - 2))
    assert said[2:6].hex() == "02000400"
    assert not read
