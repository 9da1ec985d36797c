import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from dispatch_server.counters import Counters
from dispatch_server.ops import endpoint
from dispatch_server.ops.endpoint import MAX_CONNECTIONS, MAX_REQUEST, Endpoint
from tests.dispatch_server.ops.support import until

GOOD = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Door:
    """A running endpoint and what it counted."""

    def __init__(
        self, render: Callable[[], Awaitable[bytes]], port: int = 0, host: str = "127.0.0.1"
    ) -> None:
        self.counters = Counters()
        self.endpoint = Endpoint(host, port, render, self.counters)
        self.task = asyncio.get_running_loop().create_task(self.endpoint.serve())

    async def port(self) -> int:
        await until(lambda: self.endpoint.port)
        assert self.endpoint.port
        return self.endpoint.port

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", await self.port())

    async def ask(self, request: bytes, *, end: bool = False) -> tuple[bytes, bytes]:
        """Status line and body of the answer."""
        reader, writer = await self.connect()
        try:
            writer.write(request)
            if end:
                writer.write_eof()
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        return head.split(b"\r\n")[0], body

    def counted(self, name: str) -> float:
        return self.counters.snapshot()[name]

    async def close(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


async def figures() -> bytes:
    return b"dispatch_polls_total 3\n"


def all_of(caller: socket.socket) -> bytes:
    caller.settimeout(10)
    with caller.makefile("rb") as received:
        return received.read()


@pytest_asyncio.fixture
async def door() -> AsyncIterator[Door]:
    made = Door(figures)
    yield made
    await made.close()


@pytest.mark.parametrize("target", [b"/metrics", b"/metrics?name[]=dispatch_links"])
@pytest.mark.parametrize("version", [b"HTTP/1.1", b"HTTP/1.0"])
async def test_the_metrics_are_served(door: Door, target: bytes, version: bytes) -> None:
    status, body = await door.ask(b"GET " + target + b" " + version + b"\r\nHost: localhost\r\n\r\n")
    assert (status, body) == (b"HTTP/1.1 200 OK", await figures())
    assert door.counted("metrics_scrapes") == 1
    assert door.counted("metrics_refused") == 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /metrics/ HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /../../etc/passwd HTTP/1.1\r\n\r\n", b"404"),
        (b"GET http://localhost/metrics HTTP/1.1\r\n\r\n", b"404"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"405"),
        (b"get /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/2\r\n\r\n", b"400"),
        (b"GET  /metrics HTTP/1.1\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x00\xff\r\n\r\n", b"400"),
        (b"\r\n\r\n", b"400"),
    ],
)
async def test_everything_else_is_refused_and_counted(door: Door, request_: bytes, status: bytes) -> None:
    line, body = await door.ask(request_)
    assert line.startswith(b"HTTP/1.1 " + status + b" ")
    assert b"dispatch" not in body
    assert door.counted("metrics_refused") == 1
    assert door.counted("metrics_scrapes") == 0


@pytest.mark.parametrize(
    "host", [b"localhost:9100", b"LOCALHOST", b"127.0.0.1:9100", b" 127.0.0.1 ", b"[::1]:9100", b"[::1]"]
)
async def test_this_machine_is_asked_by_its_address(door: Door, host: bytes) -> None:
    status, _ = await door.ask(b"GET /metrics HTTP/1.1\r\nhOST:" + host + b"\r\n\r\n")
    assert status.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "host",
    [
        b"evil.example",
        b"evil.example:9100",
        b"127.0.0.1.evil.example",
        b"localhost.evil.example",
        b"",
        b"\xff",
    ],
)
async def test_a_page_whose_name_was_led_here_reads_nothing(door: Door, host: bytes) -> None:
    line, body = await door.ask(b"GET /metrics HTTP/1.1\r\nHost: " + host + b"\r\n\r\n")
    assert line.startswith(b"HTTP/1.1 403 ")
    assert b"dispatch" not in body


async def test_beyond_loopback_any_name_will_do_for_people_gave_it_one() -> None:
    door = Door(figures, host="0.0.0.0")  # noqa: S104 - that is what it is about
    try:
        status, _ = await door.ask(b"GET /metrics HTTP/1.1\r\nHost: hq.grid.example:9100\r\n\r\n")
    finally:
        await door.close()
    assert status.startswith(b"HTTP/1.1 200 ")


async def test_half_a_request_is_refused_when_it_ends(door: Door) -> None:
    line, _ = await door.ask(b"GET /metrics HTTP/1.1\r\n", end=True)
    assert line.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("ends", [True, False])
async def test_a_request_over_the_limit_is_refused(door: Door, ends: bool) -> None:
    padding = b"X: " + b"x" * (2 * MAX_REQUEST)
    line, _ = await door.ask(b"GET /metrics HTTP/1.1\r\n" + padding + (b"\r\n\r\n" if ends else b""))
    assert line.startswith(b"HTTP/1.1 431 ")


async def test_who_says_nothing_is_cut_off(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "PATIENCE", 0.05)
    reader, writer = await door.connect()
    assert await reader.read() == b""
    writer.close()


async def test_who_speaks_slowly_is_cut_off_all_the_same(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "PATIENCE", 0.2)
    reader, writer = await door.connect()
    ended = asyncio.get_running_loop().create_task(reader.read())
    while not ended.done():
        writer.write(b"G")
        await asyncio.sleep(0.02)
    assert await ended == b""
    writer.close()


async def test_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "PATIENCE", 0.2)

    async def much() -> bytes:
        return b"x" * 50_000_000

    door = Door(much)
    with socket.create_connection(("127.0.0.1", await door.port())) as caller:
        caller.send(GOOD)
        await until(lambda: door.endpoint._talks)
        await until(lambda: not door.endpoint._talks)
        received = len(await asyncio.to_thread(all_of, caller))
    assert 0 < received < len(await much())
    await door.close()


async def test_more_than_a_few_at_once_are_refused_and_the_others_served() -> None:
    go_on = asyncio.Event()

    async def slowly() -> bytes:
        await go_on.wait()
        return await figures()

    door = Door(slowly)
    loop = asyncio.get_running_loop()
    waiting = [loop.create_task(door.ask(GOOD)) for _ in range(MAX_CONNECTIONS)]
    await until(lambda: door.counted("metrics_scrapes") == MAX_CONNECTIONS)
    reader, writer = await door.connect()
    assert await reader.read() == b""
    writer.close()
    assert door.counted("metrics_refused") == 1
    go_on.set()
    assert {body for _, body in await asyncio.gather(*waiting)} == {await figures()}
    assert (await door.ask(GOOD))[0] == b"HTTP/1.1 200 OK"
    await door.close()


async def test_a_caller_that_goes_away_costs_nothing(door: Door) -> None:
    for _ in range(2 * MAX_CONNECTIONS):
        _, writer = await door.connect()
        writer.transport.abort()
    await until(lambda: not door.endpoint._talks)
    assert (await door.ask(GOOD))[0] == b"HTTP/1.1 200 OK"


async def test_a_defect_in_counting_costs_the_answer_alone() -> None:
    async def broken() -> bytes:
        raise ZeroDivisionError

    door = Door(broken)
    with capture_logs() as lines:
        assert (await door.ask(GOOD))[0] == b"HTTP/1.1 500 Internal Server Error"
        assert (await door.ask(GOOD))[0] == b"HTTP/1.1 500 Internal Server Error"
    assert "metrics failed" in {line["event"] for line in lines}
    assert not door.task.done()
    await door.close()


async def test_an_address_that_is_taken_is_told_once_and_had_as_soon_as_it_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint, "_RETRY", 0.01)
    with socket.socket() as other, capture_logs() as lines:
        other.bind(("127.0.0.1", 0))
        other.listen()
        door = Door(figures, other.getsockname()[1])
        await until(lambda: "in use" in door.endpoint.failing)
        await asyncio.sleep(0.05)
        assert len([line for line in lines if line["log_level"] == "error"]) == 1
    assert (await door.ask(GOOD))[0] == b"HTTP/1.1 200 OK"
    assert door.endpoint.failing == ""
    await door.close()


async def test_when_it_ends_who_waits_for_an_answer_is_cut_off() -> None:
    async def never() -> bytes:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    door = Door(never)
    asked = asyncio.get_running_loop().create_task(door.ask(GOOD))
    await until(lambda: door.counted("metrics_scrapes"))
    await door.close()
    assert await asked == (b"", b"")
    assert not door.endpoint._talks


async def test_when_it_ends_nothing_listens_any_more(door: Door) -> None:
    port = await door.port()
    await door.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)
