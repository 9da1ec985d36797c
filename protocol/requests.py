"""Questions of a client to its superior about people: asked in a Report, answered by a Reply.

They carry passwords and codes, so they travel sealed, are never journalled and die with the link.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from protocol.models import Count, Hash, Id16, Name, Text, Wire, decode_as

FactorName = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,16}$")]
Session = Annotated[bytes, Field(max_length=16)]


class Purpose(StrEnum):
    """What the two factors are asked for. APPROVE: one decision of a second person, who has no session."""

    LOGIN = "login"
    ISSUE = "issue"
    APPROVE = "approve"


class BeginRequest(Wire):
    """Ask for a challenge; `digest` is what the proof will be bound to. `session`: that of an issue."""

    kind: Literal["begin"] = "begin"
    person: Name
    purpose: Annotated[Purpose, Field(strict=False)]
    session: Session
    digest: Hash


class ProveRequest(Wire):
    """Answer a challenge with both factors."""

    kind: Literal["prove"] = "prove"
    challenge: Id16
    password: Annotated[str, Field(max_length=256)]
    factor: FactorName
    response: Annotated[bytes, Field(max_length=24 * 1024)]


class LogoutRequest(Wire):
    """End a session."""

    kind: Literal["logout"] = "logout"
    person: Name
    session: Id16


class FactorOffer(Wire):
    """A second factor that the person has enrolled, with the data that its device must answer."""

    name: FactorName
    data: Annotated[bytes, Field(max_length=1024)]


class ChallengeReply(Wire):
    """A challenge: single use, expiring."""

    kind: Literal["challenge"] = "challenge"
    challenge: Id16
    expires_in_ms: Count
    factors: Annotated[tuple[FactorOffer, ...], Field(max_length=8)]


class SessionReply(Wire):
    """Logged in."""

    kind: Literal["session"] = "session"
    session: Id16
    expires_ms: Count


class GrantReply(Wire):
    """Both factors hold for this digest: the event may be signed with this challenge in it."""

    kind: Literal["grant"] = "grant"
    challenge: Id16
    expires_ms: Count


class DoneReply(Wire):
    """Done; nothing more to say."""

    kind: Literal["done"] = "done"


class RefusedReply(Wire):
    """Refused. The detail never says which factor failed."""

    kind: Literal["refused"] = "refused"
    code: Annotated[str, Field(max_length=32)]
    detail: Text
    retry_after_s: Count


Request = BeginRequest | ProveRequest | LogoutRequest
AnyReply = ChallengeReply | SessionReply | GrantReply | DoneReply | RefusedReply
_REQUESTS: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")])
_REPLIES: TypeAdapter[AnyReply] = TypeAdapter(Annotated[AnyReply, Field(discriminator="kind")])


def decode_request(data: bytes) -> Request:
    """Parse a request. Raises PeerFault(MALFORMED)."""
    return decode_as(_REQUESTS, data)


def decode_reply(data: bytes) -> AnyReply:
    """Parse a reply. Raises PeerFault(MALFORMED)."""
    return decode_as(_REPLIES, data)
