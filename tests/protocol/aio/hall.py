"""A node that listens on loopback and repeats what it is told, and those who call it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from protocol.aio.crowd import DoorLimits
from protocol.aio.door import Door, Visit
from protocol.aio.ports import Stream
from protocol.aio.tls import TlsStream, dial, listen
from protocol.errors import PeerFault
from tests.protocol.aio.keyfiles import SERVER, KeyRoom, context_of

HOST = "127.0.0.1"
PATIENCE = 20.0  # s, after which a test is called stuck


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if holds():
            return
        await asyncio.sleep(0.002)
    raise TimeoutError


class Hall:
    """A listening node that repeats what it is told."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.port = 0
        self.certificates: list[bytes] = []
        self.faults: list[PeerFault] = []
        self._stack = stack
        self.door: Door

    async def open(self, context: ssl.SSLContext, limits: DoorLimits | None = None) -> None:
        """Listen."""
        self.door, port = await listen(HOST, 0, context, self.serve, self.faults.append, limits=limits)
        self.port = port()
        self._stack.callback(self.door.close)

    async def serve(self, stream: Stream, visit: Visit) -> None:
        """Serve one stream; whoever says something is no stranger any more."""
        self.certificates.append(stream.peer_certificate)
        with suppress(OSError):
            while data := await stream.read(1_000):
                visit.admitted()
                stream.write(data)
                await stream.drain()

    async def dial(self, context: ssl.SSLContext) -> TlsStream:
        """A stream that is closed in the end."""
        stream = await dial(HOST, self.port, context)
        self._stack.callback(stream.close)
        return stream

    async def connect(self, source: str = HOST) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """TCP without TLS, closed in the end."""
        reader, writer = await asyncio.open_connection(HOST, self.port, local_addr=(source, 0))
        self._stack.callback(writer.close)
        return reader, writer

    async def until_sockets(self, most: int) -> None:
        """Wait until no more connections than that cost this node something."""
        await until(lambda: self.door.visits <= most)


@asynccontextmanager
async def hall(
    keys: KeyRoom, place: Path | None = None, limits: DoorLimits | None = None
) -> AsyncIterator[Hall]:
    """A hall whose door is open; nobody is left in it afterwards, and nothing was said to the loop."""
    noise: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        room = Hall(stack)
        await room.open(context_of(SERVER, place or keys.plant()), limits)
        stack.push_async_callback(room.until_sockets, 0)
        async with AsyncExitStack() as callers:
            room._stack = callers
            yield room
    assert noise == []


async def echo(stream: TlsStream, data: bytes = b"hello") -> bytes:
    stream.write(data)
    await stream.drain()
    return await stream.read(1_000)
