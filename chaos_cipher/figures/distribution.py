"""P1 Table 4 (30,000 values in ten bins) beside what the Logistic map and LM256 really give."""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from math import gcd
from pathlib import Path
from typing import Final

import numpy as np

from chaos_cipher.figures.errors import FigureRangeError
from chaos_cipher.figures.histogram import (
    ARCSINE,
    BYTES_UNIFORM,
    LEVELS,
    TABLE_4,
    UNIFORM,
    VALUES,
    Shares,
    byte_counts,
    chi_square,
    counts,
    critical,
    tail,
)
from chaos_cipher.figures.orbits import CHAOS_FROM, Floats, Integers, attractor
from chaos_cipher.figures.plot import (
    ACCENT,
    INK,
    MUTED,
    check_out,
    is_png,
    new_figure,
    save_csv,
    save_png,
    tracked,
)
from chaos_cipher.logistic import Parameters, step
from chaos_cipher.schedule import derive_parameters
from chaos_cipher.stream import BLOCK_BYTES, SEGMENT_BYTES, WARM_UP, keystream

HELP: Final = "P1 Table 4 beside the map's and LM256's own distributions, with chi-square"
BEST_MU: Final = 3.98477  # what --search finds on its default grid is printed beside it
COARSEST, FINEST = 0.01, 1e-6
_CHUNK: Final = 2048  # orbits at once: a row of them stays in the cache
_TABLE: Final = np.array(TABLE_4)
_TABLE_SHARES: Final[Shares] = tuple(count / VALUES for count in TABLE_4)


@dataclass(frozen=True, slots=True)
class Row:
    """Ten counts and their chi-square against uniform and against the paper's counts as the expectation."""

    source: str
    counts: tuple[float, ...]
    against_uniform: float
    against_paper: float


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mu", type=float, default=BEST_MU, help="of the float orbit (default %(default)s)")
    parser.add_argument("--x0", type=float, default=0.1, help="of the float orbits (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of LM256's key, for repeating a run (default 1)")
    parser.add_argument("--search", action="store_true", help="look for the mu that fits Table 4 best")
    parser.add_argument("--search-step", type=float, default=1e-4, help="its grid (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write .png or .csv")


def run(args: argparse.Namespace) -> int:
    """Prints the comparison. Raises FigurePathError, FigureRangeError, PlotLibraryMissing."""
    _check(args)
    rows = [
        row("P1 Table 4", _TABLE),
        row(f"float orbit, mu = {args.mu:g}", orbit_counts(args.mu, args.x0)),
    ]
    if args.search:
        mu = best_mu(args.x0, tracked("searching mu", search_chunks(args.search_step)))
        rows.append(row(f"best of the search, mu = {mu:.7g}", orbit_counts(mu, args.x0)))
    rows += [row("arcsine, exact at mu = 4", np.asarray(ARCSINE) * VALUES), *lm256_rows(args.seed)]
    if args.out is not None:
        _write(args.out, rows)
    sys.stdout.write(_json(rows) if args.json else _text(rows))
    return 0


def row(source: str, observed: Floats | Integers, uniform: Shares = UNIFORM) -> Row:
    return Row(
        source,
        tuple(float(count) for count in observed),
        chi_square(observed, uniform),
        chi_square(observed, _TABLE_SHARES),
    )


def orbit_counts(mu: float, x0: float) -> Integers:
    """Table 4's experiment in float64: 300 iterations dropped, 30,000 counted."""
    return counts(attractor(np.array([mu]), x0, WARM_UP, VALUES).ravel())


def search_chunks(grid_step: float) -> list[Floats]:
    """P1's whole chaotic range (3.5699456, 4] in steps, cut into chunks."""
    mu = 4 - grid_step * np.arange(int((4 - CHAOS_FROM) / grid_step) + 1)
    return np.array_split(mu, -(-len(mu) // _CHUNK))


def best_mu(x0: float, chunks: Iterable[Floats]) -> float:
    """The mu whose orbit has the smallest chi-square against Table 4."""
    best = (np.inf, np.nan)
    for mu in chunks:
        statistics = (((_all_counts(mu, x0) - _TABLE) ** 2) / _TABLE).sum(axis=1)
        at = int(statistics.argmin())
        best = min(best, (float(statistics[at]), float(mu[at])))
    return best[1]


def lm256_rows(seed: int) -> list[Row]:
    """LM256's hidden states, and its keystream's bytes, 30,000 each."""
    key = seed.to_bytes(32, "big")
    segments = -(-VALUES // (SEGMENT_BYTES // BLOCK_BYTES))
    parameters = [derive_parameters(key, bytes(16), segment) for segment in range(segments)]
    shown = np.concatenate([states(each, SEGMENT_BYTES // BLOCK_BYTES) for each in parameters])[:VALUES]
    return [
        row("LM256 states X / 2^256", counts(shown)),
        row("LM256 keystream bytes / 256", byte_counts(keystream(parameters[0], VALUES)), BYTES_UNIFORM),
    ]


def states(parameters: Parameters, count: int) -> Floats:
    """The states behind a segment's first blocks, as X / 2^256 (see stream.keystream)."""
    x, a = parameters.x0, parameters.a
    for _ in range(WARM_UP):
        x = step(x, a)
    found = np.empty(count)
    for n in range(1, count + 1):
        x = step(x, a) ^ n
        found[n - 1] = (x >> 203) / (1 << 53)  # the 53 bits that a float64 holds exactly
    return found


def _all_counts(mu: Floats, x0: float) -> Integers:
    """Shape (len(mu), 10): the ten counts of each mu's orbit, with no orbit kept."""
    x = attractor(mu, x0, WARM_UP - 1, 1)[0]
    found = np.zeros(len(mu) * 10, dtype=np.int64)
    place = np.arange(len(mu)) * 10
    for _ in range(VALUES):
        x = mu * (x - x * x)
        found[place + np.minimum((x * 10).astype(np.int64), 9)] += 1
    return found.reshape(len(mu), 10)


def _check(args: argparse.Namespace) -> None:
    if args.out is not None:
        check_out(args.out)
    if not 0 < args.mu <= 4:
        raise FigureRangeError("--mu", args.mu, "a number above 0, at most 4")
    if not 0 < args.x0 < 1:
        raise FigureRangeError("--x0", args.x0, "a number between 0 and 1")
    if not FINEST <= args.search_step <= COARSEST:
        raise FigureRangeError("--search-step", args.search_step, f"{FINEST:g} to {COARSEST:g}")
    if not 0 <= args.seed < 1 << 64:
        raise FigureRangeError("--seed", args.seed, "0 to 2^64 - 1")


def _json(rows: list[Row]) -> str:
    body = {
        "values": VALUES,
        "critical": {str(level): critical(level) for level in LEVELS},
        "table_4_common_divisor": gcd(*TABLE_4),
        "rows": [asdict(each) for each in rows],
    }
    return json.dumps(body, indent=2) + "\n"


def _text(rows: list[Row]) -> str:
    width = max(len(each.source) for each in rows)
    lines = [f"{'of 30,000 in each tenth of [0, 1]':{width}}" + " " * 61 + "  vs uniform   vs Table 4"]
    lines += [
        f"{each.source:{width}} "
        + "".join(f"{count:6.0f}" for count in each.counts)
        + f"  {each.against_uniform:10,.1f}   {each.against_paper:10,.1f}"
        for each in rows
    ]
    levels = ", ".join(f"{critical(level):.2f} (chance {level:.1%})" for level in LEVELS)
    nearest = min(rows[1:], key=lambda each: each.against_paper)
    lines += [
        "",
        f"critical chi-square, 9 degrees of freedom: {levels}",
        "(an orbit's successive values depend on each other: for orbits the critical values are a yardstick)",
        f"Table 4 is not reproducible: the nearest row, {nearest.source}, "
        f"has chi-square {nearest.against_paper:,.0f} against it.",
        f"All counts of Table 4 are multiples of {gcd(*TABLE_4)}, and it rejects uniformity itself: "
        f"chi-square {rows[0].against_uniform:,.0f}, chance {_chance(rows[0].against_uniform)}.",
    ]
    return "\n".join(lines) + "\n"


def _chance(statistic: float) -> str:
    chance = tail(statistic)
    return f"{chance:.1g}" if chance > 0 else "below 1e-300"


def _write(out: Path, rows: list[Row]) -> None:
    if not is_png(out):
        header = ["source", *(f"bin_{i}" for i in range(10)), "against_uniform", "against_paper"]
        cells = ([f'"{r.source}"', *r.counts, r.against_uniform, r.against_paper] for r in rows)
        save_csv(out, header, cells)
        return
    figure, axes = new_figure(out, "30,000 values in ten bins")
    colours = [ACCENT, INK, "#5b8db8", MUTED, "#6a9a58", "#c9a13b"]
    axes.axhline(VALUES / 10, color=MUTED, linewidth=0.8, linestyle="--")
    for index, each in enumerate(rows):
        places = np.arange(10) + (index + 0.5) / (len(rows) + 1) + 0.5 / (len(rows) + 1)
        colour = colours[index % len(colours)]
        axes.bar(places, each.counts, 1 / (len(rows) + 1), color=colour, label=each.source)
    axes.set_xticks(range(11), [f"{i / 10:g}" for i in range(11)])
    axes.set_xlabel("value")
    axes.set_ylabel("count (dashed: uniform)")
    axes.legend(fontsize=8, frameon=False, loc="upper center")
    save_png(out, figure)
