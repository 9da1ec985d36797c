"""Lyapunov exponents of the Logistic map over mu, and every measurement that the package README quotes."""

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from math import log
from pathlib import Path
from typing import Final

import numpy as np

from chaos_cipher.figures import integers, weakness
from chaos_cipher.figures.errors import FigureRangeError
from chaos_cipher.figures.orbits import CHAOS_FROM, Floats, Integers, exponents, periods
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

HELP: Final = "Lyapunov exponents, weak shares of mu, and the integer map's cycles, merging and mixing"
FIGURE_MU: Final = np.round(np.arange(3.4, 4.00005, 0.0001), 4)
SHALLOW: Final = weakness.Depth(4000, 512, 4000)  # near 4 cycles attract fast


@dataclass(frozen=True, slots=True)
class Effort:
    mus: int  # sampled over P1's range
    near_mus: int  # sampled in each (4 - delta, 4)
    deltas: tuple[float, ...]
    depth: weakness.Depth
    float_orbits: int
    float64_rounds: int  # of 10,000 iterations
    trials: int
    merge_trials: int
    words: tuple[int, ...]
    starts: int


FULL: Final = Effort(
    200_000,
    100_000,
    (0.1, 0.03, 0.01, 0.003, 0.001),
    weakness.Depth(),
    weakness.CHUNK,
    100,
    300,
    100_000,
    (8, 12, 16, 20, 24, 28),
    200,
)
QUICK: Final = Effort(
    20_000,
    20_000,
    (0.1, 0.01),
    weakness.Depth(2000, 512, 2000),
    weakness.CHUNK,
    5,
    60,
    10_000,
    (8, 12, 16, 20),
    60,
)


@dataclass(frozen=True, slots=True)
class Report:
    mixing_exponent: float
    whole_range: weakness.Share
    near_four: list[weakness.Share]
    collapses: list[weakness.Collapse]
    x0_visible: integers.Visibility
    mu_visible: integers.Visibility
    cycles: list[integers.Cycles]
    merging: integers.Merging
    climb: integers.Climb


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a few seconds; shares are then rough")
    parser.add_argument("--seed", type=int, default=1, help="of the random samples (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--out", type=Path, metavar="FILE", help="exponent over mu as .png or .csv")


def run(args: argparse.Namespace) -> int:
    """Measures and prints. Raises FigurePathError, FigureRangeError, PlotLibraryMissing."""
    if args.out is not None:
        check_out(args.out)
    if not 0 <= args.seed < 1 << 32:
        raise FigureRangeError("--seed", args.seed, "0 to 2^32 - 1")
    report = measure(QUICK if args.quick else FULL, np.random.default_rng(args.seed))
    if args.out is not None:
        _write(args.out)
    sys.stdout.write(json.dumps(asdict(report), indent=2) + "\n" if args.json else text(report))
    return 0


def measure(effort: Effort, rng: weakness.Generator) -> Report:
    """Everything, with progress on stderr; the same generator state gives the same report."""

    def sampled(low: float, samples: int, depth: weakness.Depth) -> weakness.Share:
        chunks = weakness.stratified(low, 4.0, samples, rng)
        label = f"shares of mu in ({low:.8g}, 4)"
        return weakness.share(low, 4.0, tracked(label, chunks), depth)

    whole = sampled(CHAOS_FROM, effort.mus, effort.depth)
    near = [sampled(4 - delta, effort.near_mus, SHALLOW) for delta in effort.deltas]
    rounds = tracked("float64 orbits at mu = 4", range(effort.float64_rounds))
    single = weakness.collapse(np.float32, effort.float_orbits, range(1), 50_000, rng)
    double = weakness.collapse(np.float64, effort.float_orbits, rounds, 10_000, rng)
    words = tracked("cycles of the integer map", effort.words)
    return Report(
        mixing_exponent=weakness.MIXING_EXPONENT,
        whole_range=whole,
        near_four=near,
        collapses=[single, double],
        x0_visible=integers.visibility_of_x0(effort.trials, rng),
        mu_visible=integers.visibility_of_mu(effort.trials, rng),
        cycles=[integers.cycles(bits, effort.starts, rng) for bits in words],
        merging=integers.merging(effort.merge_trials, rng),
        climb=integers.climb(),
    )


def text(report: Report) -> str:
    whole, merging, climb = report.whole_range, report.merging, report.climb
    lines = [
        f"mu in ({whole.low:.8g}, {whole.high:g}), {whole.samples:,} samples:",
        f"  periodic                {whole.periodic:8.2%} ± {whole.periodic_error:.2%}",
        f"  exponent below {report.mixing_exponent:.4f}   {whole.too_slow:8.2%} ± {whole.too_slow_error:.2%}"
        "  (300 iterations do not mix 256 bits)",
        "mu in (4 - delta, 4): weak shares in parts of delta",
        *(_near(share) for share in report.near_four),
        "float orbits at mu = 4, random x0:",
        *(
            f"  {each.precision}: {each.at_zero:,} of {each.orbits:,} at 0 after {each.iterations:,} steps; "
            f"{each.cycling:,} on a cycle of at most {weakness.SHORT_CYCLE:,}"
            for each in report.collapses
        ),
        "LM256: iterations until a change is visible (a tenth of the interval), "
        f"{report.x0_visible.trials} trials:",
        f"  2^-224 in x0: mean {report.x0_visible.mean:.1f}, worst {report.x0_visible.worst}",
        f"  2^-126 in mu: mean {report.mu_visible.mean:.1f}, worst {report.mu_visible.worst}",
        "cycle lengths of the integer map on w bits, without the block counter:",
        *(_cycle(each) for each in report.cycles),
        f"neighbouring x0 that merge in the first iteration ({merging.trials:,} pairs each):",
        f"  without guard bits {merging.without_guard:.2%}; "
        f"with: {merging.guarded_near_half:.2%} within 2^221 of 1/2 (a 2^-34 part of all), "
        f"{merging.guarded_elsewhere:.2%} of the next 2^221",
        f"smallest x0: above 2^224 after {climb.steps} iterations; then from 2^{climb.lowest_log2:.2f} "
        f"to 2^256 - 2^{climb.gap_to_one_log2:.2f}",
    ]
    return "\n".join(lines) + "\n"


def _near(share: weakness.Share) -> str:
    delta = share.high - share.low
    return (
        f"  delta {delta:<6.4g} periodic {share.periodic / delta:5.2f} ± {share.periodic_error / delta:.2f}, "
        f"periodic or too slow {share.too_slow / delta:5.2f} ± {share.too_slow_error / delta:.2f}"
    )


def _cycle(each: integers.Cycles) -> str:
    return (
        f"  w = {each.word_bits:2}: mean {each.mean:10,.1f} = 2^(w/2{each.mean_below_half:+.2f}), "
        f"median {each.median:8,.0f} = 2^(w/2{each.median_below_half:+.2f})"
    )


def _write(out: Path) -> None:
    found = exponents(FIGURE_MU, 2000, 4000, x0=0.1)  # P1's; at mu = 4 the orbit of 1/2 ends at 0
    cycles = periods(FIGURE_MU, 8000, 512)
    if is_png(out):
        _draw(out, found, cycles)
    else:
        header = ("mu", "exponent", "period")
        save_csv(out, header, zip(FIGURE_MU, found, cycles, strict=True))


def _draw(out: Path, found: Floats, cycles: Integers) -> None:
    figure, axes = new_figure(out, "Lyapunov exponent of the Logistic map")
    axes.plot(FIGURE_MU, np.maximum(found, -1.5), color=INK, linewidth=0.5)
    axes.fill_between(
        FIGURE_MU,
        -2,
        0.8,
        where=cycles > 0,
        color=MUTED,
        alpha=0.25,
        linewidth=0,
        label="periodic (up to 512)",
    )
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.axhline(
        weakness.MIXING_EXPONENT, color=ACCENT, linewidth=0.9, linestyle="--",
        label=f"{weakness.MIXING_EXPONENT:.4f} = 256·ln 2 / 300: below, 300 iterations do not mix 256 bits",
    )  # fmt: skip
    axes.axvline(CHAOS_FROM, color=ACCENT, linewidth=0.8, linestyle=":", label=f"μ = {CHAOS_FROM} (P1)")
    axes.axhline(log(2), color=MUTED, linewidth=0.8, linestyle=":", label="ln 2, reached at μ = 4")
    axes.set_xlim(float(FIGURE_MU[0]), float(FIGURE_MU[-1]))
    axes.set_ylim(-2, 0.8)
    axes.set_xlabel("μ  (step 0.0001)")
    axes.set_ylabel("nats per iteration (cut at −1.5)")
    axes.legend(fontsize=8, loc="lower left")
    save_png(out, figure)
