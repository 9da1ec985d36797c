"""Ctrl-C, SIGTERM and a closed terminal end the demo, but only where nothing can be left behind by that."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Takes the signals from `installed` on. The first one raises KeyboardInterrupt at once where that is
    allowed, or where it next is; later ones are for somebody who is cleaning up already.
    """

    def __init__(self) -> None:
        self.asked = False
        self._allowed = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take the signals. After the first one they stay without effect: the program is about to end."""
        previous = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, signal.SIG_IGN if self.asked else handler)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        first, self.asked = not self.asked, True
        if first and self._allowed:
            raise KeyboardInterrupt

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """The block may be interrupted anywhere. Raises KeyboardInterrupt."""
        try:
            self._allow()
            yield
        finally:
            self._allowed = False

    @contextmanager
    def postponed(self) -> Iterator[None]:
        """The block, in one that may be interrupted, may not. Raises KeyboardInterrupt at its end."""
        self._allowed = False
        yield
        self._allow()

    def _allow(self) -> None:
        self._allowed = True
        if self.asked:
            raise KeyboardInterrupt
