"""`python -m situational forecast`: when the curves of a CSV file cross a threshold."""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from typing_extensions import override

from situational.errors import SituationalError
from situational.forecast import Direction, Forecast, Outcome
from situational.forecast_check import Row, evaluate
from situational.outlook import outlook

HELP = "forecast when a curve crosses a threshold"
MAX_ROWS = 1_000_000
TIME_NAMES = ("time", "time_s", "t", "seconds")


class CsvError(SituationalError):
    """The file is not a table of times and values."""


class CsvUnreadableError(CsvError):
    def __init__(self, path: Path, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why

    @override
    def __str__(self) -> str:
        return f"{self.path}: {self.why}; give a UTF-8 file with a header such as time,value"


class CsvColumnError(CsvError):
    def __init__(self, path: Path, wanted: str, present: Sequence[str]) -> None:
        super().__init__(path, wanted, tuple(present))
        self.path = path
        self.wanted = wanted
        self.present = tuple(present)

    @override
    def __str__(self) -> str:
        return f"{self.path}: no {self.wanted}; the header names {', '.join(self.present) or 'nothing'}"


class CsvCellError(CsvError):
    def __init__(self, path: Path, row: int, column: str, text: str) -> None:
        super().__init__(path, row, column, text)
        self.path = path
        self.row = row
        self.column = column
        self.text = text

    @override
    def __str__(self) -> str:
        return f"{self.path}, row {self.row}, column {self.column}: {self.text!r} is not a number"


class ArgumentMissingError(SituationalError):
    @override
    def __str__(self) -> str:
        return "name a FILE and a --threshold, or ask for --evaluate"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE.csv", help="a time column and values")
    parser.add_argument("--threshold", type=float, help="in the units of the values")
    parser.add_argument("--column", action="append", metavar="NAME", help="default: every value column")
    parser.add_argument("--direction", choices=[d.value for d in Direction], help="default: towards it")
    parser.add_argument("--level", type=float, default=0.8, help="of the interval (0.8)")
    parser.add_argument("--horizon", type=float, metavar="SECONDS", help="default: ten times the file's span")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--evaluate", action="store_true", help="measure the forecasts on made-up curves")
    parser.add_argument("--cases", type=int, default=500, help="curves per row of --evaluate (500)")
    parser.add_argument("--seed", type=int, default=0, help="of --evaluate (0)")


def run(args: argparse.Namespace) -> int:
    """Raises SituationalError; what it says is for the person at the terminal."""
    if args.evaluate:
        _write_evaluation(
            list(evaluate(cases=args.cases, seed=args.seed, level=args.level)), as_json=args.json
        )
        return 0
    if args.file is None or args.threshold is None:
        raise ArgumentMissingError
    times, columns = read_table(args.file, args.column)
    direction = Direction(args.direction) if args.direction else None
    _write_forecasts(
        {
            name: outlook(
                times, values, args.threshold, direction=direction, level=args.level, horizon_s=args.horizon
            )
            for name, values in columns.items()
        },
        as_json=args.json,
    )
    return 0


def read_table(path: Path, wanted: Sequence[str] | None) -> tuple[list[float], dict[str, list[float]]]:
    """Times and value columns; an empty cell is a missing value, NaN.

    Raises CsvUnreadableError, CsvColumnError, CsvCellError.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _parse(path, csv.reader(file, strict=True), wanted)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CsvUnreadableError(path, str(error)) from error


def _parse(
    path: Path, rows: Iterable[list[str]], wanted: Sequence[str] | None
) -> tuple[list[float], dict[str, list[float]]]:
    reader = iter(rows)
    header = [name.strip() for name in next(reader, [])]
    time_name = next((name for name in header if name.lower() in TIME_NAMES), None)
    if time_name is None:
        raise CsvColumnError(path, f"time column ({', '.join(TIME_NAMES)})", header)
    names = list(wanted) if wanted else [name for name in header if name != time_name]
    for name in names or ["value column"]:
        if name not in header:
            raise CsvColumnError(path, name if names else "value column", header)
    table: dict[str, list[float]] = {name: [] for name in (time_name, *names)}
    for number, row in enumerate(reader, start=2):
        if number > MAX_ROWS:
            raise CsvUnreadableError(path, f"more than {MAX_ROWS} rows")
        for name, cells in table.items():
            at = header.index(name)
            cells.append(_number(path, number, name, row[at] if at < len(row) else ""))
    return table[time_name], {name: table[name] for name in names}


def _number(path: Path, row: int, column: str, text: str) -> float:
    if not text.strip():
        return math.nan
    try:
        return float(text)
    except ValueError as error:
        raise CsvCellError(path, row, column, text) from error


def _write_forecasts(forecasts: dict[str, Forecast], *, as_json: bool) -> None:
    if as_json:
        _write_json({name: _as_data(one) for name, one in forecasts.items()})
        return
    for name, one in forecasts.items():
        sys.stdout.write(f"{name}: {sentence(one)}\n")


def sentence(one: Forecast) -> str:
    """A forecast in words."""
    sure = f"{one.level:.0%} interval {_duration(one.lower_s)} to {_duration(one.upper_s)}"
    match one.outcome:
        case Outcome.CROSSED:
            return "past the threshold already"
        case Outcome.WILL_CROSS:
            return f"crosses in {_duration(one.median_s)} ({sure})"
        case Outcome.BEYOND:
            return f"crosses in {_duration(one.median_s)}, after the horizon ({sure})"
        case Outcome.NEVER:
            return f"does not cross ({one.probability:.0%} within the horizon)"
        case Outcome.UNKNOWN:
            return f"cannot be told from {one.n} samples"


def _duration(seconds: float) -> str:
    if math.isinf(seconds):
        return "never"
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _as_data(one: Forecast) -> dict[str, object]:
    return {
        "outcome": one.outcome.value,
        "direction": one.direction.value if one.direction else None,
        "median_s": _finite(one.median_s),
        "lower_s": _finite(one.lower_s),
        "upper_s": _finite(one.upper_s),
        "probability": _finite(one.probability),
        "level": one.level,
        "horizon_s": _finite(one.horizon_s),
        "n": one.n,
        "n_effective": round(one.n_effective, 2),
    }


def _finite(value: float) -> float | None:
    """JSON has no infinity: null stands for never, and for not known."""
    return value if math.isfinite(value) else None


def _write_evaluation(rows: list[Row], *, as_json: bool) -> None:
    if as_json:
        _write_json(
            [
                {
                    "shape": row.shape.value,
                    "snr": row.snr,
                    "cases": row.cases,
                    "coverage": row.coverage,
                    "median_error": _finite(row.median_error),
                    "never": row.never,
                    "unknown": row.unknown,
                    "linear": _finite(row.linear),
                }
                for row in rows
            ]
        )
        return
    sys.stdout.write("shape SNR  coverage  median error  never  unknown  a line's time / the true one\n")
    for row in rows:
        sys.stdout.write(
            f"{row.shape.name:7} {row.snr:3.0f}  {row.coverage:7.3f}  {row.median_error:11.1%}  "
            f"{row.never:5.1%}  {row.unknown:6.1%}  {row.linear:8.1f}\n"
        )


def _write_json(data: object) -> None:
    sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False) + "\n")
