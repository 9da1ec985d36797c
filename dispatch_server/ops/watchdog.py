"""Says what holds the loop while it is held: a thread that logs the loop's stack once for each stall.

Only file, line and function are told, never a value. Nobody depends on it: should the thread end, the server
goes on unwatched.
"""

import contextvars
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import PurePath
from types import FrameType
from typing import Final

import structlog

from dispatch_server.ops.lag import EVERY, STALLED

_DEEPEST: Final = 40  # frames of a stack, the innermost ones
_STACKS: Final = 10  # in a minute; a server that is merely overloaded must not fill its log
_MINUTE: Final = 60.0  # s
_log = structlog.get_logger("loop")


class Watchdog:
    """Watches the thread in which it was made. `beat()`: when its loop turned last, by `time.monotonic`."""

    def __init__(self, beat: Callable[[], float]) -> None:
        self._beat = beat
        self._watched = threading.get_ident()
        self._stop = threading.Event()
        context = contextvars.copy_context()  # so that its lines name the node, too
        self._thread = threading.Thread(target=context.run, args=(self._run,), name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch. Not under a virtual clock: its loop turns only when nothing is to be done."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more; returns when the thread has ended."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        told, quiet = 0.0, Quota(_STACKS, _MINUTE)
        due = time.monotonic() + EVERY
        while not self._stop.wait(EVERY):
            now, beat = time.monotonic(), self._beat()
            was_late = now - due > STALLED  # we could not run either: the machine was suspended, perhaps
            due = now + EVERY
            if was_late or beat == told or now - beat <= STALLED + EVERY:
                continue
            told = beat
            if quiet.allows(now):
                _log.warning("the loop is held", for_s=round(now - beat, 3), at=self._stack())

    def _stack(self) -> list[str]:
        frames = sys._current_frames()  # noqa: SLF001 - public, documented: its name warns of what it is for
        return list(stack_of(frames.get(self._watched)))


class Quota:
    """At most `most` in `span_s`, counted from the first of them."""

    def __init__(self, most: int, span_s: float) -> None:
        self._most, self._span_s = most, span_s
        self._began, self._count = float("-inf"), 0

    def allows(self, now_s: float) -> bool:
        """Whether one more is allowed now; it is then counted."""
        if now_s - self._began >= self._span_s:
            self._began, self._count = now_s, 0
        self._count += 1
        return self._count <= self._most


def stack_of(frame: FrameType | None) -> Iterator[str]:
    """`folder/file.py:line function` of each frame, the innermost first."""
    for _ in range(_DEEPEST):
        if frame is None:
            return
        code = frame.f_code
        place = "/".join(PurePath(code.co_filename).parts[-3:])
        yield f"{place}:{frame.f_lineno} {code.co_qualname}"
        frame = frame.f_back
