"""Which states the known bytes leave possible, for many intervals of mu at once.

A byte b says that its state lies in [b/256, (b + 1)/256], so on which side of 1/2, so which of two preimages
a state has. An interval is carried forwards through the map and backwards through that one inverse,
cut with every byte's interval on its way; where nothing is left, no mu of that cell gives the bytes.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SLACK: Final = 8 * 2.0**-53  # relative; the cipher's step rounds 3 times, ours at most 4


@dataclass(frozen=True, slots=True)
class Bounds:
    """States possible at each known byte (rows) in each cell of mu (columns); alive: cells not excluded."""

    low: Floats
    high: Floats
    alive: Flags


def contract(known: bytes, lowest_mu: Floats, highest_mu: Floats) -> Bounds:
    """Bounds of shape (len(known), cells), for the cells [lowest_mu, highest_mu]. known is not empty."""
    marks = np.frombuffer(known, np.uint8).astype(np.float64)[:, np.newaxis]
    ones = np.ones(len(lowest_mu))
    low, high = marks / 256 * ones, (marks + 1) / 256 * ones
    _push(known, low, high, lowest_mu, highest_mu)
    alive: Flags = np.all(low <= high, axis=0)
    for i in range(len(known) - 2, -1, -1):
        near, far, exists = _preimage(low[i + 1] / highest_mu, high[i + 1] / lowest_mu, left=known[i] < 128)
        np.maximum(low[i], near, out=low[i])
        np.minimum(high[i], far, out=high[i])
        alive &= exists & (low[i] <= high[i])
    return Bounds(low, high, alive)


def _push(known: bytes, low: Floats, high: Floats, lowest_mu: Floats, highest_mu: Floats) -> None:
    for i, byte in enumerate(known[:-1]):
        outer, inner = (low[i], high[i]) if byte < 128 else (high[i], low[i])  # the map's peak is at 1/2
        np.maximum(low[i + 1], lowest_mu * outer * (1 - outer) * (1 - SLACK), out=low[i + 1])
        np.minimum(high[i + 1], highest_mu * inner * (1 - inner) * (1 + SLACK), out=high[i + 1])


def _preimage(least: Floats, most: Floats, *, left: bool) -> tuple[Floats, Floats, Flags]:
    """Bounds of x from bounds of q = y/mu, and where there is one: x(1 - x) = q has 1/2 -+ sqrt(1 - 4q)/2."""
    wide = np.sqrt(np.maximum(1 - 4 * least + 2 * SLACK, 0))
    narrow = np.sqrt(np.maximum(1 - 4 * most - 2 * SLACK, 0))
    exists: Flags = 4 * least <= 1 + 2 * SLACK
    if left:  # 2q/(1 + s) is (1 - s)/2 without its cancellation
        return 2 * least * (1 - SLACK) / (1 + wide), 2 * most * (1 + SLACK) / (1 + narrow), exists
    return (1 + narrow) / 2 * (1 - SLACK), (1 + wide) / 2 * (1 + SLACK), exists
