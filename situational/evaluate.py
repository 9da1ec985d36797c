"""The accuracy of the classifier on made-up windows, as rows of a table with targets. Pure: seeds come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from situational import generate
from situational.generate import CURVATURES, HELD_OUT, NAMED
from situational.letter_filter import LetterFilter
from situational.letters import LETTERS, NONE_CODE, FloatArray, IntArray, Letter, Trends
from situational.trend import classify_batch

TICKS: FloatArray = 5.0 * np.arange(60, dtype=np.float64)
SHOWN_LIMIT = 10.0  # changes of the shown letter per hour of samples
HOUR = 720  # samples

_NEGATED = np.array([0, 6, 5, 4, 3, 2, 1, 7])
_REVERSED = np.array([0, 4, 5, 6, 1, 2, 3, 7])


@dataclass(frozen=True, slots=True)
class Row:
    """One measured share or count; `target` None: told for information."""

    name: str
    value: float
    target: float | None
    at_least: bool
    windows: int

    @property
    def passed(self) -> bool:
        if self.target is None:
            return True
        return self.value >= self.target if self.at_least else self.value <= self.target


def evaluate(*, seed: int, windows: int) -> list[Row]:
    """Every row, with `windows` windows per letter (and as many times seven where there are no letters)."""
    parts = (_accuracy, _robustness, _quiet, _breaks, symmetries)
    seeds = np.random.SeedSequence(seed).spawn(len(parts))
    return [
        row
        for part, own in zip(parts, seeds, strict=True)
        for row in part(np.random.default_rng(own), windows)
    ]


def confusion(*, seed: int, windows: int, curvature: str, snr: float) -> IntArray:
    """Counts (7, 8): truth A … G by answer A … G, NONE."""
    y, truth = generate.labelled(
        np.random.default_rng(seed), windows, curvature=CURVATURES[curvature], snr=snr
    )
    counts = np.zeros((NONE_CODE, len(LETTERS)), dtype=np.intp)
    np.add.at(counts, (truth, classify_batch(TICKS, y).shape), 1)
    return counts


def _accuracy(rng: np.random.Generator, windows: int) -> Iterator[Row]:
    cases = (
        ("moderate", 5.0, 0.85, NAMED),
        ("moderate", 10.0, 0.98, NAMED),
        ("moderate", 20.0, 0.99, NAMED),
        ("strong", 5.0, 0.96, NAMED),
        ("mild", 10.0, 0.91, NAMED),
        ("moderate", 20.0, None, HELD_OUT),
        ("strong", 20.0, None, NAMED),
    )
    for curvature, snr, target, families in cases:
        y, truth = generate.labelled(
            rng, windows, curvature=CURVATURES[curvature], snr=snr, families=families
        )
        found = classify_batch(TICKS, y)
        name = f"accuracy, {curvature} curvature, SNR {snr:g}" + (
            ", held out" if families is HELD_OUT else ""
        )
        yield Row(name, _share(found.shape == truth), target, at_least=True, windows=len(y))
        yield Row(f"{name}, regime", _share(found.regime == truth), None, at_least=True, windows=len(y))


def _robustness(rng: np.random.Generator, windows: int) -> Iterator[Row]:
    spoilers: Sequence[tuple[str, float | None, Callable[[FloatArray], FloatArray]]] = (
        ("5 % outliers of 10 to 30 deviations", 0.97, lambda y: generate.with_outliers(rng, y, 0.05, 0.5)),
        ("5 % outliers of 1 to 3 ranges", 0.97, lambda y: generate.with_outliers(rng, y, 0.05, 1.0)),
        ("a spike of 10 ranges", 0.97, lambda y: generate.with_spike(rng, y, 10.0)),
        ("a spike of 10 deviations", 0.97, lambda y: generate.with_spike(rng, y, 0.5)),
        ("rounded to 20 levels", None, lambda y: np.round(20.0 * y)),
        ("scale 1e-9 about 1e-3", None, lambda y: 1e-9 * y + 1e-3),
        ("scale 1e12", None, lambda y: 1e12 * y),
        ("a tenth of the samples missing", None, lambda y: np.where(rng.random(y.shape) < 0.1, np.nan, y)),
    )
    for name, target, spoil in spoilers:
        y, truth = generate.labelled(rng, windows, curvature=CURVATURES["moderate"], snr=20.0)
        found = classify_batch(TICKS, spoil(y))
        yield Row(
            f"accuracy, SNR 20, {name}", _share(found.shape == truth), target, at_least=True, windows=len(y)
        )
    u = np.concatenate([[0.0], np.sort(rng.uniform(0.0, 1.0, 58)), [1.0]])
    y, truth = generate.labelled(rng, windows, curvature=CURVATURES["moderate"], snr=20.0, u=u)
    right = _share(classify_batch(TICKS[-1] * u, y).shape == truth)
    yield Row("accuracy, SNR 20, 60 samples at any times", right, None, at_least=True, windows=len(y))
    for n, snr in ((24, 20.0), (24, 10.0)):
        y, truth = generate.labelled(
            rng, windows, curvature=CURVATURES["moderate"], snr=snr, u=np.linspace(0.0, 1.0, n)
        )
        right = _share(classify_batch(TICKS[:n], y).shape == truth)
        yield Row(f"accuracy, SNR {snr:g}, {n} samples", right, None, at_least=True, windows=len(y))


def _quiet(rng: np.random.Generator, windows: int) -> Iterator[Row]:
    for phi, name, target in ((0.0, "iid", 0.005), (0.6, "AR .6", 0.02), (0.9, "AR .9", 0.08)):
        found = classify_batch(TICKS, generate.correlated(rng, 7 * windows, phi))
        for which, letters in (("shape", found.shape), ("regime", found.regime)):
            trend = _share((letters != 0) & (letters != NONE_CODE))
            yield Row(f"quiet, {name}: {which} is a trend", trend, target, at_least=False, windows=len(found))


def _breaks(rng: np.random.Generator, windows: int) -> Iterator[Row]:
    rows = 7 * windows
    cases = (
        ("flat then linear", generate.flat_then_linear, 20.0, 0.07, 2),
        ("flat then linear", generate.flat_then_linear, 10.0, None, 2),
        ("level step", generate.stepped, 20.0, 0.0, 0),
        ("level step", generate.stepped, 5.0, None, 0),
    )
    for name, make, snr, target, right in cases:
        found = classify_batch(TICKS, make(rng, rows, snr))
        after = f"regime {LETTERS[right].value}"
        yield Row(
            f"{name}, SNR {snr:g}: regime B", _share(found.regime == 1), target, at_least=False, windows=rows
        )
        yield Row(
            f"{name}, SNR {snr:g}: {after}", _share(found.regime == right), None, at_least=True, windows=rows
        )


def symmetries(rng: np.random.Generator, windows: int) -> Iterator[Row]:
    """Windows of all kinds, whole numbers among them; how many break each symmetry."""
    smooth = [
        generate.labelled(rng, windows // 4 + 1, curvature=CURVATURES[c], snr=snr)[0]
        for c, snr in (("moderate", 3.0), ("mild", 10.0), ("strong", 100.0))
    ]
    rough = [
        generate.correlated(rng, windows, 0.9),
        generate.stepped(rng, windows, 10.0),
        np.round(20.0 * smooth[0]),
        rng.integers(0, 3, (windows, 60)).astype(np.float64),
        np.cumsum(rng.integers(-1, 2, (windows, 60)), axis=1).astype(np.float64),
    ]
    y = np.concatenate([*smooth, *rough])
    found = classify_batch(TICKS, y)
    for name, broken in _violations(y, found):
        yield Row(f"symmetry broken: {name}", float(broken.sum()), 0.0, at_least=False, windows=len(y))


def _violations(y: FloatArray, found: Trends) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    def differs(t: FloatArray, values: FloatArray) -> npt.NDArray[np.bool_]:
        other = classify_batch(t, values)
        return np.asarray((other.shape != found.shape) | (other.regime != found.regime))

    for factor, shift in ((1e-9, 0.0), (1e12, 0.0), (3.7, 1.1), (1 / 3, -1e5)):
        yield f"values × {factor:.3g} + {shift:g}", differs(TICKS, factor * y + shift)
    for factor, shift in ((1 / 3, 0.0), (1e-6, 77.0), (1e3, 1e7)):
        yield f"times × {factor:.3g} + {shift:g}", differs(factor * TICKS + shift, y)
    yield "values negated", classify_batch(TICKS, -y).shape != _NEGATED[found.shape]
    yield "time reversed", classify_batch(-TICKS, y).shape != _REVERSED[found.shape]


@dataclass(frozen=True, slots=True)
class Shown:
    """How often the adopted letters of one series changed, and what its windows were told to be."""

    samples: int
    shape_changes: int
    regime_changes: int
    windows: dict[Letter, int]

    def per_hour(self, changes: int) -> float:
        """Changes per 720 samples."""
        return changes * HOUR / max(self.samples, 1)


def shown(t: FloatArray, y: FloatArray, *, size: int = 60) -> Shown:
    """Slide a window over a series t, y of shape (n,) and adopt letters as they would be shown."""
    windows = np.lib.stride_tricks.sliding_window_view
    empty = np.empty((0, size))
    long_enough = len(y) >= size
    trends = list(
        classify_batch(windows(t, size) if long_enough else empty, windows(y, size) if long_enough else empty)
    )
    filtered, adopted = LetterFilter(), []
    for trend in trends:
        filtered = filtered.push(trend)
        adopted.append((filtered.trend.shape, filtered.trend.regime))
    return Shown(
        samples=len(trends),
        shape_changes=sum(a[0] is not b[0] for a, b in pairwise(adopted)),
        regime_changes=sum(a[1] is not b[1] for a, b in pairwise(adopted)),
        windows={letter: sum(trend.shape is letter for trend in trends) for letter in Letter},
    )


def _share(hits: npt.NDArray[np.bool_]) -> float:
    return float(np.mean(hits))
