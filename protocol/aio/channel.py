"""The listening side's TLS on one connection: an `SSLObject` fed by hand, so that every buffer has a limit.

asyncio's own TLS answers what a peer's TLS asks (key updates) without looking whether that peer ever reads,
and counts no bytes that carry nothing. Here both end the connection.
"""

import asyncio
import ssl
from typing import cast

from typing_extensions import override

from protocol.aio.crowd import TurnedAway, Why
from protocol.errors import PeerFault, WireCode
from protocol.limits import MAX_SESSION_FRAME

_ONCE = 16 * 1024  # bytes taken from the kernel at once
_UNREAD = 64 * 1024  # bytes that wait for our reader before the peer has to wait
_UNSENT = MAX_SESSION_FRAME + 128 * 1024  # bytes that the peer may leave with us: a whole report and its TLS
_MAX_HANDSHAKE = 16 * 1024  # bytes of the peer; a Hello of TLS and one certificate take some two thousand
_MAX_BARREN = 64 * 1024  # bytes of TLS that bring no data: a record is 16 KiB at most


class TlsChannel(asyncio.BufferedProtocol):
    """A Stream. `shaken` is done when the handshake is; raises PeerFault or OSError."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.peer_certificate = b""
        self.shaken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._buffer = memoryview(bytearray(_ONCE))
        self._transport: asyncio.Transport | None = None
        self._plain = bytearray()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._heard = 0  # bytes since data came last
        self._ended = False
        self._error: OSError | PeerFault | None = None

    # --- Stream ---

    async def read(self, limit: int) -> bytes:
        """See Stream.read. Raises PeerFault too: what TLS itself may not bring."""
        while not self._plain:
            if self._error:
                raise self._error
            if self._ended:
                return b""
            self._news.clear()
            await self._news.wait()
        data = bytes(self._plain[:limit])
        del self._plain[:limit]
        if self._transport and not self._transport.is_closing() and len(self._plain) < _UNREAD:
            self._transport.resume_reading()
        return data

    def write(self, data: bytes) -> None:
        """See Stream.write."""
        if self._transport and not self._transport.is_closing():
            rest = memoryview(data)
            while rest:
                rest = rest[self._tls.write(rest) :]
            self._flush(self._transport)

    async def drain(self) -> None:
        """Wait until the kernel has everything. Raises OSError."""
        await self._room.wait()
        if self._transport is None or self._transport.is_closing():
            raise self._error if isinstance(self._error, OSError) else ConnectionResetError("the peer left")

    def close(self) -> None:
        """Close without waiting for the peer."""
        if self._transport:
            self._transport.abort()

    def fail(self, error: OSError | PeerFault) -> None:
        """Close because of this, which whoever waits for the handshake or for data is told."""
        self._error = self._error or error
        self._end()
        self.close()

    # --- asyncio.BufferedProtocol ---

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but does not derive from it
        self._transport.set_write_buffer_limits(high=0)  # so that `drain` knows of every byte that stays here
        if self._error:
            self._transport.abort()

    @override
    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    @override
    def buffer_updated(self, nbytes: int) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._incoming.write(self._buffer[:nbytes])
        self._heard += nbytes
        try:
            if not self.shaken.done():
                self._shake()
            if self.shaken.done() and not self._error:
                self._decrypt(self._transport)
        except ssl.SSLError as error:
            self._refuse(error)
        else:
            self._flush(self._transport)

    @override
    def eof_received(self) -> None:
        self._end()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._error is None and isinstance(exc, OSError):
            self._error = exc
        self._end()
        self._room.set()

    @override
    def pause_writing(self) -> None:
        self._room.clear()

    @override
    def resume_writing(self) -> None:
        self._room.set()

    # --- TLS ---

    def _shake(self) -> None:
        """Raises ssl.SSLError."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            if self._heard > _MAX_HANDSHAKE:
                self.fail(TurnedAway(Why.TLS_SIZE, f"more than {_MAX_HANDSHAKE} B before TLS is done"))
        else:
            self.peer_certificate = self._tls.getpeercert(binary_form=True) or b""
            self.shaken.set_result(None)

    def _decrypt(self, transport: asyncio.Transport) -> None:
        """Raises ssl.SSLError."""
        had = len(self._plain)
        try:
            while data := self._tls.read(_UNREAD):
                self._plain += data
            self._ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._ended = True
        if len(self._plain) > had or self._ended:
            self._heard = 0
            self._news.set()
        elif self._heard > _MAX_BARREN:
            self.fail(TurnedAway(Why.TLS_BARREN, f"more than {_MAX_BARREN} B of TLS without any data"))
        if len(self._plain) >= _UNREAD and not transport.is_closing():
            transport.pause_reading()

    def _refuse(self, error: ssl.SSLError) -> None:
        if self._transport:
            self._flush(self._transport)  # the alert tells the peer why
        if self.shaken.done():
            self.fail(PeerFault(WireCode.MALFORMED, f"TLS: {error}"))
        else:
            self.fail(PeerFault(WireCode.IDENTITY, f"TLS: {error}"))

    def _flush(self, transport: asyncio.Transport) -> None:
        if self._outgoing.pending and not transport.is_closing():
            transport.write(self._outgoing.read())
            if transport.get_write_buffer_size() > _UNSENT:
                self.fail(TurnedAway(Why.NOT_READING, f"leaves more than {_UNSENT} B unread"))

    def _end(self) -> None:
        self._ended = True
        self._news.set()
        if not self.shaken.done():
            self.shaken.set_exception(self._error or ConnectionResetError("the peer left"))
