"""The parent's side of responder processes.

with Responders(field, processes=2) as responders:
    responders.addresses["plant-17"]       # (host, port): give them to Field.links
    responders.ask("drop")                 # each process's answer: see Responder.COMMANDS
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.benchmarks.field import Address, Field

_ROOT = Path(__file__).resolve().parents[2]


class Child:
    """A process of ours that takes one JSON command per line and answers each with one, `to` naming it."""

    def __init__(self, *command: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT
        )
        self._heard: list[dict[str, Any]] = []

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def tell(self, do: str, **arguments: Any) -> None:
        """Give a command without waiting for its answer."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": do, **arguments}).encode() + b"\n")
        self._process.stdin.flush()

    def hear(self, to: str) -> dict[str, Any]:
        """Wait for the answer to a command. Raises RuntimeError when the process ends instead."""
        assert self._process.stdout
        while True:
            for answer in self._heard:
                if answer["to"] == to:
                    self._heard.remove(answer)
                    return answer
            line = self._process.stdout.readline()
            if not line:
                raise RuntimeError(f"{self._process.args!r} ended: {self._process.wait()}")
            self._heard.append(json.loads(line))

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """Give a command and wait for its answer."""
        self.tell(do, **arguments)
        return self.hear(do)

    def kill(self) -> None:
        """End it without any warning."""
        self._process.kill()
        self._close()

    def stop(self) -> None:
        """Let it end, and wait for that."""
        if self._process.poll() is None:
            self.ask("stop")
        self._close()

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._process.poll() is None:
            self.stop()
        else:
            self.kill()


class Responders:
    """`processes` that hold all desks and plants of a field but those in `without`, and wait for a dial."""

    def __init__(self, field: Field, processes: int = 1, without: Iterable[str] = ()) -> None:
        field.save()
        shares = ["--shares", str(processes), "--without", *without]
        self._children = [
            Child("tests.benchmarks.responder", str(field.folder), "--share", str(n), *shares)
            for n in range(processes)
        ]
        self.addresses: dict[str, Address] = {}
        for child in self._children:
            told = child.hear("start")["addresses"]
            self.addresses |= {name: (host, port) for name, (host, port) in told.items()}

    def ask(self, do: str, **arguments: Any) -> list[dict[str, Any]]:
        """Give each process a command and wait for all answers."""
        self.tell(do, **arguments)
        return self.hear(do)

    def tell(self, do: str, **arguments: Any) -> None:
        """Give each process a command."""
        for child in self._children:
            child.tell(do, **arguments)

    def hear(self, to: str) -> list[dict[str, Any]]:
        """Wait for the answers to a command."""
        return [child.hear(to) for child in self._children]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children:
            child.__exit__(kind, error, trace)
