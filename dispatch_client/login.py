"""Two factors, asked of the superior: at login, and again for each order that is issued or approved."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from dispatch_client.client import Login
from dispatch_client.keyfile import unlock_key
from protocol.aio.control import CommandFailed
from protocol.aio.listener import Listener
from protocol.keys import Role, SigningKey
from protocol.requests import (
    BeginRequest,
    ChallengeReply,
    GrantReply,
    LogoutRequest,
    ProveRequest,
    Purpose,
    RefusedReply,
    SessionReply,
)

R = TypeVar("R")


class Authenticator:
    """Speaks with the superior about the person in front of this screen."""

    def __init__(
        self,
        listener: Listener,
        people: Path,
        run_blocking: Callable[[Callable[[], SigningKey]], Awaitable[SigningKey]],
    ) -> None:
        self._listener = listener
        self._people = people
        self._run_blocking = run_blocking

    async def begin(self, person: str, purpose: Purpose, session: bytes, digest: bytes) -> ChallengeReply:
        """Ask for a challenge. Raises CommandFailed, LinkLost."""
        reply = await self._listener.ask(
            BeginRequest(person=person, purpose=purpose, session=session, digest=digest)
        )
        if isinstance(reply, ChallengeReply):
            return reply
        raise _refused(reply)

    async def login(self, person: str, password: str, factor: str, response: bytes) -> Login:
        """Open a session. Raises CommandFailed, KeyFileError, OrderRefused(SIGNATURE), LinkLost."""
        at_desk = self._listener.station.local.key.certificate.role is Role.DESK
        key = await self.unlock(person, password, Role.DISPATCHER if at_desk else Role.OPERATOR)
        digest = hashlib.sha256(b"dispatch login 1\x00" + person.encode()).digest()
        challenge = await self.begin(person, Purpose.LOGIN, b"", digest)
        reply = await self._listener.ask(
            ProveRequest(challenge=challenge.challenge, password=password, factor=factor, response=response)
        )
        if isinstance(reply, SessionReply):
            return Login(key, reply.session, reply.expires_ms)
        raise _refused(reply)

    async def unlock(self, person: str, password: str, needed: Role) -> SigningKey:
        """The person's key, if it is one of a `needed` of this node.

        Raises CommandFailed, KeyFileError, OrderRefused(SIGNATURE)."""
        key = await self._run_blocking(lambda: unlock_key(person, password, self._people))
        self._check_key(key, person, needed)
        return key

    def _check_key(self, key: SigningKey, person: str, needed: Role) -> None:
        """Before any secret leaves this machine: the key is this person's, counts now, and belongs here."""
        station = self._listener.station
        certificate = key.certificate
        station.check_still_valid(certificate)
        node = station.local.key.certificate
        if certificate.name != person:
            raise CommandFailed(
                "wrong-key", f"the certificate names '{certificate.name}': bring {person}'s own"
            )
        if certificate.role is not needed or node.name not in certificate.stations:
            raise CommandFailed(
                "wrong-role", f"'{person}' is no {needed.value} of '{node.name}': log in at your own station"
            )

    async def approve(
        self, login: Login, digest: bytes, password: str, factor: str, response: bytes
    ) -> bytes:
        """Prove both factors for one digest; gives the challenge that the event must carry."""
        challenge = await self.begin(login.person, Purpose.ISSUE, login.session, digest)
        return await self._prove(challenge, password, factor, response)

    async def step_up(self, person: str, digest: bytes, password: str, factor: str, response: bytes) -> bytes:
        """The same for a second person, who is not logged in here and will not be."""
        challenge = await self.begin(person, Purpose.APPROVE, b"", digest)
        return await self._prove(challenge, password, factor, response)

    async def _prove(self, challenge: ChallengeReply, password: str, factor: str, response: bytes) -> bytes:
        reply = await self._listener.ask(
            ProveRequest(challenge=challenge.challenge, password=password, factor=factor, response=response)
        )
        if isinstance(reply, GrantReply):
            return reply.challenge
        raise _refused(reply)

    async def logout(self, login: Login) -> None:
        """End the session at the superior."""
        await self._listener.ask(LogoutRequest(person=login.person, session=login.session))


def _refused(reply: object) -> CommandFailed:
    if isinstance(reply, RefusedReply):
        wait = f" Try again in {reply.retry_after_s} s." if reply.retry_after_s else ""
        return CommandFailed(reply.code, reply.detail + wait)
    return CommandFailed("unexpected-reply", "the superior gave an answer that does not fit the question")
