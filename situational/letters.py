"""What a window is told to be: the letters A–G, the curve of one, and many of them in columns (P1 §2.3)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

Posterior = tuple[float, float, float, float, float, float, float]


class Letter(Enum):
    """Classes by the signs of the first and the second derivative (P1 figure 8); NONE: cannot be told."""

    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"
    F = "F"
    G = "G"
    NONE = "none"

    @property
    def signs(self) -> tuple[int, int] | None:
        return _SIGNS.get(self)


# A letter's code is its place in here; NONE comes last.
LETTERS: tuple[Letter, ...] = tuple(Letter)
MODELLED = 7
NONE_CODE = 7

_SIGNS = {
    Letter.A: (0, 0),
    Letter.B: (1, 1),
    Letter.C: (1, 0),
    Letter.D: (1, -1),
    Letter.E: (-1, 1),
    Letter.F: (-1, 0),
    Letter.G: (-1, -1),
}


@dataclass(frozen=True, slots=True)
class Curve:
    """start + rise (e^{ku} − 1)/(e^k − 1) in the metric's units; u = (t − begin_s)/span_s; k = 0: a line."""

    start: float
    rise: float
    k: float
    begin_s: float
    span_s: float

    def at(self, t: npt.ArrayLike) -> FloatArray:
        """Its values at times of any shape, in seconds."""
        u = (np.asarray(t, dtype=np.float64) - self.begin_s) / (self.span_s or 1.0)
        grown = np.expm1(self.k * u) / math.expm1(self.k) if self.k else u
        return np.asarray(self.start + self.rise * grown, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Trend:
    """`shape`: the smooth letter of the whole window; `regime`: the letter after its last break.

    start, rise, k are the shape's curve over the window, `regime_curve` is the regime's over its part; a
    window without a break has the same in both. Posteriors are of A … G. For NONE confidence, rise and k are
    0, start is the mean and noise the standard deviation. n: samples used. break_s: on the times handed in.
    """

    shape: Letter
    regime: Letter
    posterior: Posterior
    regime_posterior: Posterior
    confidence: float
    regime_confidence: float
    start: float
    rise: float
    k: float
    begin_s: float
    span_s: float
    regime_curve: Curve
    r2: float
    noise: float
    n: int
    n_effective: float
    break_s: float | None

    @property
    def letter(self) -> Letter:
        """The letter for display."""
        return self.shape

    @property
    def curve(self) -> Curve:
        return Curve(self.start, self.rise, self.k, self.begin_s, self.span_s)

    @property
    def paper(self) -> tuple[float, float] | None:
        """P1's (a, b) of the shape; see `paper_parameters`."""
        return paper_parameters(self.shape, self.curve)


def paper_parameters(letter: Letter, curve: Curve) -> tuple[float, float] | None:
    """(a, b) of P1's model for the letter, x in seconds since the curve began; None where there are none.

    The paper's forms have no base line of their own: B and E give the part above it, b·e^{ax} and b·e^{−ax};
    G gives the level b that −a^x falls from. D's log_a(x) + b has the curve's ends and ratio of end slopes,
    its x counted from span/(e^{−k} − 1). A: (0, c).
    """
    start, rise, k, span = curve.start, curve.rise, curve.k, curve.span_s
    if letter is Letter.NONE or not span > 0:
        return None
    try:
        pair = _paper(letter, start, rise, k, span)
    except (OverflowError, ZeroDivisionError):
        return None
    return pair if all(map(math.isfinite, pair)) else None


def _paper(letter: Letter, start: float, rise: float, k: float, span: float) -> tuple[float, float]:
    pair = 0.0, start
    match letter:
        case Letter.B | Letter.E:
            pair = abs(k) / span, rise / math.expm1(k)
        case Letter.C | Letter.F:
            pair = abs(rise) / span, start
        case Letter.D:
            pair = math.exp(-k / rise), start + math.log(span / math.expm1(-k)) * rise / k
        case Letter.G:
            pair = math.exp(k / span), start - rise / math.expm1(k)
        case Letter.A | Letter.NONE:
            pass
    return pair


_NOTHING: Posterior = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)

NO_TREND = Trend(
    shape=Letter.NONE,
    regime=Letter.NONE,
    posterior=_NOTHING,
    regime_posterior=_NOTHING,
    confidence=0.0,
    regime_confidence=0.0,
    start=0.0,
    rise=0.0,
    k=0.0,
    begin_s=0.0,
    span_s=0.0,
    regime_curve=Curve(0.0, 0.0, 0.0, 0.0, 0.0),
    r2=0.0,
    noise=0.0,
    n=0,
    n_effective=0.0,
    break_s=None,
)


@dataclass(frozen=True, slots=True)
class Trends:
    """The trends of m windows in columns of shape (m,); a row is a Trend, made when it is asked for.

    shape, regime: codes (places in LETTERS). Posteriors: (m, 7). curve, regime_curve: (m, 5), the fields of
    Curve. break_s: NaN where there is none.
    """

    shape: IntArray
    regime: IntArray
    posterior: FloatArray
    regime_posterior: FloatArray
    confidence: FloatArray
    regime_confidence: FloatArray
    curve: FloatArray
    regime_curve: FloatArray
    r2: FloatArray
    noise: FloatArray
    n: IntArray
    n_effective: FloatArray
    break_s: FloatArray

    @staticmethod
    def empty(m: int) -> Trends:
        """m windows of which nothing is known."""
        return Trends(
            shape=np.full(m, NONE_CODE),
            regime=np.full(m, NONE_CODE),
            posterior=np.zeros((m, MODELLED)),
            regime_posterior=np.zeros((m, MODELLED)),
            confidence=np.zeros(m),
            regime_confidence=np.zeros(m),
            curve=np.zeros((m, 5)),
            regime_curve=np.zeros((m, 5)),
            r2=np.zeros(m),
            noise=np.zeros(m),
            n=np.zeros(m, dtype=np.intp),
            n_effective=np.zeros(m),
            break_s=np.full(m, math.nan),
        )

    def put(self, rows: IntArray | slice, other: Trends) -> None:
        """Write another's rows over these rows."""
        for name in Trends.__slots__:
            getattr(self, name)[rows] = getattr(other, name)

    def put_regime(self, rows: IntArray, other: Trends) -> None:
        """Write another's regimes over the regimes of these rows."""
        for name in ("regime", "regime_posterior", "regime_confidence", "regime_curve"):
            getattr(self, name)[rows] = getattr(other, name)

    def __len__(self) -> int:
        return len(self.shape)

    def __getitem__(self, row: int) -> Trend:
        return _trend(_Row(*(getattr(self, name)[row].tolist() for name in Trends.__slots__)))

    def __iter__(self) -> Iterator[Trend]:
        columns = (getattr(self, name).tolist() for name in Trends.__slots__)
        return (_trend(_Row(*cells)) for cells in zip(*columns, strict=True))


class _Row(NamedTuple):
    """One row of Trends as plain numbers, in the order of its columns."""

    shape: int
    regime: int
    posterior: list[float]
    regime_posterior: list[float]
    confidence: float
    regime_confidence: float
    curve: list[float]
    regime_curve: list[float]
    r2: float
    noise: float
    n: int
    n_effective: float
    break_s: float


def _trend(row: _Row) -> Trend:
    shape, regime, shares, regime_shares, sure, regime_sure, curve, regime_curve, r2, noise, n, size, at = row
    a, b, c, d, e, f, g = shares
    posterior = (a, b, c, d, e, f, g)
    broken = not math.isnan(at)
    if broken:  # else both answers are one
        a, b, c, d, e, f, g = regime_shares
    start, rise, k, begin_s, span_s = curve
    return Trend(
        LETTERS[shape],
        LETTERS[regime],
        posterior,
        (a, b, c, d, e, f, g) if broken else posterior,
        sure,
        regime_sure,
        start,
        rise,
        k,
        begin_s,
        span_s,
        Curve(*regime_curve),
        r2,
        noise,
        n,
        size,
        at if broken else None,
    )
