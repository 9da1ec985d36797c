"""A tiny HTTP/1.1 server for the metrics, and for nothing else.

It runs in the server's own loop, so all that a caller can cost is bounded: connections, bytes and seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final

import structlog

from dispatch_server.counters import Counters
from dispatch_server.ops.exposition import CONTENT_TYPE

PATH: Final = "/metrics"
MAX_CONNECTIONS: Final = 4
MAX_REQUEST: Final = 4 * 1024  # bytes of a request's head; it has no body
PATIENCE: Final = 5.0  # s for the whole exchange
_RETRY: Final = 30.0  # s until an address that could not be had is tried again
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}
_log = structlog.get_logger("metrics")


class Endpoint:
    """Serves `render()` at /metrics. `port`: where it listens now; `failing`: why it does not."""

    def __init__(
        self, host: str, port: int, render: Callable[[], Awaitable[bytes]], counters: Counters
    ) -> None:
        self.port: int | None = None
        self.failing = ""
        self._address = host, port
        self._is_loopback = ip_address(host).is_loopback
        self._render = render
        self._counters = counters
        self._talks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Serve until cancelled. An address that cannot be had is told and tried again: orders go on."""
        while True:
            try:
                server = await asyncio.start_server(self._take, *self._address, limit=MAX_REQUEST, backlog=8)
            except OSError as error:
                self._tell_failure(error.strerror or str(error))
                await asyncio.sleep(_RETRY)
                continue
            self.failing, self.port = "", server.sockets[0].getsockname()[1]
            _log.info("metrics are served", host=self._address[0], port=self.port)
            try:
                await asyncio.get_running_loop().create_future()  # until cancelled
            finally:
                self.port = None
                server.close()
                await self._end_talks()

    def _tell_failure(self, why: str) -> None:
        if why != self.failing:
            _log.error("metrics cannot be served: choose another metrics.port", why=why)
        self.failing = why

    async def _end_talks(self) -> None:
        for task in self._talks:
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A caller too many is cut off unheard: hearing it out would cost what the limit saves."""
        if len(self._talks) >= MAX_CONNECTIONS:
            self._counters.add("metrics_refused")
            writer.close()
            return
        task = asyncio.get_running_loop().create_task(self._talk(reader, writer))
        self._talks.add(task)
        task.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(high=0)  # so that `drain` waits until all of it is gone
        try:
            async with asyncio.timeout(PATIENCE):
                status, body = await self._answer(reader)
                writer.write(_response(status, body))
                await writer.drain()
        except (OSError, TimeoutError):
            writer.transport.abort()
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes]:
        status = await _asked(reader, by_name=not self._is_loopback)
        if status != 200:
            self._counters.add("metrics_refused")
            return status, f"{_REASONS[status]}\n".encode()
        self._counters.add("metrics_scrapes")
        try:
            return 200, await self._render()
        except Exception:  # noqa: BLE001 - a defect in counting costs this answer, never the daemon
            _log.exception("metrics failed")
            return 500, b"see the log\n"


async def _asked(reader: asyncio.StreamReader, *, by_name: bool) -> int:
    """200 for a request of the metrics, else the status that refuses it. `by_name`: any Host will do."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return 431
    except asyncio.IncompleteReadError:
        return 400
    first, *fields = head.split(b"\r\n")
    match first.split(b" "):
        case [method, target, b"HTTP/1.1" | b"HTTP/1.0"]:
            if method != b"GET":
                return 405
            if not by_name and not all(map(_is_ours, fields)):
                return 403
            return 200 if target.split(b"?", 1)[0] == PATH.encode() else 404
        case _:
            return 400


def _is_ours(field: bytes) -> bool:
    """Whether a header field is no Host that some stranger's name server could have led here.

    A page in a browser of this machine may have a name that resolves to 127.0.0.1 by now (DNS rebinding): it
    would read what only this machine may.
    """
    name, _, value = field.partition(b":")
    if name.strip().lower() != b"host":
        return True
    host = value.strip().decode("latin-1").lower()
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    try:
        ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def _response(status: int, body: bytes) -> bytes:
    kind = CONTENT_TYPE if status == 200 else "text/plain; charset=utf-8"
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\n"
        f"Content-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
