"""protocol/aio/room.py, open_orders.py: what is open can end because new orders are refused in time."""

import re

import pytest

from protocol.aio import room
from protocol.aio.station import Station
from protocol.errors import OrderRefused, RefusalCode
from protocol.lifecycle import Input, State
from protocol.limits import MIN_FREE_DISK
from protocol.record import replay
from tests.protocol.aio.stand_ins import new_writer, recorded, refusal, restarted, station_on
from tests.protocol.parties import Chain, write


def refused(station: Station, plant: str | None = None) -> str:
    """Why no new order is taken."""
    with pytest.raises(OrderRefused) as caught:
        station.check_open(plant) if plant else station.check_room()
    assert caught.value.code is RefusalCode.LIMIT
    return caught.value.detail


async def posted(station: Station, *peers: str) -> Station:
    work = station.work()
    for peer in peers:
        work.post(peer, refusal(1))
    await station.commit(work)
    return station


@pytest.mark.parametrize(("limit", "most"), [("MAX_OUTBOX_ITEMS", 3), ("MAX_OUTBOX_BYTES", 250)])
async def test_what_waits_for_all_peers_together_is_bounded_also_after_a_restart(
    monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(room, limit, most)
    station = await posted(station_on(writer := new_writer(is_held=False)), "a", "b")
    size = len(refusal(1).encode())
    assert (station.waiting.items, station.waiting.size) == (2, 2 * size)
    station.check_room()
    await posted(station, "c")
    for run_of in (station, restarted(writer)):
        assert re.match(r"3 items .* wait for all peers of 'plant-1': restore the links", refused(run_of))
    station.outbox("a").acknowledge(1)
    station.check_room()
    assert (station.waiting.items, station.waiting.size) == (2, 2 * size)


@pytest.mark.parametrize("free", [None, MIN_FREE_DISK, 1 << 40])
async def test_a_disk_with_room_or_of_which_nothing_is_known_stops_nothing(free: int | None) -> None:
    station = station_on(new_writer())
    station.free_disk = lambda: free
    station.check_room()


async def test_a_disk_that_is_nearly_full_refuses_new_orders_before_the_journal_fails() -> None:
    station = station_on(new_writer())
    station.free_disk = lambda: MIN_FREE_DISK - 1
    assert "has 63 MiB left, 64 MiB are needed for a new order: make room there" in refused(station)


async def test_open_orders_are_bounded_in_all_and_at_each_plant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_OPEN_ORDERS", 3)
    monkeypatch.setattr(room, "MAX_OPEN_ORDERS_OF_PLANT", 2)
    station = station_on(writer := new_writer(is_held=False))
    for number in (1, 2):
        station.check_open("plant-1")
        await station.commit(recorded(station.work(), write(None, Input.DRAFT, order=f"o-{number}")))
    for run_of in (station, restarted(writer)):
        assert refused(run_of, "plant-1") == "2 orders are open at 'plant-1': bring some to their end first"
        run_of.check_open("plant-2")
    await station.commit(recorded(station.work(), write(None, Input.DRAFT, order="o-3")))
    assert refused(station, "plant-2") == "3 orders are open in all: bring some to their end first"


async def test_an_order_that_ended_makes_room_again() -> None:
    station = station_on(new_writer(is_held=False))
    chain = Chain(replay([write(None, Input.DRAFT)]))
    await station.commit(recorded(station.work(), *chain.record.events))
    (found,) = station.open_orders.of("plant-1")
    assert list(station.open_orders.of("desk-1")) == [found]
    event = chain.add(Input.ISSUE)
    await station.commit(recorded(station.work(), event))
    (found,) = station.open_orders.of("plant-1")
    assert (found.state, len(station.open_orders)) == (State.ISSUED, 1)
    await station.commit(recorded(station.work(), chain.add(Input.CANCEL)))
    assert len(station.open_orders) == station.open_orders.count("plant-1") == 0
    assert list(station.open_orders.of("desk-1")) == []
