"""One node of a responder: what a client's journal would hold of it, and the link that it may have."""

import os
import socket
import ssl
import time
from pathlib import Path

from chaos_cipher import KeystreamCache
from protocol.aio.tls import tls_context
from protocol.handshake import Grant, Local
from protocol.keys import Role
from protocol.messages import Sample
from protocol.outbox import Inbox, Outbox
from protocol.subordinate import SubordinateSession
from tests.benchmarks.actors import Actor, DeskActor, PlantActor
from tests.benchmarks.field import DEPLOYMENT, Address, Field, Member


class Terminal:
    """One node: its key, what a client's journal would hold of it, and its link if it has one."""

    __slots__ = ("actor", "address", "granted", "inbox", "link", "local", "member", "outbox", "tls")

    def __init__(self, member: Member, address: Address, field: Field) -> None:
        self.member = member
        self.address = address
        self.outbox, self.inbox, self.granted = Outbox(), Inbox(), Grant()
        self.local = Local(
            key=member.signing_key(), deployment=DEPLOYMENT, boot=os.urandom(16), inner=KeystreamCache
        )
        self.tls = _context(member, field)
        self.actor = Actor()
        if member.role is Role.PLANT:
            self.actor = PlantActor(self.local.key, DEPLOYMENT, self.post)
        self.link: Link | None = None

    def post(self, item: bytes) -> None:
        """Something durable for the superior."""
        self.outbox.mark_durable(self.outbox.add(item))

    def desk(self, field: Field) -> DeskActor:
        """The actor of a desk, with its dispatcher's key."""
        if not isinstance(self.actor, DeskActor):
            name = self.member.name
            (person,) = [m for m in field.members.values() if m.role is Role.DISPATCHER and m.above == name]
            self.actor = DeskActor(person.signing_key(), name, DEPLOYMENT, self.post)
        return self.actor

    def sample(self) -> Sample:
        """A reading of four floats."""
        return Sample(
            node=self.member.name,
            at_ms=time.time_ns() // 1_000_000,
            logged_in_nodes=1.0,
            network_flow=1_250.0,
            external_connections=3.0,
            memory_used=4.0e8,
        )


class Link:
    """One accepted connection of a terminal."""

    __slots__ = ("incoming", "outgoing", "session", "socket", "terminal", "tls", "unsent")

    def __init__(self, terminal: Terminal, connection: socket.socket) -> None:
        self.terminal = terminal
        self.socket = connection
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = terminal.tls.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.session: SubordinateSession | None = None
        self.unsent = b""


def _context(member: Member, field: Field) -> ssl.SSLContext:
    """The product's own context. It reads files: these lie in memory."""
    certificate, key = os.memfd_create("certificate"), os.memfd_create("key")
    try:
        os.write(certificate, member.certificate_pem())
        os.write(key, member.private_pem())
        paths = (Path(f"/proc/self/fd/{number}") for number in (certificate, key))
        return tls_context(ssl.PROTOCOL_TLS_SERVER, field.authority_path, *paths)
    finally:
        os.close(certificate)
        os.close(key)
