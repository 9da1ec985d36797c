"""What was turned away is shown to people in words, and only when there was something."""

from pathlib import Path

import pytest

from dispatch_client.__main__ import app
from dispatch_client.cli.counters import CODES, COUNTERS, WHYS, counter_words
from protocol.aio.crowd import Why
from protocol.errors import WireCode
from tests.dispatch_client.support import program, status, write_config
from tests.support.terminal import run

# What no peer is refused for: these end a link without anybody's fault, or concern the other direction.
NO_REFUSALS = {WireCode.STOPPING, WireCode.SILENT, WireCode.REPLACED, WireCode.LOST, WireCode.INTERNAL}


def test_everything_that_a_listener_counts_has_words_of_its_own_in_both_languages() -> None:
    assert set(WHYS) == set(Why)
    assert set(CODES) == set(WireCode) - NO_REFUSALS
    for language in (0, 1):
        words = [pair[language] for pair in COUNTERS.values()]
        assert len(set(words)) == len(words)
        assert all(words)


@pytest.mark.parametrize("name", [*Why, *(code.name.lower() for code in CODES)])
def test_a_count_is_shown_in_words(tmp_path: Path, name: str) -> None:
    config = write_config(tmp_path)
    with program(config, status=status(counters={str(name): 4_711})):
        english = run(app, "status", "--config", config)
        chinese = run(app, "status", "--config", config, "--lang", "zh")
        as_json = run(app, "status", "--config", config, "--json")
    for told, words in ((chinese, counter_words(name)[0]), (english, counter_words(name)[1])):
        assert any(words in line and "4711" in line for line in told.out.splitlines())
    assert as_json.json["counters"] == {str(name): 4_711}


def test_nothing_is_shown_when_nothing_was_turned_away(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, status=status(counters={})):
        told = run(app, "status", "--config", config)
    assert not any(words in told.out for _, words in COUNTERS.values())


def test_a_count_of_a_newer_program_is_shown_under_its_name(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, status=status(counters={"too-green": 1})):
        told = run(app, "status", "--config", config)
    assert "too-green" in told.out
