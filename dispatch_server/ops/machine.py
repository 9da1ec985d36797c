"""What this process takes of its machine, and how large its journal is. Read in a thread of its own.

Counting descriptors or asking a disk can take long, and names that do not resolve hold the loop's common
threads.
"""

import asyncio
import resource
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

_PATIENCE: Final = 2.0  # s; a disk that hangs costs the newest figures, not the others
_PARTS: Final = ("", "-wal", "-shm")  # SQLite's files


@dataclass(frozen=True, slots=True)
class Usage:
    """`started_s`: wall clock, seconds since the epoch."""

    cpu_s: float
    started_s: float
    resident_bytes: int
    open_files: int
    most_files: int
    journal_bytes: int
    free_bytes: int


class Machine:
    """Reads this process."""

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._process = psutil.Process()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="usage")
        self._asked: asyncio.Future[Usage] | None = None
        self._last: Usage | None = None

    async def usage(self) -> Usage | None:
        """The newest figures that could be had in time; None when there never were any."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.get_running_loop().run_in_executor(self._thread, self._read)
            self._asked.add_done_callback(
                lambda done: done.cancelled() or done.exception()
            )  # it is told once
        with suppress(TimeoutError, OSError, psutil.Error):
            self._last = await asyncio.wait_for(asyncio.shield(self._asked), _PATIENCE)
        return self._last

    def close(self) -> None:
        """Read no more."""
        self._thread.shutdown(wait=False)

    def _read(self) -> Usage:
        with self._process.oneshot():
            times = self._process.cpu_times()
            return Usage(
                cpu_s=times.user + times.system,
                started_s=self._process.create_time(),
                resident_bytes=self._process.memory_info().rss,
                open_files=self._process.num_fds(),
                most_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
                journal_bytes=sum(_size(Path(f"{self._journal}{part}")) for part in _PARTS),
                free_bytes=shutil.disk_usage(self._journal.parent).free,
            )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
