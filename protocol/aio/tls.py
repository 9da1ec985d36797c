"""Real streams: TCP with TLS 1.3 and certificates of the deployment's own authority on both sides.

TLS proves that the peer holds a certificate of our authority; which node it is and whether the
certificate still counts is checked by `TrustStore` before a byte is said (`Stream.peer_certificate`).
"""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

from protocol.aio.ports import Accept, Stream
from protocol.errors import KeyRefused
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

    async def finish(self) -> None:
        """Close after what is queued has gone out; gives up after a second."""
        self._writer.close()
        try:
            async with asyncio.timeout(1):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
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
    """Open a stream. Raises OSError (also for a refused certificate) or TimeoutError."""
    async with asyncio.timeout(HELLO_TIMEOUT):
        reader, writer = await asyncio.open_connection(
            host, port, ssl=context, server_hostname="", limit=_READ_BUFFER, ssl_shutdown_timeout=1
        )
    return TlsStream(reader, writer)


async def listen(
    host: str, port: int, context: ssl.SSLContext, accept: Accept, *, strangers: int = 16
) -> tuple[asyncio.Server, Callable[[], int]]:
    """Accept streams; gives the server and a reader of its port. Raises OSError.

    `strangers`: how many accepted streams may exist at once; more are closed at the door, so a flood of
    connections costs a bounded amount of memory.
    """
    places = asyncio.Semaphore(strangers)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if places.locked():
            writer.transport.abort()
            return
        async with places:
            stream: Stream = TlsStream(reader, writer)
            try:
                await accept(stream)
            finally:
                stream.close()

    server = await asyncio.start_server(
        connected,
        host,
        port,
        ssl=context,
        limit=_READ_BUFFER,
        ssl_handshake_timeout=HELLO_TIMEOUT,
        ssl_shutdown_timeout=1,
    )

    def port_in_use() -> int:
        bound: int = server.sockets[0].getsockname()[1]
        return bound

    return server, port_in_use
