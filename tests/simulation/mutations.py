"""Defects put into the product on purpose, to prove that the simulator would find them."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from unittest.mock import patch

from protocol import record
from protocol.aio.station import Station, Work
from protocol.journal.batch import Batch
from protocol.keys import Certificate
from protocol.lifecycle import CUSTODY, SIGNERS, TRANSITIONS, Custody, Input, Signer, State
from protocol.orders import Issue
from protocol.outbox import Outbox, take_next
from tests.simulation.disk import DiskWriter
from tests.simulation.people import SimulatedPeople


@contextmanager
def tells_before_it_is_durable() -> Iterator[None]:
    """A writer that says "written" when a batch was only handed in."""
    real = DiskWriter.commit

    def commit(self: DiskWriter, batch: Batch) -> "asyncio.Future[None]":
        real(self, batch)
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._dead:
            told.set_result(None)
        return told

    with patch.object(DiskWriter, "commit", commit):
        yield


@contextmanager
def acknowledges_before_it_is_durable() -> Iterator[None]:
    """A station that says "I have it" of what it only holds in memory."""
    real = Station.commit

    def commit(self: Station, work: Work) -> "asyncio.Future[None]":
        waiter = real(self, work)
        for peer, mark in work.received.items():
            self.inbox(peer).mark_durable(mark)
        return waiter

    with patch.object(Station, "commit", commit):
        yield


@contextmanager
def takes_items_twice() -> Iterator[None]:
    """Neither the inbox nor the record notices that an item was there before."""

    def take(self: Work, peer: str, cursor: int, item: bytes) -> bool:
        received = self.received.get(peer, self._station.inbox(peer).received)
        self.received[peer] = take_next(received, cursor, item) or received
        return True

    with patch.object(Work, "take", take), patch.object(record.OrderRecord, "has", lambda self, event: False):
        yield


@contextmanager
def begins_unconfirmed() -> Iterator[None]:
    """A table in which an order that was read back is the plant's to begin, confirmed or not."""
    table = MappingProxyType({**TRANSITIONS, (State.READ_BACK, Input.BEGIN): State.EXECUTING})
    custody = MappingProxyType({**CUSTODY, State.READ_BACK: Custody.PLANT})
    with ExitStack() as stack:
        stack.enter_context(patch("protocol.lifecycle.TRANSITIONS", table))
        stack.enter_context(patch("protocol.record.CUSTODY", custody))
        stack.enter_context(patch("protocol.record._check_time", lambda record, verified: None))
        yield


@contextmanager
def forgets_on_send() -> Iterator[None]:
    """An outbox that takes sending for delivering."""
    real = Outbox.after

    def after(self: Outbox, cursor: int, limit: int) -> Sequence[tuple[int, bytes]]:
        items = real(self, cursor, limit)
        for sent, _ in items:
            _, self._acknowledged = self._items.pop(sent)
        return items

    with patch.object(Outbox, "after", after):
        yield


@contextmanager
def believes_every_signature() -> Iterator[None]:
    """Signatures are read and not checked."""

    def verify_signature(certificate: Certificate, domain: bytes, data: bytes, signature: bytes) -> None:
        """Nothing is checked."""

    with patch("protocol.keys.verify_signature", verify_signature):
        yield


@contextmanager
def grants_serve_anything() -> Iterator[None]:
    """Two factors once given serve every event."""

    async def use_grant(
        self: SimulatedPeople, issue: Issue, node: str, digest: bytes, event_hash: bytes
    ) -> None:
        """Nothing is checked."""

    with patch.object(SimulatedPeople, "use_grant", use_grant):
        yield


@contextmanager
def begins_too_late() -> Iterator[None]:
    """The validity of an order is not looked at when it is begun, and no plant lets it expire."""
    with ExitStack() as stack:
        stack.enter_context(patch("protocol.record._check_time", lambda record, verified: None))
        stack.enter_context(patch("dispatch_client.plant.Plant.on_tick", lambda self: None))
        yield


@contextmanager
def forgets_the_term() -> Iterator[None]:
    """A server starts every life under the same term."""

    async def grant_term(self: Station) -> None:
        work = self.work()
        work.batch.meta["granted term"] = (1).to_bytes(8)
        await self.commit(work)

    with patch.object(Station, "grant_term", grant_term):
        yield


@contextmanager
def asks_no_second_person() -> Iterator[None]:
    """Headquarters accepts under any posture what it does not object to."""
    with patch("dispatch_server.orders.admission.needs_second_person", lambda record, posture: False):
        yield


@contextmanager
def lets_the_issuer_approve() -> Iterator[None]:
    """A table in which a dispatcher may be the second person, and a record that does not ask who issued."""
    approvers = frozenset({Signer.DISPATCHER, Signer.SUPERVISOR})
    table = MappingProxyType({**SIGNERS, Input.APPROVE: approvers})
    with ExitStack() as stack:
        stack.enter_context(patch("protocol.record.SIGNERS", table))
        stack.enter_context(patch("protocol.record._check_second_person", lambda record, event, signer: None))
        yield


@dataclass(frozen=True, slots=True)
class Mutation:
    """A defect, and a part of what the invariants must say about it."""

    apply: Callable[[], AbstractContextManager[None]]
    breaks: str

    @property
    def name(self) -> str:
        """What the defect does."""
        return self.apply.__name__


MUTATIONS = (
    Mutation(tells_before_it_is_durable, "a journal was replaced or restored"),
    Mutation(acknowledges_before_it_is_durable, "a journal was replaced or restored"),
    Mutation(takes_items_twice, "is refused, which is taken"),
    Mutation(begins_unconfirmed, "was executed unconfirmed"),
    Mutation(forgets_on_send, "a journal was replaced or restored"),
    Mutation(believes_every_signature, "took a forged event"),
    Mutation(grants_serve_anything, "took a forged event"),
    Mutation(begins_too_late, "begin after its validity"),
    Mutation(forgets_the_term, "the granted term of"),
    Mutation(asks_no_second_person, "without the second person"),
    Mutation(lets_the_issuer_approve, "who issued it"),
)
