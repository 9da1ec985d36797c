"""Joins the identity room to the links and the orders: requests in, replies out; refusals in their terms."""

from dispatch_server.identity.challenges import Purpose
from dispatch_server.identity.errors import AuthenticationRefused, GrantRefused, SessionRefused
from dispatch_server.identity.proofs import SessionOpened
from dispatch_server.identity.service import IdentityService
from protocol import requests as wire
from protocol.errors import OrderRefused, RefusalCode
from protocol.lifecycle import SECOND_PERSON
from protocol.orders import Issue

_PURPOSES = {
    wire.Purpose.LOGIN: Purpose.LOGIN,
    wire.Purpose.ISSUE: Purpose.ISSUE,
    wire.Purpose.APPROVE: Purpose.APPROVE,
}


class People:
    """What links and orders ask about people."""

    def __init__(self, service: IdentityService) -> None:
        self._service = service

    async def answer(self, node: str, request: wire.Request) -> wire.AnyReply:
        """Answer a request of a client on `node`."""
        try:
            return await self._answer(node, request)
        except AuthenticationRefused as refusal:
            return _refused("not-accepted", refusal, refusal.retry_after_s or 0)
        except SessionRefused as refusal:
            return _refused("session", refusal, 0)

    async def _answer(self, node: str, request: wire.Request) -> wire.AnyReply:
        match request:
            case wire.BeginRequest():
                issued = await self._service.begin(
                    node, request.person, _PURPOSES[request.purpose], request.session or None, request.digest
                )
                factors = tuple(wire.FactorOffer(name=k, data=data) for k, data in issued.factors.items())
                return wire.ChallengeReply(
                    challenge=issued.id, expires_in_ms=issued.expires_in_ms, factors=factors
                )
            case wire.ProveRequest():
                proved = await self._service.prove(
                    node, request.challenge, request.password, request.factor, request.response
                )
                if isinstance(proved, SessionOpened):
                    return wire.SessionReply(session=proved.session_id, expires_ms=proved.expires_ms)
                return wire.GrantReply(challenge=proved.challenge_id, expires_ms=proved.expires_ms)
            case wire.LogoutRequest():
                await self._service.logout(request.session, request.person, node)
                return wire.DoneReply()

    def check_session(self, session: bytes, person: str, node: str, at_ms: int) -> None:
        """Raises OrderRefused(SESSION) unless the person was logged in on this node at that time."""
        try:
            self._service.check_session(session, person, node, at_ms)
        except SessionRefused as refusal:
            raise OrderRefused(RefusalCode.SESSION, str(refusal)) from None

    async def use_grant(self, issue: Issue, node: str, digest: bytes, event_hash: bytes) -> None:
        """Raises OrderRefused(FACTORS) unless both factors were given for this digest alone."""
        purpose = Purpose.APPROVE if issue.input in SECOND_PERSON else Purpose.ISSUE
        try:
            await self._service.use_grant(
                issue.challenge, issue.signer, node, digest, event_hash, purpose=purpose
            )
        except GrantRefused as refusal:
            raise OrderRefused(RefusalCode.FACTORS, str(refusal)) from None


def _refused(code: str, refusal: Exception, retry_after_s: int) -> wire.RefusedReply:
    return wire.RefusedReply(code=code, detail=str(refusal), retry_after_s=retry_after_s)
