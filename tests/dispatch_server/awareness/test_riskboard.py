"""dispatch_server/awareness/riskboard.py: experts' intervals moved by what this server counts. A report."""

import json
import math

import pytest
from structlog.testing import capture_logs

from dispatch_server.awareness.riskboard import RiskBoard
from dispatch_server.counters import Counters
from situational.risk import FACTORS, SOURCES, Interval, Panel, parse_toml


def panel() -> Panel:
    """Two experts who find every factor as probable and as grave as any other."""
    rows = "\n".join(f"{code} = {{ probability = [4, 6], severity = [5, 6] }}" for code in FACTORS)
    experts = "".join(
        f'[[experts]]\nname = "{name}"\nweight = 0.5\n[experts.factors]\n{rows}\n' for name in "ab"
    )
    return parse_toml(f'title = "tests"\n{experts}')


@pytest.fixture
def counters() -> Counters:
    return Counters()


@pytest.fixture
def board(counters: Counters) -> RiskBoard:
    return RiskBoard(panel(), counters)


def probability(board: RiskBoard, code: str) -> Interval:
    (row,) = [row for row in board.shown() if row.risk.code == code]
    assert row.evidence
    return row.evidence.probability


def test_without_experts_there_is_no_board(counters: Counters) -> None:
    board = RiskBoard(None, counters)
    board.look(100.0)
    assert board.shown() == ()
    assert board.view() == {"board": [], "assessment": {}}


def test_each_factor_is_shown_once_and_can_be_told_over_the_control_socket(board: RiskBoard) -> None:
    board.look(100.0)
    assert {row.risk.code for row in board.shown()} == set(FACTORS)
    assert len(board.shown()) == len(FACTORS)
    assert json.loads(json.dumps(board.view())) == board.view()


def test_before_anything_was_counted_the_experts_decide_alone(board: RiskBoard) -> None:
    board.look(100.0)
    assert {row.evidence.weight for row in board.shown() if row.evidence} == {0.0}
    assert {row.risk.code for row in board.shown() if row.evidence} == set(SOURCES)


def test_refused_handshakes_move_their_factor_and_no_other(board: RiskBoard, counters: Counters) -> None:
    board.look(100.0)
    counters.add("handshakes", 1000)
    counters.add("handshake_refused", 1000)
    board.look(160.0)
    assert probability(board, "C12").lower > 9.9
    moved = [row.risk.code for row in board.shown() if row.evidence and row.evidence.weight]
    assert moved == ["C12"]


def test_what_was_watched_for_an_hour_without_an_event_is_less_probable(
    board: RiskBoard, counters: Counters
) -> None:
    board.look(100.0)
    counters.add("loop_ticks", 14_400)
    board.look(3700.0)
    assert probability(board, "C33").upper < 1.0


def test_what_was_counted_more_than_an_hour_ago_no_longer_counts(
    board: RiskBoard, counters: Counters
) -> None:
    board.look(0.0)
    counters.add("handshakes", 1000)
    counters.add("handshake_refused", 1000)
    for minute in range(1, 70):
        board.look(60.0 * minute)
    assert probability(board, "C12") == Interval(0.0, 10.0)


def test_the_order_that_is_shown_changes_only_when_a_challenge_lasts(
    board: RiskBoard, counters: Counters
) -> None:
    board.look(0.0)
    first = board.shown()[0].risk.code
    counters.add("handshakes", 1000)
    counters.add("handshake_refused", 1000)
    board.look(60.0)
    assert board.shown()[0].risk.code == first
    board.look(120.0)
    board.look(180.0)
    assert board.shown()[0].risk.code == "C12"


@pytest.mark.parametrize("wrong", [math.nan, -1.0, 1e300])
def test_a_number_that_is_none_leaves_the_board_as_it_was_and_is_told(
    board: RiskBoard, counters: Counters, wrong: float
) -> None:
    board.look(0.0)
    shown = board.shown()
    counters._counts["polls"] = wrong
    with capture_logs() as logs:
        board.look(60.0)
    assert [log["log_level"] for log in logs] == ["error"]
    assert board.shown() == shown


def test_a_clock_that_goes_back_leaves_the_board_as_it_was(board: RiskBoard) -> None:
    board.look(100.0)
    shown = board.shown()
    board.look(50.0)
    assert board.shown() == shown
