"""What a link needs of its transport, in callbacks: a task for each of 20,000 links would be too much."""

import asyncio
from typing import Protocol

from protocol.aio.ports import Stream

FULL = 256 * 1024  # bytes that wait for the peer; nothing more is made for it while there are so many
_CHUNK = 64 * 1024


class Receiver(Protocol):
    """Who is told what happens on a channel."""

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        ...

    def drained(self) -> None:
        """The channel was full and has room again."""
        ...

    def lost(self, error: Exception | None) -> None:
        """The channel is gone; None: the peer closed it. Told at most once, and not after `close`."""
        ...


class Channel(Protocol):
    """An authenticated byte stream; `peer_certificate` is the DER that the transport proved."""

    peer_certificate: bytes

    @property
    def is_full(self) -> bool:
        """Whether the peer does not take what was written."""
        ...

    def start(self, receiver: Receiver) -> None:
        """Begin to receive."""
        ...

    def settle(self) -> None:
        """The peer has proved who it is: from now on it comes before those who have not."""
        ...

    def write(self, data: bytes) -> None:
        """Send, or keep until the peer takes it. Errors are told by `lost`."""
        ...

    def close(self) -> None:
        """Close now: what mattered was acknowledged or will be sent again."""
        ...


class StreamChannel:
    """A channel over a `Stream`, with a task that reads: for the simulator, and where there is no epoll."""

    def __init__(self, stream: Stream) -> None:
        self.peer_certificate = stream.peer_certificate
        self._stream = stream
        self._reader: asyncio.Task[None] | None = None
        self._drainer: asyncio.Task[None] | None = None
        self._receiver: Receiver | None = None

    @property
    def is_full(self) -> bool:
        """See Channel."""
        return self._drainer is not None

    def start(self, receiver: Receiver) -> None:
        """See Channel."""
        self._receiver = receiver
        self._reader = asyncio.get_running_loop().create_task(self._read(receiver))

    def settle(self) -> None:
        """See Channel."""

    async def _read(self, receiver: Receiver) -> None:
        error: OSError | None = None
        try:
            while data := await self._stream.read(_CHUNK):
                receiver.data_received(data)
        except OSError as failure:
            error = failure
        self._lose(error)

    def write(self, data: bytes) -> None:
        """See Channel."""
        self._stream.write(data)
        if self._drainer is None:
            self._drainer = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        try:
            await self._stream.drain()
        except OSError as error:
            self._lose(error)
            return
        self._drainer = None
        if self._receiver:
            self._receiver.drained()

    def _lose(self, error: Exception | None) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver:
            receiver.lost(error)

    def close(self) -> None:
        """See Channel."""
        self._receiver = None
        for task in (self._reader, self._drainer):
            if task:
                task.cancel()
        self._stream.close()
