"""`python -m situational classify`: which letter the curves of a CSV file are."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from situational.cli.forecast import read_table
from situational.letters import LETTERS, Curve, Trend
from situational.trend import classify

HELP = "classify the curves of a CSV file"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", type=Path, metavar="FILE.csv", help="header time,value (or more value columns)"
    )
    parser.add_argument("--column", action="append", metavar="NAME", help="default: every value column")
    parser.add_argument("--last", type=int, metavar="N", help="the last N samples only")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """Raises SituationalError; what it says is for the person at the terminal."""
    times, columns = read_table(args.file, args.column)
    since = max(len(times) - args.last, 0) if args.last else 0
    trends = {name: classify(times[since:], values[since:]) for name, values in columns.items()}
    if args.json:
        _write(json.dumps({name: as_data(trend) for name, trend in trends.items()}, indent=2))
        return 0
    width = max(map(len, trends))
    _write(f"{'':{width}}  shape sure   regime sure   R²      rise over window  k       n    break at")
    for name, trend in trends.items():
        _write(f"{name:{width}}  {_row(trend)}")
    return 0


def _row(trend: Trend) -> str:
    at = "" if trend.break_s is None else f"{trend.break_s:g} s"
    return (
        f"{trend.shape.value:5} {trend.confidence:5.1%}  "
        f"{trend.regime.value:6} {trend.regime_confidence:5.1%}  "
        f"{trend.r2:6.4f}  {trend.rise:<16.6g}  {trend.k:<6.3g}  {trend.n:<4} {at}"
    )


def as_data(trend: Trend) -> dict[str, object]:
    """A trend as JSON has it."""
    return {
        "shape": trend.shape.value,
        "regime": trend.regime.value,
        "confidence": trend.confidence,
        "regime_confidence": trend.regime_confidence,
        "posterior": _shares(trend.posterior),
        "regime_posterior": _shares(trend.regime_posterior),
        "curve": _curve(trend.curve),
        "regime_curve": _curve(trend.regime_curve),
        "paper": trend.paper,
        "r2": trend.r2,
        "noise": trend.noise,
        "n": trend.n,
        "n_effective": trend.n_effective,
        "span_s": trend.span_s,
        "break_s": trend.break_s,
    }


def _shares(posterior: tuple[float, ...]) -> dict[str, float]:
    return {letter.value: share for letter, share in zip(LETTERS, posterior, strict=False)}


def _curve(curve: Curve) -> dict[str, float]:
    return {name: getattr(curve, name) for name in ("start", "rise", "k", "begin_s", "span_s")}


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
