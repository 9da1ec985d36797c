"""How channels are opened here: by our own reactor on Linux, by asyncio's streams elsewhere."""

import select
import ssl
from typing import Protocol

from dispatch_server.links.channel import Channel, StreamChannel
from dispatch_server.links.reactor import Reactor
from dispatch_server.links.tls import TlsDialler
from protocol.aio.tls import dial

MAX_HANDSHAKES = 128  # at once: a quarter of a second of work, so none of them waits until its peer gives up


class Dialler(Protocol):
    """Opens channels. `handshaking`: how many are on their way and cost us work."""

    handshaking: int

    async def dial(self, node: str, host: str, port: int) -> Channel:
        """Open a channel to a node. Raises PeerFault(IDENTITY), OSError, TimeoutError."""
        ...

    def renew(self, context: ssl.SSLContext) -> None:
        """Dial with other keys or authorities from now on."""
        ...


class StreamDialler:
    """See Dialler."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.handshaking = 0
        self._context = context

    async def dial(self, node: str, host: str, port: int) -> Channel:  # noqa: ARG002 - sessions are not kept
        """See Dialler."""
        self.handshaking += 1
        try:
            return StreamChannel(await dial(host, port, self._context))
        finally:
            self.handshaking -= 1

    def renew(self, context: ssl.SSLContext) -> None:
        """See Dialler."""
        self._context = context


def open_dialler(context: ssl.SSLContext) -> Dialler:
    """The best one of this platform. Needs a running loop."""
    return TlsDialler(Reactor(), context) if hasattr(select, "epoll") else StreamDialler(context)
