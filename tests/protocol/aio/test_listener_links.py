"""A link that is open: what it carries, and how a newer one replaces it."""

import asyncio

import pytest

from protocol.journal.batch import Notice
from protocol.journal.verify import PEER_CHECKPOINT
from protocol.messages import Sample
from tests.protocol.aio.callers import LEDGER, Scene
from tests.protocol.aio.stand_ins import refusal, restarted, settle
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
