"""Only this node's superior is let in; everybody else is told why and costs nothing but their own link."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import WireCode
from protocol.frames import Kind, encode_frame
from protocol.handshake import Grant
from protocol.keys import Role, SigningKey
from protocol.limits import HELLO_TIMEOUT, MAX_TERM_STEP, Timers
from tests.protocol.aio.callers import BOOT, Caller, Scene
from tests.protocol.aio.stand_ins import settle
from tests.protocol.parties import AUTHORITY, CENTER, DESK, HQ, OPERATOR, OTHER_PLANT, PLANT
from tests.support.pki import NOW, TestAuthority
from tests.support.virtual_loop import Seeded, run

OLD = NOW - timedelta(days=60)
STRANGERS: dict[str, Callable[[], SigningKey]] = {
    "another headquarters": lambda: AUTHORITY.key(Role.HQ, "hq-2"),
    "a center": lambda: CENTER,
    "a plant": lambda: OTHER_PLANT,
    "a desk": lambda: DESK,
    "itself": lambda: PLANT,
    "a person": lambda: OPERATOR,
    "a person with the superior's name": lambda: AUTHORITY.key(Role.DISPATCHER, "hq", "desk-1"),
    "a plant with the superior's name": lambda: AUTHORITY.key(Role.PLANT, "hq"),
    "a desk with the superior's name": lambda: AUTHORITY.key(Role.DESK, "hq"),
    "the superior of another deployment": lambda: TestAuthority().key(Role.HQ, "hq"),
    "the superior with an expired certificate": lambda: AUTHORITY.key(Role.HQ, "hq", now=OLD, days=30),
    "the superior too early": lambda: AUTHORITY.key(Role.HQ, "hq", now=NOW + timedelta(days=1)),
}


async def turned_away(scene: Scene, caller: Caller) -> WireCode | None:
    """The code with which a caller is sent away."""
    goodbye = await caller.end()
    await settle()
    return goodbye.code if goodbye else None


@pytest.mark.parametrize("who", STRANGERS)
def test_nobody_but_the_superior_is_let_in(who: str) -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.call(STRANGERS[who]())
        caller.flush()
        assert await turned_away(scene, caller) is WireCode.IDENTITY
        assert (scene.listener.refused, scene.listener.is_connected) == (1, False)
        assert scene.station.granted == Grant()

    run(main())


def test_the_superior_is_let_in_and_a_center_may_be_one() -> None:
    async def main() -> None:
        for key in (HQ, CENTER):
            scene = Scene(key.certificate.name)
            caller = await (await scene.call(key)).open()
            assert (scene.listener.refused, scene.listener.is_connected) == (0, True)
            assert (await caller.report()).ledger.entry == 1  # the term

    run(main())


def test_a_revoked_superior_is_not_let_in() -> None:
    async def main() -> None:
        scene = Scene(trust=AUTHORITY.trust(HQ))
        assert await turned_away(scene, await scene.call()) is WireCode.IDENTITY

    run(main())


@pytest.mark.parametrize("certificate", [b"", b"garbage", HQ.certificate.der[:-1], HQ.certificate.der + b"x"])
def test_a_certificate_that_cannot_be_read_is_not_let_in(certificate: bytes) -> None:
    async def main() -> None:
        scene = Scene()
        assert await turned_away(scene, Caller(await scene.dial(certificate))) is WireCode.IDENTITY

    run(main())


# --- what the superior may say first ---


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"deployment": "other-grid"}, WireCode.DEPLOYMENT),
        ({"node": OTHER_PLANT}, WireCode.IDENTITY),
        ({"term": MAX_TERM_STEP + 1}, WireCode.TERM),
        ({"timers": Timers(poll_interval_ms=100, hold_ms=101)}, WireCode.TIMERS),
    ],
)
def test_a_hello_that_is_not_for_this_node_is_refused(options: dict[str, Any], code: WireCode) -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.call(**options)
        caller.flush()
        assert await turned_away(scene, caller) is code
        assert (scene.listener.refused, scene.writer.head.entry) == (1, 0)

    run(main())


def test_a_hello_that_another_key_signed_is_refused() -> None:
    async def main() -> None:
        scene = Scene()
        impostor = Caller(await scene.dial(HQ.certificate.der), AUTHORITY.key(Role.HQ, "hq"))
        impostor.flush()
        assert await turned_away(scene, impostor) is WireCode.SIGNATURE

    run(main())


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", WireCode.MALFORMED),
        (b"\x16\x03\x01\x02\x00\x01\x00", WireCode.MALFORMED),
        (b"\x00\x00\x10\x01\x01", WireCode.OVERSIZED),
        (encode_frame(Kind.HELLO, b"garbage"), WireCode.MALFORMED),
        (encode_frame(Kind.HELLO, b""), WireCode.MALFORMED),
        *((encode_frame(kind, b""), WireCode.UNEXPECTED) for kind in (Kind.POLL, Kind.DELIVER, Kind.REPORT)),
    ],
)
def test_what_is_no_hello_is_refused(data: bytes, code: WireCode) -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.call()
        caller.stream.write(data)
        assert await turned_away(scene, caller) is code
        assert scene.listener.refused == 1

    run(main())


@settings(max_examples=30)
@given(st.binary(max_size=300))
def test_whatever_is_said_first_the_door_stays_in_its_hinges(data: bytes) -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.call()
        caller.stream.write(data)
        await asyncio.sleep(2 * HELLO_TIMEOUT)
        assert not scene.listener.is_connected
        await scene.open()
        assert scene.listener.is_connected

    run(main())


@pytest.mark.parametrize("drip", [False, True])
def test_a_caller_without_a_hello_is_shown_the_door_in_time(drip: bool) -> None:
    async def main() -> float:
        scene = Scene()
        caller = await scene.call()
        begun = asyncio.get_running_loop().time()
        hello = caller.session.data_to_send()

        async def say() -> None:
            for byte in hello if drip else b"":
                caller.stream.write(bytes([byte]))
                await asyncio.sleep(1)

        saying = asyncio.create_task(say())
        assert await caller.end() is None
        saying.cancel()
        assert not scene.listener.is_connected
        return asyncio.get_running_loop().time() - begun

    assert run(main()) == pytest.approx(HELLO_TIMEOUT, abs=0.01)


def test_a_caller_that_leaves_at_once_leaves_no_trace() -> None:
    async def main() -> None:
        scene = Scene()
        (await scene.call()).stream.close()
        scene.network.cut("hq", "plant-1")
        await asyncio.sleep(1)
        assert (scene.listener.refused, scene.listener.is_connected, scene.writer.head.entry) == (0, False, 0)

    run(main())


def test_strangers_do_not_disturb_the_link_that_is_open() -> None:
    async def main() -> None:
        scene = Scene()
        superior = await scene.open()
        for who in STRANGERS.values():
            certificate = who().certificate.der
            stranger = Caller(await scene.dial(certificate, "stranger"), who())
            stranger.flush()
            assert await stranger.end() is not None
            await superior.report()
        assert scene.listener.is_connected
        assert scene.listener.refused == len(STRANGERS)

    run(main())


# --- terms ---


def test_no_welcome_is_said_before_the_term_is_durable() -> None:
    async def main() -> None:
        scene = Scene(is_held=True)
        caller = await scene.call(term=5)
        opening = asyncio.create_task(caller.open())
        await asyncio.sleep(60)
        assert not opening.done()
        assert not scene.listener.is_connected
        scene.writer.write()
        await opening
        assert scene.station.granted == Grant(5, BOOT)

    run(main())


def test_a_term_that_is_over_is_refused_and_the_link_of_the_later_one_stays() -> None:
    async def main() -> None:
        scene = Scene()
        late = await scene.open(term=7)
        for term, boot in ((6, BOOT), (0, BOOT), (7, b"x" * 16)):
            early = await scene.call(term=term, boot=boot)
            early.flush()
            assert await turned_away(scene, early) is WireCode.TERM
            await late.report()
        assert scene.station.granted == Grant(7, BOOT)

    run(main())


def test_a_term_that_is_over_by_the_time_of_its_hello_does_not_end_the_later_link() -> None:
    """The earlier one has dialled before, so that its session was made when its term was still good."""

    async def main() -> None:
        scene = Scene()
        early = await scene.call(term=1)
        await asyncio.sleep(1)
        late = await scene.open(term=2)
        early.flush()
        assert await turned_away(scene, early) is WireCode.TERM
        await late.report()
        assert scene.listener.is_connected

    run(main())


def test_of_two_hellos_at_once_the_higher_term_wins_whichever_is_durable_first() -> None:
    async def main() -> None:
        for first, second in ((1, 2), (2, 1)):
            scene = Scene(is_held=True)
            callers = {term: await scene.call(term=term) for term in (first, second)}
            for caller in callers.values():
                caller.flush()
                await asyncio.sleep(1)
            for _ in range(5):
                await scene.writer.finish()
                await asyncio.sleep(1)
            scene.writer.is_held = False
            assert scene.station.granted.term == 2
            await callers[2].receive()
            await callers[2].report()
            await callers[1].end()
            assert scene.listener.is_connected

    run(main())


@settings(max_examples=30)
@given(st.permutations(range(1, 7)), st.integers(0, 1_000))
def test_however_links_race_the_highest_term_holds_the_node(terms: list[int], seed: int) -> None:
    async def main() -> None:
        scene = Scene()
        rng = Seeded(seed)
        callers = [await scene.call(term=term) for term in terms]

        async def race(caller: Caller) -> None:
            await asyncio.sleep(rng.uniform(0, 0.01))
            caller.flush()

        await asyncio.gather(*map(race, callers))
        await asyncio.sleep(1)
        assert scene.station.granted.term == 6
        ended = [await caller.end() for caller, term in zip(callers, terms, strict=True) if term < 6]
        assert {goodbye.code for goodbye in ended if goodbye} <= {WireCode.TERM}
        winner = callers[terms.index(6)]
        await winner.receive()
        await winner.report()

    run(main())
