import asyncio
import gc
import json
import os
import socket
import stat
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from protocol.aio.control import _MAX_LINE, CommandFailed, ControlServer, Handler, call
from protocol.errors import ConfigurationRefused, OrderRefused, RefusalCode
from protocol.settings import Settings

PATIENCE = 20.0  # s, after which a test is called stuck


class LoginArguments(Settings):
    """What a careful handler reads."""

    person: str
    password: Annotated[str, Field(max_length=8)]


class Program:
    """A program with commands, some of which fail."""

    def __init__(self) -> None:
        self.asked: list[Mapping[str, Any]] = []
        self.release = asyncio.Event()
        self.begun = asyncio.Event()

    @property
    def table(self) -> dict[str, Handler]:
        """Its commands."""
        return {
            "repeat": self._repeat,
            "wait": self._wait,
            "log-in": self._log_in,
            "fail": self._fail,
            "refuse": self._refuse,
            "defect": self._defect,
        }

    async def _repeat(self, arguments: Mapping[str, Any]) -> Any:
        self.asked.append(arguments)
        return arguments["what"]

    async def _wait(self, _: Mapping[str, Any]) -> None:
        self.begun.set()
        await self.release.wait()

    async def _log_in(self, arguments: Mapping[str, Any]) -> str:
        return LoginArguments.model_validate(arguments).person

    async def _fail(self, _: Mapping[str, Any]) -> None:
        raise CommandFailed("not-logged-in", "nobody is logged in here: log in first")

    async def _refuse(self, _: Mapping[str, Any]) -> None:
        raise OrderRefused(RefusalCode.STALE, "look at it again")

    async def _defect(self, _: Mapping[str, Any]) -> None:
        raise AttributeError("a defect")


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[Program]:
    program = Program()
    server = ControlServer(path, program.table)
    async with asyncio.timeout(PATIENCE):
        await server.start()
        try:
            yield program
        finally:
            await server.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "control"


async def ask(path: Path, command: str, **arguments: Any) -> Any:
    return await asyncio.to_thread(call, path, command, arguments)


async def failure(path: Path, command: str, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(CommandFailed) as caught:
        await ask(path, command, **arguments)
    return caught.value.code, str(caught.value)


async def refusal(path: Path) -> str:
    """Why a program cannot serve this path; everything there must stay."""
    before = sorted(path.parent.iterdir()) if path.parent.is_dir() else None
    server = ControlServer(path, {})
    with pytest.raises(ConfigurationRefused) as caught:
        await server.start()
    await server.stop()
    if before is not None:
        assert sorted(path.parent.iterdir()) == before
    return caught.value.reason


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def found_at(path: Path) -> str:
    """What lies there."""
    if path.is_symlink():
        return f"a link to {path.readlink()}"
    if path.is_file():
        return path.read_text()
    return "a socket" if path.is_socket() else "nothing"


def put(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def link(path: Path, target: str) -> None:
    path.symlink_to(target)


# --- commands and answers ---


async def test_a_command_gets_its_answer(path: Path) -> None:
    async with running(path) as program:
        assert await ask(path, "repeat", what="断开 201") == "断开 201"
        assert await ask(path, "repeat", what={"a": [1, None, True]}) == {"a": [1, None, True]}
        assert program.asked == [{"what": "断开 201"}, {"what": {"a": [1, None, True]}}]


async def test_a_caller_who_waits_does_not_hold_up_another(
    path: Path,
) -> None:
    async with running(path) as program:
        waiting = asyncio.create_task(ask(path, "wait"))
        await program.begun.wait()
        assert await ask(path, "repeat", what=1) == 1
        assert not waiting.done()
        program.release.set()
        await waiting


async def test_a_failure_comes_back_with_its_code_and_text(path: Path) -> None:
    async with running(path):
        assert await failure(path, "fail") == ("not-logged-in", "nobody is logged in here: log in first")
        assert await failure(path, "refuse") == ("OrderRefused", "stale: look at it again")


async def test_a_bad_argument_is_named_without_being_repeated(path: Path) -> None:
    async with running(path):
        code, text = await failure(path, "log-in", password="far too long a password", other=1)
        assert code == "bad-argument"
        assert [place in text for place in ("person", "password", "other")] == [True] * 3
        assert "far too long" not in text


async def test_an_unknown_command_is_named(path: Path) -> None:
    async with running(path):
        code, text = await failure(path, "no-such-command")
        assert code == "bad-command"
        assert "no-such-command" in text


@pytest.mark.parametrize(
    "line",
    [
        b"hello",
        b"",
        b"\xff\xfe",
        b"[]",
        b"7",
        b'"repeat"',
        b"{}",
        b'{"command": []}',
        b'{"command": null}',
        b'{"command": "repeat", "arguments": 7}',
        b'{"command": "repeat"}',
        b'{"command": "repeat"} and more',
        b"[" * 100_000,
    ],
)
async def test_a_line_that_is_no_command_does_not_cost_the_next_one(path: Path, line: bytes) -> None:
    async with running(path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line + b"\n" + b'{"command": "repeat", "arguments": {"what": 1}}\n')
        answer, later = json.loads(await reader.readline()), json.loads(await reader.readline())
        writer.close()
        assert (answer["ok"], answer["error"]["code"]) == (False, "bad-command")
        assert later == {"ok": True, "result": 1}


async def test_a_line_over_the_limit_ends_that_talk_alone(path: Path) -> None:
    async with running(path) as program:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'"' + b"x" * (2 * _MAX_LINE))
        with suppress(OSError):
            assert await reader.read() == b""
        writer.close()
        assert await ask(path, "repeat", what=1) == 1
        assert len(program.asked) == 1


async def test_a_command_over_the_limit_is_not_even_sent(path: Path) -> None:
    async with running(path) as program:
        code, text = await failure(path, "repeat", what="x" * _MAX_LINE)
        assert (code, program.asked) == ("bad-command", [])
        assert "at most 262144 bytes" in text
        assert await ask(path, "repeat", what="x" * (_MAX_LINE // 2))


async def test_a_caller_that_goes_away_disturbs_nobody(path: Path) -> None:
    async with running(path) as program:
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"command": "wait"}\n')
        await program.begun.wait()
        writer.close()
        program.release.set()
        assert await ask(path, "repeat", what=1) == 1


async def test_a_defect_of_a_command_costs_its_caller_alone(path: Path) -> None:
    noise: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context["exception"]))
    async with running(path):
        code, text = await failure(path, "defect")
        assert code == "no-answer"
        assert "ask for the order's state" in text
        assert await ask(path, "repeat", what=1) == 1
        gc.collect()
        assert [type(error) for error in noise] == [AttributeError]


# --- the socket ---


async def test_only_the_account_that_runs_the_program_can_speak_to_it(path: Path) -> None:
    previous = os.umask(0)
    try:
        async with running(path):
            assert mode_of(path) == 0o600
            assert mode_of(path.parent) == 0o700
            assert os.umask(0) == 0
    finally:
        os.umask(previous)


async def test_a_second_program_on_the_same_socket_is_refused_and_the_first_goes_on(path: Path) -> None:
    async with running(path):
        assert await refusal(path) == f"{path} is in use"
        assert await ask(path, "repeat", what=1) == 1


async def test_a_program_that_is_too_busy_to_answer_is_not_pushed_aside(path: Path) -> None:
    path.parent.mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as busy:
        busy.bind(str(path))
        busy.listen(0)
        callers = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for caller in callers:
            caller.setblocking(False)
            with suppress(BlockingIOError):
                caller.connect(str(path))
        assert await refusal(path) == f"{path} is in use"
        for caller in callers:
            caller.close()


async def test_what_a_program_left_that_was_killed_is_replaced(path: Path) -> None:
    path.parent.mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as killed:
        killed.bind(str(path))
    assert found_at(path) == "a socket"
    async with running(path):
        assert await ask(path, "repeat", what=1) == 1


async def test_a_file_that_is_no_socket_is_never_removed(path: Path) -> None:
    put(path, "the journal")
    assert await refusal(path) == f"{path} is a file, not a socket"
    assert found_at(path) == "the journal"


async def test_a_link_to_a_file_is_never_followed(path: Path) -> None:
    put(path.with_name("journal"), "the journal")
    link(path, "journal")
    assert await refusal(path) == f"{path} is a file, not a socket"
    assert found_at(path) == "a link to journal"


async def test_a_path_that_is_too_long_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    assert await refusal(tmp_path / ("x" * 100)) == "path is over 100 bytes"


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "run", "in the way")
    assert await refusal(tmp_path / "run" / "control") in {
        f"{tmp_path / 'run' / 'control'}: {reason}" for reason in ("File exists", "Not a directory")
    }


async def test_a_program_that_stops_ends_its_talks_and_takes_its_socket_away(path: Path) -> None:
    async with running(path) as program:
        waiting = asyncio.create_task(failure(path, "wait"))
        await program.begun.wait()
    code, text = await waiting
    assert code == "no-answer"
    assert "ask for the order's state" in text
    assert found_at(path) == "nothing"
    code, text = await failure(path, "repeat")
    assert (code, text) == ("not-running", f"{path}: No such file or directory. Is the program running?")


# --- the caller ---


async def test_a_caller_does_not_wait_for_ever(path: Path) -> None:
    async with running(path):
        with pytest.raises(CommandFailed, match=r"no answer within 0\.05 s") as caught:
            await asyncio.to_thread(call, path, "wait", {}, timeout=0.05)
        assert caught.value.code == "no-answer"


@pytest.mark.parametrize("said", [b"", b'{"ok": true, "res'])
async def test_an_answer_that_breaks_off_is_no_answer(tmp_path: Path, said: bytes) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(said)
        writer.close()

    server = await asyncio.start_unix_server(break_off, tmp_path / "control")
    assert (await failure(tmp_path / "control", "repeat"))[0] == "no-answer"
    server.close()


async def test_a_path_that_no_socket_can_have_is_told_to_the_caller(tmp_path: Path) -> None:
    code, text = await failure(tmp_path / ("x" * 200), "repeat")
    assert code == "not-running"
    assert "path too long" in text


async def test_each_command_is_counted_with_whether_it_was_carried_out(path: Path) -> None:
    answers: list[bool] = []
    server = ControlServer(path, Program().table, answers.append)
    await server.start()
    try:
        await ask(path, "repeat", what=1)
        await failure(path, "fail")
        await failure(path, "no such command")
    finally:
        await server.stop()
    assert answers == [True, False, False]
