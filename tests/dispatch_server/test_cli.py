import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from dispatch_server.__main__ import app
from tests.dispatch_server.support import write_config
from tests.support.terminal import run

COMMANDS = "run check-config status orders show posture pki user ledger demo alarms risk telemetry"


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
    code = f"import sys, dispatch_server.__main__; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_server_that_is_refused_its_configuration_ends_with_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "dispatch_server", "run", "--config", str(write_config(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "authority.crt: cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("status", [0, 1])
def test_the_demo_s_status_is_the_command_s(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    asked: list[bool] = []

    def fake(*, as_json: bool) -> int:
        asked.append(as_json)
        return status

    monkeypatch.setattr(import_module("dispatch_server.cli.demo"), "run_demo", fake)
    assert run(app, "demo", "--json").exit_code == status
    assert asked == [True]
