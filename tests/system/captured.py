"""Plants in hostile hands: their certificates are good, and what they do with them is not."""

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Self

from dispatch_server.demo.deployment import DEPLOYMENT
from protocol.aio.node import wall_ms
from protocol.compose import draft
from protocol.frames import Kind, encode_frame
from protocol.items import HEADQUARTERS, event_item
from protocol.keys import Role
from protocol.limits import MAX_OPEN_REQUESTS, MAX_SAMPLES_PER_REPORT, MAX_SESSION_FRAME
from protocol.messages import Sample
from protocol.orders import Content, OrderType, SignedEvent, Step, Ticket
from protocol.requests import BeginRequest, Purpose
from protocol.subordinate import SubordinateSession
from tests.system.credentials import Issuer, of_node
from tests.system.grid import Grid
from tests.system.impostor import Behaviour, Guest, PlayedPlant, welcome

FLOOD = 1_000  # refused events that wait to be told


class Mute:
    """TCP without a word, or closed at once."""

    def __init__(self, port: int, *, hold: bool) -> None:
        self.visits: list[float] = []
        self._hold = hold
        self._door = socket.create_server(("127.0.0.1", port), backlog=512)
        self._thread = threading.Thread(target=self._serve, name=f"mute {port}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError), ExitStack() as held:
            while True:
                connection, _ = self._door.accept()
                self.visits.append(time.monotonic())
                if self._hold:
                    held.enter_context(connection)
                else:
                    connection.close()


@dataclass(slots=True)
class Captured:
    """A captured plant of the deployment; `visits`: when headquarters came (monotonic s)."""

    grid: Grid
    issuer: Issuer
    name: str
    visits: list[float] = field(default_factory=list)
    polls: list[float] = field(default_factory=list)
    _refused: PlayedPlant | None = None

    def plant(self) -> PlayedPlant:
        return PlayedPlant(of_node(self.grid, self.name), of_node(self.grid, "hq"))

    def noting(self, behave: Behaviour) -> Behaviour:
        def visited(guest: Guest) -> None:
            self.visits.append(time.monotonic())
            behave(guest)

        return visited

    # --- until a session stands ---

    def silent_after_tls(self, guest: Guest) -> None:
        guest.listen()

    def trickles(self, guest: Guest) -> None:
        """Its Welcome comes byte by byte, each well before any time-out for a byte."""
        _, hello = guest.hear()
        for byte in welcome(of_node(self.grid, self.name), hello):
            guest.say(bytes([byte]))
            time.sleep(0.1)

    # --- in session ---

    def serve(
        self,
        guest: Guest,
        alter: Callable[[bytes], bytes] = bytes,
        before: Callable[[SubordinateSession], None] = lambda _: None,
    ) -> None:
        """Answer polls as the rules say, but for what is given, until headquarters ends it."""
        self.plant().serve(guest, lambda: False, alter, before)

    def reports_twice(self, guest: Guest) -> None:
        self.serve(guest, lambda data: data * 2 if data[4:5] == bytes([Kind.REPORT]) else data)

    def reports_too_large(self, guest: Guest) -> None:
        frame = encode_frame(Kind.REPORT, os.urandom(MAX_SESSION_FRAME))
        self.serve(guest, lambda data: frame if data[4:5] == bytes([Kind.REPORT]) else data)

    def refused_events(self, guest: Guest) -> None:
        if self._refused is None:
            self._refused = self.plant()
            for signed in self._drafts():
                self._refused.post(event_item(signed, HEADQUARTERS))
        self._refused.serve(guest, lambda: False)

    def _drafts(self) -> Sequence[SignedEvent]:
        key = self.issuer.issue(Role.DISPATCHER, f"eve-of-{self.name}", "desk-1").signing_key
        now = wall_ms()
        content = Content(
            type=OrderType.DIRECT_OPERATION,
            desk="desk-1",
            plant="plant-a",
            ticket=Ticket(number="T", title="t", steps=(Step(device="d", action="open"),)),
            valid_until_ms=now + 600_000,
        )
        return [
            draft(f"x-{n}", content, key, deployment=DEPLOYMENT, at_ms=now, session=bytes(16)).signed
            for n in range(FLOOD)
        ]

    def asks(self, guest: Guest) -> None:
        numbers = iter(range(1, 1 << 30))
        request = BeginRequest(person="wang", purpose=Purpose.LOGIN, session=b"", digest=bytes(32)).encode()

        def ask(session: SubordinateSession) -> None:
            while len(session._requests) < MAX_OPEN_REQUESTS:
                session.request(next(numbers), request)

        self.serve(guest, before=ask)

    def never_reads(self, guest: Guest) -> None:
        """It reads its Hello, and then nothing for longer than headquarters waits."""
        _, hello = guest.hear()
        guest.say(welcome(of_node(self.grid, self.name), hello))
        time.sleep(4)

    def measures_without_end(self, guest: Guest) -> None:
        """As many readings as a report takes, each time, and never the same."""

        def fill(session: SubordinateSession) -> None:
            self.polls.append(time.monotonic())
            for number in range(MAX_SAMPLES_PER_REPORT):
                session.sample(self._sample(number))

        self.serve(guest, before=fill)

    def _sample(self, number: int) -> Sample:
        value = float(number) * 1e15
        return Sample(
            node=self.name,
            at_ms=wall_ms() + number,
            logged_in_nodes=value,
            network_flow=value,
            external_connections=value,
            memory_used=value,
        )

    def answers_at_the_last_moment(self, guest: Guest) -> None:
        """Headquarters waits for two polls' time, which are two seconds here."""

        def wait(data: bytes) -> bytes:
            self.polls.append(time.monotonic())
            time.sleep(1.7)
            return data

        self.serve(guest, wait)

    def keeps_time(self, guest: Guest) -> None:
        """An honest one that notes when it was asked."""

        def note(_: SubordinateSession) -> None:
            self.polls.append(time.monotonic())

        self.serve(guest, before=note)

    def welcomes_and_leaves(self, guest: Guest) -> None:
        self.plant().serve(guest, iter((False, True)).__next__)


# Name -> what it does, and what headquarters says of it; "" when nothing is wrong.
CAPTURED: Mapping[str, tuple[Callable[[Captured], Behaviour], str]] = {
    "no-welcome": (lambda one: one.silent_after_tls, "no answer in time"),
    "trickle": (lambda one: one.trickles, "no answer in time"),
    "twice": (lambda one: one.reports_twice, "sequence: report"),
    "refused": (lambda one: one.refused_events, "limit: more than 64 events refused"),
    "asks": (lambda one: one.asks, "limit: too many requests"),
    "unread": (lambda one: one.never_reads, "silent: no answer for 2 s"),
    "large": (lambda one: one.reports_too_large, "malformed:"),
    "readings": (lambda one: one.measures_without_end, ""),
    "last-moment": (lambda one: one.answers_at_the_last_moment, ""),
    "honest": (lambda one: one.keeps_time, ""),
}
