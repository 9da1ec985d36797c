"""What the chaotic layer costs a message: `python -m tests.benchmarks.sealed_messages [--json]`.

A real superior's and a real subordinate's session, with their handshake, frames, validation, AEAD and
acknowledgements, exchange 256-byte items in memory, one by one; keys come from the test authority. Only
what a waiting person waits for is timed: work ahead happens between the messages, as the shell does it.
Rounds are interleaved; medians of CPU time.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from typing_extensions import override

from chaos_cipher import KeystreamCache
from protocol.handshake import Fresh, Grant, Local
from protocol.limits import Timers
from protocol.messages import LedgerHead
from protocol.outbox import Inbox, Outbox
from protocol.seal import InnerCipher, Sealer
from protocol.session import Delivered, HelloReceived, Reported
from protocol.subordinate import SubordinateSession
from protocol.superior import SuperiorSession
from tests.protocol.links import put, take
from tests.protocol.parties import HQ, PLANT
from tests.support.pki import DEPLOYMENT

ITEM_BYTES = 256
MESSAGES = 200
HEAD = LedgerHead(entry=1, hash=bytes(32))


class Nothing(KeystreamCache):
    """No inner layer at all: what the rest of the path costs. For measuring only."""

    @override
    def apply(self, nonce: bytes, data: bytes, /) -> bytes:
        return data

    @override
    def prepare(self, nonce: bytes, /) -> None:
        pass


class Standard(Nothing):
    """ChaCha20 in the place of the chaotic layer. For measuring only."""

    def __init__(self, key: bytes) -> None:
        super().__init__(key)
        self._key = key

    @override
    def apply(self, nonce: bytes, data: bytes, /) -> bytes:
        return Cipher(ChaCha20(self._key, nonce), None).encryptor().update(data)


class Pair:
    """Two sessions that are open, and the bytes between them carried by hand."""

    def __init__(self, inner: Callable[[bytes], InnerCipher]) -> None:
        self.outbox, self.inbox = Outbox(), Inbox()
        self.superior = SuperiorSession(
            Local(key=HQ, deployment=DEPLOYMENT, boot=b"b" * 16, inner=inner),
            PLANT.certificate,
            term=1,
            timers=Timers(hold_ms=0),
            outbox=self.outbox,
            inbox=Inbox(),
            fresh=Fresh.of(os.urandom(48)),
        )
        self.subordinate = SubordinateSession(
            Local(key=PLANT, deployment=DEPLOYMENT, boot=b"c" * 16, inner=inner),
            HQ.certificate,
            granted=Grant(),
            outbox=Outbox(),
            inbox=self.inbox,
        )
        self.now = 0.0
        for event in self.subordinate.receive(self.superior.data_to_send(), self.now):
            if isinstance(event, HelloReceived):
                self.subordinate.welcome(event.hello, Fresh.of(os.urandom(48)), self.now)
        for _ in self.superior.receive(self.subordinate.data_to_send(), self.now):
            pass

    def deliver(self, item: bytes) -> float:
        """CPU seconds from an item that is durable at the superior to the same at the subordinate."""
        put(self.outbox, item)
        self.now += 10
        began = time.process_time()
        self.superior.advance(self.now, 0, HEAD)
        events = list(self.subordinate.receive(self.superior.data_to_send(), self.now))
        taken = time.process_time() - began
        (delivered,) = [event for event in events if isinstance(event, Delivered)]
        assert delivered.item == item
        take(self.inbox, delivered.cursor, delivered.item)
        self._answer()
        return taken

    def _answer(self) -> None:
        self.subordinate.advance(self.now, HEAD)
        for event in self.superior.receive(self.subordinate.data_to_send(), self.now):
            if isinstance(event, Reported):
                self.superior.report_done()

    def prepare(self) -> None:
        """What the shell does in a quiet moment."""
        self.superior.prepare()
        self.subordinate.prepare()


@dataclass(frozen=True, slots=True)
class Row:
    """One inner layer: microseconds for the whole way of an item, and for sealing alone."""

    inner: str
    delivered_us: float
    sealed_us: float
    sealed_times_chacha20: float


SUBJECTS: dict[str, tuple[Callable[[bytes], InnerCipher], bool]] = {
    "none (AEAD alone)": (Nothing, False),
    "ChaCha20": (Standard, False),
    "LM256, cold": (KeystreamCache, False),
    "LM256, prepared": (KeystreamCache, True),
}


def deliver(inner: Callable[[bytes], InnerCipher], *, ahead: bool) -> float:
    """Median CPU seconds of one item's way."""
    pair = Pair(inner)
    taken = []
    for _ in range(MESSAGES):
        if ahead:
            pair.prepare()
        taken.append(pair.deliver(os.urandom(ITEM_BYTES)))
    return statistics.median(taken)


def seal(inner: Callable[[bytes], InnerCipher], *, ahead: bool) -> float:
    """Median CPU seconds of sealing one item."""
    sealer = Sealer(os.urandom(32), inner)
    taken = []
    for number in range(MESSAGES):
        item, header = os.urandom(ITEM_BYTES), number.to_bytes(9, "big")
        if ahead:
            sealer.prepare()
        began = time.process_time()
        sealer.seal(item, header)
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def chacha20_alone() -> float:
    """Median CPU seconds of ChaCha20 over one item, with nothing around it."""
    key, taken = os.urandom(32), []
    for number in range(MESSAGES):
        item, nonce = os.urandom(ITEM_BYTES), number.to_bytes(16, "big")
        began = time.process_time()
        Cipher(ChaCha20(key, nonce), None).encryptor().update(item)
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def measure(rounds: int) -> list[Row]:
    """Interleaved rounds: a busy moment of the machine then meets all alike."""
    delivered: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    sealed: dict[str, list[float]] = {name: [] for name in SUBJECTS}
    alone = []
    for _ in range(rounds):
        alone.append(chacha20_alone())
        for name, (inner, ahead) in SUBJECTS.items():
            sealed[name].append(seal(inner, ahead=ahead))
            delivered[name].append(deliver(inner, ahead=ahead))
    chacha20 = statistics.median(alone)
    return [
        Row(
            name,
            statistics.median(delivered[name]) * 1e6,
            statistics.median(sealed[name]) * 1e6,
            statistics.median(sealed[name]) / chacha20,
        )
        for name in SUBJECTS
    ]


def main() -> None:
    """Print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.sealed_messages", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    rows = measure(options.rounds)
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}"
    if options.json:
        print(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=2))
        return
    print(f"{'inner layer':20}{'whole way, µs':>15}{'sealing, µs':>14}{'sealing x ChaCha20 alone':>27}")
    for row in rows:
        print(f"{row.inner:20}{row.delivered_us:15.1f}{row.sealed_us:14.1f}{row.sealed_times_chacha20:27.1f}")
    print(f"{ITEM_BYTES}-byte items; {machine}; CPU time, medians of {options.rounds} interleaved rounds")


if __name__ == "__main__":
    main()
