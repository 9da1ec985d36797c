"""P1 figures 5 and 7: where the orbits of the Logistic map settle, over mu."""

import argparse
import sys
from pathlib import Path
from typing import Final

import numpy as np

from chaos_cipher.figures.errors import FigureRangeError
from chaos_cipher.figures.orbits import CHAOS_FROM, Floats, attractor
from chaos_cipher.figures.plot import ACCENT, INK, check_out, is_png, new_figure, save_csv, save_png

HELP: Final = "the bifurcation diagram of the Logistic map (P1 figures 5 and 7)"
MOST_POINTS: Final = 20_000_000  # 160 MB of float64


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help=".png or .csv")
    parser.add_argument("--mu-from", type=float, default=1.0, help="first mu (default %(default)s, as P1)")
    parser.add_argument("--mu-to", type=float, default=4.0, help="last mu (default %(default)s, as P1)")
    parser.add_argument("--mu-step", type=float, default=0.002, help="default %(default)s, as P1")
    parser.add_argument("--x0", type=float, default=0.1, help="default %(default)s, as P1")
    parser.add_argument("--transient", type=int, default=300, help="iterations dropped (default 300, as P1)")
    parser.add_argument("--keep", type=int, default=80, help="iterations plotted (default 80, as P1)")


def run(args: argparse.Namespace) -> int:
    """Writes the figure. Raises FigurePathError, FigureRangeError, PlotLibraryMissing."""
    out: Path = args.out
    check_out(out)
    _check(args)
    mu = mu_grid(args.mu_from, args.mu_to, args.mu_step)
    points = attractor(mu, args.x0, args.transient, args.keep)
    if is_png(out):
        _draw(out, mu, points, args)
    else:
        save_csv(out, ("mu", "x"), ((m, x) for m, xs in zip(mu, points.T, strict=True) for x in xs))
    sys.stdout.write(f"{points.size:,} points ({len(mu):,} values of mu, {args.keep} each): {out}\n")
    return 0


def mu_grid(start: float, stop: float, step: float) -> Floats:
    """start:step:stop, both ends included as in the paper's notation. Rounded, so that 3.5 is 3.5."""
    count = int((stop - start) / step + 1e-9) + 1
    return np.minimum(np.round(start + step * np.arange(count), 12), stop)


def _check(args: argparse.Namespace) -> None:
    if not 0 < args.mu_from <= 4:
        raise FigureRangeError("--mu-from", args.mu_from, "a number above 0, at most 4")
    if not args.mu_from <= args.mu_to <= 4:
        raise FigureRangeError("--mu-to", args.mu_to, f"a number from {args.mu_from:g} to 4")
    if not 1e-9 <= args.mu_step <= 4:
        raise FigureRangeError("--mu-step", args.mu_step, "a number from 1e-9 to 4")
    if not 0 < args.x0 < 1:
        raise FigureRangeError("--x0", args.x0, "a number between 0 and 1")
    if not 0 <= args.transient <= 1_000_000:
        raise FigureRangeError("--transient", args.transient, "0 to 1,000,000")
    if args.keep < 1:
        raise FigureRangeError("--keep", args.keep, "at least 1")
    points = args.keep * ((args.mu_to - args.mu_from) / args.mu_step + 1)
    if points > MOST_POINTS:
        raise FigureRangeError("number of points", points, f"a larger --mu-step: {MOST_POINTS:,} at most")


def _draw(out: Path, mu: Floats, points: Floats, args: argparse.Namespace) -> None:
    figure, axes = new_figure(out, "Logistic map  x → μ·(x − x²): where orbits settle")
    axes.plot(np.tile(mu, len(points)), points.ravel(), ",", color=INK, alpha=0.6, rasterized=True)
    if args.mu_from <= CHAOS_FROM <= args.mu_to:
        axes.axvline(CHAOS_FROM, color=ACCENT, linewidth=0.8, linestyle="--")
        axes.annotate(
            f"chaotic above μ = {CHAOS_FROM} (P1)",
            (CHAOS_FROM, 0.03), xytext=(-6, 0), textcoords="offset points",
            ha="right", fontsize=9, color=ACCENT,
        )  # fmt: skip
    axes.set_xlim(args.mu_from, args.mu_to if args.mu_to > args.mu_from else args.mu_from + args.mu_step)
    axes.set_ylim(0, 1)
    axes.set_xlabel(f"μ  (step {args.mu_step:g})")
    axes.set_ylabel(f"x  (iterations {args.transient + 1}–{args.transient + args.keep}, x₀ = {args.x0:g})")
    save_png(out, figure)
