import asyncio
import gc
from functools import partial
from typing import Any

import pytest

from protocol.aio import station as module
from protocol.aio.station import Station, Work
from protocol.errors import LocalMisuse, OrderRefused, PeerFault, RefusalCode, WireCode
from protocol.handshake import Grant
from protocol.items import HEADQUARTERS, EventItem, event_item
from protocol.journal.batch import Batch, Entry, OrderRow
from protocol.journal.file import JournalError, JournalFile
from protocol.journal.verify import EVENT
from protocol.keys import TrustStore
from protocol.lifecycle import Input, State
from protocol.limits import MAX_ITEM
from protocol.messages import LedgerHead
from protocol.orders import SignedEvent, VerifiedEvent, verify_event
from protocol.outbox import START, Mark
from protocol.record import OrderRecord
from tests.protocol.aio.stand_ins import (
    HandWriter,
    new_writer,
    recorded,
    refusal,
    restarted,
    settle,
    station_on,
)
from tests.protocol.parties import AUTHORITY, DISPATCHER, OPERATOR, PLANT, Chain, write
from tests.support.pki import NOW_MS

DRAFT = write(None, Input.DRAFT)


def all_of(work: Work) -> Work:
    """Work in which there is something of everything."""
    work.record(DRAFT)
    work.post("hq", event_item(DRAFT.signed, HEADQUARTERS))
    work.intend(Chain().event(Input.ISSUE))
    work.note("security", "hq", what="a test")
    work.take("hq", 1, b"an item")
    work.batch.meta["key"] = b"value"
    return work


def visible(station: Station) -> tuple[Any, ...]:
    """Everything that another decision can see."""
    return (
        dict(station.orders),
        dict(station.pending),
        dict(station.meta),
        station.outbox("hq").last,
        station.inbox("hq").received,
    )


def sendable(station: Station, peer: str = "hq") -> list[int]:
    return [cursor for cursor, _ in station.outbox(peer).after(0, 100)]


# --- what is seen when ---


async def test_nothing_of_a_work_that_is_thrown_away_is_ever_seen() -> None:
    station = station_on(writer := new_writer())
    before = visible(station)
    all_of(station.work())
    await settle()
    assert visible(station) == before == ({}, {}, {}, 0, START)
    assert writer.waiting == []


async def test_a_refused_event_changes_nothing_in_its_work() -> None:
    work = station_on(new_writer()).work()
    work.record(DRAFT)
    before = (len(work.batch.entries), dict(work.batch.orders), dict(work.orders))
    with pytest.raises(OrderRefused):
        work.record(Chain().event(Input.CONFIRM))
    assert (len(work.batch.entries), work.batch.orders, work.orders) == before


async def test_a_work_sees_what_it_has_done_itself() -> None:
    work = station_on(new_writer()).work()
    chain = Chain()
    assert work.order("o-1") is None
    recorded(work, DRAFT, chain.add(Input.ISSUE))
    assert work.order("o-1") == chain.record


async def test_an_item_that_no_frame_can_carry_is_refused_before_anything_is_published() -> None:
    station = station_on(new_writer())
    work = recorded(station.work(), DRAFT)
    body, padding = DRAFT.signed.body, bytes(MAX_ITEM)
    huge = EventItem.model_construct(
        kind="event", to="", body=body + padding, certificate=b"", signature=bytes(64)
    )
    with pytest.raises(LocalMisuse, match="over the limit"):
        work.post("hq", huge)
    assert work.posts == []
    assert station.orders == {}


async def test_a_commit_is_seen_at_once_by_the_next_decision() -> None:
    station = station_on(new_writer())
    station.commit(all_of(station.work()))
    assert station.work().order("o-1") == Chain().record
    assert [row.order for row in station.pending.values()] == ["o-1"]
    assert station.meta == {"key": b"value"}
    assert station.outbox("hq").last == 1
    assert station.inbox("hq").received == START.then(b"an item")


async def test_nothing_is_sent_or_acknowledged_or_told_before_it_is_durable() -> None:
    station = station_on(writer := new_writer())
    told: list[object] = []
    station.on_news("hq", lambda: told.append("news"))
    station.watch_orders(told.append)
    future = station.commit(all_of(station.work()))
    await settle()
    assert (sendable(station), station.inbox("hq").durable, station.ledger_head.entry) == ([], START, 0)
    assert told == []
    assert not future.done()
    await writer.finish()
    assert (sendable(station), station.inbox("hq").durable.cursor) == ([1], 1)
    assert station.ledger_head == LedgerHead(entry=2, hash=writer.head.hash)
    assert told == ["news", Chain().record]
    assert future.done()


async def test_each_commit_is_told_when_its_own_write_is_done() -> None:
    station = station_on(writer := new_writer())
    seen: list[State] = []
    station.watch_orders(lambda record: seen.append(record.state))
    chain = Chain()
    for event in (DRAFT, chain.add(Input.ISSUE), chain.add(Input.ACCEPT)):
        work = recorded(station.work(), event)
        work.post("hq", event_item(event.signed, HEADQUARTERS))
        station.commit(work)
    for count, state in enumerate((State.DRAFTED, State.ISSUED, State.ACCEPTED), 1):
        await writer.finish(1)
        assert sendable(station) == list(range(1, count + 1))
        assert seen[-1:] == [state]
    assert len(seen) == 3


async def test_only_the_links_are_woken_that_have_something_to_say() -> None:
    station = station_on(writer := new_writer())
    woken: list[str] = []
    for peer in ("hq", "plant-2", "plant-3"):
        station.on_news(peer, partial(woken.append, peer))
    work = station.work()
    work.post("hq", refusal(1))
    work.post("hq", refusal(2))
    work.take("plant-2", 1, b"an item")
    station.commit(work)
    station.commit(recorded(station.work(), DRAFT))
    await writer.finish()
    assert woken == ["hq", "plant-2"]


async def test_a_caller_that_is_cancelled_does_not_lose_the_mark() -> None:
    station = station_on(writer := new_writer())
    told: list[OrderRecord] = []
    station.watch_orders(told.append)

    async def decide() -> None:
        await station.commit(all_of(station.work()))

    task = asyncio.create_task(decide())
    await settle()
    task.cancel()
    await settle()
    assert task.cancelled()
    await writer.finish()
    assert sendable(station) == [1]
    assert station.inbox("hq").durable.cursor == 1
    assert told == [Chain().record]


async def test_settled_waits_for_everything_decided_before_it() -> None:
    station = station_on(writer := new_writer())
    station.commit(recorded(station.work(), DRAFT))
    waiting = asyncio.create_task(station.settled())
    await writer.finish(1)
    assert not waiting.done()
    await writer.finish()
    assert waiting.done()


# --- when the disk fails ---


async def test_a_failed_write_tells_its_caller_and_ends_the_station() -> None:
    station = station_on(writer := new_writer())
    told: list[object] = []
    station.on_news("hq", lambda: told.append("news"))
    station.watch_orders(told.append)
    future = station.commit(all_of(station.work()))
    await writer.fail()
    with pytest.raises(JournalError, match="the disk is full"):
        await future
    with pytest.raises(JournalError, match="the disk is full"):
        await station.failed
    assert (told, sendable(station), station.inbox("hq").durable) == ([], [], START)


async def test_failures_that_nobody_awaits_are_told_once_and_leave_no_noise() -> None:
    station = station_on(writer := new_writer())
    noise: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: noise.append(context))
    station.commit(recorded(station.work(), DRAFT))
    station.acknowledged("hq")
    await writer.fail()
    assert isinstance(station.failed.exception(), JournalError)
    gc.collect()
    await settle()
    assert noise == []


async def test_everything_is_written_before_a_station_closes() -> None:
    station = station_on(writer := new_writer())
    future = station.commit(recorded(station.work(), DRAFT))
    await station.close()
    assert writer.head.entry == 1
    await future


# --- what it writes ---


async def test_an_event_is_written_with_the_place_of_its_order() -> None:
    work = recorded(station_on(new_writer()).work(), DRAFT)
    assert work.batch.entries == [Entry(EVENT, "o-1", NOW_MS, DRAFT.signed.encode(), DRAFT.hash)]
    assert work.batch.orders == {"o-1": OrderRow("o-1", "plant-1", State.DRAFTED, is_open=True)}


async def test_nothing_is_committed_for_people_who_look_when_all_is_durable() -> None:
    station = station_on(writer := new_writer())
    await station.settled()
    assert writer.waiting == []
    station.commit(recorded(station.work(), DRAFT))
    looking = asyncio.create_task(station.settled())
    await settle()
    assert not looking.done()
    await writer.finish()
    assert looking.done()


async def test_what_was_intended_is_pending_until_it_is_on_its_order_or_refused() -> None:
    station = station_on(writer := new_writer(is_held=False))
    chain = Chain()
    issue = chain.event(Input.ISSUE)
    work = recorded(station.work(), DRAFT)
    work.intend(issue)
    await station.commit(work)
    assert list(station.pending) == list(restarted(writer).pending) == [issue.hash]
    await station.commit(recorded(station.work(), issue))
    assert station.pending == restarted(writer).pending == {}


async def test_settling_what_is_not_pending_writes_nothing() -> None:
    work = station_on(new_writer()).work()
    work.settle(bytes(32))
    assert work.batch == Batch()


async def test_a_peer_is_crowded_when_too_much_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OUTBOX", 2)
    station = station_on(writer := new_writer())
    for number in (1, 2):
        assert not station.is_crowded("hq")
        work = station.work()
        work.post("hq", refusal(number))
        station.commit(work)
    assert station.is_crowded("hq")
    assert not station.is_crowded("plant-2")
    await writer.finish()
    station.outbox("hq").acknowledge(1)
    assert not station.is_crowded("hq")


async def test_a_wish_needs_a_certificate_that_counts_now() -> None:
    station = station_on(new_writer(), trust=AUTHORITY.trust(DISPATCHER))
    station.check_still_valid(OPERATOR.certificate)
    with pytest.raises(OrderRefused, match="revoked") as caught:
        station.check_still_valid(DISPATCHER.certificate)
    assert caught.value.code is RefusalCode.SIGNATURE


# --- terms ---


async def test_a_term_is_durable_before_it_is_obeyed() -> None:
    station = station_on(writer := new_writer())
    task = asyncio.create_task(station.obey(3, b"a" * 16))
    await settle()
    assert not task.done()
    await writer.finish()
    assert task.done()
    assert restarted(writer).granted == Grant(3, b"a" * 16)


async def obeyed(station: Station, *terms: tuple[int, bytes]) -> None:
    for term, boot in terms:
        await station.obey(term, boot)


async def test_terms_only_grow() -> None:
    station = station_on(writer := new_writer(is_held=False))
    await obeyed(station, (1, b"a" * 16), (4, b"b" * 16))
    for term, boot in ((3, b"b" * 16), (0, b"b" * 16), (4, b"a" * 16), (4, b"c" * 16)):
        for run in (station, restarted(writer)):
            with pytest.raises(PeerFault) as caught:
                await run.obey(term, boot)
            assert caught.value.code is WireCode.TERM
            assert run.granted == Grant(4, b"b" * 16)


async def test_a_term_that_is_known_is_not_written_again() -> None:
    station = station_on(writer := new_writer(is_held=False))
    await obeyed(station, (2, b"a" * 16), (2, b"a" * 16), (2, b"a" * 16))
    assert writer.head.entry == 1


async def test_each_start_of_a_superior_grants_a_higher_term() -> None:
    writer = new_writer(is_held=False)
    for term in (1, 2, 3):
        station = station_on(HandWriter(JournalFile(writer.file._db, PLANT), is_held=False))
        assert station.granted_term == term - 1
        await station.grant_term()
        assert station.granted_term == term


async def test_the_term_that_a_center_obeys_is_not_the_one_it_grants() -> None:
    station = station_on(new_writer(is_held=False))
    await station.obey(9, b"a" * 16)
    await station.grant_term()
    assert (station.granted.term, station.granted_term) == (9, 1)


# --- a new run ---


async def test_a_new_run_knows_what_was_durable_and_nothing_else() -> None:
    station = station_on(writer := new_writer())
    station.commit(all_of(station.work()))
    await writer.finish()
    work = recorded(station.work(), Chain().event(Input.ISSUE))
    work.post("hq", refusal(2))
    station.commit(work)
    again = restarted(writer)
    assert again.orders == {"o-1": Chain().record}
    assert (sendable(again), again.outbox("hq").last) == ([1], 1)
    assert again.inbox("hq").durable == again.inbox("hq").received == Mark().then(b"an item")
    assert list(again.pending) == [Chain().event(Input.ISSUE).hash]
    assert again.meta == {"key": b"value"}


async def test_an_order_that_does_not_verify_stops_a_run_before_it_begins() -> None:
    writer = new_writer()
    forged = Chain().event(Input.ISSUE, by=PLANT)
    good = recorded(station_on(writer).work(), DRAFT).batch
    good.entries.append(Entry(EVENT, "o-1", NOW_MS, forged.signed.encode(), forged.hash))
    writer.file.write([good])
    with pytest.raises(JournalError, match="the journal holds an order that does not verify: unauthorised"):
        restarted(writer)


async def test_a_key_that_was_revoked_since_does_not_stop_a_run() -> None:
    station = station_on(writer := new_writer(is_held=False))
    await station.commit(recorded(station.work(), DRAFT))
    assert restarted(writer, trust=AUTHORITY.trust(DISPATCHER)).orders == {"o-1": Chain().record}


# --- what was verified a moment ago ---


async def test_an_event_is_verified_once_and_again_under_other_trust(monkeypatch: pytest.MonkeyPatch) -> None:
    station = station_on(new_writer())
    verified: list[SignedEvent] = []

    def note(signed: SignedEvent, trust: TrustStore, deployment: str) -> VerifiedEvent:
        verified.append(signed)
        return verify_event(signed, trust, deployment)

    monkeypatch.setattr(module, "verify_event", note)
    signed = write(None, Input.DRAFT).signed
    assert station.verify(signed) is station.verify(signed)
    assert verified == [signed]
    station.trust = AUTHORITY.trust(DISPATCHER)
    with pytest.raises(OrderRefused, match="revoked"):
        station.verify(signed)


async def test_only_the_last_events_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_VERIFIED_KEPT", 2)
    station = station_on(new_writer())
    for number in range(5):
        station.verify(write(None, Input.DRAFT, order=f"t-{number}").signed)
    assert len(station._verified) == 2
