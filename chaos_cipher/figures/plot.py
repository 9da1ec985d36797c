"""Where figures go: the output path is checked before the work, matplotlib is loaded only for a PNG."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from chaos_cipher.figures.errors import FigurePathError, PlotLibraryMissing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Item = TypeVar("Item")

WIDTH_PX: Final = 1600
HEIGHT_PX: Final = 1000
DPI: Final = 200
INK: Final = "#1f3a5f"
ACCENT: Final = "#b5482f"
MUTED: Final = "#8a8f98"


def check_out(path: Path) -> None:
    """Raises FigurePathError or PlotLibraryMissing now rather than after minutes of computing."""
    if path.suffix.lower() not in {".png", ".csv"}:
        raise FigurePathError(path, "its name must end in .png (a figure) or .csv (the numbers)")
    if not path.parent.is_dir():
        raise FigurePathError(path, f"there is no folder {path.parent}; make it first")
    if path.is_dir():
        raise FigurePathError(path, "it is a folder; name a file")
    if is_png(path):
        _figure_class(path)


def is_png(path: Path) -> bool:
    return path.suffix.lower() == ".png"


def new_figure(path: Path, title: str) -> "tuple[Figure, Axes]":
    """An empty figure of 1600 x 1000 pixels with one labelled-to-be axes. Raises PlotLibraryMissing."""
    figure: Figure = _figure_class(path)(
        figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI, layout="constrained"
    )
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11, loc="left", color=INK)
    axes.tick_params(labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def save_png(path: Path, figure: "Figure") -> None:
    """Raises FigurePathError."""
    try:
        figure.savefig(path, format="png", dpi=DPI)
    except OSError as error:
        raise FigurePathError(path, _advice(error)) from error


def save_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Numbers are written so that they read back exactly. Raises FigurePathError."""
    try:
        with path.open("w", encoding="ascii", newline="\n") as file:
            file.write(",".join(header) + "\n")
            file.writelines(",".join(str(cell) for cell in row) + "\n" for row in rows)
    except OSError as error:
        raise FigurePathError(path, _advice(error)) from error


def tracked(label: str, items: Sequence[Item]) -> Iterator[Item]:
    """The items, with one line of progress on stderr."""
    for index, item in enumerate(items):
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{label}: {100 * index // len(items):3d} %")
            sys.stderr.flush()
        yield item
    sys.stderr.write(f"{chr(13) * sys.stderr.isatty()}{label}: 100 %\n")


def _figure_class(path: Path) -> "type[Figure]":
    try:
        module = import_module("matplotlib.figure")  # draws with Agg into a file: no window, no global state
    except ModuleNotFoundError as error:
        raise PlotLibraryMissing(path) from error
    loaded: type[Figure] = module.Figure
    return loaded


def _advice(error: OSError) -> str:
    return f"{error.strerror or error}; choose a folder that you may write to and that has room"
