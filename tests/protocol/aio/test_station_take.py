"""What peers send is taken once, in order, whole or not at all; old orders are found again."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from protocol.aio import station as module
from protocol.aio.station import Station, Work
from protocol.errors import OrderRefused, PeerFault, WireCode
from protocol.items import Item, event_item, order_of
from protocol.journal.batch import Entry
from protocol.journal.file import JournalError, JournalFile
from protocol.journal.verify import EVENT, PEER_CHECKPOINT
from protocol.lifecycle import Input, State
from protocol.messages import LedgerHead
from protocol.outbox import START
from protocol.record import OrderRecord, replay
from tests.protocol.aio.stand_ins import (
    HandWriter,
    Recorder,
    new_writer,
    numbered,
    recorded,
    refusal,
    restarted,
    settle,
    station_on,
)
from tests.protocol.parties import PLANT, Chain, write
from tests.support.pki import NOW_MS
from tests.support.virtual_loop import run


def recording() -> tuple[HandWriter, Station, Recorder]:
    """A station whose disk writes at once."""
    writer = new_writer(is_held=False)
    station = station_on(writer)
    return writer, station, Recorder(station)


async def fault_of(station: Station, items: list[tuple[int, bytes]], policy: Recorder) -> WireCode:
    """Why these items are refused; nothing of them may be taken."""
    before = (station.inbox("hq").received, dict(station.orders), station.ledger_head)
    with pytest.raises(PeerFault) as caught:
        await station.take("hq", items, policy)
    assert (station.inbox("hq").received, station.orders, station.ledger_head) == before
    return caught.value.code


# --- taking ---


async def test_items_are_taken_in_their_order() -> None:
    _, station, policy = recording()
    await station.take("hq", numbered(1, refusal(1), refusal(2)), policy)
    await station.take("hq", numbered(3, refusal(3)), policy)
    assert policy.details == ["1", "2", "3"]
    assert station.inbox("hq").durable.cursor == 3


async def test_an_item_that_comes_again_is_not_taken_again() -> None:
    writer, station, policy = recording()
    items = numbered(1, refusal(1), refusal(2))
    await station.take("hq", items, policy)
    for again in (items, items[:1], items[1:]):
        await station.take("hq", again, policy)
    await station.take("hq", numbered(2, refusal(2), refusal(3)), policy)
    assert policy.details == ["1", "2", "3"]
    later = Recorder(restarted(writer))
    await later._station.take("hq", items, later)
    assert (later.taken, later.prepared) == ([], [])


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 5)), max_size=12))
def test_however_often_items_come_each_is_taken_once_and_in_order(frames: list[tuple[int, int]]) -> None:
    async def receive() -> list[str]:
        _, station, policy = recording()
        for first, count in frames:
            received = station.inbox("hq").received.cursor
            items = numbered(first, *(refusal(first + index) for index in range(count)))
            if count and first > received + 1:
                assert await fault_of(station, items, policy) is WireCode.CURSOR
            else:
                await station.take("hq", items, policy)
        assert len(policy.details) == station.inbox("hq").received.cursor
        return policy.details

    taken = run(receive())
    assert taken == [str(number) for number in range(1, len(taken) + 1)]


async def test_what_comes_again_before_it_is_durable_is_not_taken_again() -> None:
    writer = new_writer()
    station = station_on(writer)
    policy = Recorder(station)
    items = numbered(1, refusal(1))
    first = asyncio.create_task(station.take("hq", items, policy))
    await settle()
    second = asyncio.create_task(station.take("hq", items, policy))
    await settle()
    assert (first.done(), second.done()) == (False, True)
    await writer.finish()
    assert first.done()
    assert policy.details == ["1"]


async def test_two_links_that_bring_the_same_item_at_once_have_it_taken_once() -> None:
    _, station, policy = recording()
    items = numbered(1, refusal(1), refusal(2))
    await asyncio.gather(*(station.take("hq", items, policy) for _ in range(3)))
    assert policy.details == ["1", "2"]


async def test_an_item_is_taken_when_it_is_durable_and_not_before() -> None:
    writer = new_writer()
    station = station_on(writer)
    task = asyncio.create_task(station.take("hq", numbered(1, refusal(1)), Recorder(station)))
    await settle()
    assert not task.done()
    assert station.inbox("hq").durable == START
    await writer.finish()
    assert task.done()
    assert station.inbox("hq").durable.cursor == 1


async def test_where_a_peers_ledger_stood_is_written_with_what_it_sent_or_not_at_all() -> None:
    writer = new_writer()
    station = station_on(writer)
    policy = Recorder(station)
    head = LedgerHead(entry=7, hash=b"l" * 32)
    items = numbered(1, refusal(1))
    first = asyncio.create_task(station.take("hq", items, policy, head))
    await settle()
    ((batch, _),) = writer.waiting
    assert [(entry.kind, entry.subject) for entry in batch.entries] == [(PEER_CHECKPOINT, "hq")]
    assert batch.received["hq"].cursor == 1
    await writer.finish()
    await first
    await station.take("hq", items, policy, head)
    assert writer.waiting == []


async def test_the_cursors_of_peers_are_their_own() -> None:
    _, station, policy = recording()
    await station.take("hq", numbered(1, refusal(1)), policy)
    await station.take("plant-2", numbered(1, refusal(2)), policy)
    assert [(peer, item.order) for peer, item in policy.taken if item.kind == "refusal"] == [
        ("hq", "o-1"),
        ("plant-2", "o-2"),
    ]


# --- refusing ---


@pytest.mark.parametrize("first", [2, 3, 99])
async def test_a_gap_is_the_fault_of_the_peer_and_nothing_is_taken(first: int) -> None:
    _, station, policy = recording()
    assert await fault_of(station, numbered(first, refusal(1)), policy) is WireCode.CURSOR
    assert policy.taken == []


async def test_a_gap_in_the_middle_takes_nothing_of_what_stood_before_it() -> None:
    _, station, policy = recording()
    draft = event_item(write(None, Input.DRAFT).signed, "plant-1")
    items = [*numbered(1, draft), *numbered(3, refusal(3))]
    assert await fault_of(station, items, policy) is WireCode.CURSOR


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"hello", bytes(500), refusal(2).encode() + b"\x00"])
async def test_a_malformed_item_is_the_fault_of_the_peer_and_nothing_is_taken(garbage: bytes) -> None:
    _, station, policy = recording()
    items = [*numbered(1, refusal(1)), (2, garbage)]
    assert await fault_of(station, items, policy) is WireCode.MALFORMED
    assert (policy.taken, policy.prepared) == ([], [])


async def test_a_decision_that_fails_leaves_nothing_behind() -> None:
    writer, station, policy = recording()
    draft = event_item(write(None, Input.DRAFT).signed, "plant-1")
    stale = event_item(Chain.at(State.ISSUED).event(Input.ACCEPT).signed, "plant-1")
    with pytest.raises(OrderRefused):
        await station.take("hq", numbered(1, draft, stale), policy)
    assert (station.orders, station.inbox("hq").received, writer.head.entry) == ({}, START, 0)
    await station.take("hq", numbered(1, draft), policy)
    assert station.orders == {"o-1": Chain().record}


# --- finding ---


def closed_order(number: int) -> OrderRecord:
    draft = write(None, Input.DRAFT, order=f"o-{number}")
    chain = Chain(replay([draft]))
    chain.add(Input.CANCEL)
    return chain.record


async def record_all(station: Station, orders: list[OrderRecord]) -> None:
    for order in orders:
        await station.commit(recorded(station.work(), *order.events))


@pytest.fixture
def few_kept(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module, "_CLOSED_KEPT", 3)
    return 3


async def test_of_closed_orders_only_the_latest_stay_in_memory(few_kept: int) -> None:
    _, station, _ = recording()
    opened = replay([write(None, Input.DRAFT, order="o-0")])
    orders = [closed_order(number) for number in range(1, 7)]
    await record_all(station, [opened, *orders])
    await settle()
    assert list(station.orders) == ["o-0", "o-4", "o-5", "o-6"]
    assert station.orders["o-0"].is_open


async def test_open_orders_are_never_forgotten(few_kept: int) -> None:
    _, station, _ = recording()
    await record_all(station, [replay([write(None, Input.DRAFT, order=f"o-{n}")]) for n in range(20)])
    await settle()
    assert len(station.orders) == 20


async def test_a_forgotten_order_is_read_back(few_kept: int) -> None:
    writer, station, _ = recording()
    orders = [closed_order(number) for number in range(1, 8)]
    await record_all(station, orders)
    await settle()
    assert "o-1" not in station.orders
    for run_of in (station, restarted(writer)):
        assert [await run_of.find(order.order) for order in orders] == orders


@pytest.mark.parametrize("order", ["o-404", ""])
async def test_an_order_that_never_was_is_not_found(order: str) -> None:
    _, station, _ = recording()
    assert await station.find(order) is None
    assert station.orders == {}


async def test_an_order_that_changes_while_it_is_read_back_is_found_as_it_is_now() -> None:
    writer, station, _ = recording()
    chain = Chain()
    writer.file.write([recorded(station.work(), *chain.record.events).batch])
    writer.reading.clear()
    finding = asyncio.create_task(station.find("o-1"))
    await settle()
    station.orders["o-1"] = newer = Chain.along(Input.ISSUE).record
    writer.reading.set()
    assert await finding == newer


async def test_a_forgotten_order_that_does_not_verify_is_not_shown() -> None:
    writer, station, _ = recording()
    forged = write(None, Input.DRAFT, by=PLANT)
    entry = Entry(EVENT, "o-1", NOW_MS, forged.signed.encode(), forged.hash)
    batch = station.work().batch
    batch.entries.append(entry)
    writer.file.write([batch])
    with pytest.raises(JournalError, match="does not verify: unauthorised"):
        await station.find("o-1")
    assert station.orders == {}


class Busy(Recorder):
    """Closes another order whenever it prepares, and notes whether it knows the order it decides on."""

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self.known: list[bool] = []

    @override
    async def prepare(self, peer: str, item: Item) -> None:
        await super().prepare(peer, item)
        await record_all(self._station, [closed_order(100 + len(self.prepared))])

    @override
    def on_item(self, work: Work, peer: str, item: Item) -> None:
        self.known.append(work.order(order_of(item)) is not None)


async def test_whoever_decides_on_an_old_order_knows_it_whatever_else_happens(few_kept: int) -> None:
    """Otherwise a draft sent again would begin a second order under the same name."""
    _, station, _ = recording()
    await record_all(station, [closed_order(number) for number in range(6)])
    policy = Busy(station)
    await station.take("hq", numbered(1, refusal(0), refusal(1)), policy)
    assert policy.known == [True, True]


class Asked(HandWriter):
    """It answers when all 31 questions were asked."""

    def __init__(self) -> None:
        super().__init__(JournalFile.open(":memory:", PLANT), is_held=False)
        self.asked: list[str] = []

    @override
    async def events_of(self, order: str) -> Sequence[bytes]:
        self.asked.append(order)
        await asyncio.sleep(0)
        assert len(self.asked) == 31, "the others are asked for before the first is answered"
        return await super().events_of(order)


async def test_unknown_orders_of_one_report_are_looked_up_together_and_each_once() -> None:
    station = station_on(writer := Asked())
    policy = Recorder(station)
    await station.take("hq", numbered(1, *(refusal(1 + number % 31) for number in range(32))), policy)
    assert sorted(writer.asked) == sorted({f"o-{1 + number}" for number in range(31)})
    assert len(policy.taken) == 32


def test_a_peer_that_speaks_of_orders_long_ended_is_served_more_slowly_and_nobody_else() -> None:
    async def check() -> None:
        writer, station, policy = recording()
        await record_all(station, [closed_order(number) for number in range(1, 9)])
        held = HandWriter(JournalFile(writer.file._db, PLANT), is_held=False)
        later = station_on(held)
        loop = asyncio.get_running_loop()
        began = loop.time()
        hostile = asyncio.create_task(later.take("hq", numbered(1, *map(refusal, range(1, 9))), policy))
        await later.commit(later.work())
        assert (loop.time(), hostile.done()) == (began, False)
        await hostile
        assert loop.time() - began == pytest.approx(8 * module._PAUSE_PER_READ_BACK)
        assert later.orders.keys() == {f"o-{number}" for number in range(1, 9)}

    run(check())


async def test_the_orders_that_changed_last_are_listed_first() -> None:
    _, station, _ = recording()
    await record_all(station, [closed_order(number) for number in range(4)])
    assert [row.order for row in await station.latest_orders(2)] == ["o-3", "o-2"]
