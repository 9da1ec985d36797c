"""`python -m situational`: trends, forecasts, risk, and the measurements that their README quotes."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from situational.errors import SituationalError

# Each module has configure(parser) and run(arguments) -> exit code; only the one asked for is loaded.
COMMANDS = {
    "classify": ("situational.cli.classify", "name the trend of each column of a CSV file"),
    "forecast": ("situational.cli.forecast", "when a column of a CSV file crosses a threshold"),
    "plot": ("situational.cli.plot", "draw a column with its fit, letter and forecast"),
    "risk": ("situational.cli.risk", "rank the information risks by experts' intervals"),
    "evaluate": ("situational.cli.evaluate", "measure the accuracy of the trends"),
    "simulate": ("situational.cli.simulate", "measure false and missed alarms on simulated node-days"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns its exit code: 0 fine, 1 failed, 2 wrong use or nowhere to write, 130 interrupted, 141 cut off.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(prog="python -m situational", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for name, (path, text) in COMMANDS.items():
        one = commands.add_parser(name, help=text)
        if words[:1] == [name]:
            import_module(path).configure(one)
            one.description = ". ".join(filter(None, (text, one.description)))
    chosen = parser.parse_args(words)
    try:
        code = int(import_module(COMMANDS[chosen.command][0]).run(chosen))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough; nothing is left to flush at the end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (SituationalError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
