"""The listening socket of a node: who comes in, for how long without a word, and how many at once.

The address is looked at before anything is made for a connection; the whole way from accept to an accepted
Hello has one deadline.
"""

import asyncio
import errno
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from protocol.aio.channel import TlsChannel
from protocol.aio.crowd import Crowd, DoorLimits, TurnedAway, Why, source_of
from protocol.aio.ports import Stream
from protocol.errors import LinkError, PeerFault
from protocol.limits import HELLO_TIMEOUT

_BACKLOG = 1_024
_AT_ONCE = 32  # connections taken before the node's own work goes on
_REST_S = 0.5  # without file descriptors
_SEND_BUFFER = 128 * 1024  # bytes that the kernel keeps for a peer that does not read
_RESET = struct.pack("ii", 1, 0)  # struct linger: nothing stays behind
_NOTHING_LEFT = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


@dataclass(frozen=True, slots=True)
class Visit:
    """One stream's time without a session: it ends at `deadline` (loop time) or when `admitted` is called."""

    deadline: float
    admitted: Callable[[], None]


Serve = Callable[[Stream, Visit], Coroutine[Any, Any, None]]
Refuse = Callable[[PeerFault], None]


class Door:
    """Open until `close`. `context` may be replaced: the next connection uses it."""

    def __init__(self, context: ssl.SSLContext, serve: Serve, refuse: Refuse, limits: DoorLimits) -> None:
        self.context = context
        self._serve = serve
        self._refuse = refuse
        self._limits = limits
        self._crowd: Crowd[TlsChannel] = Crowd(limits)
        self._guests: dict[TlsChannel, None] = {}
        self._visits: set[asyncio.Task[None]] = set()
        self._sockets: list[socket.socket] = []

    @property
    def port(self) -> int:
        """Where it is."""
        bound: int = self._sockets[0].getsockname()[1]
        return bound

    @property
    def visits(self) -> int:
        """Connections that cost this node something now."""
        return len(self._visits)

    async def open(self, host: str, port: int) -> None:
        """Begin to listen. Raises OSError."""
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, _, _, _, address in dict.fromkeys(found):
                self._sockets.append(_bound(family, address))
        except OSError:
            self.close()
            raise
        for each in self._sockets:
            self._watch(each)

    def close(self) -> None:
        """Let nobody in any more; who is inside stays."""
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            if each.fileno() >= 0:
                loop.remove_reader(each)
                each.close()

    def _watch(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listening, self._take, listening)

    def _take(self, listening: socket.socket) -> None:
        for _ in range(_AT_ONCE):
            try:
                connection, address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _NOTHING_LEFT:
                    raise
                loop = asyncio.get_running_loop()
                loop.remove_reader(listening)  # it would be called without end
                loop.call_later(_REST_S, self._watch, listening)
                self._refuse(TurnedAway(Why.DESCRIPTORS, f"cannot accept: {error.strerror}"))
                return
            self._knock(connection, source_of(address[0]))

    def _knock(self, connection: socket.socket, source: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._crowd.charge(source, loop.time())
        except TurnedAway as refusal:  # before anything costs us more than this
            _reset(connection)
            self._refuse(refusal)
            return
        context = self.context
        channel = TlsChannel(context)
        if goes := self._crowd.arrive(channel, source):
            goes[0].fail(goes[1])
        task = loop.create_task(self._visit(connection, channel, source, context))
        self._visits.add(task)
        task.add_done_callback(self._visits.discard)

    async def _visit(
        self, connection: socket.socket, channel: TlsChannel, source: str, context: ssl.SSLContext
    ) -> None:
        deadline = asyncio.get_running_loop().time() + HELLO_TIMEOUT
        try:
            await self._shake_hands(connection, channel, deadline)
            if context is not self.context:  # our key was renewed: a Welcome would not fit what TLS has shown
                return
            self._enter(channel)
            await self._serve(channel, Visit(deadline, lambda: self._admit(channel, source)))
        except PeerFault as fault:
            self._refuse(fault)
        except (OSError, LinkError):
            pass  # it left
        finally:
            self._crowd.leave(channel)
            self._guests.pop(channel, None)
            channel.close()

    async def _shake_hands(self, connection: socket.socket, channel: TlsChannel, deadline: float) -> None:
        """Raises PeerFault, OSError."""
        connection.settimeout(0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                await loop.connect_accepted_socket(lambda: channel, connection)
                await asyncio.shield(channel.shaken)
        except TimeoutError:
            raise TurnedAway(Why.TLS_TIME, f"TLS is not done after {HELLO_TIMEOUT:g} s") from None
        finally:
            self._crowd.leave(channel)

    def _enter(self, channel: TlsChannel) -> None:
        if len(self._guests) >= self._limits.guests:
            oldest = next(iter(self._guests))
            del self._guests[oldest]
            oldest.fail(TurnedAway(Why.GUESTS, f"more than {self._limits.guests} streams without a Hello"))
        self._guests[channel] = None

    def _admit(self, channel: TlsChannel, source: str) -> None:
        self._guests.pop(channel, None)
        self._crowd.know(source)


def _bound(family: int, address: Any) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.settimeout(0)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _reset(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    connection.close()
