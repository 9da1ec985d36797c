"""What one decision writes, all of it or nothing."""

from dataclasses import dataclass, field

from protocol.lifecycle import State
from protocol.models import Wire
from protocol.outbox import Mark


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the ledger. `subject`: the order or node it is about; `body`: canonical bytes.

    `event_hash` marks a signed order event, which a ledger holds at most once.
    """

    kind: str
    subject: str
    at_ms: int
    body: bytes
    event_hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class OrderRow:
    """Where an order stands: an index over the ledger, for listings."""

    order: str
    plant: str
    state: State
    is_open: bool


@dataclass(frozen=True, slots=True)
class Pending:
    """An event that a person signed here and that its custodian has not taken or refused yet."""

    event_hash: bytes
    order: str
    body: bytes


@dataclass(slots=True)
class Batch:
    """Everything one decision makes durable."""

    entries: list[Entry] = field(default_factory=list)
    orders: dict[str, OrderRow] = field(default_factory=dict)
    outgoing: list[tuple[str, int, bytes]] = field(default_factory=list)
    received: dict[str, Mark] = field(default_factory=dict)
    acknowledged: dict[str, Mark] = field(default_factory=dict)
    pending: list[Pending] = field(default_factory=list)
    settled: list[bytes] = field(default_factory=list)
    meta: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the ledger: number and hash of its last entry (0 and zeros when it is empty)."""

    entry: int = 0
    hash: bytes = bytes(32)


class Notice(Wire):
    """The body of a ledger entry that is not an order event: facts as ordered pairs of text."""

    facts: tuple[tuple[str, str], ...]
