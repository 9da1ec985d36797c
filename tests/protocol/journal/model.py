"""What a journal must hold after any history of decisions, said the simplest way there is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from hypothesis import strategies as st

from protocol.journal.batch import Batch, Head, Pending
from protocol.journal.file import Loaded, PeerRow
from protocol.lifecycle import Input
from protocol.orders import VerifiedEvent
from protocol.outbox import START, Mark
from protocol.record import OrderRecord, apply
from tests.protocol.journal.ledgers import event_batch, note
from tests.protocol.parties import Chain, write

PEERS = ("hq", "center-1")
_WAYS = (
    (Input.ISSUE, Input.CANCEL),
    (Input.ISSUE, Input.ACCEPT, Input.DELIVER, Input.NO_ANSWER, Input.READ_BACK, Input.CONFIRM, Input.BEGIN),
    (Input.EXPIRE,),
)

Decision = tuple[str, int, bytes]
# "batch" and "commit" end a batch and a commit; the others say what is in it.
DECISIONS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "note",
                "event",
                "event",
                "send",
                "take",
                "acknowledge",
                "intend",
                "settle",
                "meta",
                "batch",
                "commit",
            ]
        ),
        st.integers(0, 7),
        st.binary(max_size=20),
    ),
    max_size=40,
)


@cache
def histories() -> Sequence[Sequence[tuple[VerifiedEvent, OrderRecord]]]:
    """Of each order its events, each with where the order stands after it."""
    return [_history(f"o-{number}", way) for number, way in enumerate(_WAYS)]


def _history(order: str, way: Sequence[Input]) -> list[tuple[VerifiedEvent, OrderRecord]]:
    draft = write(None, Input.DRAFT, order=order)
    chain = Chain(apply(None, draft))
    steps = [(draft, chain.record)]
    for given in way:
        event = chain.add(given)
        steps.append((event, chain.record))
    return steps


@dataclass
class Peer:
    """The delivery of one peer."""

    received: Mark = START
    sent: Mark = START
    acknowledged: Mark = START
    outgoing: list[tuple[bytes, Mark]] = field(default_factory=list)


@dataclass
class Model:
    """Makes batches of decisions and knows what they amount to."""

    entries: int = 0
    peers: dict[str, Peer] = field(default_factory=dict)
    pending: dict[bytes, Pending] = field(default_factory=dict)
    meta: dict[str, bytes] = field(default_factory=dict)
    reached: dict[int, int] = field(default_factory=dict)
    intended: int = 0

    def commits(self, decisions: Sequence[Decision]) -> list[list[Batch]]:
        """The decisions as batches, the batches as commits."""
        commits = [[Batch()]]
        for what, which, data in decisions:
            if what == "commit":
                commits.append([Batch()])
            elif what == "batch":
                commits[-1].append(Batch())
            else:
                self._decide(commits[-1][-1], what, which, data)
        return commits

    def _decide(self, batch: Batch, what: str, which: int, data: bytes) -> None:
        peer = PEERS[which % len(PEERS)]
        match what:
            case "note":
                batch.entries.append(note("test", peer, data=data.hex()))
                self.entries += 1
            case "event":
                self._event(batch, which % len(_WAYS))
            case "intend":
                self._intend(batch, data)
            case "settle":
                self._settle(batch, which)
            case "meta":
                batch.meta[f"key {which}"] = self.meta[f"key {which}"] = data
            case _:
                self._deliver(batch, what, peer, data)

    def _event(self, batch: Batch, order: int) -> None:
        step = self.reached.get(order, 0)
        if step < len(histories()[order]):
            event, record = histories()[order][step]
            made = event_batch(record, event)
            batch.entries += made.entries
            batch.orders |= made.orders
            self.reached[order] = step + 1
            self.entries += 1

    def _intend(self, batch: Batch, data: bytes) -> None:
        self.intended += 1
        row = Pending(self.intended.to_bytes(32), f"o-{self.intended}", data)
        batch.pending.append(row)
        self.pending[row.event_hash] = row

    def _settle(self, batch: Batch, which: int) -> None:
        if self.pending:
            event_hash = list(self.pending)[which % len(self.pending)]
            batch.settled.append(event_hash)
            del self.pending[event_hash]

    def _deliver(self, batch: Batch, what: str, name: str, data: bytes) -> None:
        peer = self.peers.get(name, Peer())
        if what == "send":
            peer.sent = peer.sent.then(data)
            peer.outgoing.append((data, peer.sent))
            batch.outgoing.append((name, peer.sent.cursor, data))
        elif what == "take":
            peer.received = batch.received[name] = peer.received.then(data)
        elif peer.outgoing:
            _, peer.acknowledged = peer.outgoing.pop(0)
            batch.acknowledged[name] = peer.acknowledged
        else:
            return
        self.peers[name] = peer

    def loaded(self, head: Head) -> Loaded:
        """What a station that starts now must find. The chain's hashes are the ledger's own affair."""
        return Loaded(
            head=Head(self.entries, head.hash),
            meta=self.meta,
            peers={
                name: PeerRow(peer.received, peer.acknowledged, tuple(item for item, _ in peer.outgoing))
                for name, peer in self.peers.items()
            },
            pending=tuple(self.pending.values()),
            open_events=self._open_events(),
        )

    def _open_events(self) -> dict[str, tuple[bytes, ...]]:
        found = {}
        for order, reached in self.reached.items():
            steps = histories()[order][:reached]
            if steps[-1][1].is_open:
                found[f"o-{order}"] = tuple(event.signed.encode() for event, _ in steps)
        return found
