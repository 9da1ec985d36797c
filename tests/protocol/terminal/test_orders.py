import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from protocol.keys import Role
from protocol.lifecycle import CUSTODY, State
from protocol.terminal.orders import (
    compare,
    head_of,
    inbox,
    inbox_table,
    order_in_full,
    order_table,
    side_by_side,
    words_of,
)
from protocol.texts import Language
from tests.support import orders

STEPS = [{"device": "breaker 5012", "action": "open"}, {"device": "earth switch 7", "action": "close"}]


def printed(renderable: RenderableType, *, colour: bool = False) -> str:
    out = io.StringIO()
    console = Console(
        file=out,
        width=200,
        markup=False,
        highlight=False,
        force_terminal=colour,
        color_system="standard" if colour else None,
    )
    console.print(renderable)
    return out.getvalue()


def test_words_that_repeat_the_steps_are_the_same_whatever_their_width_case_and_blanks() -> None:
    rows = compare(STEPS, "Breaker 5012：OPEN；  earth  switch 7 : close")
    assert [same for _, _, same in rows] == [True, True]


@pytest.mark.parametrize(
    "words",
    [
        "breaker 5021: open; earth switch 7: close",
        "earth switch 7: close; breaker 5012: open",
        "breaker 5012: open",
        "breaker 5012: open; earth switch 7: close; breaker 9: open",
        "",
    ],
)
def test_a_wrong_missing_swapped_or_added_step_is_marked(words: str) -> None:
    assert not all(same for _, _, same in compare(STEPS, words))


word = st.text(st.characters(categories=["L", "N"]), min_size=1)


@given(st.lists(st.tuples(word, word), min_size=1, max_size=8))
def test_reading_the_steps_back_word_by_word_is_always_the_same(steps: list[tuple[str, str]]) -> None:
    given_steps = [{"device": device, "action": action} for device, action in steps]
    words = "; ".join(f"{device}: {action}" for device, action in steps)
    assert all(same for _, _, same in compare(given_steps, words))


def test_the_head_is_the_last_event_on_the_chain() -> None:
    assert head_of(orders.view()) == orders.HEAD
    assert not head_of(orders.view(events=[]))


def test_what_was_read_back_last_counts() -> None:
    said = [orders.event("read-back", "li", "operator", text) for text in ("wrong", "right")]
    assert words_of(orders.view(events=said)) == "right"
    assert not words_of(orders.view(events=[]))


def test_an_order_is_shown_in_full() -> None:
    text = printed(order_in_full(orders.view(), Language.EN))
    for part in (
        "t-1",
        "direct operation",
        "read back",
        "desk-1",
        "plant-a",
        "T-1",
        "breaker 5012",
        "open",
        "wang",
        "li",
        "dispatcher",
    ):
        assert part in text


def test_an_order_is_shown_in_chinese() -> None:
    text = printed(order_in_full(orders.view(), Language.ZH))
    for part in ("直接操作", "已复诵", "操作票号", "设备", "签名人", "调度员", "运行人员", "无应答"):
        assert part in text


def test_ticket_and_words_stand_side_by_side() -> None:
    same = printed(side_by_side(orders.view(), Language.EN))
    assert same.count("breaker 5012: open") == 2
    assert "the same" in same
    other = printed(side_by_side(orders.view(words="breaker 5021: open"), Language.ZH))
    assert "breaker 5021: open" in other
    assert "不一致" in other


def test_texts_of_others_are_neither_markup_nor_escape_sequences() -> None:
    nasty = "[bold red]x[/] \x1b[2J\u202e"
    text = printed(side_by_side(orders.view(words=nasty), Language.EN))
    assert "[bold red]x[/] <U+001B>[2J<U+202E>" in text
    assert "\x1b" not in text
    listed = printed(order_table([orders.row(title=nasty)], Language.EN))
    assert "[bold red]x[/]" in listed
    assert "\x1b" not in listed


def test_only_what_is_abnormal_has_a_colour() -> None:
    assert "\x1b[31m" not in printed(order_table([orders.row(state="executing")], Language.EN), colour=True)
    assert "\x1b[31m" in printed(order_table([orders.row(state="unknown")], Language.EN), colour=True)


def _open_row(order: str, state: State) -> dict[str, Any]:
    return orders.row(order, state.value, custody=CUSTODY[state].value)


def test_what_waits_for_somebody_here_stands_first_and_what_is_over_is_left_out() -> None:
    rows = [_open_row("a", State.EXECUTING), _open_row("b", State.READ_BACK), _open_row("c", State.CLOSED)]
    assert [row["order"] for row in inbox(rows, Role.DESK)] == ["b", "a"]
    assert [row["order"] for row in inbox(rows, Role.PLANT)] == ["a", "b"]


def test_what_waits_for_a_second_person_is_to_be_done_at_the_desk_and_nowhere_else() -> None:
    rows = [orders.row("a", "accepted"), orders.row("b", "awaiting-approval")]
    assert [row["order"] for row in inbox(rows, Role.DESK)] == ["b", "a"]
    assert [row["order"] for row in inbox(rows, Role.PLANT)] == ["a", "b"]
    assert "a second person: approve or decline" in printed(inbox_table(rows, Role.DESK, Language.EN))
    assert "待监护人批准" in printed(inbox_table(rows, Role.DESK, Language.ZH))


def test_a_failed_order_waits_for_the_dispatcher_who_has_to_settle_it() -> None:
    failed = [_open_row("a", State.FAILED)]
    assert "settle" in printed(inbox_table(failed, Role.DESK, Language.EN))
    assert "settle" not in printed(inbox_table(failed, Role.PLANT, Language.EN))


@pytest.mark.parametrize("state", list(State))
def test_every_state_can_be_listed_at_both_kinds_of_station_in_both_languages(state: State) -> None:
    rows = [_open_row("a", state)]
    for language in Language:
        for role in (Role.DESK, Role.PLANT):
            printed(inbox_table(rows, role, language))
        printed(order_table(rows, language))
        assert "a" in printed(order_in_full(orders.view(state=state.value), language))
