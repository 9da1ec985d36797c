"""The limit of Python with TLS: the same bytes over mutual TLS 1.3 by `ssl` and epoll, nothing else.

What lies between this and `raw` is TLS and how Python calls it; what lies between this and our own links is
the protocol: frames, validation, the session, timers.
"""

import select
import socket
import ssl
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from typing_extensions import override

from tests.benchmarks.peers.certificates import make, side
from tests.benchmarks.peers.payload import POLL, REPORT
from tests.benchmarks.peers.polling import Ask
from tests.benchmarks.peers.program import Peer, main
from tests.benchmarks.peers.raw import Links, dial
from tests.benchmarks.peers.responding import BACKLOG, module, responder, tell_port
from tests.benchmarks.peers.row import Row, resident

_RECORD = 16 * 1024


class TlsLinks(Links):
    """Links whose sockets speak TLS."""

    def __init__(self, links: Sequence[ssl.SSLSocket], stack: ExitStack) -> None:
        self._sockets = {link.fileno(): link for link in links}
        super().__init__(links, stack)

    @override
    def send(self, fd: int) -> None:
        self._sockets[fd].send(POLL)

    @override
    def receive(self, fd: int) -> int:
        try:
            return len(self._sockets[fd].recv(_RECORD))
        except ssl.SSLWantReadError:  # a ticket, or half a record
            return 0


def measure(ask: Ask) -> Row:
    """The responder is of the same make."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        make(folder)
        context = side(folder, "poller").context(ssl.PROTOCOL_TLS_CLIENT)
        port = stack.enter_context(responder(module("raw_tls", str(folder))))
        before = resident()
        sockets = [
            stack.enter_context(context.wrap_socket(dial(port, stack), server_hostname=None))
            for _ in range(ask.links)
        ]
        links = TlsLinks(sockets, stack)
        links.saturated(0.5)  # tickets are read, buffers have their size
        rss = (resident() - before) / 1024 / ask.links
        saturated = links.saturated(ask.seconds)
        rhythm = links.rhythm(ask.seconds) if ask.rhythm else None
    return Row("raw Python, TLS", "epoll, mutual TLS 1.3", ask.links, rss, saturated, rhythm)


def respond(arguments: Sequence[str]) -> None:
    """Echo reports for polls."""
    context = side(Path(arguments[0]), "responder").context(ssl.PROTOCOL_TLS_SERVER)
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as door, select.epoll() as epoll:
        tell_port(door.getsockname()[1])
        links: dict[int, ssl.SSLSocket] = {}
        had: dict[int, int] = {}
        epoll.register(door, select.EPOLLIN)
        epoll.register(sys.stdin, select.EPOLLIN)
        while True:
            for fd, _flags in epoll.poll():
                if fd == sys.stdin.fileno():
                    return
                if fd == door.fileno():
                    link = _accept(door, context)
                    links[link.fileno()], had[link.fileno()] = link, 0
                    epoll.register(link, select.EPOLLIN)
                    continue
                with suppress(ssl.SSLWantReadError):
                    data = links[fd].recv(_RECORD)
                    if not data:
                        links.pop(fd).close()
                        continue
                    polls, had[fd] = divmod(had[fd] + len(data), len(POLL))
                    links[fd].send(REPORT * polls)


def _accept(door: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
    link, _ = door.accept()
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    secured = context.wrap_socket(link, server_side=True)
    secured.setblocking(False)
    return secured


PEER = Peer("raw_tls", (), ("python",), measure, respond)

if __name__ == "__main__":
    main(PEER)
