"""Sizes, counts and timers of the wire. Every limit is checked before the thing it limits is parsed."""

from dataclasses import dataclass

PROTOCOL_VERSION = 2
DEFAULT_PORT = 20880  # P1 §1

# Bytes. A frame of the handshake is small, so a stranger can never make us buffer much.
MAX_HANDSHAKE_FRAME = 4 * 1024
MAX_SESSION_FRAME = 256 * 1024
MAX_ITEM = 32 * 1024
MAX_EVENT_BODY = 16 * 1024
MAX_CERTIFICATE = 2 * 1024

# Counts.
MAX_STEPS = 64
MAX_ITEMS_PER_REPORT = 32
MAX_SAMPLES_PER_REPORT = 256
MAX_UNACKNOWLEDGED = 64  # Deliver frames on the way to one subordinate
MAX_OUTBOX = 10_000  # items kept for one peer; beyond it new requests are refused, never dropped
MAX_UNREAD = 2 * MAX_OUTBOX  # beyond it a peer is not even told what was refused to it: that is its own doing
MAX_OUTBOX_BYTES_OF_PEER = 16 * 1024 * 1024  # likewise: one peer must not use up what all have together
MAX_OUTBOX_ITEMS = 200_000  # items kept for all peers together
MAX_OUTBOX_BYTES = 256 * 1024 * 1024  # of these items, in memory
MAX_OPEN_ORDERS = 10_000  # in all; beyond it no new draft is taken
MAX_OPEN_ORDERS_OF_PLANT = 500
MAX_RECALLS = 16  # of one order: one is enough, and each stays on the order and on its way to the plant
MIN_FREE_DISK = 64 * 1024 * 1024  # B beside the journal; with less no new order is taken
MAX_OPEN_REQUESTS = 8
MAX_REQUESTS_IN_ALL = 2_000  # questions about people that a server answers at once, of all its links
REKEY_AFTER = 1 << 20  # sealed messages under one key pair

HELLO_TIMEOUT = 5.0  # s, from accept or connect to the end of the handshake
MAX_TERM_STEP = 1 << 20  # how far one Hello may raise the term
CLOCK_SKEW_MS = 30_000  # how far a signer's wall clock may be off ours
MAX_WISH_AGE_MS = 120_000  # a wish that comes later than that was decided on an old view of the grid
MAX_VALIDITY_MS = 7 * 24 * 3_600_000  # no order is valid for longer after it was drafted
MAX_REFUSALS = 64  # events refused in about a minute before the link is ended


@dataclass(frozen=True, slots=True)
class Timers:
    """The link timers; the superior dictates them in its Hello.

    `poll_interval_ms`: a poll goes out at least this often. `hold_ms`: how long the subordinate may
    hold a poll while it has no news; 0 is the plain polling of P1. The hold ends before the interval
    does, so that answer, round trip and next poll still fit in it.
    """

    poll_interval_ms: int = 5_000
    hold_ms: int = 4_800

    @property
    def silence(self) -> float:
        """Seconds after which a peer that owes us something is dead: two missed polls."""
        return 2 * self.poll_interval_ms / 1000
