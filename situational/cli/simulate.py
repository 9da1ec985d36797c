"""`python -m situational simulate`: false alarms on quiet node-days, and what attacks are told to be."""

from __future__ import annotations

import argparse
import json
import math
import sys

from situational.simulation.report import Row, rows

HELP = "measure hazards on simulated node-days against their targets"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--node-days", type=int, default=2, help="of quiet telemetry (2)")
    parser.add_argument("--nodes", type=int, default=4, help="that play each attack (4)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is made up (0)")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(args: argparse.Namespace) -> int:
    """0 when every target is met, else 1. Raises BadSettingError."""
    measured = list(rows(node_days=args.node_days, nodes=args.nodes, seed=args.seed, progress=_progress))
    if args.json:
        sys.stdout.write(json.dumps([_as_data(row) for row in measured], indent=2, allow_nan=False) + "\n")
    else:
        for row in measured:
            sys.stdout.write(_line(row) + "\n")
    return 0 if all(row.passed for row in measured) else 1


def _line(row: Row) -> str:
    mark = "" if row.target is None else "pass" if row.passed else "MISS"
    target = "" if row.target is None else f"{'>=' if row.at_least else '<='} {row.target:g}"
    return f"{mark:4}  {row.value:<10.5g} {target:8} {row.name}"


def _as_data(row: Row) -> dict[str, object]:
    return {
        "name": row.name,
        "value": row.value if math.isfinite(row.value) else None,
        "target": row.target,
        "at_least": row.at_least,
        "passed": row.passed,
    }


def _progress(line: str) -> None:
    sys.stderr.write(line + "\n")
