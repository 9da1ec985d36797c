"""Real sockets on loopback: who gets through TLS, and what a flood of others can do."""

import asyncio
import ssl
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from protocol.aio import tls
from protocol.aio.tls import dial, listen, tls_context
from protocol.errors import KeyRefused, PeerFault, WireCode
from protocol.keys import Role
from tests.protocol.aio.hall import HOST, Hall, echo, hall, until
from tests.protocol.aio.keyfiles import CLIENT, SERVER, KeyRoom, context_of, der_of

TLS_ALERT = b"\x15\x03\x03\x00\x02"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyRoom:
    return KeyRoom(tmp_path_factory.mktemp("keys"))


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
            assert await reader.read() in {b"", TLS_ALERT + b"\x02\n"}
        await until(lambda: len(room.faults) == bool(data))
        assert room.certificates == []


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
            await listen(HOST, room.port, context_of(SERVER, keys.plant()), room.serve, room.faults.append)


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
