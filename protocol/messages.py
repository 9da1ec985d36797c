"""The bodies of frames (see README.md for the table of the wire)."""

from typing import Annotated

from pydantic import Field

from protocol.keys import Role
from protocol.limits import MAX_ITEM, MAX_ITEMS_PER_REPORT, MAX_OPEN_REQUESTS, MAX_SAMPLES_PER_REPORT
from protocol.models import Count, Hash, Id16, Name, Sig, Text, Wire, pack

_OVERHEAD = 16  # the AEAD tag
Sealed = Annotated[bytes, Field(min_length=_OVERHEAD, max_length=MAX_ITEM + _OVERHEAD)]
# No host measures more than this; beyond it arithmetic on curves would overflow.
Value = Annotated[float, Field(allow_inf_nan=False, ge=0, le=1e18)] | None
Number = Annotated[int, Field(ge=0, lt=1 << 32)]


class Signed(Wire):
    """A handshake body and the sending node's signature over it."""

    body: Annotated[bytes, Field(max_length=2048)]
    signature: Sig


class Hello(Wire):
    """The superior opens the session and dictates its timers.

    `boot` names this run of it: a term belongs to one run. `acknowledged` and `digest` are the place up to
    which it holds the subordinate's items; the Welcome answers with the same for the other direction.
    """

    version: Number
    deployment: Name
    superior: Name
    node: Name
    term: Count
    boot: Id16
    poll_interval_ms: Annotated[int, Field(ge=20, le=5_000)]
    hold_ms: Annotated[int, Field(ge=0, le=5_000)]
    acknowledged: Count
    digest: Hash
    ephemeral: Hash
    nonce: Id16


class Welcome(Wire):
    """The subordinate answers; `hello` is the hash of the Hello's body, so both sides signed one story."""

    version: Number
    node: Name
    role: Annotated[Role, Field(strict=False)]
    acknowledged: Count
    digest: Hash
    hello: Hash
    ephemeral: Hash
    nonce: Id16


class LedgerHead(Wire):
    """Where the sender's ledger stands: a checkpoint that leaves the machine."""

    entry: Count
    hash: Hash


class Poll(Wire):
    """The question. `acknowledged`: highest upward cursor that is durable at the superior.

    The superior's wall clock (ms) and the end of its ledger go along: a plant must not begin what has
    expired by either clock, and nobody's ledger can lose its tail unseen.
    """

    seq: Count
    hold_ms: Annotated[int, Field(ge=0, le=5_000)]
    acknowledged: Count
    wall_ms: Count
    ledger: LedgerHead


def encode_poll(seq: int, hold_ms: int, acknowledged: int, wall_ms: int, ledger: LedgerHead) -> bytes:
    """`Poll(...).encode()` without the checks: a superior makes thousands a second, of its own numbers."""
    return pack(
        {
            "seq": seq,
            "hold_ms": hold_ms,
            "acknowledged": acknowledged,
            "wall_ms": wall_ms,
            "ledger": {"entry": ledger.entry, "hash": ledger.hash},
        }
    )


class Sample(Wire):
    """One reading of a node's four metrics (P1 §2.3); None where this host cannot tell.

    Units: wall-clock ms, nodes, bytes/s, connections, bytes.
    """

    node: Name
    at_ms: Count
    logged_in_nodes: Value
    network_flow: Value
    external_connections: Value
    memory_used: Value


class UpwardItem(Wire):
    """A sealed item with its cursor."""

    cursor: Count
    sealed: Sealed


class UpwardRequest(Wire):
    """A sealed request that wants a Reply; forgotten when the link ends."""

    number: Number
    sealed: Sealed


class Report(Wire):
    """The answer to exactly one Poll, and the only way upward."""

    seq: Count
    acknowledged: Count
    ledger: LedgerHead
    samples: Annotated[tuple[Sample, ...], Field(max_length=MAX_SAMPLES_PER_REPORT)] = ()
    items: Annotated[tuple[UpwardItem, ...], Field(max_length=MAX_ITEMS_PER_REPORT)] = ()
    requests: Annotated[tuple[UpwardRequest, ...], Field(max_length=MAX_OPEN_REQUESTS)] = ()


class Deliver(Wire):
    """A sealed item on its way down."""

    cursor: Count
    sealed: Sealed


class Reply(Wire):
    """The answer to one request."""

    number: Number
    sealed: Sealed


class Goodbye(Wire):
    """Why the sender closes the link; the code is a WireCode."""

    code: Number
    detail: Text
