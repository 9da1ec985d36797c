"""TLS 1.3 by OpenSSL between memory buffers, sockets read and written here.

asyncio's own TLS keeps 256 KiB of buffer for each link; an SSLObject fed from one buffer that all links share
keeps some 20 KiB, and OpenSSL does the same checks. A node that was connected before resumes its session (RFC
8446 section 2.2): no certificate travels and TLS checks none again, which is why the caller checks
`peer_certificate` at each link, and Hello and Welcome prove the keys anew.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dispatch_server.links.channel import FULL, Receiver
from dispatch_server.links.reactor import WRITE, Reactor
from protocol.errors import PeerFault, WireCode
from protocol.limits import HELLO_TIMEOUT

_COUNTED_S = 1.0
_MOST = FULL + 4 * 1024 * 1024  # a full window of items, all replies, and what TLS adds: more is no session's
_RECORD = 16 * 1024  # the most that TLS puts into one record
_MAX_BARREN = 128 * 1024  # bytes of TLS that bring no data: key updates, records of nothing


class TlsDialler:
    """Opens channels. `handshaking`: how many are in the TLS handshake, each counted for a second at most."""

    def __init__(self, reactor: Reactor, context: ssl.SSLContext) -> None:
        self.handshaking = 0
        self._reactor = reactor
        self._context = context
        self._sessions: dict[str, ssl.SSLSession] = {}

    def renew(self, context: ssl.SSLContext) -> None:
        """Dial with other keys or authorities from now on; sessions of the old ones are forgotten."""
        self._context = context
        self._sessions.clear()

    async def dial(self, node: str, host: str, port: int) -> "TlsChannel":
        """Open a channel to a node. Raises PeerFault(IDENTITY), OSError, TimeoutError."""
        async with asyncio.timeout(HELLO_TIMEOUT):
            sock = await _connect(host, port)
        with self._counted():
            try:
                async with asyncio.timeout(HELLO_TIMEOUT):
                    return await self._shake_hands(node, sock)
            except ssl.SSLCertVerificationError as error:
                raise PeerFault(WireCode.IDENTITY, f"TLS: {error.verify_message}") from None

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """A peer that says nothing costs us no work: counted for longer, a few could keep all others out."""
        is_counted = True

        def let_go() -> None:
            nonlocal is_counted
            self.handshaking -= is_counted
            is_counted = False

        self.handshaking += 1
        timer = asyncio.get_running_loop().call_later(_COUNTED_S, let_go)
        try:
            yield
        finally:
            timer.cancel()
            let_go()

    async def _shake_hands(self, node: str, sock: socket.socket) -> "TlsChannel":
        context = self._context

        def keep(session: ssl.SSLSession) -> None:
            if context is self._context:
                self._sessions[node] = session

        known = self._sessions.pop(node, None)
        try:
            channel = TlsChannel(self._reactor, sock, context=context, session=known, keep=keep)
        except BaseException:
            sock.close()
            raise
        try:
            await channel.shake_hands()
        except BaseException:
            channel.close()
            raise
        return channel


async def _connect(host: str, port: int) -> socket.socket:
    """A socket connected to the first address of the host that answers. Raises OSError."""
    loop = asyncio.get_running_loop()
    failure = OSError(f"'{host}' has no address")
    for family, address in await _addresses(host, port):
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)  # noqa: FBT003 - that is its signature
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


async def _addresses(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    """Names are resolved anew at each dial, so a node may move; an address needs no resolver."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, (str(where[0]), port)) for family, _, _, _, where in found]
    return [(socket.AF_INET if version == 4 else socket.AF_INET6, (host, port))]


class TlsChannel:
    """See Channel."""

    __slots__ = (
        "_backlog",
        "_barren",
        "_incoming",
        "_is_closed",
        "_keep",
        "_outgoing",
        "_reactor",
        "_receiver",
        "_shaken",
        "_sock",
        "_tls",
        "peer_certificate",
    )

    def __init__(
        self,
        reactor: Reactor,
        sock: socket.socket,
        *,
        context: ssl.SSLContext,
        session: ssl.SSLSession | None,
        keep: Callable[[ssl.SSLSession], None],
    ) -> None:
        self.peer_certificate = b""
        self._reactor = reactor
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, session=session)
        self._keep = keep
        self._backlog = bytearray()
        self._barren = 0  # bytes since data came last
        self._receiver: Receiver | None = None
        self._shaken: asyncio.Future[None] | None = asyncio.get_running_loop().create_future()
        self._is_closed = False
        reactor.add(sock, self._on_ready)

    async def shake_hands(self) -> None:
        """Do the TLS handshake. Raises OSError (with ssl.SSLError)."""
        assert self._shaken is not None  # noqa: S101
        self._step(self._shaken)
        await self._shaken
        self._shaken = None

    def _step(self, shaken: "asyncio.Future[None]") -> None:
        if shaken.done():
            return
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._push()
        except OSError as error:
            shaken.set_exception(error)
        else:
            self.peer_certificate = self._tls.getpeercert(binary_form=True) or b""
            self._push()
            if not shaken.done():  # it is, when the push met a reset
                shaken.set_result(None)

    @property
    def is_full(self) -> bool:
        """See Channel."""
        return len(self._backlog) >= FULL

    def start(self, receiver: Receiver) -> None:
        """See Channel."""
        self._receiver = receiver
        if self._is_closed:
            asyncio.get_running_loop().call_soon(self._tell_lost, None)
        elif self._incoming.pending:  # it came with the end of the handshake
            asyncio.get_running_loop().call_soon(self._decrypt)

    def settle(self) -> None:
        """See Channel."""
        self._reactor.settle(self._sock)

    def write(self, data: bytes) -> None:
        """See Channel."""
        if self._is_closed:
            return
        try:
            self._tls.write(data)
        except ssl.SSLError as error:
            self._lose(error)
        else:
            self._push()

    def _push(self) -> None:
        """What TLS made goes to the socket, behind what waits already."""
        data = self._outgoing.read()
        if self._backlog:
            self._backlog += data
            if len(self._backlog) > _MOST:
                self._lose(
                    PeerFault(WireCode.LIMIT, f"{len(self._backlog)} B wait and the peer takes nothing")
                )
            return
        try:
            sent = self._sock.send(data) if data else 0
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lose(error)
            return
        if sent < len(data):
            self._backlog += data[sent:]
            self._reactor.want(self._sock, write=True)

    def _drain(self) -> None:
        was_full = self.is_full
        try:
            del self._backlog[: self._sock.send(self._backlog)]
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if not self._backlog:
            self._backlog = bytearray()  # a long one keeps its memory when it is only emptied
            self._reactor.want(self._sock, write=False)
        if was_full and not self.is_full and self._receiver:
            self._receiver.drained()

    def _on_ready(self, events: int) -> None:
        if events & WRITE and self._backlog:
            self._drain()
        if events != WRITE and not self._is_closed:
            self._receive()

    def _receive(self) -> None:
        reactor = self._reactor
        try:
            count = self._sock.recv_into(reactor.buffer)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error)
            return
        if count == 0:
            self._lose(None)
            return
        self._incoming.write(reactor.view[:count])
        self._barren += count
        if self._barren > _MAX_BARREN:
            self._lose(PeerFault(WireCode.LIMIT, f"{self._barren} B of TLS without data"))
            return
        if self._receiver is not None:
            self._decrypt()
        elif self._shaken is not None:
            self._step(self._shaken)

    def _decrypt(self) -> None:
        tls, incoming = self._tls, self._incoming
        try:
            while self._receiver is not None:
                data = tls.read(_RECORD)
                if not data:
                    self._lose(None)
                    return
                self._barren = 0
                self._receiver.data_received(data)
                if not incoming.pending and not tls.pending():
                    break  # asking once more would only raise
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._lose(error)
            return
        if not self._is_closed and self._outgoing.pending:
            self._push()  # what TLS itself answers, a KeyUpdate for example

    def _lose(self, error: Exception | None) -> None:
        """Told later: whoever writes must not be called back in the middle of it."""
        if self._shaken is not None and not self._shaken.done():
            self._shaken.set_exception(error or ConnectionResetError("the peer closed the connection"))
        if self._receiver is not None:
            asyncio.get_running_loop().call_soon(self._tell_lost, error)
        self._shut()

    def _tell_lost(self, error: Exception | None) -> None:
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.lost(error)

    def close(self) -> None:
        """See Channel."""
        self._receiver = None
        self._shut()

    def _shut(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        self._reactor.remove(self._sock)
        self._sock.close()
        if self._shaken is None:  # before that there is no session to ask for
            session = self._tls.session
            if session and session.has_ticket:
                self._keep(session)
