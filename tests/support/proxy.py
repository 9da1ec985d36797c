"""A TCP proxy (IPv4) between real processes that injects faults while it runs.

`FaultProxy` lives in an asyncio loop; `ProxyThread` runs one in its own thread, for tests without a loop. All
faults are live and combine. Buffers are bounded: a direction that is held up stops reading, and TCP tells the
sender.
"""

import asyncio
import contextlib
import functools
import socket
import threading
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any, Concatenate, Final, ParamSpec, Self, TypeVar

from tests.support.proxy_pump import Connection, Direction, Flip, Flow, Lane, Panel

__all__ = ["Counters", "Direction", "FaultProxy", "Flow", "ProxyThread"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

BACKLOG: Final = 512


@dataclass(frozen=True, slots=True)
class Counters:
    """`present`: connections open now; `unreachable`: clients reset because the target took no connection."""

    accepted: int
    present: int
    unreachable: int
    flows: dict[Direction, Flow]


class FaultProxy:
    """Forwards connections of 127.0.0.1:`port` to the target; `seed` decides jitter and flipped bits.

    A control is in force when it returns. Those with a `direction` mean both when it is None.
    """

    def __init__(self, target_host: str, target_port: int, seed: int = 0) -> None:
        self.port = 0
        self._target = (socket.gethostbyname(target_host), target_port)
        self._panel = Panel(seed)
        self._accepted = 0
        self._connections: dict[Connection, None] = {}
        self._reserved: socket.socket | None = None
        self._listener: socket.socket | None = None

    async def start(self) -> int:
        """Listen on a free port, which is returned."""
        self._reserved = _bind(0)  # never listens: it keeps the port for us while connections are refused
        self.port = self._reserved.getsockname()[1]
        await self.refuse(False)
        return self.port

    async def stop(self) -> None:
        """Reset all connections and give everything back."""
        await self.refuse(True)
        await self.cut()
        if self._reserved is not None:
            self._reserved.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def cut(self, *, reset: bool = True) -> None:
        """End all present connections, towards both sides, by RST or by an ordinary close."""
        self._accept_pending()
        for connection in self._connections:
            connection.reset_on_close = reset
        await self._end(self._connections)

    async def refuse(self, on: bool) -> None:
        """Refuse new connections; present ones go on."""
        self._accept_pending()
        loop = asyncio.get_running_loop()
        if on and self._listener is not None:
            loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        elif not on and self._listener is None:
            self._listener = _bind(self.port)
            self._listener.listen(BACKLOG)
            loop.add_reader(self._listener, self._accept_pending)

    async def half_open(self, on: bool, *, deliver: bool = False) -> None:
        """A black hole: connections are taken and bytes held, both ways, and neither side hears anything.

        On release, connections that hold anything from before are reset, since TCP has no gaps; the others go
        on. With `deliver`, all go on and what was held arrives late.
        """
        self._accept_pending()
        while self._panel.black_hole and not on and not deliver and (stale := self._stale()):
            await self._end(stale)
        self._panel.black_hole = on
        self._panel.change()

    async def delay(self, seconds: float, jitter: float = 0.0, direction: Direction | None = None) -> None:
        """Bytes that arrive from now on leave `seconds` plus up to `jitter` later, in their order.

        A connection holds at most BUFFER_LIMIT bytes each way, so a long delay limits the throughput too.
        """
        for lane in self._lanes(direction):
            lane.delay, lane.jitter = seconds, jitter

    async def throttle(self, bytes_per_second: float | None, direction: Direction | None = None) -> None:
        """The rate of each connection each way; None: unlimited."""
        for lane in self._lanes(direction):
            lane.rate = bytes_per_second
        self._panel.change()

    async def stall(self, direction: Direction | None, on: bool) -> None:
        """Hold a direction; nothing is lost, and its sender learns it only when the buffers are full."""
        for lane in self._lanes(direction):
            lane.stalled = on
        self._panel.change()

    async def flip_bit(
        self, direction: Direction, *, nth_byte: int | None = None, probability: float | None = None
    ) -> None:
        """Flip one bit: once, in the next chunk or in the `nth_byte` from now (0: the next byte); or, with
        `probability`, in each chunk with this chance, until called again (0: never).
        """
        if nth_byte is not None and probability is not None:
            raise ValueError("nth_byte or probability, not both")
        self._panel.lanes[direction].flip = Flip(nth_byte, probability, self._panel.rng)

    async def duplicate(self, direction: Direction, times: int = 1) -> None:
        """Send each of the next `times` chunks twice: a replay, which TCP itself would never do."""
        self._panel.lanes[direction].duplicates = times

    async def counters(self) -> Counters:
        for direction, lane in self._panel.lanes.items():
            lane.flow.held = sum(link.pumps[direction].held for link in self._connections if link.pumps)
        flows = {direction: replace(lane.flow) for direction, lane in self._panel.lanes.items()}
        return Counters(self._accepted, len(self._connections), self._panel.unreachable, flows)

    def _lanes(self, direction: Direction | None) -> list[Lane]:
        return [lane for way, lane in self._panel.lanes.items() if direction in {None, way}]

    def _accept_pending(self) -> None:
        """Before each fault too: a client that the kernel has connected may not escape it."""
        with contextlib.suppress(BlockingIOError):
            while self._listener is not None:
                connection = Connection(self._listener.accept()[0], self._target, self._panel)
                self._accepted += 1
                self._connections[connection] = None
                connection.task.add_done_callback(functools.partial(self._forget, connection))

    def _stale(self) -> list[Connection]:
        self._accept_pending()
        return [connection for connection in self._connections if connection.is_stale()]

    def _forget(self, connection: Connection, _: asyncio.Task[None]) -> None:
        connection.close()
        del self._connections[connection]

    async def _end(self, connections: Iterable[Connection]) -> None:
        tasks = [connection.task for connection in connections]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _bind(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(("127.0.0.1", port))
    return sock


def _in_thread(
    control: Callable[Concatenate[FaultProxy, _P], Coroutine[Any, Any, _T]],
) -> Callable[Concatenate["ProxyThread", _P], _T]:
    @functools.wraps(control)
    def call(self: "ProxyThread", /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        return asyncio.run_coroutine_threadsafe(control(self.proxy, *args, **kwargs), self.loop).result()

    return call


class ProxyThread:
    """A FaultProxy in a thread of its own, with the same controls, which may be called from any thread.

    A context manager: within it, the proxy listens on `port`.
    """

    def __init__(self, target_host: str, target_port: int, seed: int = 0) -> None:
        self.proxy: Final = FaultProxy(target_host, target_port, seed)
        self.loop: asyncio.AbstractEventLoop
        self._exit: contextlib.ExitStack

    @property
    def port(self) -> int:
        return self.proxy.port

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.loop = asyncio.new_event_loop()
            stack.callback(self.loop.close)
            thread = threading.Thread(target=self.loop.run_forever, name="fault proxy")
            thread.start()
            stack.callback(thread.join)
            stack.callback(self.loop.call_soon_threadsafe, self.loop.stop)
            stack.callback(self._stop)
            self._start()
            self._exit = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    cut = _in_thread(FaultProxy.cut)
    refuse = _in_thread(FaultProxy.refuse)
    half_open = _in_thread(FaultProxy.half_open)
    delay = _in_thread(FaultProxy.delay)
    throttle = _in_thread(FaultProxy.throttle)
    stall = _in_thread(FaultProxy.stall)
    flip_bit = _in_thread(FaultProxy.flip_bit)
    duplicate = _in_thread(FaultProxy.duplicate)
    counters = _in_thread(FaultProxy.counters)
    _start = _in_thread(FaultProxy.start)
    _stop = _in_thread(FaultProxy.stop)
