"""protocol/outbox.py: never lost, never twice."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from typing_extensions import override

from protocol.errors import LocalMisuse, PeerFault, WireCode
from protocol.limits import MAX_ITEM
from protocol.outbox import Inbox, Outbox
from tests.protocol.links import box


def impossible(outbox: Outbox, cursor: int) -> None:
    with pytest.raises(PeerFault) as caught:
        outbox.acknowledge(cursor)
    assert caught.value.code is WireCode.CURSOR
    assert "a journal was replaced or restored" in caught.value.detail


def test_cursors_count_from_one_for_ever() -> None:
    outbox = Outbox()
    assert [outbox.add(b"a"), outbox.add(b"b")] == [1, 2]
    outbox.mark_durable(2)
    outbox.acknowledge(2)
    assert outbox.add(b"c") == 3


def test_an_item_is_not_sendable_before_it_is_durable() -> None:
    outbox = Outbox()
    for item in (b"a", b"b"):
        outbox.add(item)
    assert list(outbox.after(0, 10)) == []
    outbox.mark_durable(1)
    assert list(outbox.after(0, 10)) == [(1, b"a")]


def test_durability_never_goes_back() -> None:
    outbox = box(b"a", b"b")
    outbox.mark_durable(1)
    assert outbox.durable == 2


def test_an_item_that_was_never_added_cannot_become_durable() -> None:
    with pytest.raises(LocalMisuse, match="never assigned"):
        box(b"a").mark_durable(2)


def test_an_item_is_kept_until_it_is_acknowledged() -> None:
    outbox = box(b"a", b"b", b"c")
    assert outbox.acknowledge(2)
    assert list(outbox.after(0, 10)) == [(3, b"c")]
    assert len(outbox) == 1


def test_the_same_acknowledgement_again_is_no_news() -> None:
    outbox = box(b"a")
    assert outbox.acknowledge(1)
    assert not outbox.acknowledge(1)


def test_what_was_not_yet_durable_cannot_be_acknowledged() -> None:
    outbox = box(b"a")
    outbox.add(b"b")
    impossible(outbox, 2)


def test_an_acknowledgement_cannot_be_taken_back() -> None:
    outbox = box(b"a", b"b")
    outbox.acknowledge(2)
    impossible(outbox, 1)


def test_an_impossible_acknowledgement_forgets_nothing() -> None:
    outbox = box(b"a", b"b")
    impossible(outbox, 3)
    assert list(outbox.after(0, 10)) == [(1, b"a"), (2, b"b")]


@pytest.mark.parametrize(
    ("cursor", "limit", "expected"), [(0, 2, [1, 2]), (1, 2, [2, 3]), (3, 9, []), (0, 0, []), (1, -5, [])]
)
def test_items_are_given_out_in_order_and_in_portions(cursor: int, limit: int, expected: list[int]) -> None:
    assert [c for c, _ in box(b"a", b"b", b"c").after(cursor, limit)] == expected


def test_an_outbox_continues_from_its_journal() -> None:
    outbox = Outbox(acknowledged=4, last=6, pending=[(6, b"f"), (5, b"e")])
    assert list(outbox.after(0, 10)) == [(5, b"e"), (6, b"f")]
    assert outbox.add(b"g") == 7
    assert list(outbox.after(6, 10)) == []


def test_an_item_that_no_frame_could_carry_is_not_taken() -> None:
    outbox = Outbox()
    outbox.add(bytes(MAX_ITEM))
    with pytest.raises(LocalMisuse, match="over the limit"):
        outbox.add(bytes(MAX_ITEM + 1))
    assert outbox.last == len(outbox) == 1


def test_an_item_is_taken_once() -> None:
    inbox = Inbox()
    assert inbox.take(1)
    assert not inbox.take(1)
    assert inbox.take(2)
    assert not inbox.take(1)


@pytest.mark.parametrize("cursor", [2, 7])
def test_a_gap_in_the_cursors_is_refused(cursor: int) -> None:
    inbox = Inbox()
    with pytest.raises(PeerFault) as caught:
        inbox.take(cursor)
    assert caught.value.code is WireCode.CURSOR
    assert inbox.received == 0


def test_what_was_received_is_not_durable_by_itself() -> None:
    inbox = Inbox(3)
    inbox.take(4)
    assert (inbox.received, inbox.durable) == (4, 3)
    inbox.mark_durable(4)
    inbox.mark_durable(2)
    assert inbox.durable == 4


class Delivery(RuleBasedStateMachine):
    """One direction of one link: both ends crash, sessions are lost, disks are slow."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox, self.inbox = Outbox(), Inbox()
        self.journal: list[bytes] = []  # the sender's disk: every item that was ever durable
        self.pruned = 0  # the acknowledgement that reached the sender's disk
        self.handled: list[bytes] = []  # taken by the receiver, durable or not
        self.count = 0
        self.wire: list[tuple[int, bytes]] | None = None  # no session
        self.sent = 0

    # the sender
    @rule()
    def add(self) -> None:
        self.count += 1
        self.outbox.add(b"item %d" % self.count)

    @rule(data=st.data())
    def write_outgoing(self, data: st.DataObject) -> None:
        cursor = data.draw(st.integers(self.outbox.durable, self.outbox.last))
        items = dict(self.outbox._items)
        self.journal += [items[c] for c in range(self.outbox.durable + 1, cursor + 1)]
        self.outbox.mark_durable(cursor)

    @rule()
    def write_acknowledgement(self) -> None:
        self.pruned = self.outbox.acknowledged

    @rule()
    def crash_of_the_sender(self) -> None:
        kept = enumerate(self.journal[self.pruned :], self.pruned + 1)
        self.outbox = Outbox(self.pruned, len(self.journal), kept)
        self.wire = None

    # the receiver
    @rule(data=st.data())
    def write_incoming(self, data: st.DataObject) -> None:
        self.inbox.mark_durable(data.draw(st.integers(self.inbox.durable, self.inbox.received)))

    @rule()
    def crash_of_the_receiver(self) -> None:
        del self.handled[self.inbox.durable :]
        self.inbox = Inbox(self.inbox.durable)
        self.wire = None

    # the link between them
    @rule()
    def connect(self) -> None:
        self.outbox.acknowledge(self.inbox.durable)
        self.sent = self.outbox.acknowledged
        self.wire = []

    @rule()
    def lose_the_session(self) -> None:
        self.wire = None

    @precondition(lambda self: self.wire is not None)
    @rule(limit=st.integers(0, 5))
    def send(self, limit: int) -> None:
        assert self.wire is not None
        for cursor, item in self.outbox.after(self.sent, limit):
            self.wire.append((cursor, item))
            self.sent = cursor

    @precondition(lambda self: self.wire)
    @rule()
    def arrive(self) -> None:
        assert self.wire
        cursor, item = self.wire.pop(0)
        if self.inbox.take(cursor):
            self.handled.append(item)

    @precondition(lambda self: self.wire is not None)
    @rule()
    def acknowledge(self) -> None:
        self.outbox.acknowledge(self.inbox.durable)

    @invariant()
    def nothing_was_taken_twice_or_out_of_order_or_altered(self) -> None:
        assert self.handled == self.journal[: len(self.handled)]

    @invariant()
    def nothing_was_forgotten_that_the_receiver_could_still_lose(self) -> None:
        assert self.outbox.acknowledged <= self.inbox.durable
        unsafe = range(self.inbox.durable + 1, self.outbox.durable + 1)
        assert [c for c, _ in self.outbox.after(self.inbox.durable, 10_000)] == list(unsafe)

    @override
    def teardown(self) -> None:
        self.connect()
        while self.inbox.received < self.outbox.durable:
            self.send(5)
            while self.wire:
                self.arrive()
        assert self.handled == self.journal


Delivery.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestDelivery = Delivery.TestCase
