"""Drives a Watch over made-up telemetry, as the server does over real one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from situational.baseline import Baseline
from situational.hazard import Hazard
from situational.letters import FloatArray
from situational.series import METRICS, Sample
from situational.simulation.telemetry import PERIOD_S, TICKS, UTC_OFFSET_S, Telemetry
from situational.watch import Watch

Progress = Callable[[str], None]

WARM_DAYS = 7
_MINUTE = 60 // PERIOD_S
# A midnight at the nodes.
_EPOCH_S = 1_700_006_400.0 - 1_700_006_400.0 % 86_400.0 - UTC_OFFSET_S


def silent(_: str) -> None:
    """Progress for nobody."""


class Nodes:
    """Nodes with `warm_days` of history behind them; `live` lets time pass."""

    def __init__(self, telemetry: Telemetry, progress: Progress, *, warm_days: int = WARM_DAYS) -> None:
        self.telemetry = telemetry
        self.names = [f"node-{i}" for i in range(telemetry.nodes)]
        self.watch = Watch(max_nodes=telemetry.nodes)
        self.day = warm_days
        self._warm(progress)

    def live(self, y: FloatArray, first_tick: int = 0) -> Iterator[tuple[int, Mapping[str, Hazard]]]:
        """Poll values (ticks, nodes, 4) of the present day; yield each tick with the hazards told."""
        for tick, values in enumerate(y, start=first_tick):
            now = (self.day * TICKS + tick) * float(PERIOD_S)
            readings = values.tolist()
            for i in np.flatnonzero(np.isfinite(values).all(axis=1)).tolist():
                values_of = dict(zip(METRICS, readings[i], strict=True))
                self.watch.record(self.names[i], Sample(now, values_of))
            yield tick, self.watch.tick(now, _EPOCH_S + now, UTC_OFFSET_S)

    def _warm(self, progress: Progress) -> None:
        """Minutes' means teach the baselines; the letters of those days are not looked at."""
        baselines = [[Baseline() for _ in METRICS] for _ in self.names]
        for day in range(self.day):
            for minute, values in enumerate(_minutes(self.telemetry.day(day)).tolist()):
                at = _EPOCH_S + day * 86_400.0 + minute * 60.0
                for own, reading in zip(baselines, values, strict=True):
                    for baseline, value in zip(own, reading, strict=True):
                        if not math.isnan(value):
                            baseline.update(value, at, utc_offset_s=UTC_OFFSET_S)
            progress(f"history of {len(self.names)} nodes: day {day + 1} of {self.day}")
        for name, own in zip(self.names, baselines, strict=True):
            for metric, baseline in zip(METRICS, own, strict=True):
                self.watch.restore(name, metric, baseline.to_bytes())


def _minutes(y: FloatArray) -> FloatArray:
    """Means of the polls answered in each minute; NaN where none was."""
    by_minute = y.reshape(-1, _MINUTE, *y.shape[1:])
    count = np.isfinite(by_minute).sum(axis=1)
    return np.asarray(np.where(count, np.nansum(by_minute, axis=1) / np.maximum(count, 1), np.nan))
