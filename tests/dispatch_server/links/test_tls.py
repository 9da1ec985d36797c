"""dispatch_server/links/tls.py and reactor.py: real sockets, real TLS, peers of every kind."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from dispatch_server.links.channel import FULL
from dispatch_server.links.reactor import Reactor
from dispatch_server.links.tls import TlsChannel, TlsDialler
from protocol.errors import PeerFault, WireCode
from protocol.keys import Role
from tests.dispatch_server.links.support import until
from tests.protocol.aio.keyfiles import CLIENT, SERVER, KeyRoom, context_of, der_of

Peer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Heard:
    """What a channel told."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.drains = 0
        self.losses: list[Exception | None] = []
        self.news = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.news.set()

    def drained(self) -> None:
        self.drains += 1
        self.news.set()

    def lost(self, error: Exception | None) -> None:
        self.losses.append(error)
        self.news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self.news.clear()
                await self.news.wait()


class House:
    """A dialler, and peers that listen."""

    def __init__(self, folder: Path) -> None:
        self.keys = KeyRoom(folder)
        self.reactor = Reactor()
        self.dialler = TlsDialler(self.reactor, context_of(CLIENT, self.keys.hq()))
        self.reused: list[bool | None] = []
        self._serving: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)
        await asyncio.sleep(0.02)  # aborted transports close a little later
        self.reactor.close()

    @asynccontextmanager
    async def peer(self, serve: Peer, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task
            self._serving.add(task)
            self.reused.append(writer.get_extra_info("ssl_object").session_reused)
            try:
                await serve(reader, writer)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.transport.abort()

        context = context or context_of(SERVER, self.keys.plant())
        async with await asyncio.start_server(note, "127.0.0.1", 0, ssl=context) as server:
            yield server.sockets[0].getsockname()[1]

    async def dial(self, port: int, host: str = "127.0.0.1") -> tuple[TlsChannel, Heard]:
        channel, heard = await self.dialler.dial("plant-1", host, port), Heard()
        channel.start(heard)
        return channel, heard


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(tmp_path)
    yield house
    await house.close()


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_bytes_go_both_ways_and_the_peers_certificate_is_known(house: House, host: str) -> None:
    async with house.peer(echo) as port:
        channel, heard = await house.dial(port, host)
        channel.settle()
        channel.write(b"one ")
        channel.write(b"two")
        await heard.until(lambda: heard.data == b"one two")
        assert channel.peer_certificate == der_of(house.keys.plant())
        channel.close()
    assert heard.losses == []


async def test_a_peer_that_reads_late_makes_the_channel_full_and_gets_all_of_it(
    house: House,
) -> None:
    may_read, ended, got = asyncio.Event(), asyncio.Event(), bytearray()

    async def read_later(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await may_read.wait()
        while data := await reader.read(65_536):
            got.extend(data)
            if got.endswith(b"end"):
                ended.set()

    async with house.peer(read_later) as port:
        channel, heard = await house.dial(port)
        sent = bytearray()
        while not channel.is_full:
            piece = len(sent).to_bytes(8) * 8_000
            sent += piece
            channel.write(piece)
            await asyncio.sleep(0)
        assert heard.drains == 0
        may_read.set()
        await heard.until(lambda: heard.drains)
        channel.write(b"end")
        async with asyncio.timeout(20):
            await ended.wait()
        assert got == sent + b"end"
        assert heard.drains == 1
        channel.close()


async def test_what_waits_for_a_peer_that_takes_nothing_is_bounded(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatch_server.links.tls._MOST", 2 * FULL)
    stay = asyncio.Event()

    async def never_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stay.wait()

    async with house.peer(never_read) as port:
        channel, heard = await house.dial(port)
        for _ in range(1_000):
            channel.write(bytes(64 * 1024))
        await heard.until(lambda: heard.losses)
        stay.set()
    (error,) = heard.losses
    assert isinstance(error, PeerFault)
    assert error.code is WireCode.LIMIT


async def test_a_node_that_was_connected_before_resumes_its_session(house: House) -> None:
    async with house.peer(echo) as port:
        for number in range(3):
            channel, heard = await house.dial(port)
            channel.write(b"x")
            await heard.until(partial(bool, heard.data))
            assert channel.peer_certificate == der_of(house.keys.plant()), number
            channel.close()
    assert house.reused == [False, True, True]


async def test_with_renewed_keys_no_old_session_is_resumed(house: House) -> None:
    seen: list[bytes | None] = []

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
        await echo(reader, writer)

    renewed = house.keys.make("renewed", Role.HQ, "hq")
    async with house.peer(note) as port:
        first, heard = await house.dial(port)
        first.write(b"x")
        await heard.until(lambda: heard.data)
        house.dialler.renew(context_of(CLIENT, renewed))
        first.close()  # its session belongs to the old keys
        second, heard = await house.dial(port)
        second.write(b"x")
        await heard.until(lambda: heard.data)
        second.close()
    assert house.reused == [False, False]
    assert seen == [der_of(house.keys.hq()), der_of(renewed)]


async def test_a_node_of_another_deployment_is_refused_by_name(house: House) -> None:
    stranger = house.keys.make("stranger", Role.PLANT, "plant-1", authority="theirs")
    async with house.peer(echo, context_of(SERVER, stranger)) as port:
        with pytest.raises(PeerFault, match="TLS") as caught:
            await house.dial(port)
    assert caught.value.code is WireCode.IDENTITY
    assert house.dialler.handshaking == 0


async def test_a_peer_that_accepts_and_says_nothing_is_given_up(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatch_server.links.tls.HELLO_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(TimeoutError):
        await house.dial(silent.getsockname()[1])
    assert house.dialler.handshaking == 0
    assert house.reactor._handlers == {}


async def test_silent_peers_do_not_hold_the_places_of_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatch_server.links.tls._COUNTED_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dialling = asyncio.get_running_loop().create_task(house.dial(silent.getsockname()[1]))
        async with asyncio.timeout(10):
            await until(lambda: house.reactor._handlers)
            assert house.dialler.handshaking == 1
            await until(lambda: not house.dialler.handshaking)
        assert not dialling.done()
        dialling.cancel()
        await asyncio.gather(dialling, return_exceptions=True)
    assert house.dialler.handshaking == 0


async def test_a_port_where_nobody_listens_is_an_error_of_the_network(house: House) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await house.dial(port)


async def test_a_peer_that_speaks_no_tls_is_an_error_and_leaves_nothing_behind(house: House) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.transport.abort()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        with pytest.raises(ssl.SSLError):
            await house.dial(server.sockets[0].getsockname()[1])
    assert house.reactor._handlers == {}
    await asyncio.sleep(0.02)


async def test_an_end_by_the_peer_is_told_once_after_all_its_bytes(house: House) -> None:
    async def speak_and_go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"last words")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with house.peer(speak_and_go) as port:
        channel, heard = await house.dial(port)
        await heard.until(lambda: heard.losses)
        await asyncio.sleep(0.05)
        assert heard.data == b"last words"
        assert len(heard.losses) == 1
        channel.write(b"to nobody")
        channel.close()
        channel.close()
    assert len(heard.losses) == 1
    assert house.reactor._handlers == {}


async def test_a_closed_channel_tells_nothing_more(house: House) -> None:
    async with house.peer(echo) as port:
        channel, heard = await house.dial(port)
        channel.write(b"x")
        channel.close()
        await asyncio.sleep(0.05)
    assert not heard.data
    assert heard.losses == []


async def test_tls_that_brings_no_data_for_long_ends_the_channel(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dispatch_server.links.tls._MAX_BARREN", 8_000)
    tickets = context_of(SERVER, house.keys.plant())
    tickets.num_tickets = 100
    stay = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stay.wait()

    async with house.peer(wait, tickets) as port:
        _, heard = await house.dial(port)
        await heard.until(lambda: heard.losses)
        stay.set()
    (error,) = heard.losses
    assert isinstance(error, PeerFault)
    assert error.code is WireCode.LIMIT


async def test_those_who_are_known_come_before_strangers_who_get_a_bounded_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dispatch_server.links.reactor._STRANGERS_S", 0.0)  # one stranger a turn
    reactor, order = Reactor(), []
    pairs = [socket.socketpair() for _ in range(5)]

    def hear(number: int) -> Callable[[int], None]:
        def on_ready(events: int) -> None:
            order.append(number)
            pairs[number][0].recv(100)

        return on_ready

    for number, (near, far) in enumerate(pairs):
        near.setblocking(False)
        reactor.add(near, hear(number))
        far.send(b"x")
    reactor.settle(pairs[4][0])
    async with asyncio.timeout(10):
        while len(order) < 5:
            await asyncio.sleep(0)
            if order == [4]:
                pairs[4][1].send(b"again")
    assert order[0] == 4
    assert set(order) == {0, 1, 2, 3, 4}
    for near, far in pairs:
        reactor.remove(near)
        near.close()
        far.close()
    reactor.close()
