"""The frame of a command line: commands that are imported when asked for, errors as one line.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 not known yet.
"""

import io
import os
import sqlite3
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typing_extensions import override

from protocol.errors import DispatchError
from protocol.terminal.screen import complain


class ExitCode(IntEnum):
    """What a program that starts us learns."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    NOT_KNOWN = 3


class Refused(DispatchError):
    """What was asked at the terminal is not done; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A command in `module.app`; a group is the whole of `module.app`."""

    module: str
    help: str
    is_group: bool = False


def command_group(summary: str = "", cls: type[TyperGroup] = TyperGroup) -> typer.Typer:
    """A Typer whose help and errors are plain text, so that they are quick and can be read by programs."""
    return typer.Typer(
        cls=cls,
        help=summary,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


class _Program(TyperGroup):
    """The commands of one program, imported one by one. Typer's own types are private: hence Any."""

    entries: ClassVar[Mapping[str, Entry]] = {}
    failures: ClassVar[tuple[type[Exception], ...]] = ()

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.entries)

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        group = typer.main.get_group(import_module(entry.module).app)
        return group if entry.is_group else group.commands[cmd_name]

    @override
    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.entries.items()])

    @override
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise  # the reader of our output went away: Typer ends quietly
        except self.failures as error:
            complain(_sentence(error))
            raise typer.Exit(ExitCode.FAILED) from None


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    return str(error) or type(error).__name__


def program(summary: str, entries: Mapping[str, Entry], *failures: type[Exception]) -> typer.Typer:
    """A program of `entries`. `failures`: more errors that are told in one line and exit with 1."""

    class Program(_Program):
        pass

    Program.entries = entries
    Program.failures = (DispatchError, OSError, sqlite3.Error, *failures)
    app = command_group(summary, Program)
    app.callback(help=summary)(_no_options)
    return app


def _no_options() -> None:
    """Typer asks for a callback where no command is registered with it."""


def run_program(app: typer.Typer) -> None:
    """Run and exit. A terminal that cannot show Chinese gets question marks, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    app()
