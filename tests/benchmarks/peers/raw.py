"""The limit: the same bytes over plain TCP by epoll, once in C and once in Python, with nothing around them.

No TLS, no parsing, no timers of links: what remains is the kernel's share and the interpreter's.
"""

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.benchmarks.peers.payload import POLL, REPORT
from tests.benchmarks.peers.polling import INTERVAL, OUTSTANDING, Ask
from tests.benchmarks.peers.program import Peer, main
from tests.benchmarks.peers.responding import BACKLOG, module, responder, tell_port
from tests.benchmarks.peers.row import ROW, Load, Row, load_of, resident

SOURCE = Path(__file__).with_name("raw.c")
NAMES = {"c": "raw C", "python": "raw Python"}


def compiler() -> str | None:
    """A C compiler of this machine."""
    return shutil.which("cc")


def build(folder: Path) -> Path | None:
    """The C program, made in the folder; None where there is no compiler. Raises CalledProcessError."""
    found = compiler()
    if found is None:
        return None
    program = folder / "raw"
    subprocess.run([found, "-O2", "-std=gnu11", str(SOURCE), "-o", str(program)], check=True)
    return program


def measure(ask: Ask) -> Row:
    """Both pollers meet the C responder where there is a compiler: it is the quicker one."""
    with ExitStack() as stack:
        program = build(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        if ask.variant == "c" and program is None:
            return Row(NAMES["c"], "epoll, plain TCP", ask.links, skipped="no C compiler")
        command = [str(program), "respond", str(len(POLL)), REPORT.hex()] if program else module("raw")
        port = stack.enter_context(responder(command))
        if ask.variant == "c":
            return _measure_c(str(program), port, ask)
        return _measure_python(port, ask, stack)


def _measure_c(program: str, port: int, ask: Ask) -> Row:
    interval = INTERVAL if ask.rhythm else 0
    numbers = (port, ask.links, ask.seconds, OUTSTANDING, interval)
    command = [program, "poll", *map(str, numbers), POLL.hex(), str(len(REPORT))]
    told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    row = {"peer": NAMES["c"], "setup": "epoll, plain TCP", "links": ask.links, **told}
    return ROW.validate_python(row)


def _measure_python(port: int, ask: Ask, stack: ExitStack) -> Row:
    before = resident()
    links = Links([dial(port, stack) for _ in range(ask.links)], stack)
    rss = (resident() - before) / 1024 / ask.links
    saturated = links.saturated(ask.seconds)
    rhythm = links.rhythm(ask.seconds) if ask.rhythm else None
    return Row(NAMES["python"], "epoll, plain TCP", ask.links, rss, saturated, rhythm)


def dial(port: int, stack: ExitStack) -> socket.socket:
    """A connection to the responder."""
    link = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


class Links:
    """Dialled sockets; a report has arrived when as many bytes as it has were read."""

    def __init__(self, links: Sequence[socket.socket], stack: ExitStack) -> None:
        self._epoll = stack.enter_context(select.epoll())
        self._fds: list[int] = []
        for link in links:
            link.setblocking(False)
            self._fds.append(link.fileno())
            self._epoll.register(link, select.EPOLLIN)
        room = max(self._fds) + 1
        self._began = [0.0] * room  # by descriptor; 0: nothing is outstanding
        self._had = [0] * room
        self._taken: list[float] = []
        self._next = 0

    def _start(self, now: float) -> None:
        """Poll the next link that is idle."""
        while True:
            fd = self._fds[self._next % len(self._fds)]
            self._next += 1
            if not self._began[fd]:
                break
        self._began[fd] = now
        self.send(fd)

    def send(self, fd: int) -> None:
        """A poll goes out."""
        os.write(fd, POLL)

    def receive(self, fd: int) -> int:
        """How many bytes of reports came."""
        return len(os.read(fd, 4096))

    def _answered(self, fd: int) -> bool:
        """Read; whether the report is whole."""
        had = self._had[fd] + self.receive(fd)
        if had < len(REPORT):
            self._had[fd] = had
            return False
        self._had[fd] = 0
        self._taken.append(time.perf_counter() - self._began[fd])
        self._began[fd] = 0.0
        return True

    def saturated(self, seconds: float) -> Load:
        """As many polls outstanding as allowed, the next one as soon as one is answered."""
        self._taken.clear()
        self._next, stall, clock, wait = 0, 0.0, time.perf_counter, self._epoll.poll
        cpu, began = time.process_time(), clock()
        for _ in range(min(OUTSTANDING, len(self._fds))):
            self._start(began)
        woke, until = began, began + seconds
        while woke < until:
            stall = max(stall, clock() - woke)
            ready = wait(1.0)
            woke = clock()
            for fd, _ in ready:
                if self._answered(fd):
                    self._start(clock())
        result = load_of(self._taken, seconds=woke - began, cpu=time.process_time() - cpu, stall=stall)
        self._settle()
        return result

    def rhythm(self, seconds: float) -> Load:
        """Each link once in an interval, evenly spread, for whole intervals."""
        self._taken.clear()
        self._next, late, clock = 0, 0.0, time.perf_counter
        rounds, step = max(1, round(seconds / INTERVAL)), INTERVAL / len(self._fds)
        cpu, woke = time.process_time(), clock()
        began, until = woke, woke + rounds * INTERVAL
        while woke < until:
            while (due := began + self._next * step) <= woke and due < until:
                late = max(late, woke - due)
                self._start(woke)
            for fd, _ in self._epoll.poll(max(0.0, due - clock())):
                self._answered(fd)
            woke = clock()
        return load_of(self._taken, seconds=woke - began, cpu=time.process_time() - cpu, stall=late)

    def _settle(self) -> None:
        """Take what is still on its way."""
        while any(self._began):
            for fd, _ in self._epoll.poll(1.0):
                self._answered(fd)


def respond(_: Sequence[str]) -> None:
    """The responder where there is no C compiler."""
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as door, select.epoll() as epoll:
        tell_port(door.getsockname()[1])
        links: dict[int, socket.socket] = {}
        had: dict[int, int] = {}
        epoll.register(door, select.EPOLLIN)
        epoll.register(sys.stdin, select.EPOLLIN)
        while True:
            for fd, _flags in epoll.poll():
                if fd == sys.stdin.fileno():
                    return
                if fd == door.fileno():
                    link, _address = door.accept()
                    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    links[link.fileno()], had[link.fileno()] = link, 0
                    epoll.register(link, select.EPOLLIN)
                    continue
                data = os.read(fd, 4096)
                if not data:
                    links.pop(fd).close()
                    continue
                polls, had[fd] = divmod(had[fd] + len(data), len(POLL))
                os.write(fd, REPORT * polls)


PEER = Peer("raw", (), ("c", "python"), measure, respond)

if __name__ == "__main__":
    main(PEER)
