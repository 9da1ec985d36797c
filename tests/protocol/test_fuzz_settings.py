"""protocol/settings.py, aio/control.py: what a person writes is taken, or refused with its place."""

import json
from pathlib import Path

import pytest

from protocol.errors import ConfigurationRefused
from protocol.settings import Settings, load_settings
from tests.fuzz.control import converse


class Waiting(Settings):
    """A configuration with a time in it."""

    wait_s: float


@pytest.mark.parametrize(
    "text",
    ["wait_s = " + "[" * 5_000, "wait_s = " + "9" * 5_000, "wait_s = inf", "wait_s = -inf", "wait_s = nan"],
)
def test_numbers_and_brackets_without_end_are_refused_with_their_place(tmp_path: Path, text: str) -> None:
    path = tmp_path / "node.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationRefused) as caught:
        load_settings(path, Waiting)
    assert caught.value.where.startswith(str(path))


async def test_half_a_character_in_a_command_is_answered_like_any_other() -> None:
    lines = [b'{"command": "\\ud800"}', b'{"command": "repeat", "arguments": {"what": "\\udfff"}}']
    caller, told = await converse(b"\n".join(lines) + b"\n")
    unknown, repeated = map(json.loads, caller.heard.splitlines())
    assert told == [False, True]
    assert unknown["error"]["code"] == "bad-command"
    assert repeated["result"] == {"what": "\udfff"}
