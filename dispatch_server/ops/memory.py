"""Keeps full garbage collections short.

A full collection walks every object that may be part of a cycle: with thousands of links that is a stall of
a fifth of a second, in the middle of the storm in which they come back. What a session is made of lives long
and is freed by its last reference, so it is taken out of the collector's sight when many have opened. Price:
a cycle that was rubbish at that moment, after a collection of the younger objects, is never found.
"""

import gc

from dispatch_server.counters import Histogram

_FEW = 100  # sessions that are not worth it


class Sessions:
    """`opened` counts each opened session; `links`: how many there are in all."""

    def __init__(self, opened: Histogram, links: int) -> None:
        self._opened = opened
        self._enough = max(_FEW, links // 20)
        self._seen = 0

    async def settle(self) -> None:
        """To be called each second."""
        opened = sum(self._opened.counts)
        if opened - self._seen >= self._enough:
            self._seen = opened
            gc.collect(1)
            gc.freeze()
