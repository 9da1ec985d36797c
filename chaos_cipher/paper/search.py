"""From known bytes to the values of mu, then to the float64 states, that give exactly these bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chaos_cipher.paper.cipher import GRID, HIGHEST_MU, LOWEST_MU
from chaos_cipher.paper.intervals import Floats, contract

Indices = NDArray[np.int64]

# known bytes used, grid points of mu per cell: few bytes cannot tell near values of mu apart, so cells shrink
# as bytes are added; each size divides the one before
STAGES: Final = ((8, 4096), (16, 1024), (32, 256), (64, 64), (128, 16), (256, 4))
ENTRIES: Final = 1 << 20  # states per batch: bounds the memory and stays in the cache
MOST_FLOATS: Final = 1 << 20  # candidate states tried one by one; if there are more, a sample is
SAMPLE: Final = 1 << 16
MOST_CELLS: Final = 1 << 16  # of a stage: bytes that hardly tell mu leave more, and then every n-th is judged
EARLY: Final = 4  # the start is sought in the first quarter: bytes after it pin it down and then check it


@dataclass(frozen=True, slots=True)
class Stage:
    known: int  # bytes used
    cell: int  # grid points of mu judged together
    left: int  # values of mu not excluded; estimated once cells have been thinned out


@dataclass(frozen=True, slots=True)
class Narrowed:
    mu_indices: Indices
    stages: tuple[Stage, ...]
    complete: bool  # False: cells were thinned out, so a value of mu that is not here need not be excluded


@dataclass(frozen=True, slots=True)
class Starts:
    """States to try at one position of the message, each with its mu index."""

    position: int
    mu_indices: Indices
    states: Floats
    total: float  # candidates that the bounds leave
    exhaustive: bool  # whether all of them are here, or a sample


def narrow_mu(known: bytes) -> Narrowed:
    """The values of mu that the bounds leave possible, and what each stage left. known is not empty."""
    size, thinned = STAGES[0][1], 1
    first = np.arange(LOWEST_MU, HIGHEST_MU + 1, size, dtype=np.int64)
    done: list[Stage] = []
    for count, cell in (*STAGES, (len(known), 1)):
        used = min(count, len(known))
        first = (first[:, np.newaxis] + np.arange(0, size, cell)).ravel()
        size, every = cell, -(-len(first) // MOST_CELLS) or 1
        first, thinned = first[first <= HIGHEST_MU][::every], thinned * every
        first = np.concatenate([first[:0], *_alive(known[:used], first, cell)])
        done.append(Stage(used, cell, thinned * int(np.minimum(cell, HIGHEST_MU + 1 - first).sum())))
    return Narrowed(first, tuple(done), complete=thinned == 1)


def _alive(known: bytes, first: Indices, cell: int) -> Iterator[Indices]:
    width = max(1, ENTRIES // len(known))
    for i in range(0, len(first), width):
        low = first[i : i + width]
        high = np.minimum(low + cell - 1, HIGHEST_MU)
        yield low[contract(known, low / GRID, high / GRID).alive]


def find_starts(known: bytes, mu_indices: Indices) -> Starts:
    """Candidate states where, in the first quarter, the bounds are closest. mu_indices is not empty."""
    position = _closest(known, mu_indices)
    low, high = _bounds_at(known, mu_indices, position)
    counts = high.view(np.int64) - low.view(np.int64) + 1  # positive floats are ordered as their bits
    total = float(counts.sum(dtype=np.float64))
    if total <= MOST_FLOATS:
        owner = np.repeat(np.arange(len(counts)), counts)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        states = (low.view(np.int64)[owner] + within).view(np.float64)
        return Starts(position, mu_indices[owner], states, total, exhaustive=True)
    shares = np.linspace(
        0, 1, max(2, SAMPLE // len(mu_indices))
    )  # with both ends: a collapsed orbit is 0 exactly
    states = (low[:, np.newaxis] + (high - low)[:, np.newaxis] * shares).ravel()
    return Starts(position, np.repeat(mu_indices, len(shares)), states, total, exhaustive=False)


def _closest(known: bytes, mu_indices: Indices) -> int:
    some = mu_indices[:: max(1, len(mu_indices) * len(known) // ENTRIES)]
    bounds = contract(known, some / GRID, some / GRID)
    early = slice(0, len(known) // EARLY)
    ulps = (bounds.high[early] - bounds.low[early]) / np.spacing(bounds.high[early])
    return int(ulps.mean(axis=1).argmin())


def _bounds_at(known: bytes, mu_indices: Indices, position: int) -> tuple[Floats, Floats]:
    width = max(1, ENTRIES // len(known))
    lows, highs = [], []
    for i in range(0, len(mu_indices), width):
        mu = mu_indices[i : i + width] / GRID
        bounds = contract(known, mu, mu)
        lows.append(bounds.low[position])
        highs.append(bounds.high[position])
    return np.concatenate(lows), np.concatenate(highs)


def replay(known: bytes, mu: Floats, x: Floats) -> tuple[Indices, Floats]:
    """Which starts give every known byte, computed as the cipher does, and their states at the last."""
    which = np.arange(len(x), dtype=np.int64)
    for i, byte in enumerate(known):
        if i:
            x = mu * x * (1 - x)
        fits = np.minimum(np.floor(256 * x), 255) == byte
        if not fits.all():
            which, mu, x = which[fits], mu[fits], x[fits]
    return which, x
