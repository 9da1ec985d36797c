"""Who is due when: one heap for all links, and at most one entry that counts for each of them.

An entry is never put off: when a link's time moves back, the old entry comes up, finds nothing due and asks
again. So an exchange of poll and report costs no change of the heap at all.
"""

import heapq
import math
from itertools import count
from typing import Protocol

NEVER = math.inf


class Timed(Protocol):
    """Something with a time; `scheduled` is the schedule's own mark and begins as NEVER."""

    scheduled: float

    def on_timer(self, now: float) -> None:
        """The time that was asked for has come, or an earlier one."""
        ...


class Schedule:
    """Times are monotonic seconds."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._order = count()

    def at(self, timed: Timed, when: float) -> None:
        """Call `timed` at `when` or a little earlier; an earlier call that is due anyway will do."""
        if when < timed.scheduled:
            timed.scheduled = when
            heapq.heappush(self._heap, (when, next(self._order), timed))

    def next_time(self) -> float:
        """When somebody is due, or NEVER."""
        heap = self._heap
        while heap and heap[0][0] != heap[0][2].scheduled:
            heapq.heappop(heap)  # an earlier entry was made after it
        return heap[0][0] if heap else NEVER

    def pop_due(self, now: float) -> Timed | None:
        """The next one whose time has come; its entry is gone."""
        if self.next_time() > now:
            return None
        timed = heapq.heappop(self._heap)[2]
        timed.scheduled = NEVER
        return timed
