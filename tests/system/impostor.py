"""Somebody who listens where a plant should be: hears headquarters and answers as the test wants."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Self

from protocol.errors import LinkError
from protocol.frames import FrameReader, Kind, encode_frame
from protocol.handshake import Fresh, Grant, make_welcome
from protocol.items import Item
from protocol.keys import parse_certificate
from protocol.messages import LedgerHead, Signed, Welcome
from protocol.outbox import START, Inbox, Outbox
from protocol.session import HelloReceived
from protocol.subordinate import SubordinateSession
from tests.system.caller import local_of
from tests.system.credentials import Credentials

WELCOME_DOMAIN = b"dispatch welcome 1\x00"
_HASTE = 0.5  # s: beyond the time that a poll would be held
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
        data = b""  # an earlier read may have brought more than one
        while True:
            for frame in self._reader.feed(data, frozenset(Kind)):
                return frame
            data = self.read()

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
                with (
                    suppress(OSError, EOFError, LinkError),
                    self._context.wrap_socket(connection, True) as secured,
                ):
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

    def serve(
        self,
        guest: Guest,
        enough: Callable[[], bool],
        alter: Callable[[bytes], bytes] = bytes,
        before: Callable[[SubordinateSession], None] = lambda _: None,
    ) -> None:
        """Agree on keys and answer polls, until it is enough; `alter` changes what is said.

        `before` is called before each answer.
        """
        session = SubordinateSession(
            self.local, self._superior, granted=Grant(), outbox=self.outbox, inbox=self._inbox
        )
        while not enough():
            for event in session.receive(guest.read(), time.monotonic()):
                if isinstance(event, HelloReceived):
                    session.welcome(event.hello, Fresh.of(os.urandom(48)), time.monotonic())
            if session.is_open:
                before(session)
            session.advance(time.monotonic() + _HASTE, NOWHERE)
            data = alter(session.data_to_send())
            self.said.append(data)
            guest.say(data)


def welcome(credentials: Credentials, hello_payload: bytes, **changed: object) -> bytes:
    """The answer that headquarters would take to a Hello's payload, but for what is changed."""
    local, fresh = local_of(credentials), Fresh.of(os.urandom(48))
    right, _ = make_welcome(local, hello_payload, START, fresh)
    body = Welcome.decode(Signed.decode(right).body).model_copy(update=changed).encode()
    signed = Signed(body=body, signature=local.key.sign(WELCOME_DOMAIN, body))
    return encode_frame(Kind.WELCOME, signed.encode())
