"""What a measured program tells of itself: CPU, stalls of its loop, its journal's commits.

It speaks as `responders.Child` hears: one JSON command per line on standard input, one answer on the output.
"""

import asyncio
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psutil

from protocol.aio.station import Station
from protocol.journal.batch import Batch, Head
from protocol.journal.file import JournalFile

_BEAT = 0.005  # s
_STDIN = 0


class JournalWatch:
    """Counts and times the transactions of this process's journal, seen from its writer's thread."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.seconds: list[float] = []
        self.entries = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time each `JournalFile.write` inside the block."""
        write = JournalFile.write

        def timed(file: JournalFile, batches: Iterable[Batch]) -> Head:
            group = list(batches)
            began = time.perf_counter()
            head = write(file, group)
            self.seconds.append(time.perf_counter() - began)
            self.groups.append(len(group))
            self.entries += sum(len(batch.entries) for batch in group)
            return head

        with patch.object(JournalFile, "write", timed):
            yield


class Probe:
    """Sits in a program's loop. `commands` are added to `reset`, `report` and `stop`."""

    def __init__(self, journal: JournalWatch) -> None:
        self._journal = journal
        self._pending = b""
        self._commit_s: list[float] = []
        self._stall = self._due = 0.0
        self._collected = self._collecting = 0.0
        self._cpu = 0.0
        self._commands: dict[str, Callable[..., Any]] = {
            "reset": self._reset,
            "report": self.report,
            "stop": self._stop,
        }

    def attach(self, station: Station, commands: Mapping[str, Callable[..., Any]]) -> None:
        """Begin. A command's function gives what is answered; None answers nothing yet."""
        self._commands |= commands
        loop = asyncio.get_running_loop()
        before = station.on_committed

        def on_committed(seconds: float) -> None:
            self._commit_s.append(seconds)
            before(seconds)

        station.on_committed = on_committed
        gc.callbacks.append(self._on_collection)
        loop.add_reader(_STDIN, self._on_input)
        self._reset()
        self._beat()
        self.say("start")

    def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        now = time.monotonic()  # finer than uvloop's own clock
        if self._due:
            self._stall = max(self._stall, now - self._due)
        self._due = now + _BEAT
        loop.call_later(_BEAT, self._beat)

    def _on_collection(self, phase: str, _: Mapping[str, int]) -> None:
        now = time.perf_counter()
        if phase == "start":
            self._collecting = now
        else:
            self._collected = max(self._collected, now - self._collecting)

    def _reset(self) -> dict[str, Any]:
        self._stall = self._collected = 0.0
        self._commit_s.clear()
        self._journal.groups.clear()
        self._journal.seconds.clear()
        self._journal.entries = 0
        self._cpu = time.process_time()
        return {}

    def report(self) -> dict[str, Any]:
        """Since the last `reset`: CPU, longest stall and garbage collection (s), commits: loop, thread."""
        return {
            "cpu_s": time.process_time() - self._cpu,
            "stall_s": self._stall,
            "gc_s": self._collected,
            "rss": psutil.Process().memory_info().rss,
            "commit_s": self._commit_s,
            "write_s": self._journal.seconds,
            "groups": self._journal.groups,
            "entries": self._journal.entries,
        }

    def _stop(self) -> dict[str, Any]:
        loop = asyncio.get_running_loop()
        loop.remove_reader(_STDIN)
        loop.call_soon(os.kill, os.getpid(), signal.SIGTERM)
        return {}

    def _on_input(self) -> None:
        data = os.read(_STDIN, 1 << 16)
        if not data:
            os._exit(1)  # whoever measured is gone
        *lines, self._pending = (self._pending + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            to = command.pop("do")
            answer = self._commands[to](**command)
            if answer is not None:
                self.say(to, **answer)

    def say(self, to: str, **answer: Any) -> None:
        """Answer a command."""
        print(json.dumps({"to": to, **answer}), file=sys.stdout, flush=True)
