"""Real streams: TCP with TLS 1.3 and certificates of the deployment's own authority on both sides.

TLS proves that the peer holds a certificate of our authority; which node it is and whether the
certificate still counts is checked by `TrustStore` before a byte is said (`Stream.peer_certificate`).
"""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

from protocol.aio.crowd import DoorLimits
from protocol.aio.door import Door, Refuse, Serve
from protocol.errors import KeyRefused, PeerFault, WireCode
from protocol.limits import HELLO_TIMEOUT

_READ_BUFFER = 64 * 1024
# X509_V_FLAG_NO_CHECK_TIME: the dates are TrustStore's, which can name both clocks and tell the peer.
_NO_DATES = ssl.VerifyFlags(0x200000)


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
    context.verify_flags |= _NO_DATES
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
    serve: Serve,
    refuse: Refuse,
    *,
    limits: DoorLimits | None = None,
) -> tuple[Door, Callable[[], int]]:
    """Accept streams; gives the door, which must be closed, and a reader of its port. Raises OSError.

    `refuse` is told of each peer that is turned away before it is served: by TLS, or (TurnedAway) by a limit.
    """
    door = Door(context, serve, refuse, limits or DoorLimits())
    await door.open(host, port)
    return door, lambda: door.port
