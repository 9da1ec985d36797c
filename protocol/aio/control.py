"""How people's commands reach a running program: one JSON line each way over a local Unix socket.

The socket lies in a directory of mode 0700 and has mode 0600, so only the account that runs the program
can speak to it; it never leaves the machine.
"""

import asyncio
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from typing_extensions import override

from protocol.errors import ConfigurationRefused, DispatchError

_MAX_LINE = 256 * 1024
_LONGEST_PATH = 100  # sun_path holds 108 bytes on Linux, 104 elsewhere

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]


class CommandFailed(DispatchError):
    """A command was not carried out. `code` is for programs, the text tells a person what to do next."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message

    @override
    def __str__(self) -> str:
        return self.message


def check_path(path: Path) -> None:
    """Raises ConfigurationRefused when no socket can have this path: an address of it is short."""
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise ConfigurationRefused("control", f"path is over {_LONGEST_PATH} bytes", "Choose a shorter one")


class ControlServer:
    """Serves commands by name. `on_answer(ok)` is told of each command, and whether it was carried out."""

    def __init__(
        self,
        path: Path,
        handlers: Mapping[str, Handler],
        on_answer: Callable[[bool], None] = lambda _ok: None,
    ) -> None:
        self._path = path
        self._handlers = handlers
        self._on_answer = on_answer
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Raises ConfigurationRefused when the socket cannot be made or is in use."""
        check_path(self._path)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _make_room(self._path)
            bound = _bind(self._path)
            self._server = await asyncio.start_unix_server(self._serve, sock=bound, limit=_MAX_LINE)
        except OSError as error:
            raise ConfigurationRefused(
                "control", f"{self._path}: {error.strerror}", "Check the folder"
            ) from None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:
            self._talks.add(task)
            task.add_done_callback(self._talks.discard)
        try:
            while line := await reader.readline():
                reply = await self._answer(line)
                self._on_answer(bool(reply["ok"]))
                text = json.dumps(reply, ensure_ascii=False)  # half a surrogate pair may come back escaped
                writer.write(text.encode("utf-8", "backslashreplace") + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            pass  # the caller went away, or sent a line over the limit
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
            handler = self._handlers.get(request["command"])
            if handler is None:
                known = ", ".join(sorted(self._handlers))
                return _error(
                    "bad-command", f"'{request['command']}' is no command of this node; it has: {known}"
                )
            return {"ok": True, "result": await handler(request.get("arguments", {}))}
        except CommandFailed as failure:
            return _error(failure.code, failure.message)
        except DispatchError as error:
            return _error(type(error).__name__, str(error))
        except ValidationError as error:
            where = ", ".join(".".join(map(str, e["loc"])) + ": " + e["msg"] for e in error.errors())
            return _error("bad-argument", where)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            return _error("bad-command", f"the command cannot be read: {type(error).__name__} {error}")

    async def stop(self) -> None:
        """Stop listening, end the talks, remove the socket."""
        if self._server is None:
            return  # the socket, if there is one, is somebody else's
        self._server.close()
        for task in tuple(self._talks):
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        with suppress(OSError):
            self._path.unlink(missing_ok=True)


def _error(code: str, message: str) -> dict[str, Any]:
    return {"ok": False, "error": {"code": code, "message": message}}


def _make_room(path: Path) -> None:
    """Remove what a program left that did not stop in good order. Raises ConfigurationRefused, OSError."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):  # a slip in the configuration must not cost a journal
        raise ConfigurationRefused("control", f"{path} is a file, not a socket", "Choose another path")
    if _answers(path):
        raise ConfigurationRefused("control", f"{path} is in use", "Stop the program that runs already")
    path.unlink()


def _bind(path: Path) -> socket.socket:
    bound = socket.socket(socket.AF_UNIX)
    previous = os.umask(0o177)  # of the whole process: nothing may be awaited under it
    try:
        bound.bind(str(path))
    except OSError:
        bound.close()
        raise
    finally:
        os.umask(previous)
    return bound


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            pass  # too busy to answer, or not ours to ask: somebody is there
        return True


def call(path: Path, command: str, arguments: Mapping[str, Any], *, timeout: float = 60) -> Any:
    """Send one command and wait for its result. Raises CommandFailed."""
    request = json.dumps({"command": command, "arguments": dict(arguments)}).encode() + b"\n"
    if len(request) > _MAX_LINE:
        raise CommandFailed("bad-command", f"a command has at most {_MAX_LINE} bytes: say it shorter")
    line = b""
    sent = False
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(timeout)
            connection.connect(str(path))
            sent = True
            connection.sendall(request)
            with connection.makefile("rb") as lines:
                line = lines.readline()
    except TimeoutError:
        raise CommandFailed(
            "no-answer",
            f"no answer within {timeout:g} s: the program hangs, is suspended or has too much to do. "
            "Look at its log; if this was about an order, ask for the order's state",
        ) from None
    except OSError as error:
        if not sent:  # afterwards the command may have been carried out
            why = error.strerror or str(error)
            raise CommandFailed("not-running", f"{path}: {why}. Is the program running?") from None
    if not line.endswith(b"\n"):
        raise CommandFailed("no-answer", "the program ended before it answered: ask for the order's state")
    reply = json.loads(line)
    if reply["ok"]:
        return reply["result"]
    raise CommandFailed(reply["error"]["code"], reply["error"]["message"])
