"""`python -m situational plot`: a curve, what it was classified as, and where it leads."""

from __future__ import annotations

import argparse
import math
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from situational.cli.forecast import read_table, sentence
from situational.errors import SituationalError
from situational.forecast import Outcome
from situational.letters import Curve, FloatArray, Letter, Trend
from situational.outlook import outlook
from situational.texts import Language, letter_text
from situational.trend import classify

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HELP = "draw the curves of a CSV file with their letters"

_DATA, _SHAPE, _REGIME, _THRESHOLD = "#7a8894", "#1f5fa8", "#b5482f", "#6b4c9a"


class PlotMissingError(SituationalError):
    @override
    def __str__(self) -> str:
        return "plots need matplotlib: pip install '.[figures]'"


class PlotNotWrittenError(SituationalError):
    def __init__(self, path: Path, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    @override
    def __str__(self) -> str:
        return f"{self.path} could not be written: {self.why}; name a .png, .svg or .pdf in a folder of yours"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE.csv", help="header time,value (or more value columns)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="F.png", help="the picture (png, svg, pdf)"
    )
    parser.add_argument("--column", action="append", metavar="NAME", help="default: every value column")
    parser.add_argument("--threshold", type=float, help="show when it is crossed, with the 80 %% interval")


def run(args: argparse.Namespace) -> int:
    """Raises SituationalError; what it says is for the person at the terminal."""
    times, columns = read_table(args.file, args.column)
    draw(args.out, np.array(times), {name: np.array(y) for name, y in columns.items()}, args.threshold)
    return 0


def draw(path: Path, t: FloatArray, columns: dict[str, FloatArray], threshold: float | None) -> None:
    """One panel per column, t in seconds. Raises PlotMissingError, PlotNotWrittenError."""
    try:
        figures = import_module("matplotlib.figure")
    except ModuleNotFoundError as error:
        raise PlotMissingError from error
    figure = figures.Figure(figsize=(9.0, 3.2 * len(columns)), layout="constrained")
    panels = figure.subplots(len(columns), 1, squeeze=False)[:, 0]
    for axes, (name, y) in zip(panels, columns.items(), strict=True):
        _panel(axes, name, t, y, threshold)
    panels[-1].set_xlabel("time, s")
    try:
        figure.savefig(path, dpi=120)
    except (OSError, ValueError) as error:
        raise PlotNotWrittenError(path, str(error)) from error


def _panel(axes: Axes, name: str, t: FloatArray, y: FloatArray, threshold: float | None) -> None:
    trend = classify(t, y)
    axes.plot(t, y, ".", color=_DATA, markersize=4, label="samples")
    if trend.shape is not Letter.NONE:
        _curve(axes, trend.curve, _SHAPE, f"shape {trend.shape.value}, {trend.confidence:.0%}")
    if trend.break_s is not None:
        axes.axvline(trend.break_s, color=_REGIME, linestyle=":", label=f"break at {trend.break_s:g} s")
        if trend.regime is not Letter.NONE:
            _curve(
                axes,
                trend.regime_curve,
                _REGIME,
                f"regime {trend.regime.value}, {trend.regime_confidence:.0%}",
            )
    if threshold is not None:
        _crossing(axes, t, y, threshold)
    axes.set_title(_title(name, trend), loc="left", fontsize=10)
    axes.set_ylabel(name)
    axes.legend(fontsize=8, loc="best")


def _curve(axes: Axes, curve: Curve, colour: str, label: str) -> None:
    t = np.linspace(curve.begin_s, curve.begin_s + curve.span_s, 200)
    axes.plot(t, curve.at(t), color=colour, linewidth=1.8, label=label)


def _crossing(axes: Axes, t: FloatArray, y: FloatArray, threshold: float) -> None:
    told = outlook(t, y, threshold)
    axes.axhline(threshold, color=_THRESHOLD, linewidth=1.0, label=sentence(told))
    if told.outcome is Outcome.WILL_CROSS:
        last = float(np.nanmax(t))
        end = told.upper_s if math.isfinite(told.upper_s) else told.horizon_s
        axes.axvspan(last + told.lower_s, last + end, color=_THRESHOLD, alpha=0.15)
        axes.axvline(last + told.median_s, color=_THRESHOLD, linestyle="--", linewidth=1.0)


def _title(name: str, trend: Trend) -> str:
    shape = f"{trend.shape.value} ({letter_text(trend.shape, Language.EN)})"
    regime = "" if trend.break_s is None else f", since the break {letter_text(trend.regime, Language.EN)}"
    return f"{name}: {shape}{regime}; {trend.n} samples, R² {trend.r2:.3f}"
