import getpass
import io
import sys
import warnings
from typing import Any

import pytest
import typer

from protocol.terminal.person import agreed, new_secret, secret
from protocol.terminal.program import Refused
from tests.support.terminal import Terminal


def _given(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def _at_terminal(monkeypatch: pytest.MonkeyPatch, text: str = "") -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(text))


def test_without_a_terminal_each_secret_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    _given(monkeypatch, "first word \n123456\r\n")
    assert secret("Password") == "first word "
    assert secret("Code") == "123456"


@pytest.mark.parametrize("text", ["", "cut off"])
def test_a_line_that_does_not_end_is_not_a_secret(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    _given(monkeypatch, text)
    with pytest.raises(Refused, match="ended before"):
        secret("Password")


def test_an_empty_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _given(monkeypatch, "\n")
    with pytest.raises(Refused, match="nothing was given"):
        secret("Password")


def test_a_secret_that_is_not_utf_8_is_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    _given(monkeypatch, "geheim\udcff\n")
    with pytest.raises(Refused, match="UTF-8") as caught:
        secret("Password")
    assert "geheim" not in str(caught.value)


def test_undecodable_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe\n"), encoding="utf-8"))
    with pytest.raises(Refused, match="UTF-8"):
        secret("Password")


def test_at_a_terminal_the_prompt_goes_to_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    _at_terminal(monkeypatch, "must not be read from here\n")
    asked: list[tuple[str, Any]] = []

    def fake(prompt: str, stream: Any) -> str:
        asked.append((prompt, stream))
        return "typed"

    monkeypatch.setattr(getpass, "getpass", fake)
    assert secret("Password") == "typed"
    assert asked == [("Password: ", sys.stderr)]


def test_a_terminal_that_would_show_the_secret_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    _at_terminal(monkeypatch)

    def fake(_prompt: str, _stream: Any) -> str:
        warnings.warn("Can not control echo", getpass.GetPassWarning, stacklevel=1)
        return "shown to all"

    monkeypatch.setattr(getpass, "getpass", fake)
    with pytest.raises(Refused, match="cannot hide"):
        secret("Password")


def test_a_new_secret_is_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    _given(monkeypatch, "long enough, this\nlong enough, this\n")
    assert new_secret("Password", "Again") == "long enough, this"


def test_a_new_secret_that_is_typed_differently_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _given(monkeypatch, "long enough, this\nlong enough, that\n")
    with pytest.raises(Refused, match="not the same"):
        new_secret("Password", "Again")


def test_a_short_new_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _given(monkeypatch, "11 signs...\n11 signs...\n")
    with pytest.raises(Refused, match="at least 12"):
        new_secret("Password", "Again")


@pytest.mark.parametrize("answer", ["y", "YES", "是"])
def test_a_person_at_a_terminal_agrees_by_saying_so(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    _at_terminal(monkeypatch, f"{answer}\n")
    assert agreed("Sure?", yes=False)


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "yess\n", "否\n"])
def test_anything_else_is_a_no_even_with_yes(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    _at_terminal(monkeypatch, answer)
    assert not agreed("Sure?", yes=True)


def test_without_a_terminal_somebody_must_have_said_yes(monkeypatch: pytest.MonkeyPatch) -> None:
    _given(monkeypatch, "yes\n")
    with pytest.raises(typer.BadParameter, match="--yes"):
        agreed("Sure?", yes=False)
    assert agreed("Sure?", yes=True)
