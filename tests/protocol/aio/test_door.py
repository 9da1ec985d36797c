"""What a flood at the listening socket costs: places, time, bytes; and the superior gets in meanwhile."""

import asyncio
import errno
import os
import socket
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest

from protocol.aio import door
from protocol.aio.channel import TlsChannel
from protocol.aio.crowd import DoorLimits, TurnedAway, Why
from protocol.aio.door import Visit
from protocol.aio.ports import Stream
from protocol.errors import WireCode
from protocol.keys import Role
from protocol.limits import HELLO_TIMEOUT
from tests.protocol.aio.hall import HOST, Hall, echo, hall, until
from tests.protocol.aio.key_updates import flood
from tests.protocol.aio.keyfiles import CLIENT, SERVER, KeyRoom, context_of, der_of

FLOOD = "127.0.0.2"  # all of 127/8 is this machine
OFTEN = 1e9


def limits(in_all: int = 4, per_source: int = 4, guests: int = 4, rate: float = OFTEN) -> DoorLimits:
    return DoorLimits(in_all, per_source, rate, 40.0 if rate < OFTEN else OFTEN, guests)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRoom:
    return KeyRoom(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def endless_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever dallies is sent away for want of places and not in time."""
    monkeypatch.setattr(door, "HELLO_TIMEOUT", 3_600.0)


def counted(room: Hall) -> Counter[str]:
    """What was turned away, by name."""
    assert all(isinstance(fault, TurnedAway) for fault in room.faults), room.faults
    return Counter(fault.why for fault in room.faults if isinstance(fault, TurnedAway))


# --- places ---


@pytest.mark.usefixtures("endless_patience")
async def test_silent_strangers_cost_a_bounded_number_of_sockets_and_keep_nobody_out(keys: KeyRoom) -> None:
    async with hall(keys, limits=limits()) as room:
        superior = await room.dial(context_of(CLIENT, keys.hq()))
        assert await echo(superior) == b"hello"
        for number in range(40):
            await room.connect()
            if number % 10 == 0:
                await room.until_sockets(1 + 4)
                assert await echo(superior) == b"hello"
        again = await room.dial(context_of(CLIENT, keys.hq()))
        assert await echo(again, b"the newer link") == b"the newer link"
        assert await echo(superior, b"the older one") == b"the older one"
        await until(lambda: counted(room) == {Why.SOURCE: 37})


@pytest.mark.usefixtures("endless_patience")
async def test_a_crowd_at_the_same_moment_finds_no_more_places_than_there_are(keys: KeyRoom) -> None:
    async with hall(keys, limits=limits()) as room:
        superior = await room.dial(context_of(CLIENT, keys.hq()))
        assert await echo(superior) == b"hello"
        await asyncio.gather(*(room.connect() for _ in range(60)))
        assert await echo(superior) == b"hello"
        await room.until_sockets(1 + 4)
        assert await echo(superior) == b"hello"


@pytest.mark.usefixtures("endless_patience")
async def test_a_flood_from_one_address_leaves_a_slow_superior_at_another_alone(keys: KeyRoom) -> None:
    """TCP comes first, TLS only after the whole flood: so slow is no superior, and yet it gets in."""
    async with hall(keys, limits=limits(in_all=8, per_source=4)) as room:
        slow = socket.create_connection((HOST, room.port))
        for _ in range(50):
            await room.connect(FLOOD)
        await until(lambda: len(room.faults) == 46)
        context = context_of(CLIENT, keys.hq())
        reader, writer = await asyncio.open_connection(sock=slow, ssl=context, server_hostname="")
        writer.write(b"hello")
        assert await reader.read(100) == b"hello"
        writer.transport.abort()
        assert counted(room) == {Why.SOURCE: 46}


@pytest.mark.usefixtures("endless_patience")
async def test_a_flood_from_many_addresses_leaves_the_address_of_the_superior_alone(keys: KeyRoom) -> None:
    async with hall(keys, limits=limits(in_all=4)) as room:
        context = context_of(CLIENT, keys.hq())
        (first := await room.dial(context)).write(b"hello")
        assert await first.read(100) == b"hello"  # so its address is known
        slow = socket.create_connection((HOST, room.port))
        await until(lambda: room.door.visits == 2)
        for number in range(50):
            await room.connect(f"127.0.1.{number}")
        await until(lambda: len(room.faults) == 47)
        reader, writer = await asyncio.open_connection(sock=slow, ssl=context, server_hostname="")
        writer.write(b"hello")
        assert await reader.read(100) == b"hello"
        writer.transport.abort()
        assert counted(room) == {Why.CROWD: 47}


async def test_one_address_begins_no_more_handshakes_than_its_rate_and_others_are_free(keys: KeyRoom) -> None:
    async with hall(keys, limits=limits(in_all=64, per_source=64, rate=0.001)) as room:
        for _ in range(60):
            with suppress(OSError):
                await room.connect(FLOOD)
        await until(lambda: counted(room) == {Why.RATE: 20})
        assert await echo(await room.dial(context_of(CLIENT, keys.hq()))) == b"hello"


async def test_a_flood_with_tls_of_a_foreign_authority_is_counted_and_the_superior_gets_in(
    keys: KeyRoom,
) -> None:
    foreign = context_of(CLIENT, keys.make("foreign", Role.HQ, "hq", authority="theirs"))
    async with hall(keys, limits=limits(in_all=8, per_source=4)) as room:

        async def knock() -> None:
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(
                    HOST, room.port, ssl=foreign, server_hostname="", local_addr=(FLOOD, 0)
                )
                await reader.read()
                writer.transport.abort()

        flooding = asyncio.gather(*(knock() for _ in range(60)))
        assert await echo(await room.dial(context_of(CLIENT, keys.hq()))) == b"hello"
        await flooding
        assert {fault.code for fault in room.faults} <= {WireCode.IDENTITY, WireCode.LIMIT}
        assert len(room.certificates) == 1


@pytest.mark.usefixtures("endless_patience")
async def test_of_too_many_streams_without_a_hello_the_oldest_goes_and_those_with_one_stay(
    keys: KeyRoom,
) -> None:
    context = context_of(CLIENT, keys.hq())
    async with hall(keys, limits=limits(guests=3)) as room:
        inside = []
        for _ in range(5):
            inside.append(await room.dial(context))
            assert await echo(inside[-1]) == b"hello"
        waiting = [await room.dial(context) for _ in range(3)]
        await until(lambda: len(room.certificates) == 8)
        late = await room.dial(context)
        await until(lambda: counted(room) == {Why.GUESTS: 1})
        with suppress(OSError):
            assert await waiting[0].read(100) == b""
        assert await echo(late) == b"hello"
        assert [await echo(stream) for stream in [*waiting[1:], *inside]] == [b"hello"] * 7


# --- time ---


@pytest.mark.parametrize("drip", [b"", b"\x16\x03\x01\x02\x00" + bytes(507)])
async def test_a_stranger_has_one_deadline_for_tls_however_it_dallies(
    keys: KeyRoom, monkeypatch: pytest.MonkeyPatch, drip: bytes
) -> None:
    monkeypatch.setattr(door, "HELLO_TIMEOUT", 0.2)
    async with hall(keys) as room:
        reader, writer = await room.connect()

        async def trickle() -> None:
            with suppress(OSError):
                for byte in drip:
                    writer.write(bytes([byte]))
                    await asyncio.sleep(0.01)

        dripping = asyncio.create_task(trickle())
        with suppress(OSError):
            assert await reader.read() == b""
        await room.until_sockets(0)
        dripping.cancel()
        assert counted(room) == {Why.TLS_TIME: 1}


async def test_the_time_for_the_hello_began_when_the_connection_was_taken(
    keys: KeyRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    deadlines: list[float] = []
    async with hall(keys) as room:
        serve = room.door._serve

        async def note(stream: Stream, visit: Visit) -> None:
            deadlines.append(visit.deadline)
            await serve(stream, visit)

        monkeypatch.setattr(room.door, "_serve", note)
        began = asyncio.get_running_loop().time()
        slow = socket.create_connection((HOST, room.port))
        await until(lambda: room.door.visits == 1)
        taken = asyncio.get_running_loop().time()
        await asyncio.sleep(0.2)
        context = context_of(CLIENT, keys.hq())
        _, writer = await asyncio.open_connection(sock=slow, ssl=context, server_hostname="")
        await until(lambda: bool(deadlines))
        writer.transport.abort()
        assert began <= deadlines[0] - HELLO_TIMEOUT <= taken


# --- bytes ---


async def test_a_handshake_of_too_many_bytes_is_ended(keys: KeyRoom) -> None:
    """A ClientHello of 128 KiB, which libssl itself would wait for."""
    fragment = b"\x16\x03\x01\x40\x00"
    hello = b"\x01\x01\xff\x00\x03\x03" + bytes(16_384 - 6)
    async with hall(keys) as room:
        reader, writer = await room.connect()
        with suppress(OSError):
            writer.write(fragment + hello + fragment + bytes(16_384))
            await reader.read()
        await room.until_sockets(0)
        assert counted(room) == {Why.TLS_SIZE: 1}


async def test_a_peer_that_does_not_read_makes_its_writer_wait_with_bounded_memory(
    keys: KeyRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels: list[TlsChannel] = []
    async with hall(keys) as room:

        async def serve(stream: Stream, visit: Visit) -> None:
            assert isinstance(stream, TlsChannel)
            channels.append(stream)
            visit.admitted()
            with suppress(OSError):
                while True:
                    stream.write(bytes(100_000))
                    await stream.drain()

        monkeypatch.setattr(room.door, "_serve", serve)
        await room.dial(context_of(CLIENT, keys.hq()))
        await until(lambda: bool(channels) and not channels[0]._room.is_set())
        await asyncio.sleep(0.1)
        transport = channels[0]._transport
        assert transport is not None
        assert 0 < transport.get_write_buffer_size() < 110_000
        channels[0].close()


async def test_a_peer_whose_reader_is_slow_has_to_wait(
    keys: KeyRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels: list[TlsChannel] = []
    async with hall(keys) as room:

        async def serve(stream: Stream, visit: Visit) -> None:
            assert isinstance(stream, TlsChannel)
            channels.append(stream)
            await asyncio.sleep(0.2)
            total = 0
            while total < 1_000_000:
                total += len(await stream.read(1_000_000))
            stream.write(b"all")
            await stream.drain()

        monkeypatch.setattr(room.door, "_serve", serve)
        stream = await room.dial(context_of(CLIENT, keys.hq()))
        stream.write(bytes(1_000_000))
        await until(lambda: bool(channels) and len(channels[0]._plain) >= 64 * 1024)
        await asyncio.sleep(0.05)
        assert len(channels[0]._plain) <= (64 + 16 + 1) * 1024
        assert await stream.read(10) == b"all"


async def test_a_flood_of_key_updates_ends_the_stream_and_leaves_nothing_behind(keys: KeyRoom) -> None:
    async with hall(keys) as room:
        said = await asyncio.to_thread(flood, room.port, keys.hq(), 200_000)
        assert said < 200_000
        await room.until_sockets(0)
        assert counted(room) in ({Why.TLS_BARREN: 1}, {Why.NOT_READING: 1})


async def test_a_few_key_updates_do_no_harm(keys: KeyRoom) -> None:
    async with hall(keys) as room:
        assert await asyncio.to_thread(flood, room.port, keys.hq(), 100) == 100
        await room.until_sockets(0)
        assert room.faults == []


async def test_a_record_that_was_altered_after_the_handshake_ends_the_stream(keys: KeyRoom) -> None:
    async with hall(keys) as room:
        stream = await room.dial(context_of(CLIENT, keys.hq()))
        assert await echo(stream) == b"hello"
        raw = stream._writer.get_extra_info("socket")
        os.write(raw.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
        await until(lambda: bool(room.faults))
        assert [fault.code for fault in room.faults] == [WireCode.MALFORMED]


class Poor:
    """A listening socket of a process that has no file descriptors left for a while."""

    def __init__(self, listening: socket.socket, times: int) -> None:
        self._listening, self.times = listening, times

    def fileno(self) -> int:
        return self._listening.fileno()

    def accept(self) -> Any:
        if self.times:
            self.times -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return self._listening.accept()


async def test_without_file_descriptors_the_node_rests_and_goes_on(
    keys: KeyRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_REST_S", 0.02)
    async with hall(keys) as room:
        (listening,) = room.door._sockets
        poor: Any = Poor(listening, 3)
        asyncio.get_running_loop().remove_reader(listening)
        room.door._watch(poor)
        assert await echo(await room.dial(context_of(CLIENT, keys.hq()))) == b"hello"
        assert counted(room) == {Why.DESCRIPTORS: 3}


async def test_a_closed_door_takes_nobody_and_whoever_is_inside_stays(keys: KeyRoom) -> None:
    async with hall(keys) as room:
        stream = await room.dial(context_of(CLIENT, keys.hq()))
        assert await echo(stream) == b"hello"
        room.door.close()
        with pytest.raises(ConnectionRefusedError):
            await room.connect()
        assert await echo(stream) == b"hello"


async def test_the_next_connection_meets_the_certificate_that_the_door_was_given_last(keys: KeyRoom) -> None:
    renewed = keys.make("renewed", Role.PLANT, "plant-1")
    async with hall(keys) as room:
        room.door.context = context_of(SERVER, renewed)
        stream = await room.dial(context_of(CLIENT, keys.hq()))
        assert stream.peer_certificate == der_of(renewed)
