"""Asking the person at the terminal. Secrets come from nowhere else: no argument, no environment."""

import getpass
import sys
import unicodedata
import warnings

import typer

from protocol.terminal.program import Refused
from protocol.terminal.screen import plain

MIN_PASSWORD = 12  # characters, as the server demands of a new password
_SHORT_ID = 4  # characters; a shorter id would be found in any password
_YES = frozenset({"y", "yes", "是", "对", "确认"})


def secret(prompt: str) -> str:
    """A secret: typed without echo, or one line when standard input is not a terminal. Raises Refused."""
    text = _typed(prompt) if sys.stdin.isatty() else _line(prompt)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Refused(f"{prompt}: it is not valid UTF-8: check the terminal's character set") from None
    if not text:
        raise Refused(f"{prompt}: nothing was given")
    return text


def _typed(prompt: str) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(f"{prompt}: ", sys.stderr)
        except getpass.GetPassWarning:
            raise Refused("this terminal cannot hide what is typed: use another one") from None


def _line(prompt: str) -> str:
    try:
        line = sys.stdin.readline()
    except UnicodeDecodeError:
        raise Refused(f"{prompt}: it is not valid UTF-8: check the character set") from None
    if not line.endswith("\n"):
        raise Refused(f"{prompt}: standard input ended before it came")
    return line.removesuffix("\n").removesuffix("\r")


def new_secret(prompt: str, again: str, *, at_least: int = MIN_PASSWORD, person: str = "") -> str:
    """A secret that is chosen now, asked for twice; without the id of its `person`. Raises Refused."""
    first = secret(prompt)
    if len(first) < at_least:
        raise Refused(f"{prompt}: it needs at least {at_least} characters")
    if len(person) >= _SHORT_ID and person in unicodedata.normalize("NFKC", first).casefold():
        raise Refused(f"{prompt}: it must not contain the person's id: the server would refuse it")
    if secret(again) != first:
        raise Refused(f"{prompt}: the two are not the same; nothing was changed")
    return first


def agreed(question: str, *, yes: bool) -> bool:
    """Whether the person says yes. A terminal is always asked; `yes` speaks only where there is none.

    Raises typer.BadParameter without a terminal and without `yes`.
    """
    if not sys.stdin.isatty():
        if yes:
            return True
        raise typer.BadParameter("standard input is no terminal: say --yes once a person has looked")
    typer.echo(f"{plain(question)} [y/N] ", err=True, nl=False)
    return sys.stdin.readline().strip().casefold() in _YES
