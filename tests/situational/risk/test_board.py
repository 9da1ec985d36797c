import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import BadSettingError, TimeWentBackwardsError
from situational.risk import (
    COUNTERS,
    SOURCES,
    Assessment,
    BadBoardError,
    BoardState,
    CounterWindow,
    Group,
    Hysteresis,
    Interval,
    assess,
    observe,
    possibility,
    rows,
    update,
)
from situational.risk.board import Shown, settle
from tests.situational.risk.support import intervals, panel_of, point, unhurried

H = Hysteresis()
A_LEADS = {"A": Interval(4, 6), "B": Interval(1, 3)}
B_LEADS = {"A": Interval(1, 3), "B": Interval(4, 6)}
NEARLY = {"A": Interval(1, 3), "B": Interval(1.9, 3.9)}  # p(B >= A) = 0.725


def shown(*looks: tuple[float, dict[str, Interval]]) -> str:
    state = Shown()
    for now_s, values in looks:
        state = settle(state, values, now_s, H)
    return "".join(state.order)


def test_the_first_update_takes_over_the_order() -> None:
    assert shown((0, A_LEADS)) == "AB"


def test_a_clear_lead_is_shown_after_a_minute_and_not_before() -> None:
    assert shown((0, A_LEADS), (10, B_LEADS), (69, B_LEADS)) == "AB"
    assert shown((0, A_LEADS), (10, B_LEADS), (70, B_LEADS)) == "BA"


def test_a_lead_that_was_lost_once_begins_its_minute_anew() -> None:
    assert shown((0, A_LEADS), (10, B_LEADS), (40, A_LEADS), (50, B_LEADS), (80, B_LEADS)) == "AB"


def test_a_lead_below_three_quarters_never_changes_the_order() -> None:
    assert possibility(NEARLY["B"], NEARLY["A"]) == pytest.approx(0.725)
    assert shown((0, A_LEADS), (10, NEARLY), (10_000, NEARLY)) == "AB"


def test_after_a_change_the_way_back_takes_a_minute_too() -> None:
    there = ((0, A_LEADS), (10, B_LEADS), (70, B_LEADS))
    assert shown(*there, (80, A_LEADS), (139, A_LEADS)) == "BA"
    assert shown(*there, (80, A_LEADS), (140, A_LEADS)) == "AB"


def test_a_clear_winner_is_not_stuck_below_an_uncertain_third() -> None:
    before = {"U": point(9), "X": point(8), "L": point(7)}
    after = {"U": Interval(1, 3), "X": Interval(0, 8), "L": Interval(4, 6)}
    assert possibility(after["L"], after["X"]) < 0.75
    assert possibility(after["X"], after["U"]) < 0.75
    assert shown((0, before), (10, after), (70, after)) == "LXU"


orders = st.fixed_dictionaries({code: intervals() for code in "ABCDE"})


@unhurried
@given(st.lists(st.tuples(st.floats(0, 40), orders), min_size=2, max_size=12))
def test_no_due_challenge_stays_below_and_no_change_comes_without_one(
    looks: list[tuple[float, dict[str, Interval]]],
) -> None:
    state, now_s = Shown(), 0.0
    since: dict[tuple[str, str], float] = {}
    for step, values in looks:
        now_s += step
        after = settle(state, values, now_s, H)
        assert sorted(after.order) == list("ABCDE")
        leads = {(a, b) for a in values for b in values if possibility(values[a], values[b]) >= 0.75}
        since = {pair: since.get(pair, now_s) for pair in leads}  # told independently of what is shown
        due = {pair for pair, begun_s in since.items() if now_s - begun_s >= 60}
        if state.order:
            before = {(a, b) for i, a in enumerate(state.order) for b in state.order[i + 1 :]}
            assert after.order == state.order or any((b, a) in due for a, b in before)
            for a, b in after.since:
                assert after.order.index(a) > after.order.index(b)
                assert now_s - after.since[a, b] < 60
        state = after


def test_a_board_goes_with_its_items() -> None:
    with pytest.raises(BadBoardError, match="begin a new board"):
        settle(Shown(("A", "B")), {"A": point(1)}, 0, H)


@pytest.mark.parametrize("now_s", [9.0, math.nan])
def test_time_never_goes_backwards(now_s: float) -> None:
    assessment = assess(panel_of({}))
    with pytest.raises(TimeWentBackwardsError):
        update(update(BoardState(), assessment, 10), assessment, now_s)


@pytest.mark.parametrize(
    ("least", "hold_s"), [(0.5, 60), (1.1, 60), (math.nan, 60), (0.75, -1), (0.75, math.inf)]
)
def test_a_hysteresis_that_would_flap_or_freeze_is_refused(least: float, hold_s: float) -> None:
    with pytest.raises(BadSettingError):
        Hysteresis(least, hold_s)


def test_a_row_shows_its_place_with_the_values_of_now_and_their_evidence() -> None:
    panel = panel_of({"C32": 90.0, "C12": 50.0})
    before = update(BoardState(), assess(panel), 0)
    changed = assess(panel_of({"C32": 50.0, "C12": 90.0}))
    after = update(before, changed, 30)
    evidence = observe(panel, CounterWindow()).evidence
    first, second = rows(after, changed, evidence)[:2]
    assert (first.place, first.risk.code, first.risk.rank, first.group) == (1, "C32", 2, Group.MAJOR)
    assert (second.place, second.risk.code, second.risk.rank) == (2, "C12", 1)
    assert first.evidence == evidence["C32"]
    assert {row.risk.code for row in rows(after, changed, evidence) if row.evidence is None} == {
        *("C31", "C52", "C53", "C54", "C55")
    }


def test_links_settle_as_factors_do_and_the_common_one_stays_out() -> None:
    first, then = (
        assess(panel_of({"C12": 90.0, "C11": 90.0})),
        assess(panel_of({"C41": 90.0, "C42": 90.0, "C43": 90.0})),
    )
    state = update(update(BoardState(), first, 0), then, 10)
    assert state.links.order[0] == "C1"
    assert update(state, then, 70).links.order[0] == "C4"
    assert "C5" not in state.links.order


def noisy(seconds: int, step: int, span_s: float) -> Iterator[tuple[float, Assessment]]:
    """A system whose true rates stand still: every change of the raw order is noise."""
    random = np.random.default_rng(7)
    per_s = dict.fromkeys((source.exposure for source in SOURCES.values()), 20.0)
    share = {code: random.uniform(0.1, 0.8) for code in SOURCES}
    total = dict.fromkeys(COUNTERS, 0.0)
    window, panel = CounterWindow(span_s=span_s), panel_of(dict.fromkeys(SOURCES, 40.0))
    for now_s in range(0, seconds, step):
        window = window.push(total, now_s)
        yield now_s, assess(observe(panel, window).panel)
        for name, rate in per_s.items():
            total[name] += (more := float(random.poisson(rate * step)))
            for code, source in SOURCES.items():
                if source.exposure == name:
                    expected = more * source.full_scale * share[code]
                    total[source.events[0]] += float(random.poisson(expected))


def test_on_noise_the_shown_order_changes_far_less_often_than_the_raw_one() -> None:
    state, raw_changes, shown_changes = BoardState(), 0, 0
    raw: tuple[str, ...] = ()
    for now_s, assessment in noisy(seconds=1800, step=10, span_s=300):
        order = tuple(factor.code for factor in assessment.factors)
        after = update(state, assessment, now_s)
        raw_changes += order != raw
        shown_changes += after.factors.order != state.factors.order
        raw, state = order, after
    assert raw_changes > 100
    assert shown_changes < raw_changes / 5
