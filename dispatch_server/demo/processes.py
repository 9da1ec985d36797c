"""Starting and stopping the programs of a deployment."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from dispatch_server.demo.deployment import Deployment, Node
from protocol.aio.control import CommandFailed, call

_STOP_WITHIN = 8.0  # s


class DemoFailed(Exception):
    """The demo did not go as it must; the text says what failed."""


class Processes:
    """The running programs. Each is a session of its own: Ctrl-C reaches the demo alone, which stops them.

    `whole`: makes a block that nothing may interrupt, so that no program is started and not known here.
    """

    def __init__(
        self, deployment: Deployment, whole: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> None:
        self._deployment = deployment
        self._whole = whole
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start_all(self) -> None:
        """Start every node, the listening ones first."""
        for node in sorted(self._deployment.nodes.values(), key=lambda n: n.superior is None):
            self.start(node)

    def start(self, node: Node) -> None:
        """Start one program; its log goes to a file beside its journal."""
        package = "dispatch_server" if node.is_server else "dispatch_client"
        with self.log_of(node).open("ab") as log, self._whole():
            self._running[node.name] = subprocess.Popen(  # noqa: S603 - our own program, no shell
                [sys.executable, "-m", package, "run", "--config", str(node.config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def of(self, name: str) -> "subprocess.Popen[bytes]":
        """The program of a node, as it was started last."""
        return self._running[name]

    def log_of(self, node: Node) -> Path:
        """Where a program's log lies."""
        return node.folder / "log"

    def check(self) -> None:
        """Raises DemoFailed when a program has ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                lines = self.log_of(self._deployment.nodes[name]).read_text("utf-8", "replace").splitlines()
                last = lines[-1] if lines else "no log"
                raise DemoFailed(f"{name} ended with {process.returncode}: {last}")

    def wait_ready(self, timeout: float) -> None:
        """Wait until every control socket answers. Raises DemoFailed."""
        deadline = time.monotonic() + timeout
        waiting = dict(self._deployment.nodes)
        while waiting:
            self.check()
            for name, node in tuple(waiting.items()):
                try:
                    call(node.control, "status", {}, timeout=5)
                except CommandFailed:
                    continue
                del waiting[name]
            if waiting and time.monotonic() > deadline:
                raise DemoFailed(f"not ready in {timeout:g} s: {', '.join(waiting)}")
            time.sleep(0.05)

    def stop_all(self) -> None:
        """SIGTERM to all; what does not end in time is killed and named. Raises DemoFailed.

        A program that is still starting ends by the signal itself.
        """
        for process in self._running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        late = []
        deadline = time.monotonic() + _STOP_WITHIN
        for name, process in self._running.items():
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                late.append(name)
        failed = [
            f"{n} ended with {p.returncode}"
            for n, p in self._running.items()
            if p.returncode not in {0, -signal.SIGTERM} and n not in late
        ]
        self._running.clear()
        if late or failed:
            raise DemoFailed("; ".join([*(f"{name} did not stop by itself" for name in late), *failed]))
