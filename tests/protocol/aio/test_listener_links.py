"""A link that is open: what it carries, how a newer one replaces it, and all the ways in which it ends."""

import asyncio

import pytest
from structlog.testing import capture_logs
from typing_extensions import override

from protocol.aio.station import Work
from protocol.errors import LinkLost, WireCode
from protocol.frames import Kind, encode_frame
from protocol.items import EventItem, Item
from protocol.journal.batch import Notice
from protocol.journal.file import JournalError
from protocol.journal.verify import PEER_CHECKPOINT
from protocol.limits import MAX_EVENT_BODY, Timers
from protocol.messages import Poll, Sample
from protocol.session import Acknowledged, goodbye
from tests.protocol.aio.callers import LEDGER, Caller, Scene
from tests.protocol.aio.stand_ins import Recorder, refusal, restarted, settle
from tests.protocol.links import put
from tests.support.pki import NOW_MS
from tests.support.virtual_loop import run


def post(scene: Scene, *numbers: int) -> None:
    """News of the plant for its superior."""
    work = scene.station.work()
    for number in numbers:
        work.post("hq", refusal(number))
    scene.station.commit(work)


def sample(at_ms: int) -> Sample:
    return Sample(
        node="plant-1",
        at_ms=at_ms,
        logged_in_nodes=1.0,
        network_flow=None,
        external_connections=2.0,
        memory_used=3.0,
    )


# --- what it carries ---


def test_items_come_down_and_are_acknowledged_when_they_are_durable() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        scene.writer.is_held = True
        for number in (1, 2):
            put(caller.outbox, refusal(number).encode())
        caller.ask()
        await asyncio.sleep(1)
        assert scene.policy.details == ["1", "2"]
        assert caller.outbox.acknowledged == 0
        scene.writer.write()
        await caller.receive()
        assert caller.outbox.acknowledged == 2

    run(main())


def test_news_goes_up_when_it_is_durable_and_is_kept_until_it_is_acknowledged() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        scene.writer.is_held = True
        asking = asyncio.create_task(caller.report())
        await asyncio.sleep(1)
        post(scene, 1, 2)
        await asyncio.sleep(1)
        assert not asking.done()
        scene.writer.write()
        report = await asking
        assert [item for _, item in report.items] == [refusal(1).encode(), refusal(2).encode()]
        assert len(scene.station.outbox("hq")) == 2
        scene.writer.is_held = False
        await caller.report()
        assert len(scene.station.outbox("hq")) == 0
        assert len(restarted(scene.writer).outbox("hq")) == 0

    run(main())


def test_an_idle_link_answers_one_poll_per_hold() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        begun = asyncio.get_running_loop().time()
        for _ in range(10):
            await caller.report()
        assert asyncio.get_running_loop().time() - begun == pytest.approx(48, abs=0.1)
        assert scene.listener.polls == 10

    run(main())


def test_a_reading_rides_along_and_without_a_link_it_is_dropped() -> None:
    async def main() -> None:
        scene = Scene()
        scene.listener.sample(sample(1))
        caller = await scene.open()
        scene.listener.sample(sample(2))
        assert [reading.at_ms for reading in (await caller.report()).samples] == [2]

    run(main())


def test_the_superiors_clock_goes_on_between_its_polls() -> None:
    async def main() -> None:
        scene = Scene()
        assert scene.listener.superior_ms() == 0
        caller = await scene.open()
        caller.ask()
        await asyncio.sleep(1)
        first = scene.listener.superior_ms()
        await asyncio.sleep(2.5)
        assert first == pytest.approx(NOW_MS + 1_000, abs=20)
        assert scene.listener.superior_ms() == pytest.approx(first + 2_500, abs=1)

    run(main())


def test_where_the_superiors_ledger_stands_is_kept_with_what_it_delivers() -> None:
    async def main() -> None:
        scene = Scene()
        caller = await scene.open()
        await caller.report()
        put(caller.outbox, refusal(1).encode())
        await caller.report()
        await settle()
        query = "SELECT subject, body FROM ledger WHERE kind = ?"
        ((subject, body),) = scene.writer.file._db.execute(query, (PEER_CHECKPOINT,)).fetchall()
        facts = dict(Notice.decode(body).facts)
        assert (subject, facts) == ("hq", {"entry": "7", "hash": LEDGER.hash.hex()})

    run(main())


# --- how it is replaced ---


def test_a_newer_link_replaces_the_older_one() -> None:
    async def main() -> None:
        scene = Scene()
        older = await scene.open()
        newer = await scene.open()
        assert await older.end() is None
        await newer.report()
        assert (scene.listener.is_connected, scene.listener.refused) == (True, 0)

    run(main())


def test_what_was_on_its_way_on_the_older_link_comes_again_and_is_taken_once() -> None:
    async def main() -> None:
        scene = Scene()
        post(scene, 1, 2)
        older = await scene.open()
        put(older.outbox, refusal(8).encode())
        before = older.inbox.durable
        await older.report()
        again = await scene.open(outbox=older.outbox, inbox=type(older.inbox)(before))
        put(again.outbox, refusal(9).encode())
        report = await again.report()
        assert [cursor for cursor, _ in report.items] == [1, 2]
        await again.report()
        assert scene.policy.details == ["8", "9"]

    run(main())


def test_a_link_that_is_replaced_in_the_middle_of_a_write_loses_nothing() -> None:
    async def main() -> None:
        scene = Scene()
        older = await scene.open()
        scene.writer.is_held = True
        put(older.outbox, refusal(1).encode())
        older.ask()
        await asyncio.sleep(1)
        assert scene.policy.details == ["1"]
        newer = await scene.open(outbox=older.outbox)
        scene.writer.is_held = False
        scene.writer.write()
        await newer.report()
        assert newer.outbox.acknowledged == 1
        assert scene.policy.details == ["1"]

    run(main())


# --- how it ends ---


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
