"""situational/__main__.py: the commands that anybody can run."""

import pytest

from situational.__main__ import COMMANDS, main


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])
    assert left.value.code == 0
    assert COMMANDS[command][1] in " ".join(capsys.readouterr().out.split())


def test_an_unknown_command_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["predict"])
    assert left.value.code == 2
    assert "forecast" in capsys.readouterr().err


def test_what_cannot_be_read_is_told_in_one_line_and_not_as_a_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["classify", "/nowhere/telemetry.csv"]) == 2
    told = capsys.readouterr().err
    assert "telemetry.csv" in told
    assert len(told.splitlines()) == 1
