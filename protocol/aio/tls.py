"""Real streams: TCP with TLS 1.3 and certificates of the deployment's own authority on both sides.

TLS proves that the peer holds a certificate of our authority; which node it is and whether the
certificate still counts is checked by `TrustStore` before a byte is said (`Stream.peer_certificate`).
"""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

from typing_extensions import override

from protocol.aio.ports import Accept
from protocol.errors import KeyRefused, PeerFault, WireCode
from protocol.limits import HELLO_TIMEOUT

_READ_BUFFER = 64 * 1024


class TlsStream:
    """A Stream over asyncio's TLS transport."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        self.peer_certificate = tls.getpeercert(binary_form=True) or b""

    async def read(self, limit: int) -> bytes:
        """See Stream.read."""
        return await self._reader.read(limit)

    def write(self, data: bytes) -> None:
        """See Stream.write."""
        self._writer.write(data)

    async def drain(self) -> None:
        """See Stream.drain."""
        await self._writer.drain()

    def close(self) -> None:
        """Close without waiting for the peer: what mattered was acknowledged or will be sent again."""
        self._writer.transport.abort()


def tls_context(side: ssl._SSLMethod, authority: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    """A context that speaks TLS 1.3 only and demands a certificate of our authority. Raises KeyRefused."""
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # nodes have names, not host names: TrustStore compares them
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(cafile=authority)
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise KeyRefused(str(certificate), f"TLS cannot use it with {key} and {authority}: {error}") from None
    return context


async def dial(host: str, port: int, context: ssl.SSLContext) -> TlsStream:
    """Open a stream. Raises PeerFault(IDENTITY), OSError, TimeoutError."""
    try:
        async with asyncio.timeout(HELLO_TIMEOUT):
            reader, writer = await asyncio.open_connection(
                host, port, ssl=context, server_hostname="", limit=_READ_BUFFER, ssl_shutdown_timeout=1
            )
    except ssl.SSLCertVerificationError as error:
        raise PeerFault(WireCode.IDENTITY, f"TLS: {error.verify_message}") from None
    return TlsStream(reader, writer)


async def listen(
    host: str,
    port: int,
    context: ssl.SSLContext,
    accept: Accept,
    refuse: Callable[[PeerFault], None],
    *,
    strangers: int = 64,
) -> tuple[asyncio.Server, Callable[[], int]]:
    """Accept streams; gives the server and a reader of its port. Raises OSError.

    `refuse` is told of each peer that TLS turns away. `strangers`: how many peers may be in the TLS handshake
    at once, and how many accepted streams there may be, so a flood of connections costs a bounded amount of
    memory.
    """
    door = _Door(context, accept, refuse, strangers)
    server = await asyncio.get_running_loop().create_server(lambda: _Knock(door), host, port)

    def port_in_use() -> int:
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    return server, port_in_use


class _Knock(asyncio.Protocol):
    """A connection of which nothing has been read yet."""

    def __init__(self, door: "_Door") -> None:
        self._door = door

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            transport.pause_reading()  # what comes is for TLS, which begins in the task
            self._door.knock(transport)


class _Door:
    """Lets streams in. Of too many strangers the one goes that has dallied longest: a superior is quick."""

    def __init__(
        self, context: ssl.SSLContext, accept: Accept, refuse: Callable[[PeerFault], None], places: int
    ) -> None:
        self._context = context
        self._accept = accept
        self._refuse = refuse
        self._places = places
        self._strangers: dict[asyncio.Task[TlsStream], asyncio.Transport] = {}
        self._guests: set[asyncio.Task[None]] = set()

    def knock(self, transport: asyncio.Transport) -> None:
        task = asyncio.get_running_loop().create_task(_shake_hands(transport, self._context))
        self._strangers[task] = transport
        task.add_done_callback(self._shook_hands)
        if len(self._strangers) > self._places:
            oldest = next(iter(self._strangers))
            self._strangers.pop(oldest).abort()
            oldest.cancel()

    def _shook_hands(self, task: asyncio.Task[TlsStream]) -> None:
        self._strangers.pop(task, None)
        if task.cancelled():
            return
        if error := task.exception():
            if isinstance(error, ssl.SSLError):
                self._refuse(PeerFault(WireCode.IDENTITY, f"TLS: {error}"))
            elif not isinstance(error, OSError):
                raise error  # a defect of ours: the loop tells of it
        elif len(self._guests) >= self._places:
            task.result().close()
        else:
            guest = asyncio.get_running_loop().create_task(self._serve(task.result()))
            self._guests.add(guest)
            guest.add_done_callback(self._guests.discard)

    async def _serve(self, stream: TlsStream) -> None:
        try:
            await self._accept(stream)
        finally:
            stream.close()


async def _shake_hands(transport: asyncio.Transport, context: ssl.SSLContext) -> TlsStream:
    """Raises OSError, TimeoutError."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_READ_BUFFER)
    protocol = asyncio.StreamReaderProtocol(reader)
    secured = await loop.start_tls(
        transport,
        protocol,
        context,
        server_side=True,
        ssl_handshake_timeout=HELLO_TIMEOUT,
        ssl_shutdown_timeout=1,
    )
    if secured is None:  # the peer left when the handshake was just done
        raise ConnectionResetError("the peer left")
    protocol.connection_made(secured)
    return TlsStream(reader, asyncio.StreamWriter(secured, protocol, reader, loop))
