"""Each way in which a peer is turned away, or its link ends by its doing, has a name and is counted by it."""

import asyncio
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
from structlog.testing import capture_logs

from protocol.aio.crowd import TurnedAway, Why
from protocol.aio.door import Visit
from protocol.aio.manners import MAX_UNASKED
from protocol.aio.ports import Stream
from protocol.errors import PeerFault, WireCode
from protocol.frames import Kind, encode_frame
from protocol.keys import Role, SigningKey
from protocol.limits import HELLO_TIMEOUT, MAX_UNACKNOWLEDGED
from protocol.messages import Deliver, Poll, Reply
from protocol.requests import DoneReply
from protocol.session import header
from tests.protocol.aio.callers import LEDGER, Caller, Scene
from tests.protocol.aio.stand_ins import refusal, settle
from tests.protocol.parties import AUTHORITY, HQ
from tests.support.pki import NOW_MS
from tests.support.virtual_loop import run


def poll(number: int, acknowledged: int = 0) -> bytes:
    body = Poll(seq=number, hold_ms=0, acknowledged=acknowledged, wall_ms=NOW_MS, ledger=LEDGER)
    return encode_frame(Kind.POLL, body.encode())


def item(caller: Caller, cursor: int) -> bytes:
    sealed = caller.session._open_keys().down.seal(refusal(cursor).encode(), header(b"D", cursor))
    return encode_frame(Kind.DELIVER, Deliver(cursor=cursor, sealed=sealed).encode())


def reply(caller: Caller, number: int) -> bytes:
    sealed = caller.session._open_keys().down.seal(DoneReply().encode(), header(b"A", number))
    return encode_frame(Kind.REPLY, Reply(number=number, sealed=sealed).encode())


async def ended_by(scene: Scene, caller: Caller, frame: Callable[[int], bytes], most: int) -> Counter[str]:
    """Say one frame after the other, each when the last one was digested; gives what the node counted."""
    number = 0
    while scene.listener.is_connected:
        number += 1
        assert number <= most
        caller.stream.write(frame(number))
        await asyncio.sleep(0.01)
    return scene.listener.counters


def given(visit: Visit, _: Stream) -> Visit:
    return visit


def visited(monkeypatch: pytest.MonkeyPatch, scene: Scene, visit: Callable[[Stream], Visit | None]) -> None:
    """Whoever calls the node of this scene comes through a door that gives this visit."""
    accept = scene.listener.accept

    async def serve(stream: Stream) -> None:
        await accept(stream, visit(stream))

    monkeypatch.setattr(scene.listener, "accept", serve)


def test_polls_without_pause_are_too_many_although_each_is_valid() -> None:
    async def main() -> None:
        scene = Scene()
        assert await ended_by(scene, await scene.open(), poll, 80) == {"limit": 1}
        assert scene.listener.refused == 1
        await (await scene.open()).report()

    run(main())


def test_items_without_a_poll_are_too_many_although_each_is_valid() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        most = 2 * MAX_UNACKNOWLEDGED + 1
        assert await ended_by(scene, caller, lambda n: item(caller, n), most) == {"limit": 1}
        assert len(scene.policy.taken) == 2 * MAX_UNACKNOWLEDGED

    run(main())


def test_an_item_said_twice_in_a_session_ends_it_and_is_taken_once() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        assert await ended_by(scene, caller, lambda _: item(caller, 1), 2) == {"sequence": 1}
        assert len(scene.policy.taken) == 1

    run(main())


def test_replies_that_nobody_asked_for_are_too_many_in_the_end() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        assert await ended_by(scene, caller, lambda n: reply(caller, n), MAX_UNASKED + 1) == {"limit": 1}

    run(main())


def test_a_superior_that_is_busy_for_hours_breaks_no_rule() -> None:
    """A backlog of items both ways, polls as fast as they are allowed, replies: all of it is news."""

    async def main() -> None:
        scene = Scene()
        work = scene.station.work()
        for number in range(3_000):
            work.post("hq", refusal(number))
        scene.station.commit(work)
        await scene.writer.finish()
        caller = await scene.open()
        while caller.inbox.received.cursor < 3_000:
            await caller.report()
        for _ in range(300):
            await asyncio.sleep(5)
            await caller.report()
        assert scene.listener.counters == {}

    run(main())


def test_a_superior_that_falls_silent_is_counted() -> None:
    async def main() -> None:
        scene = Scene()
        await scene.open()
        await asyncio.sleep(11)
        assert (scene.listener.counters, scene.listener.refused) == ({Why.SILENT: 1}, 0)

    run(main())


def test_a_superior_that_reads_nothing_is_ended_within_two_missed_polls_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> float:
        scene = Scene()
        streams: list[Stream] = []
        visited(monkeypatch, scene, streams.append)
        caller = await scene.open()
        begun = asyncio.get_running_loop().time()
        monkeypatch.setattr(streams[0], "drain", asyncio.Event().wait)
        caller.stream.write(poll(1))
        service = scene.listener._service
        assert service is not None
        await service.ended.wait()
        assert (scene.listener.counters, scene.listener.refused) == ({Why.NOT_READING: 1}, 0)
        return asyncio.get_running_loop().time() - begun

    assert run(main()) == pytest.approx(10, abs=0.1)


def test_a_hello_has_the_time_that_tls_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> float:
        scene = Scene()
        begun = asyncio.get_running_loop().time()
        admitted: list[bool] = []
        visited(monkeypatch, scene, lambda _: Visit(begun + 1, lambda: admitted.append(True)))
        assert await (await scene.call()).end() is None
        await settle()
        assert scene.listener.counters == {Why.HELLO_TIME: 1}
        assert admitted == []
        return asyncio.get_running_loop().time() - begun

    assert HELLO_TIMEOUT > 1
    assert run(main()) == pytest.approx(1, abs=0.01)


def test_what_the_door_turned_away_is_counted_by_its_name() -> None:
    async def main() -> None:
        scene = Scene()
        for why in Why:
            scene.listener.refuse(TurnedAway(why, "too much"))
        scene.listener.refuse(PeerFault(WireCode.IDENTITY, "TLS: no certificate"))
        assert scene.listener.counters == Counter[str]([*Why, "identity"])
        assert scene.listener.refused == len(Why) + 1

    run(main())


def test_a_flood_is_counted_in_full_and_told_in_few_lines() -> None:
    async def main() -> None:
        scene = Scene()
        with capture_logs() as lines:
            for _ in range(10_000):
                scene.listener.refuse(TurnedAway(Why.RATE, "192.0.2.1 comes too often"))
            scene.listener.refuse(PeerFault(WireCode.IDENTITY, "another one is told at once"))
            await asyncio.sleep(60)
            scene.listener.refuse(TurnedAway(Why.RATE, "192.0.2.1 comes too often"))
        assert scene.listener.counters[Why.RATE] == 10_001
        assert len(lines) == 30 + 1 + 1
        assert lines[-1]["not_logged_before"] == 10_000 - 30

    run(main())


def test_only_a_hello_of_the_superior_is_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        admitted: list[SigningKey] = []
        thief = AUTHORITY.key(Role.HQ, "hq")
        for key in (HQ, thief):
            scene = Scene()
            visit = Visit(asyncio.get_running_loop().time() + 5, partial(admitted.append, key))
            visited(monkeypatch, scene, partial(given, visit))
            Caller(await scene.dial(HQ.certificate.der), key).flush()
            await asyncio.sleep(1)
        assert admitted == [HQ]

    run(main())
