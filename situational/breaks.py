"""Where a window breaks into two regimes, if it does: levels that step, straight parts that meet.

The kinds of `situational.basis.Breaks` compete at every place with the smooth curves, by the same evidence:
the mean likelihood over the places, less half a log n for every further amplitude.
"""

from __future__ import annotations

import numpy as np

from situational import robust
from situational.basis import LINE, Basis, Breaks
from situational.fit import Smooth, correlation, exponent, independent, mean_left, posterior, project
from situational.letters import FloatArray, IntArray
from situational.robust import Scaled

# Log of the odds of each kind of break against a smooth window before the data.
_RARE = -3.0
_KINDS = 5
# Places as good as each other but for rounding: the last one, so that the regime is what lasted since.
_TIE = 1e-6

# A random walk of 60 steps changes by eight times what `robust.noise` makes of it, once.
_SUDDEN = 12.0

NOT_BROKEN = -1


def find(basis: Basis, kinds: Breaks, scaled: Scaled, found: Smooth) -> IntArray:
    """Per window, shape (m,), the first sample of the last regime; NOT_BROKEN where it does not break."""
    n = scaled.z.shape[1]
    along = project(found.centred, kinds.columns)
    line = found.along[:, LINE, None]
    power = found.total[:, None] - np.where(kinds.sloped, np.square(line), 0.0)
    left = mean_left(power, along, n)
    best = _last_best(left * n ** (kinds.sloped / n))

    rows = np.arange(len(best))
    column = kinds.columns[rows % len(kinds.columns), best]
    straight = np.where(kinds.sloped[best, None], line, 0.0) * basis.smooth[rows % len(basis.smooth), LINE]
    residual = found.centred - along[rows, best, None] * column - straight
    r = np.minimum(found.correlation, correlation(residual, scaled.grain))
    size = independent(n - scaled.spikes, r)

    _, smooth = posterior(found, n, size)
    exponents, price = exponent(size), 0.5 * np.log(n) * (1 + kinds.sloped)
    top = exponents * np.log(left[rows, best]) - price[best] + _RARE
    # A mean over places is at most its best place, whose price is at most half a log n less than that of the
    # best of all: most windows need not be looked at further.
    near = np.flatnonzero((top + np.log(_KINDS) + 0.5 * np.log(n) > smooth) & ~scaled.flat)
    likelihood = np.log(left[near]) * exponents[near, None] - price
    evidence = np.log(np.exp(likelihood + _RARE - top[near, None]) @ kinds.share) + top[near]
    broken = near[evidence - smooth[near] > _TIE]
    place = np.full(len(best), NOT_BROKEN)
    place[broken] = kinds.first[best[broken]]
    return place


def jumps(z: FloatArray) -> IntArray:
    """The first sample after the last sudden change of level in z (m, n), NOT_BROKEN without one.

    For windows that follow no model, so that one break in them cannot be fitted either: a pulse, a drop and
    then a curve. Means of three before and after are compared; where they differ as much on either side,
    the curve is only steep.
    """
    mean = (z[:, :-2] + z[:, 1:-1] + z[:, 2:]) / 3.0
    change = np.abs(mean[:, 3:] - mean[:, :-3])
    here = change[:, 3:-3]
    sudden = here - change[:, :-6] - change[:, 6:] > _SUDDEN * robust.noise(z)[:, None] + _TIE
    last = sudden & (here >= np.maximum(change[:, 2:-4], change[:, 4:-2]) - _TIE)
    place = z.shape[1] - 6 - last[:, ::-1].argmax(axis=1)
    return np.where(last.any(axis=1), place, NOT_BROKEN)


def _last_best(score: FloatArray) -> IntArray:
    """Per row the last column whose score is the least, but for rounding."""
    good = score <= score.min(axis=1, keepdims=True) * (1.0 + _TIE)
    return np.asarray(score.shape[1] - 1 - good[:, ::-1].argmax(axis=1))
