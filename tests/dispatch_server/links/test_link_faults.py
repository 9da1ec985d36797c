"""dispatch_server/links/conversation.py: a fault or a defect costs one link, and nobody else waits."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise

import pytest

from dispatch_server.links.ports import LinkState
from protocol.aio.ports import Stream
from protocol.errors import LinkLost
from protocol.journal.file import JournalError
from protocol.limits import MAX_OPEN_REQUESTS, MAX_REFUSALS
from tests.dispatch_server.links.support import ITEM, QUESTION, Puppet, Rig, post, until, virtually

# --- what a peer can do wrong in a session ---


async def misbehave(rig: Rig, act: Callable[[Puppet], Awaitable[None]]) -> str:
    """Let a peer shake hands and then do something; tells why its link ended."""

    async def accept(stream: Stream) -> None:
        puppet = Puppet(stream)
        with suppress(OSError, LinkLost):
            await puppet.shake_hands()
            await act(puppet)

    rig.listen("plant-1", accept)
    link = rig.link()
    rig.start(link)
    await until(lambda: link.status.faults)
    assert link.status.sessions == 1
    return link.status.last_error


@virtually
async def test_bytes_that_are_no_frame_end_the_link() -> None:
    async def babble(puppet: Puppet) -> None:
        puppet.stream.write(b"\xff" * 100)
        await asyncio.sleep(3600)

    assert "does not exist" in await misbehave(Rig(), babble)


@virtually
async def test_a_question_that_cannot_be_read_ends_the_link() -> None:
    async def mumble(puppet: Puppet) -> None:
        puppet.session.request(1, b"\x00")
        await puppet.serve()

    rig = Rig()
    assert "malformed" in await misbehave(rig, mumble)
    assert rig.superior.asked == []


@virtually
async def test_a_flood_of_questions_ends_the_link() -> None:
    async def flood(puppet: Puppet) -> None:
        for number in range(1000):
            puppet.session.request(number, QUESTION.encode())
            if number % MAX_OPEN_REQUESTS == MAX_OPEN_REQUESTS - 1:
                await puppet.report()

    rig = Rig()
    rig.superior.thinks = 1.0
    assert "too many requests" in await misbehave(rig, flood)
    assert len(rig.superior.asked) <= MAX_OPEN_REQUESTS


@virtually
async def test_questions_without_end_end_the_link_however_fast_they_are_answered() -> None:
    async def ask_on(puppet: Puppet) -> None:
        for number in range(1000):
            puppet.session.request(number, QUESTION.encode())
            await puppet.report()

    rig = Rig()
    assert "too many requests" in await misbehave(rig, ask_on)
    assert len(rig.superior.asked) < 100


@virtually
async def test_a_question_each_second_is_no_flood() -> None:
    rig = Rig()
    _, listener, _ = rig.subordinate()
    link = rig.link()
    rig.start(link)
    await asyncio.sleep(1)
    for _ in range(200):
        await listener.ask(QUESTION)
        await asyncio.sleep(1)
    assert link.status.sessions == 1


@virtually
async def test_events_that_are_refused_without_end_end_the_link() -> None:
    async def insist(puppet: Puppet) -> None:
        for _ in range(MAX_REFUSALS + 1):
            puppet.put(ITEM.encode())
        await puppet.serve()

    rig = Rig()
    rig.policy.refuses = True
    assert "refused" in await misbehave(rig, insist)


@virtually
async def test_an_item_out_of_its_order_ends_the_link_and_is_not_taken() -> None:
    async def skip(puppet: Puppet) -> None:
        puppet.put(ITEM.encode())
        puppet.session._sent = 0
        puppet.put(ITEM.encode())
        puppet.session._outbox._items.pop(1)
        puppet.session._sent = 1
        await puppet.serve()

    rig = Rig()
    assert "cursor" in await misbehave(rig, skip)
    assert rig.policy.taken == []


@virtually
async def test_the_peer_is_told_what_was_wrong_with_it() -> None:
    told: list[str] = []

    async def babble(puppet: Puppet) -> None:
        puppet.stream.write(b"\xff" * 100)
        try:
            await puppet.serve()
        except LinkLost as farewell:
            told.append(str(farewell))

    await misbehave(Rig(), babble)
    await until(lambda: told)
    assert "does not exist" in told[0]


# --- what can be wrong with us ---


@virtually
async def test_a_journal_that_cannot_be_written_ends_the_station_and_acknowledges_nothing() -> None:
    rig = Rig()
    node, _, _ = rig.subordinate()
    rig.start(rig.link())
    await asyncio.sleep(1)
    rig.node.writer.broken = True
    post(node, "hq")
    with pytest.raises(JournalError):
        await rig.node.station.failed
    assert node.station.outbox("hq").acknowledged == 0


@virtually
async def test_a_defect_met_by_an_item_costs_its_link_and_publishes_nothing() -> None:
    rig = Rig()
    node, _, _ = rig.subordinate()
    other, _, _ = rig.subordinate("plant-2")
    link, other_link = rig.link(), rig.link("plant-2")
    rig.start(link)
    rig.start(other_link)
    await asyncio.sleep(1)
    rig.policy.trouble = ZeroDivisionError("a defect")
    post(node, "hq")
    await until(lambda: link.status.faults)
    assert "ZeroDivisionError" in link.status.last_error
    assert rig.node.decision().notes("taken") == []
    assert not rig.node.station.failed.done()
    assert other_link.status.state is LinkState.CONNECTED
    rig.policy.trouble = None
    await until(lambda: rig.policy.taken, within=200)
    assert rig.policy.taken == [("plant-1", ITEM)]
    assert other.station.outbox("hq").acknowledged == 0


@virtually
async def test_a_peer_that_opens_well_and_then_misbehaves_is_dialled_more_and_more_slowly() -> None:
    rig = Rig()

    async def babble(stream: Stream) -> None:
        await Puppet(stream).shake_hands()
        stream.write(b"\xff" * 100)
        await asyncio.sleep(1)

    rig.listen("plant-1", babble)
    link = rig.link()
    rig.start(link)
    await until(lambda: link.status.faults == 4, within=600)
    waits = [after - before for before, after in pairwise(rig.dials)]
    assert all(after > 1.9 * before for before, after in pairwise(waits))


# --- one link does not wait for another ---


@virtually
async def test_a_peer_that_reads_nothing_delays_nobody_else() -> None:
    rig = Rig()

    async def shake_and_stop_reading(stream: Stream) -> None:
        await Puppet(stream).shake_hands()
        await asyncio.sleep(3600)

    rig.listen("plant-1", shake_and_stop_reading)
    _, _, policy = rig.subordinate("plant-2")
    rig.start(rig.link())
    rig.start(rig.link("plant-2"))
    await asyncio.sleep(1)
    for _ in range(64):
        post(rig.node, "plant-1")
    post(rig.node, "plant-2")
    assert await until(lambda: policy.taken) < 0.1


@virtually
async def test_a_decision_that_waits_for_a_store_delays_only_its_own_link() -> None:
    rig = Rig()
    slow, _, _ = rig.subordinate("plant-1")
    _, _, policy = rig.subordinate("plant-2")
    rig.start(rig.link("plant-1"))
    rig.start(rig.link("plant-2"))
    await asyncio.sleep(1)
    rig.policy.delay = 5.0
    post(slow, "hq")
    post(rig.node, "plant-2")
    assert await until(lambda: policy.taken) < 0.1
    assert 4.5 < await until(lambda: rig.policy.taken) < 5.5


@virtually
async def test_a_question_that_takes_long_delays_no_order_of_its_own_link() -> None:
    rig = Rig()
    rig.superior.thinks = 30.0
    _, listener, policy = rig.subordinate()
    rig.start(rig.link())
    await asyncio.sleep(1)
    asking = asyncio.get_running_loop().create_task(listener.ask(QUESTION))
    await asyncio.sleep(1)
    post(rig.node, "plant-1")
    assert await until(lambda: policy.taken) < 0.1
    assert not asking.done()
