"""dispatch_server/links/pool.py and link.py: many links from one schedule, dials paced, ends from outside."""

import asyncio
from itertools import pairwise

from dispatch_server.links.channel import Channel
from dispatch_server.links.link import Link
from dispatch_server.links.pool import DIALS_PER_S, Pool
from dispatch_server.links.ports import LinkState
from protocol.aio.ports import Stream
from protocol.errors import LinkLost, PeerFault, WireCode
from protocol.limits import Timers
from tests.dispatch_server.links.support import Puppet, Rig, now, until, virtually
from tests.protocol.parties import AUTHORITY, PLANT


async def never() -> Channel:
    await asyncio.sleep(3600)
    raise TimeoutError


def many(rig: Rig, count: int) -> tuple[list[Link], list[float]]:
    """Links whose dials hang, and when each of them dialled."""
    links, dials = [rig.link() for _ in range(count)], []

    def of(number: int) -> None:
        async def dial() -> Channel:
            dials.append(now())
            return await never()

        links[number].dial = dial

    for number in range(count):
        of(number)
    return links, dials


@virtually
async def test_a_thousand_dials_at_once_are_a_queue_that_nobody_waits_in_for_long() -> None:
    links, dials = many(Rig(), 1_000)
    began = now()
    task = asyncio.get_running_loop().create_task(Pool(links).run())
    await until(lambda: len(dials) == 1_000)
    assert dials[31] - began < 0.001  # a burst for the few
    taken = dials[-1] - began
    assert 0.9 * 1_000 / DIALS_PER_S < taken < 1.5 * 1_000 / DIALS_PER_S
    task.cancel()


@virtually
async def test_no_dial_begins_while_there_is_no_room_and_all_do_in_their_order_when_there_is() -> None:
    rig, room = Rig(), False
    links, dials = many(rig, 3)
    task = asyncio.get_running_loop().create_task(Pool(links, has_room=lambda: room).run())
    await asyncio.sleep(5)
    assert dials == []
    room = True
    await until(lambda: len(dials) == 3, within=0.1)
    assert [link.status.state for link in links] == [LinkState.DIALLING] * 3
    task.cancel()


@virtually
async def test_when_a_server_stops_its_peers_are_told_so() -> None:
    rig = Rig()
    heard: list[LinkLost] = []

    async def accept(stream: Stream) -> None:
        puppet = Puppet(stream)
        await puppet.shake_hands()
        try:
            await puppet.serve()
        except LinkLost as farewell:
            heard.append(farewell)

    rig.listen("plant-1", accept)
    link = rig.link()
    task = rig.start(link)
    await until(lambda: link.status.state is LinkState.CONNECTED)
    task.cancel()
    await until(lambda: heard)
    assert heard[0].code is WireCode.STOPPING
    await asyncio.sleep(200)
    assert len(rig.dials) == 1


@virtually
async def test_a_link_whose_peer_was_revoked_ends_when_it_is_looked_at_again() -> None:
    rig = Rig()
    rig.subordinate()
    link = rig.link()
    rig.start(link)
    await until(lambda: link.status.state is LinkState.CONNECTED)
    link.recheck()
    assert link.status.last_error == ""
    rig.node.station.trust = AUTHORITY.trust(PLANT)
    link.recheck()
    assert "revoked" in link.status.last_error
    assert [node for node, _ in rig.superior.faults] == ["plant-1"]
    await asyncio.sleep(10)
    assert link.status.sessions == 1


@virtually
async def test_a_session_can_be_ended_from_outside_and_is_dialled_again() -> None:
    rig = Rig()
    rig.subordinate()
    link = rig.link()
    rig.start(link)
    await until(lambda: link.status.state is LinkState.CONNECTED)
    link.hang_up(LinkLost(WireCode.REPLACED, "its address changed"))
    assert link.status.state is LinkState.WAITING
    assert link.status.last_error == "replaced: its address changed"
    await until(lambda: link.status.state is LinkState.CONNECTED, within=2)
    assert link.status.sessions == 2
    link.hang_up(PeerFault(WireCode.LIMIT, "too much"))
    assert link.status.faults == 1


@virtually
async def test_a_link_that_waits_for_its_turn_is_dialled_at_once_when_its_address_changed() -> None:
    rig = Rig()
    link = rig.link(fails=PeerFault(WireCode.IDENTITY, "another node"))
    rig.start(link)
    await until(lambda: len(rig.dials) == 5)
    await asyncio.sleep(1)
    rig.subordinate()
    link.dial = rig.link().dial
    link.hang_up(LinkLost(WireCode.REPLACED, "it is dialled elsewhere from now on"))
    assert await until(lambda: link.status.state is LinkState.CONNECTED) < 0.1
    await asyncio.sleep(60)
    assert link.status.sessions == 1


@virtually
async def test_many_idle_links_are_all_polled_in_time() -> None:
    rig = Rig()
    rig.subordinate()
    rig.subordinate("plant-2")
    links = [rig.link("plant-1", timers=Timers(hold_ms=0)), rig.link("plant-2")]
    task = asyncio.get_running_loop().create_task(Pool(links).run())
    await asyncio.sleep(120)
    assert [link.status.state for link in links] == [LinkState.CONNECTED] * 2
    assert all(24 <= link.status.polls <= 26 for link in links)
    task.cancel()


@virtually
async def test_a_peer_that_opens_sessions_only_to_drop_them_is_dialled_ever_more_rarely() -> None:
    rig = Rig()

    async def flap(stream: Stream) -> None:
        puppet = Puppet(stream)
        await puppet.shake_hands()
        await puppet.report()
        stream.close()

    rig.listen("plant-1", flap)
    link = rig.link(timers=Timers(hold_ms=0))
    rig.start(link)
    await asyncio.sleep(600)
    waits = [after - before for before, after in pairwise(rig.dials)]
    assert waits[:4] == sorted(waits[:4])
    assert min(waits[-5:]) > 10
    assert link.status.sessions == len(rig.dials) < 60


@virtually
async def test_timers_of_a_session_that_ended_do_not_cut_the_back_off_short() -> None:
    rig = Rig()

    async def babble(stream: Stream) -> None:
        puppet = Puppet(stream)
        await puppet.shake_hands()
        await puppet.report()
        stream.write(bytes([255]) * 9)
        await asyncio.sleep(3600)

    rig.listen("plant-1", babble)
    rig.start(rig.link())
    await asyncio.sleep(20)
    waits = [after - before for before, after in pairwise(rig.dials)]
    assert [round(wait, 1) for wait in waits[:3]] == [0.8, 1.6, 3.2]


@virtually
async def test_a_server_that_stops_in_a_storm_begins_no_dial_any_more() -> None:
    links, dials = many(Rig(), 500)
    task = asyncio.get_running_loop().create_task(Pool(links).run())
    await asyncio.sleep(0.1)
    task.cancel()
    await asyncio.sleep(0.001)
    begun = len(dials)
    assert 32 < begun < 200
    await asyncio.sleep(5)
    assert task.cancelled()
    assert len(dials) == begun
