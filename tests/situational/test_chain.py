"""The whole chain, from samples to posture: over an attack, and over days on which nothing happens."""

from itertools import pairwise

import numpy as np
import pytest

from situational import (
    METRICS,
    LetterFilter,
    Level,
    NodeSeries,
    Posture,
    Sample,
    classify_batch,
    classify_windows,
    fuse,
    posture_for,
)
from tests.situational.support import autoregressive

TICKS_PER_DAY = 17_280
DAYS = 4


def test_a_surge_of_all_four_metrics_holds_issuing_and_its_end_lifts_the_hold() -> None:
    rng = np.random.default_rng(9)
    quiet, surge = np.full(60, 1e9), 1e9 * np.exp(np.arange(60) / 20.0)
    telemetry = np.concatenate([quiet, surge, surge[::-1], quiet, quiet])
    table = NodeSeries(max_nodes=1, capacity=60)
    filters = dict.fromkeys(METRICS, LetterFilter())
    postures, levels = [], []
    for tick, value in enumerate(telemetry):
        noise = rng.normal(1.0, 0.02, len(METRICS))
        table.record("plant-1", Sample(5.0 * tick, dict(zip(METRICS, value * noise, strict=True))))
        trends = classify_windows(table.windows())
        filters = {metric: own.push(trends["plant-1", metric]) for metric, own in filters.items()}
        hazard = fuse({metric: own.trend for metric, own in filters.items()})
        postures.append(posture_for({"plant-1": hazard}).posture)
        levels.append(hazard.level)
    assert set(postures[:60]) == {Posture.NORMAL}
    assert Posture.HELD in postures[60:120]
    assert Level.LIFTING in levels[120:240]
    assert (levels[-1], postures[-1]) == (Level.NORMAL, Posture.NORMAL)


@pytest.mark.long
@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("spread", [0.1, 0.3])
def test_noise_about_a_fixed_level_never_restricts_or_holds_dispatching(phi: float, spread: float) -> None:
    noise = autoregressive(np.random.default_rng(0), rows=4, n=DAYS * TICKS_PER_DAY, phi=phi)
    telemetry = 1e9 * np.exp(spread * noise * np.sqrt(1.0 - phi**2))
    ticks = 5.0 * np.arange(60)
    trends = [classify_batch(ticks, np.lib.stride_tricks.sliding_window_view(row, 60)) for row in telemetry]
    filters = [LetterFilter() for _ in METRICS]
    levels = []
    for tick in zip(*trends, strict=True):
        filters = [own.push(trend) for own, trend in zip(filters, tick, strict=True)]
        levels.append(fuse({metric: own.trend for metric, own in zip(METRICS, filters, strict=True)}).level)
    assert max(levels) < Level.HIGH
    medium_starts = sum(now is Level.MEDIUM and before is not now for before, now in pairwise(levels))
    print(f"phi {phi}, spread {spread}: MEDIUM started {medium_starts / DAYS} times a day")
    assert medium_starts <= 25 * DAYS
