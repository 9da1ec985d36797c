"""Made-up windows with a known class, for the tests of this package."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import settings

from situational.letters import NO_TREND, Curve, FloatArray, Letter, Trend

unhurried = settings(deadline=None)  # no test here may depend on the machine's speed

MODELLED = (Letter.A, Letter.B, Letter.C, Letter.D, Letter.E, Letter.F, Letter.G)

NEGATED = {
    Letter.B: Letter.G,
    Letter.G: Letter.B,
    Letter.C: Letter.F,
    Letter.F: Letter.C,
    Letter.D: Letter.E,
    Letter.E: Letter.D,
}
REVERSED = {
    Letter.B: Letter.E,
    Letter.E: Letter.B,
    Letter.C: Letter.F,
    Letter.F: Letter.C,
    Letter.D: Letter.G,
    Letter.G: Letter.D,
}


def clean(letter: Letter, u: FloatArray, bend: float) -> FloatArray:
    """The letter's curve over u in [0, 1] with a change of one and |k| = bend; A is zero."""
    signs = letter.signs
    assert signs is not None
    slope, curvature = signs
    k = bend * slope * curvature
    return slope * (np.expm1(k * u) / np.expm1(k) if k else u)


def noisy(
    letter: Letter, rng: np.random.Generator, *, rows: int, n: int, snr: float
) -> tuple[FloatArray, FloatArray]:
    """Times (n,) with jitter and values (rows, n): moderate curvature 1.5 <= |k| <= 4, white noise.

    `snr` is the change over the window divided by the noise's standard deviation.
    """
    t = 5.0 * np.arange(n) + rng.uniform(0.0, 1.0, n)
    u = (t - t[0]) / (t[-1] - t[0])
    curves = np.stack([clean(letter, u, bend) for bend in rng.uniform(1.5, 4.0, rows)])
    return t, curves + rng.normal(0.0, 1.0 / snr, (rows, n))


def trend_of(letter: Letter, regime: Letter | None = None, *, rise: float = 1.0) -> Trend:
    """A trend with this shape and, unless another is named, the same regime."""
    regime = letter if regime is None else regime
    curve = Curve(1.0, rise, 0.0, 0.0, 295.0)
    return replace(NO_TREND, shape=letter, regime=regime, rise=rise, regime_curve=curve, confidence=0.9, n=60)


def autoregressive(rng: np.random.Generator, *, rows: int, n: int, phi: float) -> FloatArray:
    """Quiet but correlated windows, x[i] = phi x[i-1] + noise, after their start has been forgotten."""
    steps = rng.normal(size=(200 + n, rows))
    for i in range(1, len(steps)):
        steps[i] += phi * steps[i - 1]
    return steps[200:].T.copy()
