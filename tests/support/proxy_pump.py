"""One proxied connection: two directions with bounded queues, and the faults that act on their bytes."""

import asyncio
import contextlib
import enum
import math
import random
import socket
import struct
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

CHUNK: Final = 16_384
BUFFER_LIMIT: Final = 262_144
THROTTLE_SLICE_S: Final = 0.02
RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # struct linger: drop what is unsent and send RST


class Direction(enum.Enum):
    TO_TARGET = enum.auto()
    TO_CLIENT = enum.auto()


class _Ending(enum.Enum):
    FIN = enum.auto()
    RST = enum.auto()


@dataclass(slots=True)
class Flow:
    """One direction of all connections. Bytes: `received`, `forwarded`, `held` now. Numbers: the rest."""

    received: int = 0
    forwarded: int = 0
    held: int = 0
    flipped: int = 0
    duplicated: int = 0


class _Seeded(random.Random):
    """Faults must be repeatable, so no other randomness will do."""


@dataclass(slots=True)
class Flip:
    """`nth_byte`: counted from now, None: any of the next chunk. `probability`: per chunk, for good."""

    nth_byte: int | None
    probability: float | None
    rng: random.Random
    spent: bool = False

    def position(self, size: int) -> int | None:
        """Where to flip in the next chunk, of `size` bytes."""
        if self.probability is not None:
            return self.rng.randrange(size) if self.rng.random() < self.probability else None
        position = self.rng.randrange(size) if self.nth_byte is None else self.nth_byte
        if position >= size:
            self.nth_byte = position - size
            return None
        self.spent = True
        return position


@dataclass(slots=True)
class Lane:
    """What happens at present to one direction of all connections."""

    rng: random.Random
    flow: Flow = field(default_factory=Flow)
    delay: float = 0.0
    jitter: float = 0.0
    rate: float | None = None
    stalled: bool = False
    flip: Flip | None = None
    duplicates: int = 0

    def draw_delay(self) -> float:
        return self.delay + self.rng.uniform(0, self.jitter)

    def alter(self, chunk: bytes) -> bytes:
        position = self.flip.position(len(chunk)) if self.flip and not self.flip.spent else None
        if position is not None:
            self.flow.flipped += 1
            flipped = chunk[position] ^ 1 << self.rng.randrange(8)
            chunk = chunk[:position] + bytes([flipped]) + chunk[position + 1 :]
        if self.duplicates:
            self.duplicates -= 1
            self.flow.duplicated += 1
            chunk += chunk
        return chunk


class Panel:
    """The switches, shared by all connections; whoever waits for one is woken by every change."""

    def __init__(self, seed: int) -> None:
        rng = _Seeded(seed)
        self.rng: Final = rng
        self.lanes: Final = {direction: Lane(rng) for direction in Direction}
        self.black_hole = False
        self.unreachable = 0
        self._changed = asyncio.Event()

    def change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def wait(self, until: float | None = None) -> None:
        """Until the loop's time `until` or the next change."""
        changed = self._changed
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await changed.wait()


class Pump:
    """Carries one direction of one connection."""

    def __init__(self, source: socket.socket, sink: socket.socket, lane: Lane, panel: Panel) -> None:
        self.held = 0
        self._source, self._sink, self._lane, self._panel = source, sink, lane, panel
        self._queue: deque[tuple[float, memoryview | _Ending]] = deque()
        self._filled, self._room = asyncio.Event(), asyncio.Event()
        self._ended = False
        self._throttled_until = -math.inf

    def is_stale(self) -> bool:
        """Something entered this direction and has not left it."""
        return bool(self._queue) or (not self._ended and _has_news(self._source))

    async def receive(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._ended:
            if self.held >= BUFFER_LIMIT:
                self._room.clear()
                await self._room.wait()
            try:
                # Received and queued in one step: a byte is in the kernel or in the queue, never between.
                chunk = self._source.recv(CHUNK)
            except BlockingIOError:
                await _ready(self._source, loop.add_reader, loop.remove_reader)
            except OSError:
                self._put(_Ending.RST)
            else:
                self._lane.flow.received += len(chunk)
                self._put(memoryview(self._lane.alter(chunk)) if chunk else _Ending.FIN)

    async def forward(self) -> None:
        """Raises OSError once it is this direction's turn to know that a side broke."""
        loop = asyncio.get_running_loop()
        while True:
            while not self._queue:
                self._filled.clear()
                await self._filled.wait()
            due, item = self._queue[0]
            if self._panel.black_hole or self._lane.stalled:
                await self._panel.wait()
            elif (allowed := self._allowed_from(due)) > loop.time():
                await self._panel.wait(allowed)
            elif item is _Ending.FIN:
                self._queue.popleft()
                self._sink.shutdown(socket.SHUT_WR)
                return
            elif item is _Ending.RST:
                raise ConnectionResetError
            else:
                await self._send(due, item)

    def _put(self, item: memoryview | _Ending) -> None:
        self._queue.append((asyncio.get_running_loop().time() + self._lane.draw_delay(), item))
        if isinstance(item, _Ending):
            self._ended = True
        else:
            self.held += len(item)
        self._filled.set()

    def _allowed_from(self, due: float) -> float:
        return due if self._lane.rate is None else max(due, self._throttled_until)

    async def _send(self, due: float, data: memoryview) -> None:
        loop, rate = asyncio.get_running_loop(), self._lane.rate
        try:
            sent = self._sink.send(data if rate is None else data[: max(1, int(rate * THROTTLE_SLICE_S))])
        except BlockingIOError:
            await _ready(self._sink, loop.add_writer, loop.remove_writer)
            return
        self._queue.popleft()
        if sent < len(data):
            self._queue.appendleft((due, data[sent:]))
        if rate is not None:
            self._throttled_until = max(self._throttled_until, loop.time()) + sent / rate
        self._lane.flow.forwarded += sent
        self.held -= sent
        self._room.set()


class Connection:
    """One client and its own connection to the target."""

    def __init__(self, client: socket.socket, address: tuple[str, int], panel: Panel) -> None:
        self.pumps: dict[Direction, Pump] = {}
        self.reset_on_close = True
        self._client, self._target = _tune(client), _tune(socket.socket())
        self._address, self._panel = address, panel
        self._came_into_hole = panel.black_hole
        self.task: Final = asyncio.get_running_loop().create_task(self._run())

    def is_stale(self) -> bool:
        """It began in the black hole, or something entered it and has not left it."""
        if not self.pumps:
            return self._came_into_hole or _has_news(self._client)
        return any(pump.is_stale() for pump in self.pumps.values())

    def close(self) -> None:
        """For when the task is done; it could not clean up itself if cancelled before its first step."""
        for sock in (self._client, self._target):
            if self.reset_on_close:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            sock.close()

    async def _run(self) -> None:
        while self._panel.black_hole:
            await self._panel.wait()
        try:
            await asyncio.get_running_loop().sock_connect(self._target, self._address)
        except OSError:
            self._panel.unreachable += 1
            return
        self._add_pump(Direction.TO_TARGET, self._client, self._target)
        self._add_pump(Direction.TO_CLIENT, self._target, self._client)
        await self._carry()

    def _add_pump(self, direction: Direction, source: socket.socket, sink: socket.socket) -> None:
        self.pumps[direction] = Pump(source, sink, self._panel.lanes[direction], self._panel)

    async def _carry(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for pump in self.pumps.values():
                    group.create_task(pump.receive())
                    group.create_task(pump.forward())
            self.reset_on_close = False
        except* OSError:
            self.reset_on_close = True  # one side broke: the other is told by a RST


async def _ready(
    sock: socket.socket, watch: Callable[..., None], unwatch: Callable[[socket.socket], object]
) -> None:
    """Until `sock` can be read or written, as `watch` and `unwatch`, methods of the loop, say."""
    ready = asyncio.Event()
    watch(sock, ready.set)
    try:
        await ready.wait()
    finally:
        unwatch(sock)


def _has_news(sock: socket.socket) -> bool:
    """Bytes, an end or an error wait in the kernel."""
    try:
        sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _tune(sock: socket.socket) -> socket.socket:
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
