"""Acknowledgements that wait to be written: with the next decision, or soon on their own.

Nothing depends on one: after a crash the peer says in its next Hello or Welcome what it holds.
"""

import asyncio
from collections.abc import Callable, Sequence

_WITHIN = 1.0  # s until one is written on its own
_AT_ONCE = 256  # peers; a decision that takes them along must not become slow by it
_NEXT = 0.05  # s until the next so many are written, if there are more


class Owed:
    """The peers whose acknowledgement is not handed in yet. `write`: write a decision now, be it empty."""

    def __init__(self, write: Callable[[], object]) -> None:
        self._write = write
        self._peers: dict[str, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._peers)

    def add(self, peer: str) -> None:
        """The acknowledgement of this peer moved."""
        self._peers[peer] = None
        if self._timer is None:
            self._arm(_WITHIN)

    def take(self) -> Sequence[str]:
        """The peers whose acknowledgement goes along with a decision that is being written."""
        if not self._peers:
            return ()
        taken = list(self._peers)[:_AT_ONCE]
        for peer in taken:
            del self._peers[peer]
        self.stop()
        if self._peers:
            self._arm(_NEXT)
        return taken

    def stop(self) -> None:
        """Write nothing on one's own any more."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _arm(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._due)

    def _due(self) -> None:
        self._timer = None
        self._write()
