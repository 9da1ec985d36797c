"""Printing for people and for programs.

Orders, read-backs and error texts were written by others, perhaps on a captured machine: whatever could
steer a terminal (escape sequences, direction overrides, invisible signs) is shown as its code instead.
"""

import json
import unicodedata
from datetime import UTC, datetime
from typing import Any

import typer

_STEERING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def plain(text: object) -> str:
    """The text with every sign that is not one to be read replaced by its code point."""
    return "".join(f"<U+{ord(c):04X}>" if unicodedata.category(c) in _STEERING else c for c in str(text))


def complain(sentence: str) -> None:
    """One line on standard error."""
    typer.echo(plain(" ".join(sentence.split())), err=True)


def tell(text: str) -> None:
    """A line on standard output."""
    typer.echo(plain(text))


def tell_json(value: Any) -> None:
    """One line of JSON on standard output; steering signs are escaped, so it is still the same JSON."""
    line = json.dumps(value, ensure_ascii=False)
    typer.echo("".join(_escaped(c) if unicodedata.category(c) in _STEERING else c for c in line))


def _escaped(sign: str) -> str:
    return json.dumps(sign)[1:-1]


def local_time(ms: float) -> str:
    """Wall-clock ms since the epoch as local time."""
    return datetime.fromtimestamp(ms / 1000, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
