"""All the ways in which a link ends, and whose fault each is. The node is ready for the next one."""

import asyncio

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from protocol.aio.station import Work
from protocol.errors import LinkLost, WireCode
from protocol.frames import Kind, encode_frame
from protocol.items import EventItem, Item
from protocol.journal.file import JournalError
from protocol.limits import MAX_EVENT_BODY, Timers
from protocol.messages import Poll
from protocol.session import Acknowledged, goodbye
from tests.protocol.aio.callers import LEDGER, Caller, Scene
from tests.protocol.aio.stand_ins import Recorder, refusal, settle
from tests.protocol.links import put
from tests.support.pki import NOW_MS
from tests.support.virtual_loop import run


async def ended_by(scene: Scene, caller: Caller) -> WireCode | None:
    """The code with which the node ends a link; it must be ready for the next one."""
    reason = await caller.end()
    await settle()
    assert not scene.listener.is_connected
    await (await scene.open()).report()
    return reason.code if reason else None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (encode_frame(Kind.POLL, b"garbage"), WireCode.MALFORMED),
        (encode_frame(Kind.DELIVER, b"\xc0"), WireCode.MALFORMED),
        (b"\x00\x00\x00\x00\xee", WireCode.MALFORMED),
        (b"\x00\x10\x00\x00\x05", WireCode.OVERSIZED),
        (encode_frame(Kind.HELLO, b"again"), WireCode.UNEXPECTED),
        (encode_frame(Kind.REPORT, b""), WireCode.UNEXPECTED),
        (
            encode_frame(
                Kind.POLL, Poll(seq=2, hold_ms=0, acknowledged=0, wall_ms=0, ledger=LEDGER).encode()
            ),
            WireCode.SEQUENCE,
        ),
        (
            encode_frame(
                Kind.POLL, Poll(seq=1, hold_ms=0, acknowledged=1, wall_ms=0, ledger=LEDGER).encode()
            ),
            WireCode.CURSOR,
        ),
    ],
)
def test_a_wrong_frame_ends_the_link_with_its_reason(data: bytes, code: WireCode) -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        caller.stream.write(data)
        assert await ended_by(scene, caller) is code
        assert scene.listener.refused == 1

    run(main())


def test_an_altered_byte_of_a_sealed_item_ends_the_link() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        put(caller.outbox, refusal(1).encode())
        caller.session.advance(0.0, NOW_MS, LEDGER)
        data = bytearray(caller.session.data_to_send())
        data[60] ^= 1
        caller.stream.write(bytes(data))
        assert await ended_by(scene, caller) is WireCode.SEAL
        assert scene.policy.taken == []

    run(main())


def test_an_item_that_cannot_be_read_ends_the_link_and_is_not_taken() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        put(caller.outbox, b"garbage")
        caller.ask()
        assert await ended_by(scene, caller) is WireCode.MALFORMED
        assert scene.station.inbox("hq").received.cursor == 0

    run(main())


def test_a_gap_between_items_ends_the_link_and_nothing_is_taken() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        put(caller.outbox, refusal(1).encode())
        put(caller.outbox, refusal(2).encode())
        caller.session._sent = 1
        caller.ask()
        assert await ended_by(scene, caller) is WireCode.CURSOR
        assert scene.policy.taken == []

    run(main())


def test_a_superior_that_says_goodbye_is_gone() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        caller.stream.write(goodbye(WireCode.STOPPING, "maintenance"))
        assert await ended_by(scene, caller) is None
        assert scene.listener.refused == 0

    run(main())


@pytest.mark.parametrize("how", ["close", "cut"])
def test_a_link_that_breaks_is_no_fault_of_anybody(how: str) -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        if how == "close":
            caller.stream.close()
        else:
            scene.network.cut("hq", "plant-1")
        await asyncio.sleep(1)
        assert (scene.listener.is_connected, scene.listener.refused) == (False, 0)

    run(main())


@pytest.mark.parametrize("polls", [0, 3])
def test_a_silent_superior_is_given_up_after_two_missed_polls(polls: int) -> None:
    async def main() -> float:
        scene = Scene()
        caller = await scene.open(timers=Timers(1_000, 900))
        for _ in range(polls):
            await caller.report()
        begun = asyncio.get_running_loop().time()
        assert await caller.end() is None
        assert not scene.listener.is_connected
        return asyncio.get_running_loop().time() - begun

    assert run(main()) == pytest.approx(2, abs=0.1)


def test_a_superior_that_takes_no_bytes_is_given_up() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open(timers=Timers(1_000, 900))
        work = scene.station.work()
        for _ in range(8):  # a report of more bytes than the stream holds unread
            work.post(
                "hq", EventItem(to="", body=bytes(MAX_EVENT_BODY), certificate=b"", signature=bytes(64))
            )
        await scene.station.commit(work)
        caller.ask()
        await asyncio.sleep(1.9)
        assert scene.listener.is_connected
        await asyncio.sleep(0.2)
        assert (scene.listener.is_connected, scene.listener.refused) == (False, 0)

    run(main())


def test_a_node_that_stops_ends_its_link() -> None:
    async def main() -> None:
        scene = Scene()
        await scene.listener.stop()
        caller = await scene.open()
        await scene.listener.stop()
        assert await caller.end() is None
        assert not scene.listener.is_connected

    run(main())


# --- whose fault it is ---


class Defective(Recorder):
    """A policy with a defect."""

    @override
    def on_item(self, work: Work, peer: str, item: Item) -> None:
        super().on_item(work, peer, item)
        raise RuntimeError("a defect")


def test_a_defect_of_the_policy_costs_the_link_and_nothing_else() -> None:
    async def main() -> None:
        scene = Scene()
        scene.listener.policy = Defective(scene.station)
        caller = await scene.open()
        put(caller.outbox, refusal(1).encode())
        caller.ask()
        with capture_logs() as logs:
            assert await caller.end() is None
        assert [line["event"] for line in logs] == ["defect"]
        assert scene.station.inbox("hq").received.cursor == 0
        scene.listener.policy = scene.policy
        again = await scene.open(outbox=caller.outbox)
        await again.report()
        assert scene.policy.details == ["1"]
        assert not scene.station.failed.done()

    run(main())


def test_a_journal_that_fails_ends_the_station() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        scene.writer.is_held = True
        put(caller.outbox, refusal(1).encode())
        caller.ask()
        await asyncio.sleep(1)
        await scene.writer.fail()
        assert await caller.end() is None
        assert isinstance(scene.station.failed.exception(), JournalError)
        assert caller.outbox.acknowledged == 0
        assert not [seen for seen in caller.seen if isinstance(seen, Acknowledged)]

    run(main())


def test_a_journal_that_cannot_be_read_ends_the_station() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        scene.writer.is_unreadable = True
        put(caller.outbox, refusal(1).encode())
        caller.ask()
        assert await caller.end() is None
        assert isinstance(scene.station.failed.exception(), JournalError)

    run(main())


def test_the_reason_of_a_goodbye_reaches_the_superior() -> None:
    async def main() -> LinkLost | None:
        scene = Scene()
        caller = await scene.open()
        caller.stream.write(encode_frame(Kind.HELLO, b"again"))
        return await caller.end()

    assert str(run(main())) == "unexpected: the peer closed the link: 'HELLO is not allowed now'"
