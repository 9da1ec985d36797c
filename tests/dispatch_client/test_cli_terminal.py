"""What a person sees and types at a real terminal."""

from pathlib import Path

import pytest

from tests.dispatch_client.support import PASSWORD, program, status, taken, write_config
from tests.support import orders
from tests.support.pty_program import AtTerminal

pytestmark = pytest.mark.system


def test_issuing_shows_the_order_then_asks_then_takes_the_factors_without_echo(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view("drafted"), issue=taken()) as client:
        with AtTerminal("dispatch_client", "order", "issue", "t-1", "--config", config) as person:
            person.wait_for("breaker 5012")
            person.wait_for("Issue the order shown above? [y/N]")
            person.type("y")
            person.wait_for("Password:")
            person.type(PASSWORD)
            person.wait_for("Second factor (totp):")
            person.type("123456")
            person.wait_for("t-1: taken")
            assert person.end() == 0
        assert client.arguments("issue")["password"] == PASSWORD
        assert client.arguments("issue")["response"] == "123456"
    assert PASSWORD not in person.shown
    assert "123456" not in person.shown


def test_a_person_who_does_not_say_yes_is_not_asked_for_a_password_even_with_the_option(
    tmp_path: Path,
) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view("drafted"), issue=taken()) as client:
        with AtTerminal("dispatch_client", "order", "issue", "t-1", "--config", config, "--yes") as person:
            person.wait_for("[y/N]")
            person.type("")
            person.wait_for("not issued")
            assert person.end() == 1
        assert client.commands == ["show"]
    assert "Password" not in person.shown


def test_a_second_person_sees_the_order_says_yes_and_only_then_gives_both_factors(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view("awaiting-approval"), approve=taken()) as client:
        arguments = ("approve", "t-1", "--person", "zhao", "--config", config, "--yes")
        with AtTerminal("dispatch_client", *arguments) as person:
            person.wait_for("breaker 5012")
            person.wait_for("The order shown above is what you approve. Approve it? [y/N]")
            assert client.commands == ["show"]
            person.type("y")
            person.wait_for("Password:")
            person.type(PASSWORD)
            person.wait_for("Second factor (totp):")
            person.type("123456")
            person.wait_for("t-1: taken")
            assert person.end() == 0
        assert client.arguments("approve")["person"] == "zhao"
    assert PASSWORD not in person.shown


def test_a_second_person_who_does_not_say_yes_decides_nothing(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view("awaiting-approval"), decline=taken()) as client:
        arguments = ("decline", "t-1", "--person", "zhao", "--reason", "no", "--config", config, "--yes")
        with AtTerminal("dispatch_client", *arguments) as person:
            person.wait_for("[y/N]")
            person.type("")
            person.wait_for("nothing was decided")
            assert person.end() == 1
        assert client.commands == ["show"]


def test_a_read_back_that_the_dispatcher_does_not_accept_is_not_confirmed(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, show=orders.view(words="breaker 5021: open"), confirm=taken()) as client:
        arguments = ("confirm", "t-1", "--config", config, "--lang", "zh")
        with AtTerminal("dispatch_client", *arguments) as person:
            person.wait_for("不一致")
            person.wait_for("复诵与指令不一致")
            person.type("否")
            assert person.end() == 1
        assert client.commands == ["show"]


def test_watching_goes_on_until_it_is_interrupted(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with (
        program(config, status=status(), list=[orders.row()]) as client,
        AtTerminal(
            "dispatch_client", "inbox", "--watch", "--config", config, env={"TERM": "xterm"}
        ) as person,
    ):
        person.wait_for("t-1")
        person.wait_for("t-1")
        person.interrupt()
        assert person.end() == 130
    assert client.commands.count("list") >= 2
