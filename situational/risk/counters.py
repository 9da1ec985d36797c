"""The running system's counters over a sliding window -> probability intervals with their provenance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from situational.errors import BadSettingError, TimeWentBackwardsError
from situational.risk.errors import CounterError
from situational.risk.factors import COUNTERS, SOURCES, Source
from situational.risk.interval import Interval
from situational.risk.panel import SCALE, Opinion, Panel

Z = 1.96  # 95 %
Counts = tuple[float, ...]  # the increases of one source's counters, its exposure last


@dataclass(frozen=True, slots=True)
class Bucket:
    """What was counted between two times, per factor; a factor is missing when a counter of it was."""

    begin_s: float
    end_s: float
    counts: Mapping[str, Counts]


@dataclass(frozen=True, slots=True)
class CounterWindow:
    """A sliding window over counters, in buckets: the memory is bounded however often it is fed.

    Times are monotonic seconds. A counter below its last value began anew with its process and counts from 0.
    """

    span_s: float = 3600.0
    bucket_s: float = 60.0
    buckets: tuple[Bucket, ...] = ()
    last_s: float | None = None
    last: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        if not 0 < self.bucket_s < math.inf:
            raise BadSettingError("bucket_s", self.bucket_s, "a positive number of seconds")
        if not self.bucket_s <= self.span_s <= 10_000 * self.bucket_s:
            raise BadSettingError("span_s", self.span_s, "1 to 10,000 times bucket_s")

    def push(self, counters: Mapping[str, float], now_s: float) -> CounterWindow:
        """The window after one more look at the counters; names that no factor uses are left out.

        Raises CounterError, TimeWentBackwardsError.
        """
        known = {name: _checked(name, counters[name]) for name in COUNTERS if name in counters}
        if self.last_s is None:
            return replace(self, last_s=now_s, last=known)
        if not now_s >= self.last_s:
            raise TimeWentBackwardsError(self.last_s, now_s)
        kept = [bucket for bucket in self.buckets if bucket.end_s > now_s - self.span_s]
        added = Bucket(self.last_s, now_s, _increases(self.last, known))
        if kept and now_s - kept[-1].begin_s <= self.bucket_s:
            kept[-1] = _merged(kept[-1], added)
        else:
            kept.append(added)
        return replace(self, buckets=tuple(kept), last_s=now_s, last=known)

    def counts(self, code: str) -> tuple[Counts, float] | None:
        """The sums of one factor's counters and the seconds they were watched; None when never."""
        seen = [bucket for bucket in self.buckets if code in bucket.counts]
        if not seen:
            return None
        columns = zip(*(bucket.counts[code] for bucket in seen), strict=True)
        return tuple(map(math.fsum, columns)), math.fsum(b.end_s - b.begin_s for b in seen)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a factor's live probability comes from.

    `counts` are the increases of its counters by name, the exposure last, over `watched_s` seconds;
    `events` of `trials` gave `rate` (Wilson, 95 %), `probability` is that on the experts' scale, and `weight`
    its share in the combination.
    """

    code: str
    counts: tuple[tuple[str, float], ...]
    watched_s: float
    events: float
    trials: float
    rate: Interval
    probability: Interval
    weight: float


@dataclass(frozen=True, slots=True)
class Observed:
    """The experts' panel with the counters worked in, and the evidence per observable factor."""

    panel: Panel
    evidence: Mapping[str, Evidence]


def observe(panel: Panel, window: CounterWindow) -> Observed:
    """Combine: each expert's probability becomes (1 − w)·own + w·counted; severities stay the experts'."""
    evidence = {code: weigh(code, source, window) for code, source in SOURCES.items()}
    opinions = {
        code: tuple(_moved(opinion, evidence[code]) for opinion in row) if code in evidence else row
        for code, row in panel.opinions.items()
    }
    return Observed(replace(panel, opinions=opinions), evidence)


def weigh(code: str, source: Source, window: CounterWindow) -> Evidence:
    """The evidence of one factor; without exposure it is [0, 10] with weight 0: the experts decide."""
    counted = window.counts(code)
    sums, watched_s = counted or ((), 0.0)
    trials = sums[-1] / source.per if sums else 0.0
    events = min(math.fsum(sums[:-1]) / source.per, trials)
    rate = wilson(events, trials)
    top = source.full_scale
    probability = Interval(SCALE * min(rate.lower / top, 1.0), SCALE * min(rate.upper / top, 1.0))
    return Evidence(
        code=code,
        counts=tuple(zip(source.counters, sums, strict=True)) if sums else (),
        watched_s=watched_s,
        events=events,
        trials=trials,
        rate=rate,
        probability=probability,
        weight=1 - (probability.upper - probability.lower) / SCALE,
    )


def wilson(events: float, trials: float) -> Interval:
    """The 95 % score interval of a proportion (Wilson 1927); [0, 1] without trials."""
    if trials <= 0:
        return Interval(0.0, 1.0)
    centre = events + Z * Z / 2
    half = Z * math.sqrt(events * (trials - events) / trials + Z * Z / 4)
    whole = trials + Z * Z
    lower = 0.0 if events == 0 else max((centre - half) / whole, 0.0)
    upper = 1.0 if events == trials else min((centre + half) / whole, 1.0)
    return Interval(lower, upper)


def _checked(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e18:
        raise CounterError(name, value)
    return float(value)


def _increases(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, Counts]:
    """Only where every counter of a factor was seen both times: a missing one must not read as no event."""
    return {
        code: tuple(_increase(before[name], now[name]) for name in source.counters)
        for code, source in SOURCES.items()
        if all(name in before and name in now for name in source.counters)
    }


def _increase(before: float, now: float) -> float:
    return now - before if now >= before else now


def _merged(a: Bucket, b: Bucket) -> Bucket:
    """Counts of factors missing in one part stay those of the other; the time then overstates by a bucket."""
    counts = dict(a.counts)
    for code, more in b.counts.items():
        counts[code] = tuple(x + y for x, y in zip(counts.get(code, (0.0,) * len(more)), more, strict=True))
    return Bucket(a.begin_s, b.end_s, counts)


def _moved(opinion: Opinion, evidence: Evidence) -> Opinion:
    own, counted, w = opinion.probability, evidence.probability, evidence.weight
    lower = (1 - w) * own.lower + w * counted.lower
    upper = (1 - w) * own.upper + w * counted.upper
    return replace(opinion, probability=Interval(lower, max(lower, upper)))
