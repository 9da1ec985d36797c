"""The exceptions of the protocol, and the error codes that cross the wire.

DispatchError
├── LocalMisuse            our own code called the protocol wrongly
├── LinkError              ends one link; carries the wire code
│   ├── PeerFault          the peer's bytes or claims are wrong
│   │   └── TermRefused    a superior whose term is over, or not its own
│   └── LinkLost           the environment: silence, reset, replaced, stopped
├── ConfigurationRefused   a configuration that would break an invariant
├── KeyRefused             a certificate, key or signature that is not acceptable
└── OrderRefused           an order event that must not move its order
"""

from enum import IntEnum, StrEnum

from typing_extensions import override


class WireCode(IntEnum):
    """Reason codes of a Goodbye frame: the registry of this wire."""

    STOPPING = 1
    VERSION = 2
    DEPLOYMENT = 3
    IDENTITY = 4
    TERM = 5
    OVERSIZED = 6
    MALFORMED = 7
    UNEXPECTED = 8
    SEQUENCE = 9
    SEAL = 10
    CURSOR = 11
    SIGNATURE = 12
    LIMIT = 13
    SILENT = 14
    REPLACED = 15
    LOST = 16
    TIMERS = 17
    INTERNAL = 18


class DispatchError(Exception):
    """Base of every error that this project raises on purpose."""


class LocalMisuse(DispatchError):
    """Our own side used the protocol wrongly: a defect here, never the peer's fault."""


class ConfigurationRefused(DispatchError):
    """A configuration that would break an invariant or cannot work."""

    def __init__(self, where: str, reason: str, remedy: str) -> None:
        super().__init__(where, reason, remedy)
        self.where, self.reason, self.remedy = where, reason, remedy

    @override
    def __str__(self) -> str:
        return f"{self.where}: {self.reason}. {self.remedy}"


class LinkError(DispatchError):
    """This link cannot go on. Closing it is the whole remedy; the order state is safe."""

    def __init__(self, code: WireCode, detail: str) -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail

    @override
    def __str__(self) -> str:
        return f"{self.code.name.lower()}: {self.detail}"


class PeerFault(LinkError):
    """The peer sent something wrong, or is not who it must be."""


class TermRefused(PeerFault):
    """A superior wants to command under a `term` that does not count here; `granted` is the one that does."""

    def __init__(self, term: int, granted: int, detail: str) -> None:
        super().__init__(WireCode.TERM, detail)
        self.term, self.granted = term, granted


class LinkLost(LinkError):
    """Nobody's fault in the protocol: silence, a reset, a stop, a newer link."""


class KeyRefused(DispatchError):
    """A certificate, private key or signature is not acceptable."""

    def __init__(self, subject: str, reason: str) -> None:
        super().__init__(subject, reason)
        self.subject, self.reason = subject, reason

    @override
    def __str__(self) -> str:
        return f"{self.subject}: {self.reason}"


class RefusalCode(StrEnum):
    """Why a station did not take an order event; told to the person who signed it."""

    STALE = "stale"
    ILLEGAL = "illegal"
    SIGNATURE = "signature"
    UNAUTHORISED = "unauthorised"
    SESSION = "session"
    FACTORS = "factors"
    EXPIRED = "expired"
    POSTURE = "posture"
    UNKNOWN_ORDER = "unknown-order"
    MALFORMED = "malformed"
    LIMIT = "limit"
    CLOCK = "clock"


class OrderRefused(DispatchError):
    """An order event that must not move its order."""

    def __init__(self, code: RefusalCode, detail: str) -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail

    @override
    def __str__(self) -> str:
        return f"{self.code.value}: {self.detail}"
