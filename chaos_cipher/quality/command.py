"""`python -m chaos_cipher quality`: the battery, dieharder, or raw bytes for other batteries."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from typing import Final

from chaos_cipher.quality.battery import LEAST_BITS
from chaos_cipher.quality.dieharder import Assessed, Examination, arguments, examine
from chaos_cipher.quality.errors import NotOneStream, QualityError
from chaos_cipher.quality.report import Progress, as_json, as_text
from chaos_cipher.quality.run import RunResult, carry_out, planned, stream
from chaos_cipher.quality.sources import CONTROL, Source
from chaos_cipher.quality.workers import Workers, workers

HELP: Final = "statistical tests of the keystream (NIST SP 800-22, dieharder)"

SMALL: Final = 60  # from 55 sequences on, uniformity is judged too
FULL: Final = 1_000
BITS: Final = 1_000_000
AS_WANTED, NOT_AS_WANTED, NOT_RUN = 0, 1, 2


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options to the parser of this sub-command."""
    parser.description = (
        "Exit status 0: the cipher passes everywhere, the control fails. 1: not so. 2: not run."
    )
    add = parser.add_argument
    add("--source", choices=[*Source, "all"], help="default: all; with --dieharder and --raw: lm256")
    add("--full", action="store_true", help=f"{FULL} sequences instead of {SMALL}")
    add("--sequences", type=_at_least(1), help="how many sequences of each source")
    add("--bits", type=_at_least(LEAST_BITS), default=BITS, help=f"of one sequence (default: {BITS})")
    add("--seed", nargs="+", default=["1"], help="one run for each; any text (default: 1)")
    add("--jobs", type=_at_least(1), default=os.cpu_count() or 1, help="processes (default: all cores)")
    add("--json", action="store_true", help="every statistic, as JSON")
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--dieharder", nargs="?", const="all", metavar="TEST", help="all its tests, or one number"
    )
    other.add_argument("--raw", action="store_true", help="an endless stream to standard output")


def run(args: argparse.Namespace) -> int:
    """Returns the exit status."""
    if args.json and (args.dieharder or args.raw):
        sys.stderr.write("--json is for the battery: leave it out with --dieharder and --raw\n")
        return NOT_RUN
    try:
        with workers(args.jobs) as crew:
            if args.raw:
                return _write_raw(args, crew)
            return _dieharder(args, crew) if args.dieharder else _battery(args, crew)
    except QualityError as refused:
        sys.stderr.write(f"{refused}\n")
        return NOT_RUN


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)  # argparse names a ValueError "invalid number value"
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return value

    return number


def _battery(args: argparse.Namespace, crew: Workers) -> int:
    count = args.sequences or (FULL if args.full else SMALL)
    progress = Progress(sys.stderr)
    results: list[RunResult] = []
    for seed in args.seed:
        for source in _sources(args, "all"):
            results.append(carry_out(planned(source, seed, count, args.bits), crew, progress))
            if not args.json:
                sys.stdout.write(as_text(results[-1]))
                sys.stdout.flush()
    if args.json:
        sys.stdout.write(as_json(results))
    return AS_WANTED if all(each.is_as_wanted for each in results) else NOT_AS_WANTED


def _sources(args: argparse.Namespace, default: str) -> tuple[Source, ...]:
    chosen = args.source or default
    return tuple(Source) if chosen == "all" else (Source(chosen),)


def _dieharder(args: argparse.Namespace, crew: Workers) -> int:
    as_wanted = True
    for seed in args.seed:
        for source in _sources(args, Source.LM256):
            data, again = stream(source, seed, crew), stream(source, f"{seed}/again", crew)
            examination = examine(arguments(args.dieharder), data, again)
            sys.stdout.write("".join(_examined(source, seed, examination)))
            sys.stdout.flush()
            as_wanted = as_wanted and bool(examination.confirmed) == (source is CONTROL)
    return AS_WANTED if as_wanted else NOT_AS_WANTED


def _examined(source: Source, seed: str, examination: Examination) -> Iterator[str]:
    yield f"{source} seed {seed}: {len(examination.lines)} results"
    yield from (f", {examination.count(each)} {each}" for each in Assessed)
    yield f", {len(examination.confirmed)} FAILED again\n"
    for each in (*examination.lines, *examination.again):
        if each.assessed is not Assessed.PASSED:
            yield f"  {each.assessed} {each.name} {each.tuple_length}: P = {each.p_value}, "
            yield f"{each.samples} samples\n"


def _write_raw(args: argparse.Namespace, crew: Workers) -> int:
    sources = _sources(args, Source.LM256)
    if (len(sources), len(args.seed)) != (1, 1):
        raise NotOneStream(len(sources), len(args.seed))
    try:
        for piece in stream(sources[0], args.seed[0], crew):
            sys.stdout.buffer.write(piece)
    except BrokenPipeError:  # the reader has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
    return AS_WANTED
