"""One epoll for all links, and its one descriptor in the event loop.

A loop that watches each socket itself wakes up once for each; here one wake-up serves all that are ready.
Those whose peer has not proved itself yet come last and get a bounded share of each turn: a storm of
handshakes takes nothing from the links that are up.
"""

import asyncio
import select
import time
from collections.abc import Callable
from socket import socket

READ = 0x001  # EPOLLIN and EPOLLOUT by number: where there is no epoll this module must still be importable
WRITE = 0x004
_BATCH = 8  # few, and each is served whole: epoll then begins with those that it has not named
_BATCHES = 8  # of a turn
_KNOWN_S = 0.004  # of a turn for the links that are up: a thousand ends at once take more than a poll each
_STRANGERS_S = 0.002  # of a turn for those who have not proved themselves
_BUFFER = 64 * 1024

OnReady = Callable[[int], None]


class Reactor:
    """Calls who waits for a socket. Linux only."""

    def __init__(self) -> None:
        self.buffer = bytearray(_BUFFER)  # each handler reads into it and has digested it when it returns
        self.view = memoryview(self.buffer)
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self._handlers: dict[int, OnReady] = {}
        self._strangers: set[int] = set()
        self._later: dict[int, int] = {}
        self._loop.add_reader(self._epoll.fileno(), self._turn)

    def add(self, sock: socket, on_ready: OnReady) -> None:
        """Call `on_ready` with the epoll events of a socket that nobody has vouched for. Raises OSError."""
        number = sock.fileno()
        self._epoll.register(number, READ)  # first: when it fails nothing is kept
        self._handlers[number] = on_ready
        self._strangers.add(number)

    def settle(self, sock: socket) -> None:
        """The peer is known now."""
        self._strangers.discard(sock.fileno())

    def want(self, sock: socket, *, write: bool) -> None:
        """Whether to be called also when the socket takes bytes."""
        self._epoll.modify(sock.fileno(), READ | WRITE if write else READ)

    def remove(self, sock: socket) -> None:
        """Call no more; before the socket is closed, for its number will be given again."""
        number = sock.fileno()
        self._epoll.unregister(number)
        del self._handlers[number]
        self._strangers.discard(number)
        self._later.pop(number, None)

    def close(self) -> None:
        """Stop watching."""
        self._loop.remove_reader(self._epoll.fileno())
        self._epoll.close()

    def _turn(self) -> None:
        handlers, strangers, later = self._handlers, self._strangers, self._later
        end = time.monotonic() + _KNOWN_S
        for _ in range(_BATCHES):
            ready = self._epoll.poll(0, _BATCH)
            for number, events in ready:
                if number in strangers:
                    later[number] = events
                elif handler := handlers.get(number):  # gone, if another handler of this turn closed it
                    handler(events)
            if len(ready) < _BATCH or time.monotonic() >= end:
                break
        if later:
            self._serve_strangers()

    def _serve_strangers(self) -> None:
        """Those who are left over are reported again: their sockets stay ready."""
        end = time.monotonic() + _STRANGERS_S
        while self._later:
            number = next(iter(self._later))
            events = self._later.pop(number)
            if handler := self._handlers.get(number):
                handler(events)
            if time.monotonic() >= end:
                return
