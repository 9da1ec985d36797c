"""`python -m tests.benchmarks.peers [--links 500 5000] [--rounds 3] [--rhythm] [--only raw] [--json]`."""

import argparse
import dataclasses
import json

from rich.console import Console

from tests.benchmarks.peers.run import SUBJECTS, machine, rows, show

_WIDTH = 140  # a table that is cut says nothing; a narrow terminal may wrap it


def main() -> None:
    """Measure all peers, then print a table or JSON."""
    names = tuple(dict.fromkeys(name for name, _ in SUBJECTS))
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.peers", description=__doc__)
    parser.add_argument("--links", type=int, nargs="+", default=[500])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rhythm", action="store_true", help="also each link once in 5 s")
    parser.add_argument("--only", choices=names, nargs="+", default=names)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if min(*options.links, options.rounds, 1) < 1 or options.seconds <= 0:
        parser.error("--links, --rounds and --seconds must be above 0")
    subjects = [subject for subject in SUBJECTS if subject[0] in options.only]
    measured = [
        row
        for links in options.links
        for row in rows(
            links, options.seconds, rounds=options.rounds, rhythm=options.rhythm, subjects=subjects
        )
    ]
    if options.json:
        told = {
            "machine": machine(),
            "rounds": options.rounds,
            "rows": [dataclasses.asdict(row) for row in measured],
        }
        print(json.dumps(told, indent=2))
        return
    console = Console()
    show(measured, Console(width=max(console.width, _WIDTH)))
    print(f"{machine()}; medians of {options.rounds} interleaved rounds of {options.seconds:g} s")


if __name__ == "__main__":
    main()
