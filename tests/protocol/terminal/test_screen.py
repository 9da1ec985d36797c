import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.terminal.screen import complain, local_time, plain, tell_json


def test_what_is_printed_cannot_steer_a_terminal() -> None:
    assert plain("ok\x1b[2Jgone") == "ok<U+001B>[2Jgone"
    assert plain("open\u202eesolc") == "open<U+202E>esolc"
    assert plain("a\u009b1A\u200bb\r\n") == "a<U+009B>1A<U+200B>b<U+000D><U+000A>"


def test_what_is_meant_to_be_read_stays_as_it_is() -> None:
    text = "断开 5012 开关(2号线) – Ωμ ≥ 220 kV"
    assert plain(text) == text


@given(st.text())
def test_nothing_but_readable_signs_is_left(text: str) -> None:
    assert all(unicodedata.category(sign)[0] != "C" for sign in plain(text))


@given(
    st.recursive(
        st.text() | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_is_the_same_json_without_a_steering_sign(value: object) -> None:
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("typer.echo", lines.append)
        tell_json(value)
    (line,) = lines
    assert json.loads(line) == value
    assert all(unicodedata.category(sign)[0] != "C" for sign in line)


def test_an_error_is_one_line_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    complain("first\nsecond\x1b[31m\t third")
    captured = capsys.readouterr()
    assert captured.err == "first second<U+001B>[31m third\n"
    assert not captured.out


def test_times_are_shown_to_the_second() -> None:
    assert len(local_time(1_800_000_000_000)) == len("2027-01-15 08:00:00")
