"""Everything that identity refuses.

IdentityError
├── AuthenticationRefused    the only answer to begin and prove that leaves the server
├── PasswordRefused          ┐
├── FactorRefused            │ details: for the audit log only
├── PersonIdRefused          │
├── ChallengeRefused         │
├── PersonLocked             │
├── NodeThrottled            │
├── ProofRefused             ┘
├── SessionRefused           no live session of that person on that node
├── GrantRefused             no unused proof for exactly that order
└── StoreRefused             identity data missing, exposed or not ours
    ├── PersonUnknown
    ├── PersonExists
    ├── SealBroken
    └── FileExposed
"""

from typing_extensions import override


class IdentityError(Exception):
    """Root of the errors of this package."""


class ReasonedError(IdentityError):
    """An IdentityError with one short reason; the reason never holds a secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @override
    def __str__(self) -> str:
        return self.reason


class AuthenticationRefused(IdentityError):
    """The same for an unknown person, a lock, a wrong password and a wrong factor, so that it tells nothing.

    `retry_after_s` is set only when the node as a whole has to wait, which says nothing about a person.
    """

    def __init__(self, retry_after_s: int | None = None) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s

    @override
    def __str__(self) -> str:
        if self.retry_after_s is not None:
            return f"too many failed attempts from this node: try again in {self.retry_after_s} s"
        return (
            "not accepted: check name, password and second factor and start again with a fresh code;"
            " after several failures wait up to 15 minutes or ask an administrator"
        )


class PasswordRefused(ReasonedError):
    """A password that does not match, or that may not be set."""


class PersonIdRefused(ReasonedError):
    """An id that no person can have."""


class ChallengeRefused(ReasonedError):
    """A challenge that cannot be given out or that nothing may be proved against."""


class SessionRefused(ReasonedError):
    """The session does not cover this person, on this node, at this time: log in again."""


class GrantRefused(ReasonedError):
    """No usable proof of both factors for exactly this order: prove again for this order."""


class FactorRefused(IdentityError):
    """The second factor `kind` was not accepted."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason

    @override
    def __str__(self) -> str:
        return f"factor {self.kind!r}: {self.reason}"


class PersonLocked(IdentityError):
    """Too many failures in a row. `retry_after_s` is None when only an administrator can unlock."""

    def __init__(self, retry_after_s: int | None) -> None:
        super().__init__(retry_after_s)
        self.retry_after_s = retry_after_s

    @override
    def __str__(self) -> str:
        if self.retry_after_s is None:
            return "person locked until an administrator unlocks"
        return f"person locked for {self.retry_after_s} s"


class NodeThrottled(IdentityError):
    """Too many failures from one node, whoever they were for."""

    def __init__(self, node: str, retry_after_s: int) -> None:
        super().__init__(node, retry_after_s)
        self.node = node
        self.retry_after_s = retry_after_s

    @override
    def __str__(self) -> str:
        return f"node {self.node!r} throttled for {self.retry_after_s} s"


class ProofRefused(IdentityError):
    """Every reason why a login or issue was not accepted; `known` tells whether the person exists."""

    def __init__(self, reasons: tuple[str, ...], *, known: bool) -> None:
        super().__init__(reasons, known)
        self.reasons = reasons
        self.known = known

    @override
    def __str__(self) -> str:
        return "; ".join(self.reasons)


class StoreRefused(ReasonedError):
    """The identity store or its key cannot be used as it is."""


class PersonUnknown(StoreRefused):
    def __init__(self, person: str) -> None:
        super().__init__(f"there is no person {person!r}: list the persons to see the ids")
        self.person = person


class PersonExists(StoreRefused):
    def __init__(self, person: str) -> None:
        super().__init__(f"person {person!r} exists already: choose another id, or re-enrol that person")
        self.person = person


class SealBroken(StoreRefused):
    def __init__(self, person: str, kind: str) -> None:
        super().__init__(
            f"enrolment {kind!r} of {person!r} does not open: wrong key file or altered row; re-enrol"
        )
        self.person = person
        self.kind = kind


class FileExposed(StoreRefused):
    def __init__(self, path: str, mode: int) -> None:
        super().__init__(f"{path} has mode {mode:04o}, others may read it: chmod 600 after checking who did")
        self.path = path
        self.mode = mode
