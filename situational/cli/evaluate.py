"""`python -m situational evaluate`: how right, how steady and how fast the classifier is, measured here."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np

from situational.cli.forecast import read_table
from situational.evaluate import SHOWN_LIMIT, TICKS, Row, Shown, confusion, evaluate, shown
from situational.generate import CURVATURES, correlated, flat_then_linear, labelled, stepped
from situational.letters import LETTERS, FloatArray, IntArray
from situational.trend import classify_batch

HELP = "measure the classifier against its targets"

_SPEED_TARGET = 45_000.0  # windows a second on one core
_SPEED_ROUNDS = 5


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--windows", type=int, default=2000, help="per letter and row (2,000)")
    parser.add_argument("--seed", type=int, default=0, help="of the made-up windows (0)")
    parser.add_argument(
        "--telemetry",
        type=Path,
        metavar="FILE.csv",
        help="count the changes of the letters shown on a recording",
    )
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """0 when every target is met, else 1. Raises SituationalError for a bad file."""
    if args.telemetry:
        return _telemetry(args.telemetry, as_json=args.json)
    rows = [*evaluate(seed=args.seed, windows=args.windows), _speed(args.seed)]
    counts = confusion(seed=args.seed, windows=args.windows, curvature="moderate", snr=5.0)
    if args.json:
        told = [{**asdict(row), "passed": row.passed} for row in rows]
        _write(json.dumps({"rows": told, "confusion": counts.tolist()}, indent=2))
    else:
        _write_rows(rows)
        _write("\nmoderate curvature, SNR 5: truth down, answer across")
        _write_confusion(counts)
    return 0 if all(row.passed for row in rows) else 1


def _speed(seed: int) -> Row:
    """Windows a second of this process's CPU time, breaks and the making of rows included."""
    y = mixture(np.random.default_rng(seed), 1000)
    list(classify_batch(TICKS, y))
    rates = []
    for _ in range(_SPEED_ROUNDS):
        began = time.process_time()
        list(classify_batch(TICKS, y))
        rates.append(len(y) / (time.process_time() - began))
    return Row("windows a CPU second", max(rates), _SPEED_TARGET, at_least=True, windows=len(y))


def mixture(rng: np.random.Generator, rows: int) -> FloatArray:
    """Windows such as a tick brings: mostly quiet, some of every letter, some broken."""
    letters, _ = labelled(rng, rows // 7 + 1, curvature=CURVATURES["moderate"], snr=10.0)
    quiet = [correlated(rng, rows, phi) for phi in (0.0, 0.6, 0.9)]
    broken = [make(rng, rows // 10 + 1, 10.0) for make in (stepped, flat_then_linear)]
    return np.concatenate([letters, *quiet, *broken])


def _telemetry(path: Path, *, as_json: bool) -> int:
    times, columns = read_table(path, None)
    found = {name: shown(np.array(times), np.array(values)) for name, values in columns.items()}
    steady = all(
        one.per_hour(max(one.shape_changes, one.regime_changes)) <= SHOWN_LIMIT for one in found.values()
    )
    if as_json:
        _write(json.dumps({name: _as_data(one) for name, one in found.items()}, indent=2))
    else:
        _write(f"changes per 720 samples, at most {SHOWN_LIMIT:g}")
        for name, one in found.items():
            _write(f"{name:24} {_sentence(one)}")
    return 0 if steady else 1


def _sentence(one: Shown) -> str:
    windows = ", ".join(f"{letter.value} {count}" for letter, count in one.windows.items() if count)
    return (
        f"{one.samples:5} windows: shape {one.per_hour(one.shape_changes):4.1f}, "
        f"regime {one.per_hour(one.regime_changes):4.1f}; before adoption {windows}"
    )


def _as_data(one: Shown) -> dict[str, object]:
    return {
        "windows": one.samples,
        "shape_changes": one.shape_changes,
        "regime_changes": one.regime_changes,
        "shape_changes_per_720": round(one.per_hour(one.shape_changes), 2),
        "regime_changes_per_720": round(one.per_hour(one.regime_changes), 2),
        "letters": {letter.value: count for letter, count in one.windows.items()},
    }


def _write_rows(rows: list[Row]) -> None:
    for row in rows:
        mark = "" if row.target is None else "pass" if row.passed else "MISS"
        target = "" if row.target is None else f"{'>=' if row.at_least else '<='} {row.target:g}"
        _write(f"{mark:4}  {row.value:<10.5g} {target:10} {row.name} ({row.windows} windows)")


def _write_confusion(counts: IntArray) -> None:
    _write("      " + "".join(f"{letter.value:>6}" for letter in LETTERS))
    for letter, row in zip(LETTERS, counts.tolist(), strict=False):
        _write(f"{letter.value:>6}" + "".join(f"{count:6}" for count in row))


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
