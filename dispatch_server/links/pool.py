"""All links of a server: one schedule, one timer in the loop, dials paced so that a storm is a queue."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from dispatch_server.links.link import Link
from dispatch_server.links.ports import Dials
from dispatch_server.links.schedule import NEVER, Schedule, Timed

DIALS_PER_S = 1_000.0  # more handshakes than one core can make in a second
_BURST = 32.0
_SLICE = 64  # timers of one turn of the loop: some 2 ms
_GRAIN_S = 0.005  # links that are due within this are served by one wake-up
_RETRY_S = 0.02  # until asking again whether there is room for a handshake


class Pool:
    """Keeps links up. `has_room`: whether another handshake may begin now."""

    def __init__(
        self,
        links: Sequence[Link],
        *,
        clock: Callable[[], float] | None = None,
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self.links = links
        self._clock = clock
        self._has_room = has_room
        self._schedule = Schedule()
        self._waiting: deque[Dials] = deque()
        self._tokens = _BURST
        self._earned_at = 0.0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: asyncio.TaskGroup | None = None
        self._alarm: asyncio.Handle | None = None
        self._alarm_at = NEVER
        self._is_stopping = False

    async def run(self) -> None:
        """Keep all links up until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._earned_at = self.now()
        async with asyncio.TaskGroup() as self._tasks:
            for link in self.links:
                link.start(self)
            try:
                await asyncio.Event().wait()
            finally:  # before the group waits for its tasks: it takes no new ones any more
                self._stop()

    def _stop(self) -> None:
        self._is_stopping = True
        for link in self.links:
            link.stop()
        self._waiting.clear()
        if self._alarm:
            self._alarm.cancel()

    def now(self) -> float:
        """See Keeper."""
        if self._clock:
            return self._clock()
        return asyncio.get_running_loop().time()

    def at(self, timed: Timed, when: float) -> None:
        """See Keeper."""
        self._schedule.at(timed, when)
        if when < self._alarm_at:
            self._arm(when)

    def spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """See Keeper."""
        assert self._tasks is not None  # noqa: S101
        return self._tasks.create_task(work)

    def want_dial(self, link: Dials) -> None:
        """See Keeper."""
        self._waiting.append(link)
        self._arm(self.now())

    def _arm(self, when: float) -> None:
        if self._is_stopping:
            return
        if self._alarm:
            self._alarm.cancel()
        assert self._loop is not None  # noqa: S101
        self._alarm_at = when
        self._alarm = self._loop.call_at(when, self._on_alarm)

    def _on_alarm(self) -> None:
        self._alarm, self._alarm_at = None, NEVER
        now = self.now()
        self._start_dials(now)
        for _ in range(_SLICE):
            timed = self._schedule.pop_due(now)
            if timed is None:
                break
            timed.on_timer(now)
        next_time = self._schedule.next_time()
        if self._waiting:
            next_time = min(next_time, now + _RETRY_S)
        if next_time < NEVER and next_time < self._alarm_at:
            self._arm(next_time if next_time <= now else max(next_time, now + _GRAIN_S))

    def _start_dials(self, now: float) -> None:
        """In the order in which they became due, so that none starves."""
        self._tokens = min(_BURST, self._tokens + (now - self._earned_at) * DIALS_PER_S)
        self._earned_at = now
        while self._waiting and self._tokens >= 1 and self._has_room():
            self._tokens -= 1
            self.spawn(self._waiting.popleft().establish())
