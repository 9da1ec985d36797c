"""`python -m chaos_cipher attack-fold`: why a block of LM256/2 is a hash of the state."""

import argparse
import json
import secrets
import sys
from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

from chaos_cipher.fold.errors import HintError
from chaos_cipher.fold.report import Run, Searched, as_json, summarised, told
from chaos_cipher.fold.trials import blocks_needed, draw_parameters, search, try_fold, try_hash

HELP: Final = "why a block is a hash: LM256/1 gave its state away"
BITS: Final = 50
FEWEST_BITS, MOST_BITS = 34, 90
FEWEST_BLOCKS, MOST_BLOCKS = 2, 64
SEARCH_BITS, SEARCH_BLOCKS = 68, 7  # as few blocks as do: with more, guesses near the true one do as well
GUESSED: Final = 4
MOST_GUESSED: Final = 8

T = TypeVar("T")


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options to the parser of this sub-command."""
    add = parser.add_argument
    add("--bits", type=int, default=BITS, metavar="K", help=f"leading bits handed over (default: {BITS})")
    add("--blocks", type=int, metavar="M", help="known blocks of 16 bytes (default: what K needs)")
    add("--trials", type=int, default=0, metavar="N", help="statistics over N segments instead")
    add("--search", type=int, default=GUESSED, metavar="G", help="2^(2G) guesses (default: 4); 0 for none")
    add("--seed", type=int, help="draws the segments (default: a fresh random one, printed)")
    add("--json", action="store_true", help="one JSON object on stdout")


def run(args: argparse.Namespace) -> int:
    """0 if the fold fell, the hash stood and no wrong state was given, every time; else 1.

    Raises HintError, TooFewBlocksError.
    """
    _check("--bits", args.bits, FEWEST_BITS, MOST_BITS)
    _check("--blocks", FEWEST_BLOCKS if args.blocks is None else args.blocks, FEWEST_BLOCKS, MOST_BLOCKS)
    _check("--search", args.search, 0, MOST_GUESSED)
    seed = secrets.randbits(64) if args.seed is None else args.seed
    blocks = blocks_needed(args.bits) if args.blocks is None else args.blocks
    done = _carry_out(seed, args.bits, blocks, args.trials, args.search)
    if args.json:
        sys.stdout.write(json.dumps(as_json(done), indent=2) + "\n")
    else:
        sys.stdout.write(summarised(done) if args.trials > 0 else told(done))
    return 0 if done.as_claimed else 1


def _check(option: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise HintError(option, least, most)


def _carry_out(seed: int, bits: int, blocks: int, trials: int, guessed: int) -> Run:
    count = max(trials, 1)
    drawn = (draw_parameters(seed, number) for number in range(count))
    attacked = ((try_fold(one, bits, blocks), try_hash(one, bits, blocks)) for one in drawn)
    pairs = list(_counted(attacked, count, "segments"))
    if trials > 0 or guessed == 0:
        return Run(seed, bits, pairs)
    guesses = search(draw_parameters(seed, count), SEARCH_BITS, SEARCH_BLOCKS, guessed)
    searched = Searched(SEARCH_BITS, guessed, list(_counted(guesses, 1 << 2 * guessed, "guesses")))
    return Run(seed, bits, pairs, searched)


def _counted(results: Iterable[T], count: int, what: str) -> Iterator[T]:
    """The results, told on stderr as they come: each on a terminal, else every sixteenth."""
    tty = sys.stderr.isatty()
    for done, result in enumerate(results, start=1):
        if tty or done == count or done % 16 == 0:
            sys.stderr.write(f"{done} of {count} {what} tried" + ("\r" if tty and done < count else "\n"))
            sys.stderr.flush()
        yield result
