"""dispatch_server/links/diallers.py: our own reactor where there is epoll, asyncio's streams elsewhere."""

import asyncio
import select
import subprocess
import sys
from pathlib import Path

import pytest

from dispatch_server.links.diallers import StreamDialler, open_dialler
from dispatch_server.links.tls import TlsDialler
from protocol.errors import PeerFault, WireCode
from protocol.keys import Role
from tests.dispatch_server.links.test_tls import Heard, House, echo
from tests.protocol.aio.keyfiles import CLIENT, SERVER, KeyRoom, context_of, der_of

ELSEWHERE = """
import select
for name in [name for name in vars(select) if name.lower().startswith("epoll")]:
    delattr(select, name)
import ssl
from dispatch_server.links.diallers import open_dialler
print(type(open_dialler(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))).__name__)
"""


async def test_on_linux_our_own_reactor_dials(tmp_path: Path) -> None:
    dialler = open_dialler(context_of(CLIENT, KeyRoom(tmp_path).hq()))
    assert isinstance(dialler, TlsDialler) == hasattr(select, "epoll")
    if isinstance(dialler, TlsDialler):
        dialler._reactor.close()


def test_where_there_is_no_epoll_asyncios_streams_dial() -> None:
    done = subprocess.run([sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("StreamDialler", "")


async def test_a_channel_of_streams_carries_bytes_both_ways_and_tells_its_end(tmp_path: Path) -> None:
    house, heard = House(tmp_path), Heard()
    dialler = StreamDialler(context_of(CLIENT, house.keys.hq()))

    async def echo_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read(100))
        await writer.drain()

    async with house.peer(echo_once) as port:
        channel = await dialler.dial("plant-1", "127.0.0.1", port)
        assert channel.peer_certificate == der_of(house.keys.plant())
        channel.start(heard)
        channel.settle()
        channel.write(b"there and back")
        await heard.until(lambda: heard.losses)
        channel.close()
    assert heard.data == b"there and back"
    assert len(heard.losses) == 1
    assert dialler.handshaking == 0
    await house.close()


async def test_a_node_of_another_deployment_is_refused_by_streams_too(tmp_path: Path) -> None:
    house = House(tmp_path)
    dialler = StreamDialler(context_of(CLIENT, house.keys.hq()))
    stranger = house.keys.make("stranger", Role.PLANT, "plant-1", authority="theirs")
    async with house.peer(echo, context_of(SERVER, stranger)) as port:
        with pytest.raises(PeerFault) as caught:
            await dialler.dial("plant-1", "127.0.0.1", port)
    assert caught.value.code is WireCode.IDENTITY
    assert dialler.handshaking == 0
    await house.close()
