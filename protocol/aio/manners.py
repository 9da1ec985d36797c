"""What valid frames of a superior are too many, and how much of a flood the log is told. No clock inside."""

from collections.abc import Callable
from dataclasses import dataclass

from protocol.errors import PeerFault, WireCode
from protocol.limits import MAX_UNACKNOWLEDGED, Timers

MAX_UNASKED = 64
_POLLS = 64.0  # polls ahead of their time: a slow network may bring a few at once
_PUNCTUAL = 0.99
_LINES = 30.0  # log lines about one thing at once
_LINES_PER_S = 0.2


class Manners:
    """Judges one session. `news` counts what we told or took in it: each of these may bring a poll at once.

    A superior asks again at once when the answer brought news or was held for half of the hold time, and else
    at the interval; at most MAX_UNACKNOWLEDGED items are on their way, and each is said once.
    """

    def __init__(self, timers: Timers, now: float, news: Callable[[], int]) -> None:
        hold, interval = timers.hold_ms / 1000, timers.poll_interval_ms / 1000
        self._each = hold / 2 if hold else _PUNCTUAL * interval
        self._news = news
        self._counted = news()
        self._polls = _POLLS
        self._polled_at = now
        self._cursor = 0
        self._delivered = 0
        self._unasked = 0

    def polled(self, now: float) -> None:
        """A poll came. Raises PeerFault(LIMIT)."""
        news = self._news()
        earned = (now - self._polled_at) / self._each + news - self._counted
        self._polls = min(_POLLS, self._polls + earned) - 1
        self._polled_at, self._counted = now, news
        self._delivered = 0
        if self._polls < 0:
            raise PeerFault(WireCode.LIMIT, "polls faster than its timers and our news allow")

    def delivered(self, cursor: int) -> None:
        """An item came. Raises PeerFault(SEQUENCE | LIMIT)."""
        if cursor <= self._cursor:
            raise PeerFault(WireCode.SEQUENCE, f"item {cursor} after {self._cursor} in one session")
        self._cursor = cursor
        self._delivered += 1
        # One report lies between two polls, so at most one window of items is acknowledged meanwhile.
        if self._delivered > 2 * MAX_UNACKNOWLEDGED:
            raise PeerFault(WireCode.LIMIT, f"more than {2 * MAX_UNACKNOWLEDGED} items without a poll")

    def replied(self, *, asked: bool) -> None:
        """A reply came; those that nobody asked for are dropped. Raises PeerFault(LIMIT)."""
        self._unasked += not asked
        if self._unasked > MAX_UNASKED:
            raise PeerFault(WireCode.LIMIT, f"more than {MAX_UNASKED} replies that nobody asked for")


@dataclass(slots=True)
class Volume:
    """How many lines one thing may have in the log."""

    lines: float = _LINES
    at: float = 0.0
    unsaid: int = 0

    def say(self, now: float) -> int | None:
        """How many were not said before this line; None: this one is not said either."""
        self.lines = min(_LINES, self.lines + (now - self.at) * _LINES_PER_S)
        self.at = now
        if self.lines < 1:
            self.unsaid += 1
            return None
        self.lines -= 1
        unsaid, self.unsaid = self.unsaid, 0
        return unsaid
