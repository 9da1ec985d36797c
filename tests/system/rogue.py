"""A desk or plant in hostile hands: its real keys and journal, without the checks of its own program.

It runs in the test, so that the test may sign, ask and send what the program would refuse to.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, Self, TypeVar

from chaos_cipher import KeystreamCache
from dispatch_client.client import Client, Login
from dispatch_client.config import ClientSettings
from dispatch_client.desk import Desk
from dispatch_client.keyfile import unlock_key
from dispatch_client.plant import Plant
from protocol.aio.keyring import Keyring
from protocol.aio.listener import Listener
from protocol.aio.node import open_door, open_station, wall_ms
from protocol.compose import draft, follow
from protocol.items import HEADQUARTERS, event_item
from protocol.keys import Role, SigningKey
from protocol.lifecycle import Input
from protocol.orders import Content, OrderType, SignedEvent, Step, Ticket, VerifiedEvent
from protocol.requests import (
    AnyReply,
    BeginRequest,
    ChallengeReply,
    GrantReply,
    ProveRequest,
    Purpose,
    Request,
    SessionReply,
)
from protocol.settings import load_settings
from tests.system.grid import WITHIN, Grid, until

R = TypeVar("R")
LOGIN = b"login".ljust(32)  # what a challenge for a login is bound to matters to nobody


class Rogue:
    """The node. Its superior dials it as ever."""

    def __init__(self, grid: Grid, name: str) -> None:
        self.grid, self.name = grid, name
        self._settings = load_settings(grid.nodes[name].config, ClientSettings)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"rogue {name}")
        self._stack = AsyncExitStack()
        self.client: Client
        self.listener: Listener

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._open())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stack.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, R]) -> R:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WITHIN)

    async def _open(self) -> None:
        settings, base = self._settings, self.grid.nodes[self.name].folder
        ring = Keyring(settings.keys, base, self.name, Role(settings.role), wall_ms)
        station = open_station(
            base / settings.journal, ring.key, ring.trust, settings.deployment, KeystreamCache
        )
        self._stack.push_async_callback(station.close)
        kind = Desk if settings.role == "desk" else Plant
        self.client = kind(station, settings.listen.superior)
        self.listener = Listener(station, settings.listen.superior, self.client, os.urandom)
        await open_door(self._stack, ring, settings.listen, self.listener)

    def wait_connected(self) -> None:
        """Until the superior is there."""
        until(lambda: self.listener.is_connected, f"{self.name} has its superior")

    # --- questions about people ---

    def ask(self, request: Request) -> AnyReply:
        return self._run(self.listener.ask(request))

    def begin(self, person: str, purpose: Purpose, session: bytes, digest: bytes) -> bytes:
        """A challenge."""
        reply = self.ask(BeginRequest(person=person, purpose=purpose, session=session, digest=digest))
        assert isinstance(reply, ChallengeReply), reply
        return reply.challenge

    def prove(self, challenge: bytes, person: str, code: str, password: str = "") -> AnyReply:
        """Answer a challenge with a code and, unless another is given, the person's password."""
        password = password or self.grid.password(person)
        return self.ask(
            ProveRequest(challenge=challenge, password=password, factor="totp", response=code.encode())
        )

    def log_in(self, person: str, station: str = "") -> Login:
        """A session that headquarters gave. The person's key may lie at another station."""
        reply = self.prove(self.begin(person, Purpose.LOGIN, b"", LOGIN), person, self.grid.code(person))
        assert isinstance(reply, SessionReply), reply
        return Login(self.key_of(person, station or self.name), reply.session, reply.expires_ms)

    def key_of(self, person: str, station: str) -> SigningKey:
        folder = self.grid.nodes[station].folder / "people"
        return unlock_key(person, self.grid.password(person), folder)

    def grant(self, login: Login, digest: bytes) -> bytes:
        """Both factors for a digest."""
        challenge = self.begin(login.person, Purpose.ISSUE, login.session, digest)
        reply = self.prove(challenge, login.person, self.grid.code(login.person))
        assert isinstance(reply, GrantReply), reply
        return reply.challenge

    # --- events ---

    def event(
        self, order: str, given: Input, key: SigningKey, session: bytes, **details: Any
    ) -> VerifiedEvent:
        """The next event of an order that this station knows, signed with any key."""
        station = self.client.station
        return follow(
            station.orders[order],
            given,
            key,
            deployment=station.local.deployment,
            at_ms=station.wall_ms(),
            session=session,
            **details,
        )

    def draft(self, order: str, plant: str, login: Login, ahead_ms: int = 0) -> VerifiedEvent:
        """A new order, dated `ahead_ms` after now."""
        station = self.client.station
        content = Content(
            type=OrderType.DIRECT_OPERATION,
            desk=self.name,
            plant=plant,
            ticket=Ticket(number=order, title="open 断开", steps=(Step(device=order, action="open"),)),
            valid_until_ms=station.wall_ms() + 600_000,
        )
        deployment, now = station.local.deployment, station.wall_ms() + ahead_ms
        return draft(order, content, login.key, deployment=deployment, at_ms=now, session=login.session)

    def send(self, signed: SignedEvent) -> None:
        """Send an event upward; when this returns headquarters holds it."""

        async def send() -> None:
            work = self.client.station.work()
            work.post(self.client.superior, event_item(signed, HEADQUARTERS))
            await self.client.station.commit(work)

        self._run(send())
        outbox = self.client.station.outbox(self.client.superior)
        last = outbox.last
        until(lambda: outbox.acknowledged >= last, "headquarters holds the event")

    def wait_state(self, order: str, *states: str) -> None:
        """Until the order is in one of these states here."""
        orders = self.client.station.orders
        until(lambda: order in orders and orders[order].state.value in states, f"{order} is {states} here")
