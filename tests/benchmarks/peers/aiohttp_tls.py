"""aiohttp's client over mutual TLS 1.3: a session and a kept-alive connection of its own per link."""

import ssl
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from tests.benchmarks.peers import certificates, polling
from tests.benchmarks.peers.canned import Canned
from tests.benchmarks.peers.payload import POLL, REPORT
from tests.benchmarks.peers.polling import Ask, PollOnce
from tests.benchmarks.peers.program import Peer, best_loop, load, main, run
from tests.benchmarks.peers.responding import module, responder, serve
from tests.benchmarks.peers.row import Row

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n%s" % (
    len(REPORT),
    REPORT,
)
_LEFT_OUT = ("Accept", "Accept-Encoding", "User-Agent")
_KEPT_ALIVE = 3600.0  # s; no link is dialled again while it is measured


def measure(ask: Ask) -> Row:
    """See `polling.measure`."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        certificates.make(folder)
        port = stack.enter_context(responder(module("aiohttp_tls", str(folder))))
        context = certificates.side(folder, "poller").context(ssl.PROTOCOL_TLS_CLIENT)
        links = Links(port, context)
        setup = f"{ask.loop}, mutual TLS"
        return run(ask.loop, polling.measure("aiohttp", setup, ask, links.dial))


class Links:
    """Sessions without what a link does not need: no cookies, decompression, time-outs, proxies."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._aiohttp = load("aiohttp")
        self._url = load("yarl").URL(f"https://127.0.0.1:{port}/")
        self._context = context

    async def dial(self, stack: AsyncExitStack) -> PollOnce:
        """A session; its connection comes with the first poll."""
        aiohttp = self._aiohttp
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=1, ssl=self._context, keepalive_timeout=_KEPT_ALIVE),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
            headers={"Content-Type": "application/octet-stream"},
            skip_auto_headers=_LEFT_OUT,
            auto_decompress=False,
        )
        stack.push_async_callback(session.close)
        post, url = session.post, self._url

        async def poll() -> None:
            async with post(url, data=POLL) as response:
                body = await response.read()
            if body != REPORT:
                raise ConnectionError(f"a report of {len(body)} B")

        return poll


def answer(buffer: bytearray) -> bytes:
    """One canned response for each whole request; a request's body is a poll."""
    said = b""
    while (end := buffer.find(b"\r\n\r\n")) >= 0 and len(buffer) >= end + 4 + len(POLL):
        del buffer[: end + 4 + len(POLL)]
        said += _ANSWER
    return said


def respond(arguments: Sequence[str]) -> None:
    """On certificates of the folder."""
    context = certificates.side(Path(arguments[0]), "responder").context(ssl.PROTOCOL_TLS_SERVER)
    run(best_loop(), serve(lambda: Canned(answer), context))


PEER = Peer("aiohttp_tls", ("aiohttp",), ("keep-alive",), measure, respond)

if __name__ == "__main__":
    main(PEER)
