"""dispatch_server/links/link.py: what happens on a link is counted for the risk board, each thing once."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from typing_extensions import override

from dispatch_server.links.link import Link
from dispatch_server.links.ports import LinkState
from protocol.aio.ports import Stream
from protocol.errors import LinkError, LinkLost, PeerFault, WireCode
from protocol.handshake import Keys
from protocol.limits import Timers
from protocol.seal import Sealer
from protocol.session import goodbye
from tests.dispatch_server.links.support import ITEM, QUESTION, Puppet, Rig, post, until, virtually
from tests.protocol.links import XorStandIn
from tests.protocol.parties import OTHER_PLANT

WORK = frozenset({"handshakes", "polls", "frames_received", "sealed_received", "reconnects"})


def counted(rig: Rig, *, work: bool = True) -> dict[str, float]:
    """What is not 0, with or without the work that went well."""
    counts = rig.superior.counters.snapshot()
    return {name: count for name, count in counts.items() if count and (work or name not in WORK)}


async def ended(rig: Rig, link: Link) -> None:
    """Let a link live until it has ended once; the loop around it is stopped then."""
    task = rig.start(link)
    await until(lambda: link.status.state is LinkState.WAITING)
    task.cancel()


@virtually
async def test_a_link_that_works_counts_its_work_and_no_trouble() -> None:
    rig = Rig()
    node, listener, _ = rig.subordinate()
    link = rig.link(timers=Timers(poll_interval_ms=5_000, hold_ms=0))
    rig.start(link)
    await asyncio.sleep(1)
    post(node, "hq")
    post(rig.node, "plant-1")
    asking = asyncio.get_running_loop().create_task(listener.ask(QUESTION))
    await asyncio.sleep(60)
    assert asking.done()
    counts = counted(rig)
    assert counts.pop("frames_received") in {counts["polls"], counts["polls"] - 1}
    assert counts == {"handshakes": 1, "polls": link.status.polls, "sealed_received": 2}


@virtually
async def test_a_link_that_comes_back_is_counted_each_time() -> None:
    rig = Rig()
    rig.subordinate()
    link = rig.link()
    rig.start(link)
    for _ in range(3):
        await until(lambda: link.status.state is LinkState.CONNECTED)
        rig.network.cut("hq", "plant-1")
        await until(lambda: link.status.state is not LinkState.CONNECTED)
    await until(lambda: link.status.state is LinkState.CONNECTED)
    counts = counted(rig)
    assert (counts["reconnects"], counts["handshakes"]) == (3, 4)
    assert not counted(rig, work=False)


@virtually
async def test_a_node_that_cannot_be_reached_is_dialled_and_no_attack() -> None:
    rig = Rig()
    link = rig.link()
    rig.start(link)
    await asyncio.sleep(120)
    assert counted(rig) == {"handshakes": len(rig.dials)}
    assert rig.superior.faults == []


async def babble(puppet: Puppet) -> None:
    puppet.stream.write(b"\xff" * 100)
    await asyncio.sleep(3600)


async def mumble(puppet: Puppet) -> None:
    puppet.session.request(1, b"\x00")
    await puppet.serve()


async def say_nothing(puppet: Puppet) -> None:
    await asyncio.sleep(3600)


async def skip(puppet: Puppet) -> None:
    puppet.put(ITEM.encode())
    puppet.put(ITEM.encode())
    puppet.session._outbox._items.pop(1)
    puppet.session._sent = 1
    await puppet.serve()


@pytest.mark.parametrize(
    ("act", "name", "fault"),
    [
        (babble, "malformed_frames", WireCode.MALFORMED),
        (mumble, "malformed_frames", WireCode.MALFORMED),
        (skip, "stale_or_replayed", WireCode.CURSOR),
        (say_nothing, "poll_overruns", None),
    ],
)
def test_what_a_peer_does_wrong_is_counted_and_told(
    act: Callable[[Puppet], Awaitable[None]], name: str, fault: WireCode | None
) -> None:
    @virtually
    async def check() -> None:
        rig = Rig()

        async def accept(stream: Stream) -> None:
            puppet = Puppet(stream)
            with suppress(OSError, LinkLost):
                await puppet.shake_hands()
                await act(puppet)

        rig.listen("plant-1", accept)
        await ended(rig, rig.link())
        assert counted(rig, work=False) == {name: 1}
        assert codes(rig) == ([("plant-1", fault)] if fault else [])

    check()


def codes(rig: Rig) -> list[tuple[str, WireCode]]:
    """Of the faults that were told."""
    return [(node, error.code) for node, error in rig.superior.faults if isinstance(error, LinkError)]


class Altering(Sealer):
    """One bit of what is sealed changes on its way."""

    @override
    def seal(self, plain: bytes, header: bytes) -> bytes:
        sealed = super().seal(plain, header)
        return sealed[:-1] + bytes([sealed[-1] ^ 1])


@virtually
async def test_an_item_that_was_altered_on_its_way_is_a_seal_that_failed() -> None:
    rig = Rig()

    async def accept(stream: Stream) -> None:
        puppet = Puppet(stream)
        with suppress(OSError, LinkLost):
            await puppet.shake_hands()
            puppet.put(ITEM.encode())
            keys = puppet.session._open_keys()
            puppet.session._keys = Keys(down=keys.down, up=Altering(keys.up._secret, XorStandIn))
            await puppet.serve()

    rig.listen("plant-1", accept)
    await ended(rig, rig.link())
    assert counted(rig, work=False) == {"seal_failed": 1}
    assert codes(rig) == [("plant-1", WireCode.SEAL)]
    assert rig.policy.taken == []


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (WireCode.VERSION, "version_mismatch"),
        (WireCode.TERM, "handshake_refused"),
        (WireCode.IDENTITY, "handshake_refused"),
        (WireCode.SIGNATURE, "signature_failed"),
        (WireCode.CURSOR, "stale_or_replayed"),
        (WireCode.STOPPING, ""),
        (WireCode.REPLACED, ""),
    ],
)
def test_what_a_peer_finds_wrong_with_us_is_counted_as_what_it_is(code: WireCode, name: str) -> None:
    async def refuse(stream: Stream) -> None:
        stream.write(goodbye(code, "because"))
        await asyncio.sleep(1)

    @virtually
    async def check() -> None:
        rig = Rig()
        rig.listen("plant-1", refuse)
        await ended(rig, rig.link())
        assert counted(rig, work=False) == ({name: 1} if name else {})
        assert codes(rig) == ([("plant-1", code)] if name else [])

    check()


@virtually
async def test_another_node_in_the_place_of_the_configured_one_is_a_refused_handshake() -> None:
    rig = Rig()
    rig.listen("plant-1", lambda stream: asyncio.sleep(3600))
    await ended(rig, rig.link(proves=OTHER_PLANT))
    assert counted(rig) == {"handshakes": 1, "handshake_refused": 1}
    ((node, error),) = rig.superior.faults
    assert node == "plant-1"
    assert isinstance(error, PeerFault)
    assert error.code is WireCode.IDENTITY


@virtually
async def test_a_certificate_that_tls_refuses_is_a_refused_handshake() -> None:
    rig = Rig()
    await ended(rig, rig.link(fails=ssl.SSLCertVerificationError("not of our authority")))
    assert counted(rig) == {"handshakes": 1, "handshake_refused": 1}
    assert len(rig.superior.faults) == 1
