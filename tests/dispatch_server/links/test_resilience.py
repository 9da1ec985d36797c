"""dispatch_server/links: whatever fails at one link, it is dialled again and the others do not notice."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest
from typing_extensions import override

from dispatch_server.links.channel import Channel, StreamChannel
from dispatch_server.links.link import Link
from dispatch_server.links.pool import Pool
from dispatch_server.links.ports import LinkState
from protocol.aio.ports import Accept, Stream
from protocol.aio.station import Work
from protocol.errors import LinkLost, PeerFault, WireCode
from protocol.items import Item
from protocol.journal.file import JournalError
from protocol.keys import Certificate
from protocol.limits import Timers
from protocol.requests import AnyReply, Request
from protocol.session import goodbye
from tests.dispatch_server.links.support import (
    ITEM,
    QUESTION,
    PolicyStandIn,
    Puppet,
    Rig,
    SuperiorStandIn,
    now,
    post,
    until,
    virtually,
)

PLAIN = Timers(hold_ms=0)


class Clogging(StreamChannel):
    """A channel whose peer takes nothing more once `is_clogged` is set."""

    is_clogged = False
    is_closed = False

    @property
    @override
    def is_full(self) -> bool:
        return self.is_clogged or super().is_full

    @override
    def write(self, data: bytes) -> None:
        if not self.is_clogged:
            super().write(data)

    @override
    def close(self) -> None:
        self.is_closed = True
        super().close()

    def clear(self) -> None:
        """The peer takes all of it again."""
        self.is_clogged = False
        assert self._receiver
        self._receiver.drained()


def clogging(link: Link) -> list[Clogging]:
    """Let the channels of a link be clogged by a test; gives them as they are opened."""
    channels: list[Clogging] = []

    async def dial() -> Channel:
        channel = await plain()
        assert isinstance(channel, StreamChannel)
        channels.append(Clogging(channel._stream))
        return channels[-1]

    plain, link.dial = link.dial, dial
    return channels


@virtually
async def test_a_peer_that_answers_but_takes_nothing_is_given_up_and_keeps_nobody_waiting() -> None:
    rig = Rig()

    async def answer_and_stay(stream: Stream) -> None:
        puppet = Puppet(stream)
        with suppress(LinkLost, OSError):
            await puppet.shake_hands()
            await puppet.serve()

    rig.listen("plant-1", answer_and_stay)
    rig.subordinate("plant-2")
    link, other = rig.link(timers=PLAIN), rig.link("plant-2", timers=PLAIN)
    channels = clogging(link)
    asyncio.get_running_loop().create_task(Pool([link, other]).run())
    await asyncio.sleep(1)  # its poll is answered: it owes us no report
    channels[0].is_clogged = True
    polls = other.status.polls
    taken = await until(lambda: link.status.state is LinkState.WAITING)
    assert PLAIN.silence <= taken <= PLAIN.silence + PLAIN.poll_interval_ms / 1000
    assert link.status.last_error == "silent: it takes nothing for 10 s"
    assert other.status.polls - polls >= 2
    await until(lambda: link.status.sessions == 2)


@virtually
async def test_a_peer_that_takes_all_of_it_in_time_keeps_its_link() -> None:
    rig = Rig()
    rig.subordinate()
    link = rig.link(timers=PLAIN)
    channels = clogging(link)
    rig.start(link)
    for _ in range(4):
        await asyncio.sleep(6)
        channels[0].is_clogged = True
        await asyncio.sleep(8)
        channels[0].clear()
    await asyncio.sleep(60)
    assert link.status.sessions == len(rig.dials) == 1
    assert link.status.last_error == ""


def broken_random(link: Link) -> None:
    def random(_length: int) -> bytes:
        raise ZeroDivisionError("a defect")

    link.random = random


def broken_identity(link: Link) -> None:
    def identify(_der: bytes) -> Certificate:
        raise ZeroDivisionError("a defect")

    setattr(link, "_identify", identify)  # noqa: B010 - mypy forbids to assign to a method


@pytest.mark.parametrize("break_it", [broken_random, broken_identity])
def test_a_defect_between_dial_and_hello_costs_its_link_alone(break_it: Callable[[Link], None]) -> None:
    @virtually
    async def check() -> None:
        rig = Rig()
        rig.subordinate()
        rig.subordinate("plant-2")
        link, other = rig.link(), rig.link("plant-2")
        channels = clogging(link)
        break_it(link)
        pool = asyncio.get_running_loop().create_task(Pool([link, other]).run())
        await asyncio.sleep(10)
        assert not pool.done()
        assert other.status.state is LinkState.CONNECTED
        assert "ZeroDivisionError" in link.status.last_error
        assert len(rig.dials) - 1 == len(channels) >= 2
        assert link.status.faults == len(channels)
        assert all(channel.is_closed for channel in channels)
        pool.cancel()

    check()


class ForgetfulPolicy(PolicyStandIn):
    """Its journal can be written, but not read."""

    @override
    async def prepare(self, peer: str, item: Item) -> None:
        raise JournalError("the journal cannot be read")


class ForgetfulSuperior(SuperiorStandIn):
    """Its journal can be written, but not read."""

    @override
    async def answer(self, node: str, request: Request) -> AnyReply:
        raise JournalError("the journal cannot be read")


@virtually
async def test_a_journal_that_cannot_be_read_for_an_item_ends_the_station() -> None:
    rig = Rig()
    rig.policy = ForgetfulPolicy()
    node, _, _ = rig.subordinate()
    rig.start(rig.link())
    await asyncio.sleep(1)
    post(node, "hq")
    with pytest.raises(JournalError):
        async with asyncio.timeout(20):
            await rig.node.station.failed


@virtually
async def test_a_journal_that_cannot_be_read_for_an_answer_ends_the_station() -> None:
    rig = Rig()
    rig.superior = ForgetfulSuperior()
    _, listener, _ = rig.subordinate()
    rig.start(rig.link())
    await asyncio.sleep(1)
    asking = asyncio.get_running_loop().create_task(listener.ask(QUESTION))
    with pytest.raises(JournalError):
        async with asyncio.timeout(20):
            await rig.node.station.failed
    asking.cancel()


class StubbornPolicy(PolicyStandIn):
    """It fails on being cancelled, as work that tidies up may."""

    @override
    async def prepare(self, peer: str, item: Item) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(5)  # in the meantime the link is up again
            raise OSError("too late") from None


@virtually
async def test_what_a_session_that_is_over_still_fails_at_does_not_touch_the_next_one() -> None:
    rig = Rig()
    rig.policy = StubbornPolicy()
    node, _, _ = rig.subordinate()
    link = rig.link()
    rig.start(link)
    await asyncio.sleep(1)
    post(node, "hq")
    await asyncio.sleep(0.1)
    link.hang_up(PeerFault(WireCode.LIMIT, "a test"))
    await until(lambda: link.status.sessions == 2)
    await asyncio.sleep(6)
    assert link.status.sessions == len(rig.dials) == 2


class Thorough(PolicyStandIn):
    """Counts the items as they are decided on."""

    def __init__(self) -> None:
        super().__init__()
        self.decided = 0

    @override
    def on_item(self, work: Work, peer: str, item: Item) -> None:
        self.decided += 1
        super().on_item(work, peer, item)


@pytest.mark.parametrize("delay", [0.0, 0.5])
def test_what_a_peer_told_before_it_left_is_taken(delay: float) -> None:
    @virtually
    async def check() -> None:
        rig, policy = Rig(), Thorough()
        rig.policy = policy
        policy.delay = delay

        async def accept(stream: Stream) -> None:
            puppet = Puppet(stream)
            await puppet.shake_hands()
            puppet.put(ITEM.encode())
            while puppet.session._poll is None:
                await puppet.listen()
            puppet.session.advance(now(), rig.node.station.ledger_head)
            stream.write(puppet.session.data_to_send() + goodbye(WireCode.STOPPING, "for maintenance"))
            stream.close()

        rig.listen("plant-1", once(accept))
        link = rig.link()
        rig.start(link)
        await until(lambda: link.status.state is LinkState.WAITING)
        await asyncio.sleep(1)
        assert policy.decided == 1
        assert rig.node.station.inbox("plant-1").durable.cursor == 1

    check()


def once(accept: Accept) -> Accept:
    """Serve one link, and leave those that follow alone."""
    waiting = [accept]

    async def serve(stream: Stream) -> None:
        if waiting:
            with suppress(LinkLost, OSError):
                await waiting.pop()(stream)
        await asyncio.sleep(3600)

    return serve


@virtually
async def test_an_address_that_changes_during_a_dial_is_dialled_next() -> None:
    rig = Rig()
    rig.subordinate()
    link = rig.link()
    dial = link.dial

    async def slow() -> Channel:
        channel = await dial()
        await asyncio.sleep(1)
        return channel

    link.dial = slow
    rig.start(link)
    await asyncio.sleep(0.5)
    link.dial = dial
    link.hang_up(LinkLost(WireCode.REPLACED, "it moved"))
    await until(lambda: link.status.state is LinkState.CONNECTED)
    assert len(rig.dials) == 2
