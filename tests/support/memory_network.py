"""Byte streams between named nodes of one process, with seeded latency and the faults of a real network.

Built for the virtual loop: the same seed and the same program give the same bytes at the same times. An
address is `"node"` or `"node:service"`; faults strike nodes, or the one link between two nodes.
"""

import asyncio
import enum
import errno
import functools
import math
import os
import random
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from typing_extensions import override

CAPACITY: Final = 65_536
HARD_LIMIT: Final = 16 * CAPACITY
FIRST_RETRY_S: Final = 1.0


class Unreachable(enum.Enum):
    """What a dial across a partition meets."""

    HANGS = enum.auto()  # packets are dropped: nothing answers until the dial times out
    REFUSED = enum.auto()  # a router answers in the place of the node


class WriterOutran(BufferError):
    """`write` without `drain`: the stream already holds `held` bytes, more than HARD_LIMIT."""

    def __init__(self, local: str, remote: str, held: int) -> None:
        super().__init__(local, remote, held)
        self.local, self.remote, self.held = local, remote, held

    @override
    def __str__(self) -> str:
        return f"{self.local} holds {self.held} bytes unread by {self.remote}: await drain() after writing"


class _Link:
    """What all streams between two nodes share."""

    def __init__(self, rng: random.Random, latency: tuple[float, float]) -> None:
        self.unreachable: Unreachable | None = None
        self.streams: dict[MemoryStream, None] = {}  # both ends of each; a dict, for its order
        self._rng, self._latency = rng, latency
        self._spike_s, self._spike_end = 0.0, -math.inf

    def spike(self, seconds: float, lasting: float) -> None:
        self._spike_s, self._spike_end = seconds, asyncio.get_running_loop().time() + lasting

    def draw_latency(self) -> float:
        spike = self._spike_s if asyncio.get_running_loop().time() < self._spike_end else 0.0
        return self._rng.uniform(*self._latency) + spike


class _Pipe:
    """One direction of a connection: what is under way, and what has arrived unread."""

    def __init__(self, link: _Link) -> None:
        self.torn = False  # something was lost: later bytes may never arrive, since TCP has no gaps
        self.unread = bytearray()
        self.ended = False
        self.arrived, self.drained = asyncio.Event(), asyncio.Event()
        self._link = link
        self._flight: deque[tuple[asyncio.TimerHandle, Callable[[], None], int]] = deque()
        self._flying = self._lost = 0
        self._latest = -math.inf

    @property
    def held(self) -> int:
        """Bytes that the reader has not taken; lost ones too, since nobody acknowledges them."""
        return self._flying + self._lost + len(self.unread)

    def send(self, deliver: Callable[[], None], size: int = 0) -> None:
        """Call `deliver` at the far end after the link's latency, never before what was sent earlier."""
        self.torn = self.torn or self._link.unreachable is not None
        if self.torn:
            self._lost += size
            return
        loop = asyncio.get_running_loop()
        # Strictly later, if only by the last bit: timers of the same instant would fire in any order.
        self._latest = max(math.nextafter(self._latest, math.inf), loop.time() + self._link.draw_latency())
        self._flight.append((loop.call_at(self._latest, self._land), deliver, size))
        self._flying += size

    def lose_flight(self) -> None:
        self.torn = self.torn or bool(self._flight)
        for timer, _, _ in self._flight:
            timer.cancel()
        self._flight.clear()
        self._lost += self._flying
        self._flying = 0

    def _land(self) -> None:
        _, deliver, size = self._flight.popleft()
        self._flying -= size
        deliver()


class MemoryStream:
    """One end of a connection. Writing to, or draining, a dead stream fails in `drain`, as with asyncio."""

    def __init__(self, local: str, remote: str, link: _Link, incoming: _Pipe, outgoing: _Pipe) -> None:
        self.local: Final = local
        self.remote: Final = remote
        self._link, self._incoming, self._outgoing = link, incoming, outgoing
        self._peer = self
        self._closed = self._broken = False

    async def read(self, limit: int) -> bytes:
        """1 to `limit` bytes; b"" after a close by the peer or here. Raises ConnectionResetError when cut."""
        if limit < 1:
            raise ValueError(limit)
        pipe = self._incoming
        while not (pipe.unread or pipe.ended or self._closed or self._broken):
            pipe.arrived.clear()
            await pipe.arrived.wait()
        self._refuse_if(self._broken)
        data = bytes(pipe.unread[:limit])
        del pipe.unread[:limit]
        pipe.drained.set()
        return data

    def write(self, data: bytes) -> None:
        """Raises WriterOutran when more than HARD_LIMIT bytes are already held."""
        if self._outgoing.held > HARD_LIMIT:
            raise WriterOutran(self.local, self.remote, self._outgoing.held)
        if data and not self._closed and not self._broken:
            self._send(functools.partial(self._peer._receive, bytes(data)), len(data))

    async def drain(self) -> None:
        """Waits until at most CAPACITY bytes are unread. Raises ConnectionResetError when cut or closed."""
        self._refuse_if(self._broken or self._closed)
        await self._until_room()
        self._refuse_if(self._broken or self._closed)

    def close(self) -> None:
        """What was written still arrives, then the peer reads b""."""
        if not self._closed and not self._broken:
            self._closed = True
            self._incoming.unread.clear()
            self._incoming.arrived.set()
            self._incoming.drained.set()
            self._send(self._peer._receive_end)
        self._closed = True
        self._forget_if_over()

    async def wait_closed(self) -> None:
        """Waits until all but CAPACITY bytes are read, or the stream is dead; never raises for a dead one."""
        await self._until_room()

    async def _until_room(self) -> None:
        while self._outgoing.held > CAPACITY and not self._broken:
            self._outgoing.drained.clear()
            await self._outgoing.drained.wait()

    def _refuse_if(self, dead: bool) -> None:
        if dead:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET), self.remote)

    def _send(self, deliver: Callable[[], None], size: int = 0) -> None:
        if self._outgoing.torn and self._link.unreachable is None and not self._peer._broken:
            asyncio.get_running_loop().call_later(self._link.draw_latency(), self._reset)
        self._outgoing.send(deliver, size)

    def _receive(self, data: bytes) -> None:
        if self._closed and not self._broken:
            self._vanish(told=True)
        self._incoming.unread += data
        self._incoming.arrived.set()

    def _receive_end(self) -> None:
        self._incoming.ended = True
        self._incoming.arrived.set()

    def _reset(self) -> None:
        self._break()
        self._peer._break()

    def _vanish(self, *, told: bool) -> None:
        """This end is gone; the peer is `told` after what is under way to it, or never hears of it."""
        if told:
            self._send(self._peer._break)
        self._break()

    def _break(self) -> None:
        self._broken = True
        self._incoming.lose_flight()
        self._incoming.arrived.set()
        self._outgoing.drained.set()
        self._forget_if_over()

    def _forget_if_over(self) -> None:
        if self._is_over() and self._peer._is_over():
            self._link.streams.pop(self, None)
            self._link.streams.pop(self._peer, None)

    def _is_over(self) -> bool:
        return self._broken or (self._closed and self._outgoing.held <= CAPACITY)


def _connect(link: _Link, source: str, target: str) -> tuple[MemoryStream, MemoryStream]:
    there, back = _Pipe(link), _Pipe(link)
    near = MemoryStream(source, target, link, back, there)
    far = MemoryStream(target, source, link, there, back)
    near._peer, far._peer = far, near
    link.streams |= {near: None, far: None}
    return near, far


Accept = Callable[[MemoryStream], Awaitable[None]]


class MemoryNetwork:
    """`latency`: (least, most) seconds one way. `dial_timeout`: seconds until a dial raises TimeoutError."""

    def __init__(
        self, rng: random.Random, *, latency: tuple[float, float] = (0.001, 0.02), dial_timeout: float = 10.0
    ) -> None:
        self._rng, self._latency, self._dial_timeout = rng, latency, dial_timeout
        self._links: dict[tuple[str, str], _Link] = {}
        self._listeners: dict[str, Accept] = {}
        self._handlers: dict[asyncio.Task[None], MemoryStream] = {}

    def listen(self, address: str, accept: Accept) -> Callable[[], None]:
        """Run `accept` as a task for each dial of `address`; the result stops the listening.

        An `accept` that raises has its stream reset, and its error goes to the loop's exception handler.
        Raises OSError (EADDRINUSE) while another listens there.
        """
        if address in self._listeners:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), address)
        accept = functools.partial(accept)  # its own object, so that only this listening is closed
        self._listeners[address] = accept
        return functools.partial(self._close_listener, address, accept)

    async def dial(self, source: str, address: str) -> MemoryStream:
        """The stream from node `source`. Raises ConnectionRefusedError where nobody listens, TimeoutError."""
        node = _node_of(address)
        link = self._link(source, node)
        async with asyncio.timeout(self._dial_timeout):
            await _shake_hands(link, address)
        accept = self._listeners.get(address)
        if accept is None:
            raise _refused(address)
        near, far = _connect(link, source, node)
        near._send(functools.partial(self._accept, address, accept, far))
        return near

    def cut(self, a: str, b: str) -> None:
        """All streams between `a` and `b` raise ConnectionResetError from now on; unread bytes are lost."""
        for stream in tuple(self._link(a, b).streams):
            stream._break()

    def partition(self, a: str, b: str, on: bool, unreachable: Unreachable = Unreachable.HANGS) -> None:
        """While `on`, bytes and closes between `a` and `b` vanish and nobody is told; dials fare as chosen.

        A stream that lost anything stays silent: after the healing its first write resets both ends.
        """
        link = self._link(a, b)
        link.unreachable = unreachable if on else None
        for stream in link.streams if on else ():
            stream._outgoing.lose_flight()

    def spike(self, a: str, b: str, seconds: float, lasting: float) -> None:
        """For the next `lasting` seconds all that is sent between `a` and `b` takes `seconds` more."""
        self._link(a, b).spike(seconds, lasting)

    def crash(self, node: str, silent: float = 0.5) -> None:
        """End the node's listeners, `accept` tasks and streams. `silent`: the share of peers that never hear.

        The other peers see ConnectionResetError after a latency. Tasks that the node started itself are its
        owner's to cancel. The node may listen and dial again at once.
        """
        for address in [address for address in self._listeners if _node_of(address) == node]:
            del self._listeners[address]
        for link in [link for nodes, link in self._links.items() if node in nodes]:
            for stream in [stream for stream in link.streams if stream.local == node]:
                stream._vanish(told=self._rng.random() >= silent)
        for task in [task for task, stream in self._handlers.items() if stream.local == node]:
            task.cancel()

    def _link(self, a: str, b: str) -> _Link:
        key = (min(a, b), max(a, b))
        if key not in self._links:
            self._links[key] = _Link(self._rng, self._latency)
        return self._links[key]

    def _close_listener(self, address: str, accept: Accept) -> None:
        if self._listeners.get(address) is accept:
            del self._listeners[address]

    def _accept(self, address: str, accept: Accept, stream: MemoryStream) -> None:
        if self._listeners.get(address) is not accept:
            stream._vanish(told=True)
            return
        name = f"{stream.local} serves {stream.remote}"
        task = asyncio.get_running_loop().create_task(_call(accept, stream), name=name)
        self._handlers[task] = stream
        task.add_done_callback(self._handler_ended)

    def _handler_ended(self, task: asyncio.Task[None]) -> None:
        stream = self._handlers.pop(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            if not stream._closed:
                stream._vanish(told=True)
            task.get_loop().call_exception_handler(
                {"message": f"{task.get_name()}: accept failed", "exception": error, "task": task}
            )


def _node_of(address: str) -> str:
    return address.partition(":")[0]


def _refused(address: str) -> ConnectionRefusedError:
    return ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED), address)


async def _call(accept: Accept, stream: MemoryStream) -> None:
    await accept(stream)


async def _shake_hands(link: _Link, address: str) -> None:
    """One round trip, tried again and again while packets are dropped."""
    retry = FIRST_RETRY_S
    while True:
        await asyncio.sleep(link.draw_latency() + link.draw_latency())
        match link.unreachable:
            case None:
                return
            case Unreachable.REFUSED:
                raise _refused(address)
            case Unreachable.HANGS:
                await asyncio.sleep(retry)
                retry *= 2
