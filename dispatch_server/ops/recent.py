"""The last minute of what only grows: rates and quantiles that say how it is now, not on average."""

from collections import deque
from dataclasses import dataclass
from operator import sub
from typing import Final

from dispatch_server.counters import HISTOGRAMS, Counters, quantile

_MINUTE: Final = 60.0  # s


@dataclass(frozen=True, slots=True)
class _Moment:
    at_s: float
    counts: dict[str, float]
    buckets: dict[str, tuple[int, ...]]


class Recent:
    """Keeps a moment each time that it is asked to; `now_s` must not go back."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._moments: deque[_Moment] = deque()

    def take(self, now_s: float) -> None:
        """Look at the counters: about once a second."""
        buckets = {name: tuple(self._counters.histogram(name).counts) for name in HISTOGRAMS}
        self._moments.append(_Moment(now_s, dict(self._counters.snapshot()), buckets))
        while self._moments[0].at_s < now_s - _MINUTE:
            self._moments.popleft()

    def rate(self, name: str) -> float | None:
        """How often a second something was counted in the last minute; None before that can be told."""
        if len(self._moments) < 2:
            return None
        first, last = self._moments[0], self._moments[-1]
        return (last.counts[name] - first.counts[name]) / (last.at_s - first.at_s)

    def quantile(self, name: str, share: float) -> float | None:
        """Of a histogram's last minute; see `quantile`. None when nothing was observed in it."""
        if len(self._moments) < 2:
            return None
        first, last = self._moments[0].buckets[name], self._moments[-1].buckets[name]
        return quantile(HISTOGRAMS[name], list(map(sub, last, first)), share)
