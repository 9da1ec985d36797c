"""What identity tells the audit log about each decision. Never a password, code, secret or key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from dispatch_server.identity.challenges import Binding
from dispatch_server.identity.errors import IdentityError, ProofRefused

Action = Literal[
    "begin",
    "prove",
    "check-session",
    "use-grant",
    "logout",
    "end-sessions",
    "add-person",
    "set-password",
    "re-enrol",
    "disable",
    "enable",
    "unlock",
]


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One decision. at_ms: Unix ms. node: where it was asked, "admin:<who>" for the admin functions.

    person is a keyed pseudonym when nobody has the id that was given. session and challenge are identifiers,
    useless without the link of that node. Accepted means that `reasons` is empty.
    """

    at_ms: int
    action: Action
    node: str
    person: str = ""
    purpose: str = ""
    factor: str = ""
    session: bytes | None = None
    challenge: bytes | None = None
    digest: bytes | None = None
    reasons: tuple[str, ...] = ()

    @property
    def accepted(self) -> bool:
        return not self.reasons


@dataclass(slots=True)
class Trail:
    """What becomes known of one decision while it is made. `known`: the person's id is somebody's."""

    action: Action
    node: str
    person: str = ""
    known: bool = False
    purpose: str = ""
    factor: str = ""
    session: bytes | None = None
    challenge: bytes | None = None
    digest: bytes | None = None
    reasons: tuple[str, ...] = ("cut off before it was decided",)

    def note_binding(self, binding: Binding) -> None:
        self.person = binding.person
        self.purpose = binding.purpose
        self.session = binding.session
        self.digest = binding.digest

    def note_refusal(self, error: IdentityError) -> None:
        self.reasons = (str(error),)
        if isinstance(error, ProofRefused):
            self.reasons = error.reasons
            self.known = error.known

    def finish(self, at_ms: int, pseudonym: Callable[[str], str]) -> AuditRecord:
        return AuditRecord(
            at_ms=at_ms,
            action=self.action,
            node=self.node,
            person=self.person if self.known or not self.person else pseudonym(self.person),
            purpose=self.purpose,
            factor=self.factor,
            session=self.session,
            challenge=self.challenge,
            digest=self.digest,
            reasons=self.reasons,
        )
