"""Tables of rich, kept calm: colour only for what is abnormal."""

import sys
import time
from collections.abc import Callable, Iterable

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.table import Table
from rich.text import Text

from protocol.terminal.screen import plain

ABNORMAL = "red"
NOTABLE = "yellow"
_WIDTH = 200  # columns where no window says how many


def cell(value: object, style: str = "") -> Text:
    """A value as text: never markup, never an escape sequence."""
    return Text(plain(value), style)


def table(title: str, heads: Iterable[str]) -> Table:
    """An empty table."""
    made = Table(title=cell(title), title_justify="left")
    for head in heads:
        made.add_column(cell(head), overflow="fold")
    return made


class ByWidth:
    """`wide` where there are `columns` columns and more, else `narrow`."""

    def __init__(self, columns: int, wide: RenderableType, narrow: RenderableType) -> None:
        self._columns, self._wide, self._narrow = columns, wide, narrow

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        yield self._wide if options.max_width >= self._columns else self._narrow


def pairs(title: str, rows: Iterable[tuple[str, object]]) -> Table:
    """A two-column table of names and values; a value may be a Text with its style."""
    made = Table(title=cell(title), title_justify="left", show_header=False)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(cell(name), value if isinstance(value, Text) else cell(value))
    return made


def _console(*, on_stderr: bool = False) -> Console:
    stream = sys.stderr if on_stderr else sys.stdout
    width = None if stream.isatty() else _WIDTH
    return Console(highlight=False, markup=False, emoji=False, width=width, stderr=on_stderr)


def show(*renderables: RenderableType, on_stderr: bool = False) -> None:
    """Print."""
    console = _console(on_stderr=on_stderr)
    for renderable in renderables:
        console.print(renderable)


def watch(draw: Callable[[], RenderableType], every_s: float) -> None:
    """Draw again and again until Ctrl-C; one below the other where nothing can be drawn over."""
    console = _console()
    if console.is_dumb_terminal or not console.is_terminal:
        while True:
            console.print(draw())
            time.sleep(every_s)
    with Live(draw(), console=console, auto_refresh=False, screen=True) as live:
        while True:
            time.sleep(every_s)
            live.update(draw(), refresh=True)
