"""Somebody who listens where a plant should be: takes what headquarters says and answers as the test wants."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from protocol.frames import FrameReader, Kind, encode_frame
from protocol.handshake import Fresh, Grant
from protocol.items import Item
from protocol.keys import parse_certificate
from protocol.messages import Hello, LedgerHead, Signed, Welcome
from protocol.outbox import Inbox, Outbox
from protocol.session import HelloReceived
from protocol.subordinate import SubordinateSession
from tests.system.caller import local_of
from tests.system.credentials import Credentials

WELCOME_DOMAIN = b"dispatch welcome 1\x00"
NOWHERE = LedgerHead(entry=0, hash=bytes(32))


class Guest:
    """Headquarters, as it came in. `visit` counts its visits from 0."""

    def __init__(self, connection: ssl.SSLSocket, visit: int) -> None:
        self.visit = visit
        self._connection = connection
        self._reader = FrameReader()

    def say(self, data: bytes) -> None:
        self._connection.sendall(data)

    def hear(self) -> tuple[Kind, bytes]:
        """The next frame. Raises EOFError."""
        while True:
            for frame in self._reader.feed(self.read(), frozenset(Kind)):
                return frame

    def read(self) -> bytes:
        """The next bytes. Raises EOFError."""
        data = self._connection.recv(65_536)
        if not data:
            raise EOFError
        return data

    def listen(self) -> None:
        """Take everything until headquarters leaves."""
        with suppress(EOFError):
            while True:
                self.read()


Behaviour = Callable[[Guest], None]


class Impostor:
    """A TLS server in a thread; each visit is treated by `behave`."""

    def __init__(self, port: int, credentials: Credentials, behave: Behaviour) -> None:
        self._context = credentials.context(ssl.PROTOCOL_TLS_SERVER)
        self._behave = behave
        self._door = socket.create_server(("127.0.0.1", port))
        self._thread = threading.Thread(target=self._serve, name=f"impostor {port}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join()

    def _serve(self) -> None:
        visit = 0
        with suppress(OSError):  # closed
            while True:
                connection, _ = self._door.accept()
                connection.settimeout(10)
                with suppress(OSError, EOFError), self._context.wrap_socket(connection, True) as secured:
                    self._behave(Guest(secured, visit))
                visit += 1


class PlayedPlant:
    """A plant whose journal is the test's memory; it keeps each frame that it says."""

    def __init__(self, credentials: Credentials, superior: Credentials) -> None:
        self.local = local_of(credentials)
        self.said: list[bytes] = []
        self.outbox, self._inbox = Outbox(), Inbox()
        self._superior = parse_certificate(superior.signing_key.certificate.der)

    def post(self, item: Item) -> None:
        """Have something to say."""
        self.outbox.mark_durable(self.outbox.add(item.encode()))

    def serve(self, guest: Guest, enough: Callable[[], bool]) -> None:
        """Agree on keys and answer polls, until it is enough."""
        session = SubordinateSession(
            self.local, self._superior, granted=Grant(), outbox=self.outbox, inbox=self._inbox
        )
        while not enough():
            for event in session.receive(guest.read(), time.monotonic()):
                if isinstance(event, HelloReceived):
                    session.welcome(event.hello, Fresh.of(os.urandom(48)), time.monotonic())
            session.advance(time.monotonic() + 10, NOWHERE)  # no poll is held
            data = session.data_to_send()
            self.said.append(data)
            guest.say(data)


def welcome(credentials: Credentials, hello: bytes, **changed: object) -> bytes:
    """The answer to a Hello's payload, but for what is changed."""
    session = SubordinateSession(
        local_of(credentials),
        credentials.signing_key.certificate,
        granted=Grant(),
        outbox=Outbox(),
        inbox=Inbox(),
    )
    del session
    key = credentials.signing_key
    fresh = Fresh.of(os.urandom(48))
    from hashlib import sha256

    body = Welcome.model_validate(
        {
            "version": 1,
            "node": key.certificate.name,
            "role": key.certificate.role,
            "acknowledged": 0,
            "digest": bytes(32),
            "hello": sha256(Signed.decode(hello).body).digest(),
            "ephemeral": fresh.public,
            "nonce": fresh.nonce,
        }
        | changed
    ).encode()
    signed = Signed(body=body, signature=key.sign(WELCOME_DOMAIN, body))
    return encode_frame(Kind.WELCOME, signed.encode())


__all__ = ["Behaviour", "Guest", "Hello", "Impostor", "PlayedPlant", "welcome"]
