"""How late the loop is: a callback that is due every 50 ms measures by how much it comes late.

It asks the machine's monotonic clock, not the loop's: a loop may keep the time of its last turn.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from dispatch_server.counters import Counters

EVERY: Final = 0.05  # s
STALLED: Final = 0.25  # s: later than this is a stall
_MINUTE: Final = 60  # s
_log = structlog.get_logger("loop")


class Longest:
    """The longest of the last minute, to the second, and ever (s). `now_s` must not go back."""

    def __init__(self) -> None:
        self.ever = 0.0
        self._seconds: deque[tuple[int, float]] = deque()  # (second, longest in it)

    def take(self, now_s: float, value: float) -> None:
        """Take a value in."""
        self.ever = max(self.ever, value)
        second = int(now_s)
        if self._seconds and self._seconds[-1][0] == second:
            value = max(value, self._seconds.pop()[1])
        self._seconds.append((second, value))
        self._forget(now_s)

    def last_minute(self, now_s: float) -> float:
        """The longest of the minute before `now_s`; 0 when nothing was taken in it."""
        self._forget(now_s)
        return max((value for _, value in self._seconds), default=0.0)

    def _forget(self, now_s: float) -> None:
        while self._seconds and self._seconds[0][0] < int(now_s) - _MINUTE:
            self._seconds.popleft()


class LoopLag:
    """Measures while it is started. `beat`: when the loop turned last, for the watchdog's thread."""

    def __init__(self, counters: Counters, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.beat = clock()
        self._longest = Longest()
        self._counters = counters
        self._histogram = counters.histogram("loop_lag")
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to measure the running loop."""
        self._arm(self.clock())

    def stop(self) -> None:
        """Measure no more."""
        if self._timer:
            self._timer.cancel()

    @property
    def last_minute(self) -> float:
        """The longest lateness of the last minute (s)."""
        return self._longest.last_minute(self.clock())

    @property
    def ever(self) -> float:
        """The longest lateness since the start (s)."""
        return self._longest.ever

    def _arm(self, now: float) -> None:
        self.beat = now
        self._due = now + EVERY
        self._timer = asyncio.get_running_loop().call_later(EVERY, self._turn)

    def _turn(self) -> None:
        now = self.clock()
        late = max(0.0, now - self._due)
        self._arm(now)
        self._histogram.observe(late)
        self._longest.take(now, late)
        if late > STALLED:
            self._counters.add("loop_stalls")
            _log.warning("the loop stood still", seconds=round(late, 3))
