"""Quiet telemetry of many nodes by the day: load, shift changes, jobs, spikes, gaps, serial correlation.

Every node has its own size, noise, correlation, weekday and hours of its jobs. Nothing in it was made to suit
the classifier: noise is lognormal AR(1) with φ up to 0.97, people log in one by one about a change of shift.
"""

from __future__ import annotations

import numpy as np

from situational.letters import FloatArray
from situational.series import METRICS

PERIOD_S = 5
TICKS = 86_400 // PERIOD_S
UTC_OFFSET_S = 28_800.0

_SHIFT = TICKS // 3
_MOST_CREW = 40
_MINUTE = 60 // PERIOD_S
_SHIFT_SIZES = (0.5, 1.0, 0.8)  # from 0, 8, 16 o'clock
_WEEKEND = 0.6
_PAGE = 4096.0


class Telemetry:
    """`day(d)` gives (TICKS, nodes, 4), NaN where a poll failed; days must be asked for in order."""

    def __init__(self, seed: int, nodes: int) -> None:
        rng = np.random.default_rng([seed, 0])
        self.nodes = nodes
        self._seed, self._nodes = seed, nodes
        self._rng = np.random.default_rng([seed, 1])
        self._weekday = rng.integers(0, 7, nodes)
        self._crew = rng.integers(4, 30, nodes)
        self._flow = 10 ** rng.uniform(5.0, 7.5, nodes)
        self._connections = rng.uniform(20.0, 400.0, nodes)
        self._memory = rng.uniform(2e9, 32e9, nodes)
        self._peak = rng.uniform(9.0, 20.0, nodes)
        self._depth = rng.uniform(0.1, 0.45, nodes)
        self._phi = rng.choice([0.0, 0.5, 0.9, 0.97], (nodes, 4))
        self._phi[:, 3] = 0.99
        # Of sessions, flow, connections, memory; people are counted one by one below.
        self._spread = np.stack(
            [
                np.zeros(nodes),
                rng.uniform(0.08, 0.30, nodes),
                rng.uniform(0.03, 0.12, nodes),
                rng.uniform(0.003, 0.02, nodes),
            ],
            axis=1,
        )
        self._noise = self._rng.normal(size=(nodes, 4))
        self._job = rng.integers(0, TICKS, nodes)
        self._job_length = rng.integers(20 * _MINUTE, 45 * _MINUTE, nodes)
        self._job_size = rng.uniform(1.0, 3.0, nodes)

    def day(self, index: int) -> FloatArray:
        sessions = self._sessions(index)
        noise = self._correlated()
        hours = np.arange(TICKS)[:, None] * PERIOD_S / 3600.0
        load = 1.0 + self._depth * np.cos((hours - self._peak) * (2.0 * np.pi / 24.0))
        load *= np.where(self._is_weekend(index), _WEEKEND, 1.0)
        used = sessions / self._crew
        jobs = self._jobs()
        y = np.empty((TICKS, self._nodes, len(METRICS)))
        y[..., 0] = sessions
        y[..., 1] = self._flow * ((0.7 * load + 0.3 * used) * np.exp(noise[..., 1]) + jobs)
        y[..., 2] = self._connections * (0.7 * load + 0.3 * used) * np.exp(noise[..., 2]) * (1.0 + 0.1 * jobs)
        y[..., 3] = self._memory * (0.5 + 0.1 * load + 0.05 * used + noise[..., 3] + 0.03 * jobs)
        self._spike(y)
        y[..., 2] = np.round(y[..., 2])
        y[..., 3] = _PAGE * np.round(y[..., 3] / _PAGE)
        self._drop(y)
        return y

    def _is_weekend(self, day: int) -> FloatArray:
        return np.asarray((day + self._weekday) % 7 >= 5)

    def _sessions(self, day: int) -> FloatArray:
        """People come one by one about the change of shift, and leave when they have handed over."""
        change = np.zeros((TICKS + 1, self._nodes))
        columns = np.broadcast_to(np.arange(self._nodes)[:, None], (self._nodes, _MOST_CREW))
        for shift in range(3 * day - 1, 3 * day + 4):
            rng = np.random.default_rng([self._seed, 2, shift + 1000])
            size = np.where(self._is_weekend(shift // 3), _WEEKEND, 1.0) * _SHIFT_SIZES[shift % 3]
            crew = np.rint(self._crew * size * rng.uniform(0.9, 1.1, self._nodes))
            there = np.arange(_MOST_CREW) < crew[:, None]
            begin = (shift - 3 * day) * _SHIFT
            come = begin + rng.normal(-3 * _MINUTE, 4 * _MINUTE, there.shape)
            leave = begin + _SHIFT + rng.normal(6 * _MINUTE, 4 * _MINUTE, there.shape)
            for when, step in ((come, 1.0), (leave, -1.0)):
                at = np.clip(when, 0, TICKS).astype(np.intp)
                np.add.at(change, (at[there], columns[there]), step)
        return np.asarray(1.0 + np.cumsum(change[:TICKS], axis=0))

    def _correlated(self) -> FloatArray:
        steps = self._rng.normal(size=(TICKS, self._nodes, 4)) * np.sqrt(1.0 - self._phi**2)
        for i in range(TICKS):
            steps[i] += self._phi * self._noise
            self._noise = steps[i]
        return np.asarray(steps * self._spread)

    def _jobs(self) -> FloatArray:
        """A job at the same hour every day, and every third day one that nobody planned."""
        rng, ticks = self._rng, np.arange(TICKS)[:, None]
        begin = self._job + rng.integers(0, 2 * _MINUTE, self._nodes)
        jobs = self._job_size * ((ticks - begin) % TICKS < self._job_length)
        there = rng.random(self._nodes) < 1 / 3
        begin, length = (
            rng.integers(0, TICKS, self._nodes),
            rng.integers(10 * _MINUTE, _SHIFT // 8, self._nodes),
        )
        size = rng.uniform(0.5, 2.0, self._nodes) * there
        return np.asarray(jobs + size * ((ticks >= begin) & (ticks < begin + length)))

    def _spike(self, y: FloatArray) -> None:
        """Single readings that are far off, two a day for flow and connections each."""
        struck = self._rng.random((TICKS, self._nodes, 2)) < 2.0 / TICKS
        y[..., 1:3] *= np.where(struck, self._rng.uniform(3.0, 20.0, struck.shape), 1.0)

    def _drop(self, y: FloatArray) -> None:
        """One poll in five hundred fails, and once a day a link is away for up to ten minutes."""
        y[self._rng.random((TICKS, self._nodes)) < 0.002] = np.nan
        begin = self._rng.integers(0, TICKS, self._nodes)
        length = self._rng.integers(4, 10 * _MINUTE, self._nodes)
        ticks = np.arange(TICKS)[:, None]
        y[(ticks >= begin) & (ticks < begin + length)] = np.nan
