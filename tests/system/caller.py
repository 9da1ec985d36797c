"""Somebody who dials a desk, plant or center, says what the test wants and hears what comes back."""

import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from chaos_cipher import KeystreamCache
from dispatch_server.demo.deployment import DEPLOYMENT
from protocol.aio.node import wall_ms
from protocol.frames import FrameReader, Kind, encode_frame
from protocol.handshake import Fresh, Local, make_hello
from protocol.items import Item
from protocol.keys import parse_certificate
from protocol.limits import Timers
from protocol.messages import Goodbye, Hello, LedgerHead, Signed
from protocol.outbox import START, Inbox, Outbox, take_next
from protocol.session import Opened, Reported
from protocol.superior import SuperiorSession
from tests.system.credentials import Credentials
from tests.system.grid import WITHIN

TIMERS = Timers(poll_interval_ms=1_000, hold_ms=400)
HELLO_DOMAIN = b"dispatch hello 1\x00"


class Caller:
    """One connection, TLS done."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        raw = socket.create_connection(("127.0.0.1", port), timeout=WITHIN)
        try:
            self.socket = context.wrap_socket(raw)
        except BaseException:
            raw.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def hear(self) -> list[tuple[Kind, bytes]]:
        """Everything that is said until the other side closes."""
        reader = FrameReader()
        heard: list[tuple[Kind, bytes]] = []
        while data := self._read():
            heard += reader.feed(data, frozenset(Kind))
        return heard

    def _read(self) -> bytes:
        try:
            return self.socket.recv(65_536)
        except (ConnectionResetError, ssl.SSLError):
            return b""

    def farewell(self) -> Goodbye:
        """What the other side says when it closes."""
        kind, payload = self.hear()[-1]
        assert kind is Kind.GOODBYE
        return Goodbye.decode(payload)


def local_of(credentials: Credentials) -> Local:
    """A run of its own of a node that holds these."""
    return Local(
        key=credentials.signing_key, deployment=DEPLOYMENT, boot=os.urandom(16), inner=KeystreamCache
    )


def hello(holder: Credentials, node: str, term: int, **changed: Any) -> bytes:
    """A Hello that a node would take under this term, but for what is changed."""
    local, fresh = local_of(holder), Fresh.of(os.urandom(48))
    right = make_hello(local, node, fresh, term=term, timers=TIMERS, received=START)
    body = Hello.decode(Signed.decode(right).body).model_copy(update=changed).encode()
    signed = Signed(body=body, signature=local.key.sign(HELLO_DOMAIN, body))
    return encode_frame(Kind.HELLO, signed.encode())


class PlayedSuperior:
    """A superior whose journal is the test's memory; it keeps each frame that it says."""

    def __init__(self, credentials: Credentials, node: Credentials, port: int) -> None:
        self.local = local_of(credentials)
        self.said: list[bytes] = []
        self._context = credentials.context(ssl.PROTOCOL_TLS_CLIENT)
        self._node = parse_certificate(node.signing_key.certificate.der)
        self._port = port
        self._outbox, self._inbox = Outbox(), Inbox()
        self._caller: Caller
        self._session: SuperiorSession

    @contextmanager
    def session(self) -> Iterator[Self]:
        """Dial and agree on keys."""
        with Caller(self._port, self._context) as self._caller:
            self._session = SuperiorSession(
                self.local,
                self._node,
                term=1,
                timers=TIMERS,
                outbox=self._outbox,
                inbox=self._inbox,
                fresh=Fresh.of(os.urandom(48)),
            )
            self._talk(lambda event: isinstance(event, Opened))
            yield self

    def _talk(self, enough: Callable[[object], bool]) -> None:
        """Say what is due and take what comes, until something is enough."""
        deadline = time.monotonic() + WITHIN
        while time.monotonic() < deadline:
            self._session.advance(time.monotonic(), wall_ms(), LedgerHead(entry=0, hash=bytes(32)))
            if data := self._session.data_to_send():
                self.say(data)
            for event in self._session.receive(self._caller.socket.recv(65_536), time.monotonic()):
                self._digest(event)
                if enough(event):
                    return
        raise AssertionError("the node did not answer")

    def _digest(self, event: object) -> None:
        if isinstance(event, Reported):
            for cursor, item in event.items:
                if mark := take_next(self._inbox.received, cursor, item):
                    self._inbox.received = mark
                    self._inbox.mark_durable(mark)
            self._session.report_done()

    def deliver(self, *items: Item) -> None:
        """Send items; when this returns the node holds them."""
        for item in items:
            self._outbox.mark_durable(self._outbox.add(item.encode()))
        last = self._outbox.last
        self._talk(lambda _: self._outbox.acknowledged == last)

    def say(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.said.append(data)
        self._caller.socket.sendall(data)

    def farewell(self) -> Goodbye:
        """See Caller.farewell."""
        return self._caller.farewell()


def frames_in(data: bytes, kind: Kind) -> list[bytes]:
    """The frames of one kind in a string of whole frames, as bytes again."""
    return [encode_frame(k, payload) for k, payload in FrameReader().feed(data, frozenset(Kind)) if k is kind]
