"""dispatch_server/links/link.py: whatever goes wrong on one link ends that link alone, and is seen."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from dispatch_server.links.ports import LinkState
from protocol.aio.ports import Stream
from protocol.errors import WireCode
from protocol.frames import FrameReader, Kind
from protocol.keys import Role, SigningKey
from protocol.limits import Timers
from protocol.messages import Goodbye, Sample
from protocol.requests import DoneReply, LogoutRequest
from protocol.session import goodbye
from tests.dispatch_server.links.support import ITEM, Puppet, Rig, now, post, until, virtually
from tests.protocol.parties import AUTHORITY, OTHER_PLANT
from tests.support.pki import NOW, NOW_MS, TestAuthority

# --- a link that works ---


@virtually
async def test_an_idle_link_asks_once_in_each_poll_interval_and_counts_it() -> None:
    rig = Rig()
    rig.subordinate()
    link = rig.link(timers=Timers(poll_interval_ms=5_000, hold_ms=0))
    rig.start(link)
    await asyncio.sleep(60)
    assert link.status.state is LinkState.CONNECTED
    assert (link.status.sessions, link.status.faults, link.status.last_error) == (1, 0, "")
    assert link.status.polls in {12, 13}
    assert len(rig.superior.reports) in {12, 13}


@virtually
async def test_news_goes_down_and_up_in_milliseconds() -> None:
    rig = Rig()
    node, _, policy = rig.subordinate()
    rig.start(rig.link())
    await asyncio.sleep(20)
    post(rig.node, "plant-1")
    post(node, "hq")
    assert await until(lambda: policy.taken and rig.policy.taken) < 0.1
    assert rig.policy.taken == [("plant-1", ITEM)]


@virtually
async def test_what_was_taken_is_acknowledged_and_forgotten_by_its_sender() -> None:
    rig = Rig()
    node, _, _ = rig.subordinate()
    rig.start(rig.link())
    post(node, "hq")
    post(rig.node, "plant-1")
    await until(lambda: rig.policy.taken)
    await asyncio.sleep(1)
    assert len(node.station.outbox("hq")) == 0
    assert len(rig.node.station.outbox("plant-1")) == 0


@virtually
async def test_where_a_peers_ledger_stands_is_witnessed_with_what_it_sent() -> None:
    rig = Rig()
    node, _, _ = rig.subordinate()
    rig.start(rig.link())
    await asyncio.sleep(1)
    work = node.station.work()
    work.note("something", "plant-1")
    work.post("hq", ITEM)
    node.station.commit(work)
    await until(lambda: rig.policy.taken)
    await asyncio.sleep(0.1)
    witnessed = rig.node.decision().notes("peer-checkpoint")
    assert int(witnessed[-1]["entry"]) == node.station.ledger_head.entry


@virtually
async def test_telemetry_rides_along_with_the_answers() -> None:
    rig = Rig()
    _, listener, _ = rig.subordinate()
    rig.start(rig.link(timers=Timers(hold_ms=0)))
    await asyncio.sleep(1)
    names = ("logged_in_nodes", "network_flow", "external_connections", "memory_used")
    sample = Sample(node="plant-1", at_ms=NOW_MS, **dict.fromkeys(names))
    listener.sample(sample)
    await asyncio.sleep(6)
    assert ("plant-1", (sample,)) in rig.superior.reports


@virtually
async def test_questions_are_answered_one_at_a_time_and_in_their_order() -> None:
    rig = Rig()
    rig.superior.thinks = 1.0
    _, listener, _ = rig.subordinate()
    rig.start(rig.link())
    await asyncio.sleep(1)
    began = now()
    questions = [LogoutRequest(person=f"wang-{n}", session=bytes(16)) for n in range(3)]
    replies = await asyncio.gather(*(listener.ask(question) for question in questions))
    assert replies == [DoneReply()] * 3
    assert [request for _, request in rig.superior.asked] == questions
    assert now() - began > 3.0


# --- who is there ---


def a_desk_of_that_name() -> SigningKey:
    return AUTHORITY.key(Role.DESK, "plant-1")


def a_stranger() -> SigningKey:
    return TestAuthority().key(Role.PLANT, "plant-1")


def one_that_is_over() -> SigningKey:
    return AUTHORITY.key(Role.PLANT, "plant-1", now=NOW - timedelta(days=3), days=1)


@pytest.mark.parametrize(
    ("proves", "said"),
    [
        (lambda: OTHER_PLANT, "plant-2"),
        (a_desk_of_that_name, "desk 'plant-1'"),
        (a_stranger, "authority"),
        (one_that_is_over, "not valid at this time"),
    ],
)
def test_another_than_the_configured_node_is_refused_before_a_word_is_said(
    proves: Callable[[], SigningKey], said: str
) -> None:
    heard = bytearray()

    async def listen_only(stream: Stream) -> None:
        while data := await stream.read(1000):
            heard.extend(data)

    @virtually
    async def check() -> None:
        rig = Rig()
        rig.listen("plant-1", listen_only)
        link = rig.link(proves=proves())
        rig.start(link)
        await until(lambda: heard)
        assert link.status.state is LinkState.WAITING
        assert (link.status.sessions, link.status.faults) == (0, 1)
        assert said in link.status.last_error
        await until(lambda: len(rig.dials) > 1)
        assert rig.dials[1] - rig.dials[0] > 0.8

    check()
    frames = list(FrameReader().feed(bytes(heard), frozenset(Kind)))
    assert [kind for kind, _ in frames][:1] == [Kind.GOODBYE]
    assert Goodbye.decode(frames[0][1]).code == WireCode.IDENTITY


@virtually
async def test_a_revoked_node_is_refused() -> None:
    rig = Rig()
    rig.subordinate()
    rig.node.station.trust = AUTHORITY.trust(OTHER_PLANT)
    link = rig.link("plant-2", proves=OTHER_PLANT)
    rig.listen("plant-2", lambda stream: asyncio.sleep(3600))
    rig.start(link)
    await until(lambda: link.status.faults)
    assert "revoked" in link.status.last_error


# --- nobody is there ---


@virtually
async def test_a_node_that_cannot_be_reached_is_dialled_again_until_it_can() -> None:
    rig = Rig()
    link = rig.link()
    rig.start(link)
    await asyncio.sleep(120)
    assert link.status.state is LinkState.WAITING
    assert (link.status.faults, link.status.sessions) == (0, 0)
    assert link.status.last_error
    waits = [round(after - before, 1) for before, after in pairwise(rig.dials)]
    assert waits == sorted(waits)
    rig.subordinate()
    assert await until(lambda: link.status.state is LinkState.CONNECTED) <= 16
    assert link.status.last_error == ""


@virtually
async def test_a_certificate_that_tls_refuses_is_a_fault_of_the_peer() -> None:
    rig = Rig()
    link = rig.link(fails=ssl.SSLCertVerificationError("not of our authority"))
    rig.start(link)
    await asyncio.sleep(0.1)
    assert link.status.faults == 1


@virtually
async def test_a_peer_that_says_nothing_to_the_hello_is_given_up_after_the_hello_time() -> None:
    rig = Rig()
    rig.listen("plant-1", lambda stream: asyncio.sleep(3600))
    link = rig.link()
    rig.start(link)
    assert 5.0 <= await until(lambda: link.status.last_error) < 5.1
    assert (link.status.faults, link.status.sessions) == (0, 0)


@virtually
async def test_a_peer_that_falls_silent_is_lost_after_two_poll_intervals() -> None:
    rig = Rig()

    async def shake_and_sleep(stream: Stream) -> None:
        await Puppet(stream).shake_hands()
        await asyncio.sleep(3600)

    rig.listen("plant-1", shake_and_sleep)
    link = rig.link()
    rig.start(link)
    await until(lambda: link.status.state is LinkState.CONNECTED)
    assert 9.9 < await until(lambda: link.status.state is not LinkState.CONNECTED) < 10.1
    assert "no answer" in link.status.last_error
    assert link.status.faults == 0


@virtually
async def test_a_link_that_breaks_comes_back_and_nothing_that_was_on_its_way_is_lost() -> None:
    rig = Rig()
    _, _, policy = rig.subordinate()
    link = rig.link()
    rig.start(link)
    await until(lambda: link.status.state is LinkState.CONNECTED)
    rig.network.cut("hq", "plant-1")
    post(rig.node, "plant-1")
    await until(lambda: policy.taken)
    assert link.status.sessions == 2
    assert policy.taken == [("hq", ITEM)]


@pytest.mark.parametrize(
    ("code", "faults"),
    [(WireCode.TERM, 1), (WireCode.CURSOR, 1), (WireCode.STOPPING, 0), (WireCode.REPLACED, 0)],
)
def test_a_peer_that_finds_us_wrong_is_a_disagreement_and_one_that_stops_is_not(
    code: WireCode, faults: int
) -> None:
    async def refuse(stream: Stream) -> None:
        stream.write(goodbye(code, "because"))
        await asyncio.sleep(1)

    @virtually
    async def check() -> None:
        rig = Rig()
        rig.listen("plant-1", refuse)
        link = rig.link()
        rig.start(link)
        await until(lambda: link.status.last_error)
        assert "because" in link.status.last_error
        assert link.status.faults == faults

    check()
