"""The reader of the control socket with all arguments of both programs: `python -m tests.fuzz.control`."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import dispatch_client.commands
import dispatch_server.commands
from protocol.aio.control import ControlServer, Handler
from protocol.settings import Settings
from tests.fuzz.engine import run

_MAX_LINE = 256 * 1024


def models(*modules: ModuleType) -> list[type[Settings]]:
    """The arguments that the commands of these programs read."""
    found = [thing for module in modules for thing in vars(module).values() if isinstance(thing, type)]
    return [thing for thing in found if issubclass(thing, Settings) and thing.__name__.endswith("Arguments")]


def _handler(model: type[Settings]) -> Handler:
    async def handle(arguments: Mapping[str, Any]) -> Any:
        return model.model_validate(arguments).model_dump(mode="json")

    return handle


async def _repeat(arguments: Mapping[str, Any]) -> Any:
    return arguments


HANDLERS: dict[str, Handler] = {"repeat": _repeat} | {
    model.__name__.removesuffix("Arguments").lower(): _handler(model)
    for model in models(dispatch_client.commands, dispatch_server.commands)
}


class Caller:
    """Stands for the stream to whoever called."""

    def __init__(self) -> None:
        self.heard = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        """What the program answers."""
        self.heard += data

    async def drain(self) -> None:
        """Never full."""

    def close(self) -> None:
        """The program hangs up."""
        self.is_closed = True


async def converse(data: bytes) -> tuple[Caller, list[bool]]:
    """What a caller hears who sends these bytes and no more."""
    told: list[bool] = []
    server = ControlServer(Path("unused"), HANDLERS, told.append)
    reader, caller = asyncio.StreamReader(limit=_MAX_LINE), Caller()
    reader.feed_data(data)
    reader.feed_eof()
    writer: Any = caller
    await server._serve(reader, writer)
    return caller, told


_loop: asyncio.AbstractEventLoop | None = None


def one(data: bytes) -> None:
    """Each line has one answer, in order, that a program can read."""
    global _loop  # noqa: PLW0603 - one loop for a million runs
    _loop = _loop or asyncio.new_event_loop()
    check(data, *_loop.run_until_complete(converse(data)))


def check(data: bytes, caller: Caller, told: list[bool]) -> None:
    """Raises AssertionError when a line was left without its answer."""
    lines = data.split(b"\n")
    asked = len(lines) - (not lines[-1])
    answers = caller.heard.splitlines()
    assert caller.is_closed
    if all(len(line) < _MAX_LINE for line in lines):
        assert len(answers) == len(told) == asked, data
    for answer, ok in zip(answers, told, strict=True):
        reply = json.loads(answer)
        assert reply["ok"] is ok
        assert ok or (reply["error"]["code"] and reply["error"]["message"])


if __name__ == "__main__":
    run(one)
