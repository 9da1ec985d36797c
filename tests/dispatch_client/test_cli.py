"""The frame of both command lines, tried on the client's."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from dispatch_client.__main__ import app
from protocol.aio.control import CommandFailed
from protocol.terminal.program import Entry, command_group, program
from tests.dispatch_client.support import program as running
from tests.dispatch_client.support import status, write_config
from tests.support.terminal import run

COMMANDS = "run check-config key login logout status inbox order confirm read-back begin complete fail refuse"


def test_help_lists_every_command() -> None:
    told = run(app, "--help")
    assert told.exit_code == 0
    assert all(command in told.out.split() for command in COMMANDS.split())


@pytest.mark.parametrize("command", COMMANDS.split())
def test_every_command_explains_itself(command: str) -> None:
    told = run(app, command, "--help")
    assert told.exit_code == 0
    assert "Usage" in told.out


def test_help_imports_nothing_that_is_slow() -> None:
    slow = ["cryptography", "pydantic", "numpy", "asyncio", "rich", "structlog"]
    code = f"import sys, dispatch_client.__main__; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["status", "--nonsense"], ["order", "nonsense"], ["login"]]
)
def test_wrong_usage_exits_with_2_and_says_so_on_standard_error(arguments: list[str]) -> None:
    told = run(app, *arguments)
    assert told.exit_code == 2
    assert "Error:" in told.err
    assert not told.out


def test_a_refused_configuration_is_one_line_and_exits_with_1(tmp_path: Path) -> None:
    told = run(app, "status", "--config", tmp_path / "none.toml")
    assert told.exit_code == 1
    assert told.err.count("\n") == 1
    assert "none.toml: cannot be read" in told.err


def test_a_program_that_does_not_run_is_one_line_and_exits_with_1(tmp_path: Path) -> None:
    told = run(app, "status", "--config", write_config(tmp_path))
    assert told.exit_code == 1
    assert told.err.count("\n") == 1
    assert "Is the program running?" in told.err


def test_a_refused_command_is_one_line_even_if_its_text_has_more(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with running(config, status=CommandFailed("x", "first\nsecond\x1b[2J")):
        told = run(app, "status", "--config", config)
    assert (told.exit_code, told.err) == (1, "first second<U+001B>[2J\n")


def test_the_configuration_may_come_from_the_environment(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with running(config, status=status()):
        told = run(app, "status", "--json", env={"DISPATCH_CONFIG": str(config)})
    assert told.json["node"] == "desk-1"


@pytest.mark.parametrize(
    ("variables", "arguments", "expected"),
    [
        ({"LC_ALL": "zh_CN.UTF-8"}, [], "调度台"),
        ({"LC_ALL": "", "LC_MESSAGES": "", "LANG": "zh_CN.UTF-8"}, [], "调度台"),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, [], "desk"),
        ({"LC_ALL": "", "LC_MESSAGES": "", "LANG": ""}, [], "desk"),
        ({"LC_ALL": "en_US.UTF-8"}, ["--lang", "zh"], "调度台"),
        ({"LC_ALL": "zh_CN.UTF-8"}, ["--lang", "en"], "desk"),
    ],
)
def test_the_language_is_chosen_by_option_then_by_environment(
    tmp_path: Path, variables: dict[str, str], arguments: list[str], expected: str
) -> None:
    config = write_config(tmp_path)
    with running(config, status=status()):
        told = run(app, "status", "--config", config, *arguments, env=variables)
    assert f"{expected} desk-1" in told.out


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device", "/var/lib/x"), PermissionError(13, "Permission denied", b"/x")],
)
def test_errors_of_the_machine_are_one_line(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    group = command_group()

    @group.command()
    def fail() -> None:
        raise error

    monkeypatch.setattr(import_module("dispatch_client.cli.run"), "app", group)
    told = run(program("test", {"fail": Entry("dispatch_client.cli.run", "Fails.")}), "fail")
    assert told.exit_code == 1
    assert str(error.strerror) in told.err
    assert told.err.count("\n") == 1


def test_a_defect_is_not_dressed_up_as_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    group = command_group()

    @group.command()
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(import_module("dispatch_client.cli.run"), "app", group)
    with pytest.raises(ZeroDivisionError):
        run(program("test", {"fail": Entry("dispatch_client.cli.run", "Fails.")}), "fail")


def test_main_gives_its_exit_code_to_the_shell(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dispatch_client", "status", "--config", str(tmp_path / "none.toml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_typer_program_without_entries_still_builds() -> None:
    assert isinstance(program("test", {}), typer.Typer)
