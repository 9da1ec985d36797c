"""dispatch_server/links/tls.py and reactor.py: what fails below TLS leaves nothing behind."""

import asyncio
import errno
import os
import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from dispatch_server.links import tls
from dispatch_server.links.reactor import Reactor
from tests.dispatch_server.links.test_tls import House, echo

HELLOS = 1  # sends until the handshake's last one


class Resetting(socket.socket):
    """The peer's reset is noticed by the send that ends the handshake."""

    sends = 0

    @override
    def send(self, *data: Any) -> int:
        self.sends += 1
        if self.sends > HELLOS:
            raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        return super().send(*data)


async def test_a_reset_in_the_last_step_of_the_handshake_is_an_error_of_this_dial_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, noise = tls._connect, list[Mapping[str, Any]]()

    async def resetting(host: str, port: int) -> socket.socket:
        return Resetting(fileno=(await connect(host, port)).detach())

    monkeypatch.setattr(tls, "_connect", resetting)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    house = House(tmp_path)
    async with house.peer(echo) as port:
        with pytest.raises(ConnectionResetError):
            await house.dial(port)
    assert noise == []
    assert house.reactor._handlers == {}
    await house.close()


async def test_a_socket_that_cannot_be_watched_is_closed_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, opened = tls._connect, list[socket.socket]()

    async def remembering(host: str, port: int) -> socket.socket:
        opened.append(await connect(host, port))
        return opened[-1]

    monkeypatch.setattr(tls, "_connect", remembering)
    house = House(tmp_path)

    class Exhausted:
        def register(self, *_: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with socket.create_server(("127.0.0.1", 0)) as server:
        epoll = house.reactor._epoll
        monkeypatch.setattr(house.reactor, "_epoll", Exhausted())
        with pytest.raises(OSError, match="space"):
            await house.dial(server.getsockname()[1])
        monkeypatch.setattr(house.reactor, "_epoll", epoll)
    assert [sock.fileno() for sock in opened] == [-1]
    assert house.reactor._handlers == {}
    assert house.reactor._strangers == set()
    assert house.dialler.handshaking == 0
    await house.close()


async def test_the_same_number_given_again_hears_nothing_of_the_socket_before() -> None:
    reactor, heard = Reactor(), list[str]()
    first, far = socket.socketpair()
    reactor.add(first, lambda _events: heard.append("first"))
    far.send(b"x")
    reactor._later[first.fileno()] = 1  # left over of a turn
    number = first.fileno()
    reactor.remove(first)
    first.close()
    second, other = socket.socketpair()
    assert number in {second.fileno(), other.fileno()}
    reused = second if second.fileno() == number else other
    reactor.add(reused, lambda _events: heard.append("second"))
    reactor._turn()
    assert heard == []
    reactor.remove(reused)
    reactor.close()
    for each in (far, second, other):
        each.close()


async def test_links_that_always_have_something_to_say_keep_no_other_from_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("dispatch_server.links.reactor._KNOWN_S", 0.0)  # as if each of them took long
    reactor, heard = Reactor(), set[int]()

    def note(number: int, _events: int) -> None:
        heard.add(number)

    pairs = [socket.socketpair() for _ in range(100)]
    for near, far in pairs:
        reactor.add(near, partial(note, near.fileno()))
        reactor.settle(near)
        far.send(b"x")  # nobody takes it: all are ready in each turn
    for _ in range(20):
        reactor._turn()
    assert heard == {near.fileno() for near, _ in pairs}
    for near, far in pairs:
        reactor.remove(near)
        near.close()
        far.close()
    reactor.close()
