import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from dispatch_client.__main__ import app
from protocol.aio.control import CommandFailed
from tests.dispatch_client.support import PASSWORD, program, taken, write_config
from tests.support import orders
from tests.support.terminal import run

FACTORS = f"{PASSWORD}\n123456\n"
NEW = [
    *("order", "new", "t-1", "--plant", "plant-a", "--number", "T-1", "--title", "Open 5012"),
    *("--step", "breaker 5012: open", "--step", "接地刀闸 7：合上:慢"),
]


def test_a_draft_carries_type_plant_ticket_and_steps(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, draft=taken()) as client:
        told = run(app, *NEW, "--type", "direct-operation", "--config", config)
    assert (told.exit_code, told.out) == (0, "t-1: taken\n")
    assert client.arguments("draft") == {
        "order": "t-1",
        "type": "direct-operation",
        "plant": "plant-a",
        "number": "T-1",
        "title": "Open 5012",
        "steps": [["breaker 5012", "open"], ["接地刀闸 7", "合上:慢"]],
        "valid_for_s": 3600,
    }


def test_the_type_may_be_said_in_chinese(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, draft=taken()) as client:
        told = run(app, *NEW, "--type", "许可操作", "--valid-for", "60", "--config", config, "--lang", "zh")
    assert told.out == "t-1: 已登记\n"
    assert client.arguments("draft")["type"] == "permitted-operation"
    assert client.arguments("draft")["valid_for_s"] == 60


@pytest.mark.parametrize("step", ["breaker 5012 open", ": open", "breaker:", ""])
def test_a_step_without_device_or_action_is_wrong_usage(tmp_path: Path, step: str) -> None:
    config = write_config(tmp_path)
    with program(config, draft=taken()) as client:
        told = run(app, *NEW, "--step", step, "--type", "direct-operation", "--config", config)
    assert told.exit_code == 2
    assert "DEVICE: ACTION" in told.err
    assert client.commands == []


def test_an_unknown_type_is_wrong_usage_and_the_types_are_named(tmp_path: Path) -> None:
    told = run(app, *NEW, "--type", "something", "--config", write_config(tmp_path))
    assert told.exit_code == 2
    assert "direct-operation" in told.err


@pytest.mark.parametrize("command", ["issue", "reissue"])
def test_issuing_shows_the_order_and_then_sends_both_factors_and_what_was_shown(
    tmp_path: Path, command: str
) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view(), **{command: taken()}) as client:
        told = run(app, "order", command, "t-1", "--config", config, "--yes", typed=FACTORS)
    assert told.exit_code == 0
    assert "breaker 5012" in told.out
    assert "waits" not in told.out
    assert client.commands == ["show", command, "show"]
    given = client.arguments(command)
    assert given["seen"] == orders.HEAD
    assert (given["password"], given["factor"], given["response"]) == (PASSWORD, "totp", "123456")


@pytest.mark.parametrize("command", ["issue", "reissue"])
@pytest.mark.parametrize(("lang", "words"), [("en", "it waits for a second person"), ("zh", "须由另一人")])
def test_who_issues_what_must_be_approved_is_told_that_it_waits_and_for_what(
    tmp_path: Path, command: str, lang: str, words: str
) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view("awaiting-approval"), **{command: taken()}):
        told = run(app, "order", command, "t-1", "--config", config, "--yes", "--lang", lang, typed=FACTORS)
    assert told.exit_code == 0
    last = told.out.splitlines()[-1]
    assert words in last
    assert "dispatch-client approve t-1 --person" in last
    assert "已受理" not in told.out


def test_as_json_an_issue_says_by_its_state_that_it_waits(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    answer = taken() | {"state": "awaiting-approval"}
    with program(config, show=orders.view("drafted"), issue=answer) as client:
        told = run(app, "order", "issue", "t-1", "--config", config, "--yes", "--json", typed=FACTORS)
    assert told.json == answer
    assert client.commands == ["show", "issue"]


DECIDE = ("t-1", "--person", "zhao", "--reason", "too risky")


@pytest.mark.parametrize("command", ["approve", "decline"])
def test_a_second_person_is_shown_the_order_and_then_asked_for_both_factors(
    tmp_path: Path, command: str
) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view("awaiting-approval"), **{command: taken()}) as client:
        told = run(app, command, *DECIDE, "--config", config, "--yes", typed=FACTORS)
    assert told.exit_code == 0
    assert "breaker 5012" in told.out
    assert client.commands == ["show", command]
    assert client.arguments(command) == {
        "order": "t-1",
        "seen": orders.HEAD,
        "person": "zhao",
        "reason": "too risky",
        "password": PASSWORD,
        "factor": "totp",
        "response": "123456",
    }
    assert PASSWORD not in told.out + told.err


@pytest.mark.parametrize("command", ["approve", "decline"])
def test_without_a_terminal_and_without_yes_nothing_is_decided(tmp_path: Path, command: str) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view("awaiting-approval"), **{command: taken()}) as client:
        told = run(app, command, *DECIDE, "--config", config, typed=FACTORS)
    assert told.exit_code == 2
    assert client.commands == ["show"]


@pytest.mark.parametrize(
    "arguments",
    [("approve", "t-1"), ("decline", "t-1", "--person", "zhao"), ("approve", "t-1", "--person", "Z!")],
)
def test_a_decision_names_its_person_and_a_decline_its_reason(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view("awaiting-approval")) as client:
        told = run(app, *arguments, "--config", config, "--yes", typed=FACTORS)
    assert told.exit_code == 2
    assert client.commands == []


def test_an_approval_that_headquarters_rejects_exits_with_1_and_says_why(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    failure = CommandFailed("rejected", "headquarters rejected it: use the telephone")
    with program(config, show=orders.view("awaiting-approval"), approve=failure):
        told = run(app, "approve", *DECIDE, "--config", config, "--yes", typed=FACTORS)
    assert told.exit_code == 1
    assert "use the telephone" in told.err


def test_without_a_terminal_and_without_yes_nothing_is_issued(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view(), issue=taken()) as client:
        told = run(app, "order", "issue", "t-1", "--config", config, typed=FACTORS)
    assert told.exit_code == 2
    assert client.commands == ["show"]


def test_as_json_the_order_is_shown_on_standard_error(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view(), issue=taken()):
        told = run(app, "order", "issue", "t-1", "--config", config, "--yes", "--json", typed=FACTORS)
    assert told.json == taken()
    assert "breaker 5012" in told.err


def test_confirming_shows_ticket_and_words_side_by_side(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view(), confirm=taken()) as client:
        told = run(app, "confirm", "t-1", "--config", config, "--yes", "--lang", "zh")
    assert told.out.count("breaker 5012: open") >= 2
    assert "一致" in told.out
    assert client.arguments("confirm") == {"order": "t-1", "seen": orders.HEAD}


def test_yes_does_not_confirm_what_was_read_back_differently(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    view = orders.view(words="breaker 5021: open")
    with program(config, show=view, confirm=taken()) as client:
        told = run(app, "confirm", "t-1", "--config", config, "--yes", "--lang", "zh")
    assert told.exit_code == 2
    assert "breaker 5021: open" in told.out
    assert "不一致" in told.out
    assert client.commands == ["show"]


def test_without_a_terminal_and_without_yes_nothing_is_confirmed(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view(), confirm=taken()) as client:
        told = run(app, "confirm", "t-1", "--config", config, typed="yes\n")
    assert told.exit_code == 2
    assert client.commands == ["show"]


ACTIONS: list[tuple[list[str], str, dict[str, Any]]] = [
    (["order", "cancel", "t-1", "--reason", "wrong line"], "cancel", {"order": "t-1", "text": "wrong line"}),
    (["order", "settle", "t-1", "--reason", "isolated"], "settle", {"order": "t-1", "text": "isolated"}),
    (["read-back", "t-1", "--words", "b: open"], "read-back", {"order": "t-1", "text": "b: open"}),
    (["begin", "t-1"], "begin", {"order": "t-1"}),
    (["complete", "t-1", "--result", "done 完毕"], "complete", {"order": "t-1", "text": "done 完毕"}),
    (["fail", "t-1", "--reason", "stuck"], "fail", {"order": "t-1", "text": "stuck"}),
    (["refuse", "t-1", "--reason", "unsafe"], "refuse", {"order": "t-1", "text": "unsafe"}),
]


@pytest.mark.parametrize(("arguments", "command", "sent"), ACTIONS)
def test_an_action_is_sent_as_it_was_said(
    tmp_path: Path, arguments: list[str], command: str, sent: dict[str, Any]
) -> None:
    config = write_config(tmp_path)
    with program(config, **{command.replace("-", "_"): taken()}) as client:
        told = run(app, *arguments, "--config", config)
    assert (told.exit_code, told.out) == (0, "t-1: taken\n")
    assert client.asked == [(command, sent)]


@pytest.mark.parametrize(("arguments", "command", "sent"), ACTIONS)
def test_a_refused_action_says_why_and_exits_with_1(
    tmp_path: Path, arguments: list[str], command: str, sent: dict[str, Any]
) -> None:
    config = write_config(tmp_path)
    failure = CommandFailed("refused", "stale: the order has moved on")
    with program(config, **{command.replace("-", "_"): failure}):
        told = run(app, *arguments, "--config", config)
        as_json = run(app, *arguments, "--config", config, "--json")
    assert told.exit_code == 1
    assert told.err == "t-1: refused: stale: the order has moved on\n"
    assert as_json.exit_code == 1
    assert as_json.json["outcome"] == "refused"
    assert as_json.json["reason"] == "stale: the order has moved on"


@pytest.mark.parametrize(
    "answer",
    [
        {"outcome": "pending", "order": "t-1", "event": "ef" * 32},
        CommandFailed("no-answer", "the program ended before it answered: ask for the order's state"),
    ],
)
def test_an_outcome_that_is_not_known_exits_with_3_and_says_how_to_ask(tmp_path: Path, answer: Any) -> None:
    config = write_config(tmp_path)
    with program(config, begin=answer):
        told = run(app, "begin", "t-1", "--config", config)
        as_json = run(app, "begin", "t-1", "--config", config, "--json")
        chinese = run(app, "begin", "t-1", "--config", config, "--lang", "zh")
    assert told.exit_code == as_json.exit_code == chinese.exit_code == 3
    assert "not known yet: ask with `order show t-1`" in told.err
    assert as_json.json["outcome"] == "pending"
    assert "结果未知" in chinese.err


def test_a_client_that_does_not_run_has_refused_nothing_silently(tmp_path: Path) -> None:
    told = run(app, "begin", "t-1", "--config", write_config(tmp_path))
    assert told.exit_code == 1
    assert "Is the program running?" in told.err


def test_an_order_is_shown_and_listed(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view(), list=[orders.row()]) as client:
        shown = run(app, "order", "show", "t-1", "--config", config, "--lang", "zh")
        as_json = run(app, "order", "show", "t-1", "--config", config, "--json")
        listed = run(app, "order", "list", "--config", config, "--limit", 3)
    assert "直接操作" in shown.out
    assert as_json.json == orders.view()
    assert "read back" in listed.out
    assert client.arguments("list") == {"limit": 3}


def test_a_client_that_dies_after_it_was_asked_leaves_the_outcome_unknown(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    path = tmp_path / "run" / "control"
    path.parent.mkdir()

    def die(door: socket.socket) -> None:
        talk, _ = door.accept()
        talk.recv(1)  # the rest is never read: closing now resets the connection
        talk.close()

    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()
        thread = threading.Thread(target=die, args=(door,))
        thread.start()
        told = run(app, "begin", "t-1", "--config", config)
        thread.join()
    assert told.exit_code == 3
    assert "ask for the order's state" in told.err
