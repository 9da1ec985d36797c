"""Real sockets on loopback: who gets through TLS, and what a flood of others can do."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from protocol.aio import tls
from protocol.aio.ports import Stream
from protocol.aio.tls import TlsStream, dial, listen, tls_context
from protocol.errors import KeyRefused, PeerFault, WireCode
from protocol.keys import Role
from tests.protocol.aio.keyfiles import CLIENT, SERVER, KeyRoom, context_of, der_of

HOST = "127.0.0.1"
PATIENCE = 20.0  # s, after which a test is called stuck


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRoom:
    return KeyRoom(tmp_path_factory.mktemp("keys"))


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if holds():
            return
        await asyncio.sleep(0.002)
    raise TimeoutError


class Hall:
    """A listening node that repeats what it is told."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.port = 0
        self.certificates: list[bytes] = []
        self.faults: list[PeerFault] = []
        self._stack = stack
        self._server: asyncio.Server | None = None

    async def open(self, context: ssl.SSLContext, **options: int) -> None:
        """Listen."""
        server, port = await listen(HOST, 0, context, self.accept, self.faults.append, **options)
        self._server, self.port = server, port()
        self._stack.callback(server.close)

    async def accept(self, stream: Stream) -> None:
        """Serve one stream."""
        self.certificates.append(stream.peer_certificate)
        with suppress(OSError):
            while data := await stream.read(1_000):
                stream.write(data)
                await stream.drain()

    async def dial(self, context: ssl.SSLContext) -> TlsStream:
        """A stream that is closed in the end."""
        stream = await dial(HOST, self.port, context)
        self._stack.callback(stream.close)
        return stream

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """TCP without TLS, closed in the end."""
        reader, writer = await asyncio.open_connection(HOST, self.port)
        self._stack.callback(writer.close)
        return reader, writer

    async def until_sockets(self, most: int) -> None:
        """Wait until no more connections than that cost this node something."""
        await until(lambda: vars(self._server)["_active_count"] <= most)


@asynccontextmanager
async def hall(keys: KeyRoom, place: Path | None = None, **options: int) -> AsyncIterator[Hall]:
    """A hall whose door is open; nobody is left in it afterwards, and nothing was said to the loop."""
    noise: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    async with asyncio.timeout(PATIENCE), AsyncExitStack() as stack:
        room = Hall(stack)
        await room.open(context_of(SERVER, place or keys.plant()), **options)
        stack.push_async_callback(room.until_sockets, 0)
        async with AsyncExitStack() as callers:
            room._stack = callers
            yield room
    assert noise == []


async def echo(stream: TlsStream, data: bytes = b"hello") -> bytes:
    stream.write(data)
    await stream.drain()
    return await stream.read(1_000)


async def turned_away(room: Hall, context: ssl.SSLContext) -> None:
    """TLS 1.3 lets a client believe for a moment that it is in: it hears of the refusal when it reads."""
    with suppress(OSError):
        assert await echo(await room.dial(context)) == b""
    await until(lambda: bool(room.faults))
    assert room.certificates == []
    assert [fault.code for fault in room.faults] == [WireCode.IDENTITY]


# --- who gets through ---


async def test_both_sides_learn_the_certificate_of_the_other(keys: KeyRoom) -> None:
    async with hall(keys) as room:
        stream = await room.dial(context_of(CLIENT, keys.hq()))
        assert await echo(stream) == b"hello"
        assert stream.peer_certificate == der_of(keys.plant())
        assert room.certificates == [der_of(keys.hq())]
        assert room.faults == []


INTRUDERS: dict[str, dict[str, Any]] = {
    "of a foreign authority": {"role": Role.HQ, "name": "hq", "authority": "theirs"},
    "that may only listen": {"role": Role.PLANT, "name": "plant-2"},
    "of a person": {"role": Role.OPERATOR, "name": "wang"},
    "that has expired": {"role": Role.HQ, "name": "hq", "age": timedelta(days=9), "days": 8},
}


@pytest.mark.parametrize("who", INTRUDERS)
async def test_a_caller_with_a_certificate_that_does_not_count_is_refused(keys: KeyRoom, who: str) -> None:
    async with hall(keys) as room:
        await turned_away(room, context_of(CLIENT, keys.make(f"caller {who}", **INTRUDERS[who])))
        assert "certificate verify failed" in room.faults[0].detail


async def test_a_caller_without_a_certificate_is_refused(keys: KeyRoom) -> None:
    context = ssl.SSLContext(CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cafile=keys.plant() / "authority.crt")
    async with hall(keys) as room:
        await turned_away(room, context)
        assert "did not return a certificate" in room.faults[0].detail


async def test_an_older_tls_is_refused_by_the_listening_side(keys: KeyRoom) -> None:
    context = context_of(CLIENT, keys.hq())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with hall(keys) as room:
        await turned_away(room, context)
        assert "UNSUPPORTED_PROTOCOL" in room.faults[0].detail


async def test_an_older_tls_is_refused_by_the_dialling_side(keys: KeyRoom) -> None:
    context = context_of(SERVER, keys.plant())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    async with AsyncExitStack() as stack:
        room = Hall(stack)
        await room.open(context)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await room.dial(context_of(CLIENT, keys.hq()))
        await room.until_sockets(0)
        assert room.certificates == []


FALSE_PLANTS: dict[str, dict[str, Any]] = {
    "of a foreign authority": {"role": Role.PLANT, "name": "plant-1", "authority": "theirs"},
    "that may only dial": {"role": Role.HQ, "name": "hq"},
    "that has expired": {"role": Role.PLANT, "name": "plant-1", "age": timedelta(days=9), "days": 8},
}


@pytest.mark.parametrize("who", FALSE_PLANTS)
async def test_a_listener_with_a_certificate_that_does_not_count_is_refused(keys: KeyRoom, who: str) -> None:
    async with hall(keys, keys.make(f"listener {who}", **FALSE_PLANTS[who])) as room:
        with pytest.raises(PeerFault, match="TLS: ") as caught:
            await room.dial(context_of(CLIENT, keys.hq()))
        assert caught.value.code is WireCode.IDENTITY
        await room.until_sockets(0)
        assert room.certificates == []


@pytest.mark.parametrize(
    "data", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", bytes(70_000)]
)
async def test_a_caller_that_speaks_no_tls_is_not_heard(keys: KeyRoom, data: bytes) -> None:
    async with hall(keys) as room:
        reader, writer = await room.connect()
        writer.write(data)
        writer.write_eof()
        with suppress(OSError):
            assert await reader.read() == b""
        await until(lambda: len(room.faults) == bool(data))
        assert room.certificates == []


# --- floods ---


@pytest.fixture
def endless_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever dallies is sent away for want of places and not in time."""
    monkeypatch.setattr(tls, "HELLO_TIMEOUT", 3_600.0)


@pytest.mark.usefixtures("endless_patience")
async def test_silent_strangers_cost_a_bounded_number_of_sockets_and_keep_nobody_out(keys: KeyRoom) -> None:
    async with hall(keys, strangers=4) as room:
        superior = await room.dial(context_of(CLIENT, keys.hq()))
        for number in range(40):
            await room.connect()
            if number % 10 == 0:
                await room.until_sockets(1 + 4)
                assert await echo(superior) == b"hello"
        again = await room.dial(context_of(CLIENT, keys.hq()))
        assert await echo(again, b"the newer link") == b"the newer link"
        assert await echo(superior, b"the older one") == b"the older one"
        assert room.faults == []


@pytest.mark.usefixtures("endless_patience")
async def test_a_crowd_at_the_same_moment_finds_no_more_places_than_there_are(keys: KeyRoom) -> None:
    async with hall(keys, strangers=4) as room:
        superior = await room.dial(context_of(CLIENT, keys.hq()))
        await asyncio.gather(*(room.connect() for _ in range(60)))
        assert await echo(superior) == b"hello"
        await room.until_sockets(1 + 4)
        assert await echo(superior) == b"hello"


async def test_streams_beyond_the_places_are_closed_and_those_inside_stay(keys: KeyRoom) -> None:
    context = context_of(CLIENT, keys.hq())
    async with hall(keys, strangers=3) as room:
        inside = [await room.dial(context) for _ in range(3)]
        assert [await echo(stream) for stream in inside] == [b"hello"] * 3
        late = await room.dial(context)
        with suppress(OSError):
            assert await echo(late) == b""
        assert [await echo(stream) for stream in inside] == [b"hello"] * 3
        inside.pop().close()
        await room.until_sockets(2)
        another = await room.dial(context)
        assert await echo(another) == b"hello"


async def test_a_silent_stranger_is_shown_the_door_in_time(
    keys: KeyRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "HELLO_TIMEOUT", 0.05)
    async with hall(keys) as room:
        reader, _ = await room.connect()
        assert await reader.read() == b""
        await room.until_sockets(0)


# --- dialling ---


async def test_a_listener_that_says_nothing_is_given_up(
    keys: KeyRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "HELLO_TIMEOUT", 0.05)
    gone = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    server = await asyncio.start_server(silent, HOST, 0)
    with pytest.raises(TimeoutError):
        await dial(HOST, server.sockets[0].getsockname()[1], context_of(CLIENT, keys.hq()))
    await gone.wait()
    server.close()


async def test_a_port_where_nobody_listens_is_an_error_of_the_environment(keys: KeyRoom) -> None:
    async with hall(keys) as room:
        port = room.port
    with pytest.raises(ConnectionRefusedError):
        await dial(HOST, port, context_of(CLIENT, keys.hq()))


async def test_a_port_that_is_taken_is_an_error_of_the_environment(keys: KeyRoom) -> None:
    async with hall(keys) as room:
        with pytest.raises(OSError, match="in use"):
            await listen(HOST, room.port, context_of(SERVER, keys.plant()), room.accept, room.faults.append)


# --- key files ---


def test_keys_that_tls_cannot_use_are_refused_by_name(keys: KeyRoom, tmp_path: Path) -> None:
    plant, hq = keys.plant(), keys.hq()
    garbage = tmp_path / "garbage"
    garbage.write_text("no key at all")
    good = (plant / "authority.crt", plant / "node.crt", plant / "node.key")
    for index in range(3):
        for bad in (tmp_path / "missing", garbage):
            files = [*good[:index], bad, *good[index + 1 :]]
            with pytest.raises(KeyRefused, match=str(files[1])):
                tls_context(SERVER, *files)
    with pytest.raises(KeyRefused, match="key values mismatch"):
        tls_context(SERVER, good[0], good[1], hq / "node.key")
