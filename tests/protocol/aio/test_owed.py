"""protocol/aio/owed.py: acknowledgements are written with something else, or soon; nothing depends on one."""

import asyncio

import pytest
from typing_extensions import override

from protocol.aio import owed as module
from protocol.aio.station import Station
from protocol.errors import PeerFault
from protocol.journal.batch import Batch
from protocol.journal.file import JournalFile
from protocol.outbox import START, Mark
from tests.protocol.aio.stand_ins import HandWriter, refusal, restarted, settle, station_on
from tests.protocol.links import place
from tests.protocol.parties import PLANT
from tests.support.virtual_loop import run

ITEMS = [refusal(number) for number in range(1, 5)]


async def sending(writer: HandWriter, *peers: str) -> Station:
    """A station that has sent four items to each peer."""
    station = station_on(writer)
    work = station.work()
    for peer in peers:
        for item in ITEMS:
            work.post(peer, item)
    await station.commit(work)
    return station


def acknowledge(station: Station, peer: str, cursor: int) -> None:
    station.outbox(peer).acknowledge(cursor)
    station.acknowledged(peer)


def mark(count: int) -> Mark:
    return place(*(item.encode() for item in ITEMS[:count]))


def acknowledged_in(batches: list[Batch]) -> list[dict[str, Mark]]:
    return [batch.acknowledged for batch in batches]


class Watched(HandWriter):
    """It remembers what was handed in since `watch`."""

    def __init__(self) -> None:
        super().__init__(JournalFile.open(":memory:", PLANT), is_held=False)
        self.seen: list[Batch] = []

    @override
    def commit(self, batch: Batch) -> "asyncio.Future[None]":
        self.seen.append(batch)
        return super().commit(batch)

    def watch(self) -> list[Batch]:
        """Every batch that is handed in from now on."""
        self.seen.clear()
        return self.seen


def test_an_acknowledgement_rides_with_the_next_decision_and_is_no_commit_of_its_own() -> None:
    async def check() -> None:
        station = await sending(writer := Watched(), "hq")
        seen = writer.watch()
        acknowledge(station, "hq", 1)
        acknowledge(station, "hq", 3)
        await settle()
        assert seen == []
        await station.commit(station.work())
        await asyncio.sleep(10)
        assert acknowledged_in(seen) == [{"hq": mark(3)}]
        assert len(restarted(writer).outbox("hq")) == 1

    run(check())


def test_without_a_decision_it_is_written_within_a_second() -> None:
    async def check() -> None:
        station = await sending(writer := Watched(), "hq", "desk-1")
        seen = writer.watch()
        acknowledge(station, "hq", 1)
        await asyncio.sleep(0.5)
        acknowledge(station, "hq", 2)
        acknowledge(station, "desk-1", 4)
        assert seen == []
        await asyncio.sleep(0.6)
        assert acknowledged_in(seen) == [{"hq": mark(2), "desk-1": mark(4)}]
        await asyncio.sleep(10)
        assert len(seen) == 1

    run(check())


def test_a_decision_takes_only_so_many_along_and_the_others_follow_soon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_AT_ONCE", 2)

    async def check() -> None:
        station = await sending(writer := Watched(), "a", "b", "c", "d", "e")
        seen = writer.watch()
        for peer in "abcde":
            acknowledge(station, peer, 1)
        await station.commit(station.work())
        await asyncio.sleep(0.2)
        assert [sorted(batch.acknowledged) for batch in seen] == [["a", "b"], ["c", "d"], ["e"]]

    run(check())


async def test_what_is_owed_is_written_when_a_station_closes() -> None:
    station = await sending(writer := Watched(), "hq")
    writer.is_held = True
    seen = writer.watch()
    acknowledge(station, "hq", 4)
    await station.close()
    assert acknowledged_in(seen) == [{"hq": mark(4)}]


@pytest.mark.parametrize("pruned", [0, 1, 3])
@pytest.mark.parametrize("held", [1, 2, 3, 4])
async def test_an_acknowledgement_that_a_crash_lost_is_said_again_by_the_peer(pruned: int, held: int) -> None:
    """`pruned`: what reached the disk of it; `held`: what the peer says in its next Hello or Welcome."""
    station = await sending(writer := Watched(), "hq")
    if pruned:
        acknowledge(station, "hq", pruned)
        await station.commit(station.work())
    held = max(pruned, held)
    acknowledge(station, "hq", held)
    again = restarted(writer)
    outbox = again.outbox("hq")
    assert (outbox.acknowledged, outbox.last, outbox.sent) == (pruned, 4, 4)
    outbox.check_mark(mark(held))
    assert outbox.acknowledge(held) is (held > pruned)
    assert [cursor for cursor, _ in outbox.after(0, 9)] == list(range(held + 1, 5))
    await settle()


@pytest.mark.parametrize("claimed", [START, mark(1)])
async def test_a_peer_that_holds_less_than_was_written_of_it_is_still_refused(claimed: Mark) -> None:
    station = await sending(writer := Watched(), "hq")
    acknowledge(station, "hq", 2)
    await station.commit(station.work())
    with pytest.raises(PeerFault, match="possible is 2 to 4"):
        restarted(writer).outbox("hq").check_mark(claimed)


async def test_a_decision_and_its_acknowledgements_are_one_commit_or_none() -> None:
    station = await sending(writer := Watched(), "hq")
    writer.is_held = True
    acknowledge(station, "hq", 4)
    work = station.work()
    work.post("hq", refusal(9))
    station.commit(work)
    assert len(HandWriter(JournalFile(writer.file._db, PLANT)).file.load().peers["hq"].outgoing) == 4
    await writer.finish()
    row = writer.file.load().peers["hq"]
    assert (row.acknowledged, row.outgoing) == (mark(4), (refusal(9).encode(),))
