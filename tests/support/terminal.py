"""For tests of the command lines: a running program that is not there, and a person who types."""

import asyncio
import io
import json
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import typer
from typer.testing import CliRunner
from typing_extensions import override

from protocol.aio.control import ControlServer

_QUIET = {"LC_ALL": "en_US.UTF-8", "COLUMNS": "160", "DISPATCH_CONFIG": ""}


class Told:
    """What a command said."""

    def __init__(self, exit_code: int, out: str, err: str) -> None:
        self.exit_code, self.out, self.err = exit_code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @override
    def __repr__(self) -> str:
        return f"exit {self.exit_code}\n--- out\n{self.out}\n--- err\n{self.err}"


def run(app: typer.Typer, *arguments: object, typed: str = "", env: Mapping[str, str] | None = None) -> Told:
    """Run a command with `typed` on a standard input that is no terminal. A traceback fails the test."""
    texts = [str(argument) for argument in arguments]
    result = CliRunner().invoke(app, texts, input=typed, env={**_QUIET, **(env or {})})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Told(result.exit_code, result.stdout, result.stderr)


class Terminal(io.StringIO):
    """A standard input at which a person sits."""

    @override
    def isatty(self) -> bool:
        return True


class FakeProgram:
    """Serves a control socket in a thread: gives the answers that it was told to, and keeps what was asked.

    An answer that is an exception is raised; one that is a function is given the arguments.
    """

    def __init__(self, path: Path, **answers: Any) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self._path = path
        self._answers = {name.replace("_", "-"): answer for name, answer in answers.items()}
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run)

    def _handler(self, name: str) -> Callable[[Mapping[str, Any]], Awaitable[Any]]:
        async def handle(arguments: Mapping[str, Any]) -> Any:
            self.asked.append((name, dict(arguments)))
            answer = self._answers[name]
            if callable(answer):
                answer = answer(dict(arguments))
            if isinstance(answer, Exception):
                raise answer
            return answer

        return handle

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = ControlServer(self._path, {name: self._handler(name) for name in self._answers})
        await server.start()
        self._started.set()
        await self._stop.wait()
        await server.stop()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def commands(self) -> list[str]:
        """The names of what was asked, in order."""
        return [name for name, _ in self.asked]

    def arguments(self, command: str) -> dict[str, Any]:
        """What the last command of that name was given."""
        return next(arguments for name, arguments in reversed(self.asked) if name == command)
