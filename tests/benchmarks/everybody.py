"""People, where what is measured is not people."""

from protocol.orders import Issue
from protocol.requests import AnyReply, RefusedReply, Request


class Everybody:
    """Stands in for the identity service: no word is refused, no time is spent."""

    def check_session(self, session: bytes, person: str, node: str, at_ms: int) -> None:
        """Everybody is logged in."""

    async def use_grant(self, issue: Issue, node: str, digest: bytes, event_hash: bytes) -> None:
        """Both factors were given."""

    async def answer(self, node: str, request: Request) -> AnyReply:
        """Nobody has to ask."""
        return RefusedReply(code="benchmark", detail="a stand-in answers here", retry_after_s=0)
