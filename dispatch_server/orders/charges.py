"""Who pays for what was refused: the direct peer, or the node behind it that signed it.

A link whose peer causes too many refusals in a short time is ended (`Work.refusals` says how many one report
caused). A center must not lose its link, and its region with it, for what one plant behind it does: it
charges that plant itself, as each refusal passes it on the way down. So here each plant behind a center is
allowed more than a rightful center lets through; the center should have stopped the rest, and pays for it.
"""

import asyncio
from collections.abc import Callable, Mapping

from protocol.aio.station import Work
from protocol.limits import MAX_REFUSALS

ALLOWED = 4 * MAX_REFUSALS  # at once, of one plant behind a center: two centers on the way that start again
_FORGOTTEN_PER_S = MAX_REFUSALS / 60.0


def loop_time() -> float:
    """Monotonic seconds of the running loop."""
    return asyncio.get_running_loop().time()


class Charges:
    """`routes`: plant -> the direct subordinate that leads to it. `now` gives monotonic seconds."""

    def __init__(self, routes: Mapping[str, str], now: Callable[[], float] = loop_time) -> None:
        self._routes = routes
        self._now = now
        self._levels: dict[str, tuple[float, float]] = {}

    def charge(self, work: Work, peer: str, plant: str | None) -> None:
        """Something that `peer` brought is refused. `plant`: whose order it is about, if that is known."""
        if plant is None or plant == peer or self._routes.get(plant) != peer or self._exceeds(plant):
            work.refusals += 1

    def _exceeds(self, plant: str) -> bool:
        now = self._now()
        level, at = self._levels.get(plant, (0.0, now))
        level = max(0.0, level - (now - at) * _FORGOTTEN_PER_S) + 1
        self._levels[plant] = min(level, ALLOWED + 1), now
        return level > ALLOWED
