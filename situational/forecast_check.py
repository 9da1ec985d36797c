"""How well the forecasts hold, measured on curves that are made up with a known crossing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np

from situational.crossing import FloatArray
from situational.errors import BadSettingError
from situational.forecast import Forecast, Outcome, forecast

SAMPLES, PERIOD_S = 60, 5.0
BENDS = (1.0, 4.0)  # |k|, drawn evenly
AHEAD = (0.5, 2.0)  # windows from the last sample to the crossing, drawn evenly
SNRS = (10.0, 20.0)  # change over the window divided by the noise's standard deviation
ABOVE = (1.05, 1.5)  # a threshold that is never reached, in units of the asymptote


class Shape(Enum):
    B = "B"
    C = "C"
    D = "D"
    D_BELOW = "D, threshold above its asymptote"


@dataclass(frozen=True, slots=True)
class Case:
    t: FloatArray
    y: FloatArray
    threshold: float
    crossing_s: float  # after the last sample; inf: never


@dataclass(frozen=True, slots=True)
class Row:
    """`median_error` is relative to the true time; `linear` is a straight line's time over the true one."""

    shape: Shape
    snr: float
    cases: int
    coverage: float
    median_error: float
    never: float
    unknown: float
    linear: float


def evaluate(*, cases: int, seed: int, level: float = 0.8) -> Iterator[Row]:
    """Yield a row per shape and SNR from `cases` windows of white noise each. Raises BadSettingError."""
    if cases < 1:
        raise BadSettingError("cases", cases, "at least 1")
    for index, shape in enumerate(Shape):
        for snr in SNRS:
            rng = np.random.default_rng([seed, index, int(snr)])
            drawn = [generate(shape, snr, rng) for _ in range(cases)]
            made = [forecast(case.t, case.y, case.threshold, level=level) for case in drawn]
            yield _row(shape, snr, drawn, made)


def generate(shape: Shape, snr: float, rng: np.random.Generator) -> Case:
    """One window of 60 samples at 5 s that rises by one, and a threshold ahead of it."""
    bend = rng.uniform(*BENDS)
    k = {Shape.B: bend, Shape.C: 1e-6, Shape.D: -bend, Shape.D_BELOW: -bend}[shape]
    u = np.linspace(0.0, 1.0, SAMPLES)
    span = PERIOD_S * (SAMPLES - 1)
    y = np.expm1(k * u) / math.expm1(k) + rng.normal(0.0, 1.0 / snr, SAMPLES)
    if shape is Shape.D_BELOW:
        return Case(span * u, y, rng.uniform(*ABOVE) / -math.expm1(k), math.inf)
    ahead = rng.uniform(*AHEAD)
    return Case(span * u, y, math.expm1(k * (1.0 + ahead)) / math.expm1(k), ahead * span)


def _row(shape: Shape, snr: float, drawn: list[Case], made: list[Forecast]) -> Row:
    pairs = list(zip(drawn, made, strict=True))
    known = [(case, got) for case, got in pairs if got.outcome is not Outcome.UNKNOWN]
    finite = [(case, got) for case, got in known if math.isfinite(case.crossing_s)]
    errors = [abs(got.median_s - case.crossing_s) / case.crossing_s for case, got in finite]
    linear = [_by_a_line(case) / case.crossing_s for case, _ in finite]
    return Row(
        shape=shape,
        snr=snr,
        cases=len(pairs),
        coverage=sum(got.lower_s <= case.crossing_s <= got.upper_s for case, got in known) / len(pairs),
        median_error=float(np.median(errors)) if errors else math.nan,
        never=sum(got.outcome is Outcome.NEVER for got in made) / len(pairs),
        unknown=sum(got.outcome is Outcome.UNKNOWN for got in made) / len(pairs),
        linear=float(np.median(linear)) if linear else math.nan,
    )


def _by_a_line(case: Case) -> float:
    slope, start = np.polyfit(case.t, case.y, 1)
    return float((case.threshold - start) / slope - case.t[-1])
