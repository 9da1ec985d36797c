"""The event loop of the real programs: uvloop where it is installed (always on Linux), else asyncio's own."""

import asyncio
import gc
import importlib.util
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

R = TypeVar("R")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes the loop; None: asyncio's default."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    return factory


# s: how long a busy loop may keep the journal's thread from the interpreter, and with it all who wait for
# its commit; Python's own 5 ms are ten commits.
_SWITCH = 0.0005


def run(main: Coroutine[Any, Any, R]) -> R:
    """As asyncio.run; what is loaded by now stays, so no garbage collection walks it again."""
    gc.freeze()
    sys.setswitchinterval(_SWITCH)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)
