"""A program at a real pseudo-terminal, with a person in front of it who waits for what it says."""

import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Self

_PATIENCE = 30.0  # s before a test gives up


class AtTerminal:
    """Runs `python -m module arguments` with the terminal as its standard streams."""

    def __init__(self, module: str, *arguments: object, env: Mapping[str, str] | None = None) -> None:
        self.shown = ""
        self._seen = 0
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "dumb", **(env or {})},
        )
        os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._master)

    def wait_for(self, text: str) -> None:
        """Until the program says `text` after what was waited for before."""
        while (place := self.shown.find(text, self._seen)) < 0:
            if not self._read():
                raise AssertionError(f"the program ended without saying {text!r}:\n{self.shown}")
        self._seen = place + len(text)

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._master, f"{line}\n".encode())

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait for the end; gives the exit code."""
        while self._read():
            pass
        return self._process.wait(_PATIENCE)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], _PATIENCE)
        if not ready:
            raise AssertionError(f"nothing more within {_PATIENCE} s:\n{self.shown}")
        try:
            data = os.read(self._master, 65_536)
        except OSError:  # Linux: the other side is closed
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)
