"""Python runs this first when its folder is in PYTHONPATH: the wall clock of a program is set by a file.

The file `clock` beside the program's configuration holds how many ms it is ahead; it may change at any time.
The monotonic clock stays what it is, as on a machine whose wall clock somebody sets.
"""

import sys
import time
from contextlib import suppress
from pathlib import Path

_real_ns = time.time_ns


def _ahead_ns() -> int:
    with suppress(OSError, ValueError):
        return int(_CLOCK.read_text("ascii")) * 1_000_000
    return 0


if "--config" in sys.orig_argv:
    _CLOCK = Path(sys.orig_argv[sys.orig_argv.index("--config") + 1]).parent / "clock"
    time.time_ns = lambda: _real_ns() + _ahead_ns()
    time.time = lambda: time.time_ns() / 1e9
