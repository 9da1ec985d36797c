"""protocol/outbox.py: never lost, never twice."""

import hashlib

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from typing_extensions import override

from protocol.errors import LocalMisuse, PeerFault, WireCode
from protocol.limits import MAX_ITEM
from protocol.outbox import START, Inbox, Mark, Outbox, take_next
from tests.protocol.links import box, place

KNOWN = place(b"1", b"2", b"3", b"4")


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
    outbox = Outbox(KNOWN, [b"e", b"f"])
    assert list(outbox.after(0, 10)) == [(5, b"e"), (6, b"f")]
    assert outbox.acknowledged == 4
    assert outbox.acknowledged_mark == KNOWN
    assert outbox.add(b"g") == outbox.last == 7
    assert list(outbox.after(6, 10)) == []


def test_what_a_former_run_may_have_sent_may_be_held_by_the_peer() -> None:
    outbox = Outbox(KNOWN, [b"e", b"f"])
    assert outbox.sent == 6
    outbox.add(b"g")
    assert outbox.sent == 6
    outbox.mark_sent(7)
    outbox.mark_sent(6)
    assert outbox.sent == 7


def test_a_mark_counts_the_items_and_remembers_what_they_were() -> None:
    first = hashlib.sha256(bytes(32) + b"a").digest()
    assert place(b"a", b"b") == (2, hashlib.sha256(first + b"b").digest())
    assert place(b"a", b"b") != place(b"b", b"a")


def test_a_peer_that_took_what_was_sent_is_believed() -> None:
    outbox = Outbox(KNOWN, [b"e", b"f"])
    for held in (KNOWN, KNOWN.then(b"e"), KNOWN.then(b"e").then(b"f")):
        outbox.check_mark(held)


@pytest.mark.parametrize(
    "held",
    [
        pytest.param(Mark(), id="nothing any more"),
        pytest.param(place(b"1", b"2", b"3"), id="less than it said"),
        pytest.param(Mark(4, b"?" * 32), id="as many as it said, but others"),
        pytest.param(KNOWN.then(b"E"), id="another item than was sent"),
        pytest.param(Mark(5, KNOWN.digest), id="a count without its item"),
        pytest.param(KNOWN.then(b"e").then(b"f"), id="what is not yet durable here"),
        pytest.param(Mark(9, b"?" * 32), id="more than there is"),
    ],
)
def test_a_peer_that_holds_something_else_is_refused(held: Mark) -> None:
    outbox = Outbox(KNOWN, [b"e"])
    outbox.add(b"f")
    with pytest.raises(PeerFault, match="a journal was replaced or restored") as caught:
        outbox.check_mark(held)
    assert caught.value.code is WireCode.CURSOR
    assert list(outbox.after(0, 10)) == [(5, b"e")]


def test_an_item_that_no_frame_could_carry_is_not_taken() -> None:
    outbox = Outbox()
    outbox.add(bytes(MAX_ITEM))
    with pytest.raises(LocalMisuse, match="over the limit"):
        outbox.add(bytes(MAX_ITEM + 1))
    assert outbox.last == len(outbox) == 1


def test_an_item_is_taken_once_and_in_order() -> None:
    assert take_next(START, 1, b"a") == place(b"a")
    assert take_next(place(b"a"), 1, b"a") is None
    assert take_next(place(b"a"), 2, b"b") == place(b"a", b"b")
    assert take_next(place(b"a", b"b"), 1, b"a") is None


@pytest.mark.parametrize("cursor", [3, 7])
def test_a_gap_in_the_cursors_is_refused(cursor: int) -> None:
    with pytest.raises(PeerFault) as caught:
        take_next(place(b"a"), cursor, b"c")
    assert caught.value.code is WireCode.CURSOR


def test_what_was_received_is_not_durable_by_itself() -> None:
    inbox = Inbox(place(b"a"))
    inbox.received = place(b"a", b"b")
    assert inbox.durable == place(b"a")
    inbox.mark_durable(place(b"a", b"b"))
    inbox.mark_durable(place(b"a"))
    assert inbox.durable == place(b"a", b"b")


class Delivery(RuleBasedStateMachine):
    """One direction of one link: both ends crash, sessions are lost, disks are slow."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox, self.inbox = Outbox(), Inbox()
        self.added: list[bytes] = []
        self.journal: list[bytes] = []  # the sender's disk: every item that was ever durable
        self.pruned = START  # the acknowledgement that reached the sender's disk
        self.handled: list[bytes] = []  # taken by the receiver, durable or not
        self.count = 0
        self.wire: list[tuple[int, bytes]] | None = None  # no session
        self.sent = 0

    # the sender
    @rule()
    def add(self) -> None:
        self.count += 1
        self.added.append(b"item %d" % self.count)
        assert self.outbox.add(self.added[-1]) == len(self.added)

    @rule(data=st.data())
    def write_outgoing(self, data: st.DataObject) -> None:
        cursor = data.draw(st.integers(self.outbox.durable, self.outbox.last))
        known = len(self.journal)
        self.journal += self.added[known:cursor]
        self.outbox.mark_durable(cursor)

    @rule()
    def write_acknowledgement(self) -> None:
        self.pruned = self.outbox.acknowledged_mark

    @rule()
    def crash_of_the_sender(self) -> None:
        del self.added[len(self.journal) :]
        self.outbox = Outbox(self.pruned, self.journal[self.pruned.cursor :])
        self.wire = None

    # the receiver
    @rule(data=st.data())
    def write_incoming(self, data: st.DataObject) -> None:
        count = data.draw(st.integers(self.inbox.durable.cursor, self.inbox.received.cursor))
        self.inbox.mark_durable(place(*self.handled[:count]))

    @rule()
    def crash_of_the_receiver(self) -> None:
        del self.handled[self.inbox.durable.cursor :]
        self.inbox = Inbox(self.inbox.durable)
        self.wire = None

    # the link between them
    @rule()
    def connect(self) -> None:
        self.outbox.check_mark(self.inbox.durable)
        self.outbox.acknowledge(self.inbox.durable.cursor)
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
        if mark := take_next(self.inbox.received, cursor, item):
            self.inbox.received = mark
            self.handled.append(item)

    @precondition(lambda self: self.wire is not None)
    @rule()
    def acknowledge(self) -> None:
        self.outbox.acknowledge(self.inbox.durable.cursor)

    @invariant()
    def nothing_was_taken_twice_or_out_of_order_or_altered(self) -> None:
        assert self.handled == self.journal[: len(self.handled)]

    @invariant()
    def nothing_was_forgotten_that_the_receiver_could_still_lose(self) -> None:
        held = self.inbox.durable.cursor
        assert self.outbox.acknowledged <= held
        unsafe = range(held + 1, self.outbox.durable + 1)
        assert [c for c, _ in self.outbox.after(held, 10_000)] == list(unsafe)

    @override
    def teardown(self) -> None:
        self.connect()
        while self.inbox.received.cursor < self.outbox.durable:
            self.send(5)
            while self.wire:
                self.arrive()
        assert self.handled == self.journal


Delivery.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestDelivery = Delivery.TestCase
