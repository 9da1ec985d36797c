"""Many idle nodes in one process that costs as little as it can: `python -m tests.benchmarks.responder`.

Real mutual TLS 1.3, the product's own subordinate core (Hello, Welcome, reports with one sample each) and
outboxes; what a client keeps in its journal is kept in memory. One `select.epoll`, no asyncio, one shared
buffer, one listening socket: node number n is found at its own address of 127.0.0.0/8, so a node costs one
descriptor while its link is up. Each has a TLS context of its own (20 KB, made in 1.5 ms at the start).

The parent uses `tests.benchmarks.responders.Responders`. On standard input one JSON command per line, each
answered by one JSON line: see `Responder.COMMANDS`. The first line on standard output is
`{"to": "start", "addresses": {node: [host, port]}}`.
"""

import argparse
import heapq
import json
import os
import select
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from protocol.errors import DispatchError, PeerFault, WireCode
from protocol.handshake import Fresh, Grant
from protocol.keys import Role
from protocol.lifecycle import Input
from protocol.limits import MAX_SESSION_FRAME
from protocol.messages import LedgerHead
from protocol.outbox import Mark, take_next
from protocol.session import Delivered, HelloReceived, Polled, goodbye
from protocol.subordinate import SubordinateSession
from tests.benchmarks.actors import Tally, share_out
from tests.benchmarks.field import Field, raise_descriptor_limit, tell
from tests.benchmarks.terminal import Link, Terminal

HEAD = LedgerHead(entry=0, hash=bytes(32))
_IN = select.EPOLLIN
_OUT = select.EPOLLIN | select.EPOLLOUT
_BUFFER = MAX_SESSION_FRAME
_CHUNK = 4_096  # a poll has some 100 bytes
_IDLE_S = 60.0
_TOLD = 500  # nodes made between two lines of progress
_AT_ONCE = 32  # connections taken before those that are here are served


class Responder:
    """The loop, the listening socket and all terminals of this process."""

    def __init__(self, field: Field, terminals: list[Terminal]) -> None:
        self._field = field
        self._by_host = {terminal.address[0]: terminal for terminal in terminals}
        self._port = terminals[0].address[1]
        self.terminals = {terminal.member.name: terminal for terminal in terminals}
        self._epoll = select.epoll()
        self._links: dict[int, Link] = {}
        self._due: list[tuple[float, int, int]] = []
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._commands = b""
        self._door: socket.socket | None = None
        self.counts: Counter[str] = Counter()
        self.is_running = True

    # --- the loop ---

    def run(self) -> None:
        """Serve until told to stop."""
        self._open_door()
        self._epoll.register(sys.stdin.fileno(), _IN)
        self.say("start", addresses={name: (t.address[0], self._port) for name, t in self.terminals.items()})
        while self.is_running:
            now = time.monotonic()
            wait = min(self._due[0][0] - now, _IDLE_S) if self._due else _IDLE_S
            for number, mask in self._epoll.poll(max(wait, 0.0), 1024):
                link = self._links.get(number)
                if link:
                    self._on_link(link, mask)
                elif self._door and number == self._door.fileno():
                    self._accept()
                elif number == sys.stdin.fileno():
                    self._read_commands()
            self._answer_held()
        for link in list(self._links.values()):
            self._end(link, "stopped")

    def _on_link(self, link: Link, mask: int) -> None:
        try:
            if mask & select.EPOLLOUT:
                self._flush(link)
            if mask & ~select.EPOLLOUT:
                self._receive(link)
        except DispatchError as error:
            if isinstance(error, PeerFault):
                self._farewell(link, error)
            self._end(link, f"{type(error).__name__}: {error}")
        except OSError as error:  # ssl.SSLError too
            self._end(link, f"{type(error).__name__}: {error.strerror or error}")

    def _receive(self, link: Link) -> None:
        try:
            size = link.socket.recv_into(self._buffer)
        except BlockingIOError:
            return
        if not size:
            raise ConnectionResetError("closed by the superior")
        link.incoming.write(self._view[:size])
        if link.session is None:
            self._shake_hands(link)
        if link.session:
            self._read(link, link.session)

    def _read(self, link: Link, session: SubordinateSession) -> None:
        """All records that came. A read that finds none is dear, so none is tried for nothing."""
        now = time.monotonic()
        delivered: list[Delivered] = []
        while link.incoming.pending or link.tls.pending():
            try:
                data = link.tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                break
            if not data:
                raise ConnectionResetError("closed by the superior")
            for event in session.receive(data, now):
                if isinstance(event, Polled):
                    self.counts["polls"] += 1
                    session.sample(link.terminal.sample())
                elif isinstance(event, Delivered):
                    delivered.append(event)
                elif isinstance(event, HelloReceived):
                    self._welcome(link, session, event, now)
        if delivered:
            self._take(link.terminal, delivered)
        self.advance(link, now)

    def _welcome(self, link: Link, session: SubordinateSession, event: HelloReceived, now: float) -> None:
        hello, terminal = event.hello, link.terminal
        terminal.granted.check(hello.term, hello.boot)
        terminal.granted = Grant(hello.term, hello.boot)
        session.welcome(hello, Fresh.of(os.urandom(48)), now)
        self.counts["sessions"] += 1

    def _take(self, terminal: Terminal, delivered: list[Delivered]) -> None:
        """Durable at once: this node's journal is its memory."""
        for event in delivered:
            mark: Mark | None = take_next(terminal.inbox.received, event.cursor, event.item)
            if mark:
                terminal.inbox.received = mark
                terminal.inbox.mark_durable(mark)
                self.counts["items"] += 1
                terminal.actor.on_item(event.item)

    def advance(self, link: Link, now: float) -> None:
        """Answer what is due, send it, and remember when a held poll must be answered."""
        session = link.session
        if session is None:
            return
        session.advance(now, HEAD)
        if data := session.data_to_send():
            link.tls.write(data)
            self._flush(link)
        due = session.next_timer()
        if due is not None:
            heapq.heappush(self._due, (due, link.socket.fileno(), session.polls))

    def speak(self, terminal: Terminal) -> None:
        """News waits at a terminal: answer its held poll now."""
        if terminal.link:
            try:
                self.advance(terminal.link, time.monotonic())
            except (DispatchError, OSError) as error:
                self._end(terminal.link, f"{type(error).__name__}: {error}")

    def _answer_held(self) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            _, number, polls = heapq.heappop(self._due)
            link = self._links.get(number)
            if link and link.session and link.session.polls == polls:
                self._expire(link, now)

    def _expire(self, link: Link, now: float) -> None:
        timer = link.session.next_timer() if link.session else None
        if timer is not None and timer <= now:  # else that poll was answered early
            try:
                self.advance(link, now)
            except (DispatchError, OSError) as error:
                self._end(link, f"{type(error).__name__}: {error}")

    def _flush(self, link: Link) -> None:
        data = link.unsent + link.outgoing.read() if link.outgoing.pending else link.unsent
        if not data:
            return
        waited = bool(link.unsent)
        try:
            sent = link.socket.send(data)
        except BlockingIOError:
            sent = 0
        link.unsent = data[sent:]
        if bool(link.unsent) != waited:
            self._epoll.modify(link.socket.fileno(), _OUT if link.unsent else _IN)

    # --- connections ---

    def _open_door(self) -> None:
        door = socket.socket()
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(("0.0.0.0", self._port))  # noqa: S104 - each node has its own address of 127.0.0.0/8
        door.listen(65_535)
        door.setblocking(False)
        self._port = door.getsockname()[1]
        self._door = door
        self._epoll.register(door.fileno(), _IN)

    def _close_door(self) -> None:
        if self._door:
            self._epoll.unregister(self._door.fileno())
            self._door.close()
            self._door = None

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            if self._door is None:
                return
            try:
                connection, _ = self._door.accept()
            except OSError:  # none left, or no descriptor for it
                return
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            terminal = self._by_host[connection.getsockname()[0]]
            if terminal.link:
                self._end(terminal.link, "replaced")
            terminal.link = Link(terminal, connection)
            self._links[connection.fileno()] = terminal.link
            self._epoll.register(connection.fileno(), _IN)

    def _shake_hands(self, link: Link) -> None:
        try:
            link.tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush(link)
            return
        self._flush(link)
        link.session = self._session(link)
        self.counts["resumed" if link.tls.session_reused else "full"] += 1

    def _session(self, link: Link) -> SubordinateSession:
        terminal = link.terminal
        der = link.tls.getpeercert(binary_form=True) or b""
        superior = self._field.trust.identify(der, time.time_ns() // 1_000_000)
        if superior.name != terminal.member.above:
            raise PeerFault(WireCode.IDENTITY, f"'{superior.name}' is not the superior of this node")
        return SubordinateSession(
            terminal.local, superior, granted=terminal.granted, outbox=terminal.outbox, inbox=terminal.inbox
        )

    def _farewell(self, link: Link, fault: PeerFault) -> None:
        link.tls.write(goodbye(fault.code, fault.detail))
        self._flush(link)

    def _end(self, link: Link, why: str) -> None:
        if self._links.pop(link.socket.fileno(), None) is None:
            return
        self.counts[f"ended: {why}"] += 1
        self._epoll.unregister(link.socket.fileno())
        link.socket.close()
        if link.session:
            link.session.end()
        if link.terminal.link is link:
            link.terminal.link = None

    # --- commands ---

    def _read_commands(self) -> None:
        data = os.read(sys.stdin.fileno(), 1 << 16)
        if not data:  # the parent is gone
            self.is_running = False
            return
        *lines, self._commands = (self._commands + data).split(b"\n")
        for line in lines:
            command = json.loads(line)
            self.COMMANDS[command.pop("do")](self, **command)

    def say(self, to: str, **answer: Any) -> None:
        """One line for the parent, in answer to the command `to`."""
        print(json.dumps({"to": to, **answer}), flush=True)

    def _drop(self) -> None:
        """Cut all links at once, as a dying router does."""
        links = list(self._links.values())
        for link in links:
            self._end(link, "dropped")
        self.say("drop", links=len(links))

    def _refuse(self) -> None:
        """Nobody answers at the port any more; links that stand stay."""
        self._close_door()
        self.say("refuse")

    def _accept_again(self) -> None:
        if self._door is None:
            self._open_door()
        self.say("accept")

    def _report(self) -> None:
        """What this process did and cost so far."""
        opened = sum(link.session is not None and link.session.is_open for link in self._links.values())
        self.say("report", cpu_s=time.process_time(), links=opened, counts=dict(self.counts))

    def _stop(self) -> None:
        self.is_running = False
        self.say("stop")

    def _orders(self, name: str, desks: int, each: int, window: int, plants: list[str], ends: str) -> None:
        """Let the first `desks` desks of this process issue `each` orders, at most `window` at a time, to
        `plants` in turn; answered when all came to the event `ends` (deliver or cancel) or were refused."""
        at = [t for t in self.terminals.values() if t.member.role is Role.DESK][:desks]
        actors = [(terminal, terminal.desk(self._field)) for terminal in at]
        for number, (_, desk) in enumerate(actors):
            desk.sign(share_out(f"{name}-{number}", each, plants, number))
        tally = Tally(len(actors) * each, Input(ends), lambda tally: self.say("orders", **tally.summary()))
        for terminal, desk in actors:
            desk.begin(tally, window)
            self.speak(terminal)

    COMMANDS: ClassVar[dict[str, Callable[..., None]]] = {
        "drop": _drop,
        "refuse": _refuse,
        "accept": _accept_again,
        "report": _report,
        "orders": _orders,
        "stop": _stop,
    }


def main() -> None:
    """Serve a share of a field's nodes."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.responder", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=int, default=0)
    parser.add_argument("--shares", type=int, default=1)
    parser.add_argument("--without", nargs="*", default=[], help="nodes that run as programs of their own")
    options = parser.parse_args()
    raise_descriptor_limit()
    field = Field.load(options.folder)
    nodes = [m for m in field.members.values() if m.above and m.role in {Role.DESK, Role.PLANT}]
    mine = [m for m in nodes if m.name not in set(options.without)][options.share :: options.shares]
    terminals = []
    for number, member in enumerate(mine):
        place = number + 256
        address = (f"127.{10 + options.share}.{place >> 8}.{place & 255}", 0)
        terminals.append(Terminal(member, address, field))
        if number % _TOLD == 0 and number:
            tell(f"responder {options.share}: {number} of {len(mine)} nodes", last=False)
    Responder(field, terminals).run()


if __name__ == "__main__":
    main()
