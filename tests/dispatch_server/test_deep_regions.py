"""dispatch_server/server.py: what a server knows of the centers below its centers."""

import asyncio
from contextlib import closing

import pytest

from dispatch_server.config import LinkSettings
from dispatch_server.ops.operations import Operations
from dispatch_server.ops.status import status
from protocol.keys import Role
from protocol.lifecycle import State
from protocol.messages import Sample
from situational import Posture
from tests.dispatch_server.house import DESK_LINK, PLANT_LINK, House, sample
from tests.dispatch_server.orders.support import FarChain
from tests.protocol.parties import CENTER, HQ, Chain

DEEP_LINK = LinkSettings(
    node="center-1", role=Role.CENTER, host="-", serves=("plant-4", "west/plant-3", "west/far/plant-5")
)
WEST_LINK = LinkSettings(node="west", role=Role.CENTER, host="-", zone=4, serves=("plant-3", "far/plant-5"))


def headquarters() -> House:
    return House(HQ, DESK_LINK, PLANT_LINK, DEEP_LINK)


def center() -> House:
    return House(CENTER, WEST_LINK, LinkSettings(node="plant-4", role=Role.PLANT, host="-"), superior="hq")


def heard_lately(house: House, *nodes: str) -> set[str]:
    now = asyncio.get_running_loop().time()
    return {node for node in nodes if not house.server.awareness.is_silent(node, now, after_s=15)}


def forget(house: House, *nodes: str) -> None:
    """Nothing was heard of them for long."""
    for node in nodes:
        house.server.awareness.heard(node, asyncio.get_running_loop().time() - 1000)


REGION = ("center-1", "plant-4", "west", "plant-3", "far", "plant-5")


async def test_a_center_speaks_for_its_sub_centers_and_all_that_lies_behind_them() -> None:
    with closing(headquarters()) as house:
        forget(house, *REGION, "plant-1")
        house.server.on_report("center-1", tuple(map(sample, (*REGION, "plant-1"))))
        assert heard_lately(house, *REGION, "plant-1") == set(REGION)
        assert house.counted("readings_refused") == 1  # plant-1 is none of its own


async def test_status_names_the_center_that_dials_a_node_behind_another_one() -> None:
    with closing(headquarters()) as house:
        rows = (await status(Operations(house.server)))["behind"]
    assert {row["node"]: row["superior"] for row in rows} == {
        "plant-4": "center-1",
        "west": "center-1",
        "plant-3": "west",
        "far": "west",
        "plant-5": "far",
    }


async def test_all_nodes_below_are_known() -> None:
    with closing(headquarters()) as house:
        assert house.server.known_nodes == {"hq", "desk-1", "plant-1", *REGION}


async def test_a_sub_center_does_not_speak_for_the_plants_of_the_center_above_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passed: list[Sample] = []
    monkeypatch.setattr("protocol.aio.listener.Listener.sample", lambda _self, sample: passed.append(sample))
    with closing(center()) as house:
        house.server.on_report(
            "west", tuple(map(sample, ("west", "plant-3", "plant-5", "plant-4", "center-1")))
        )
        assert {reading.node for reading in passed} == {"west", "plant-3", "plant-5"}


@pytest.mark.parametrize("node", ["center-1", "west", "plant-3", "desk-1", "hq"])
async def test_an_order_meets_the_posture_of_every_center_on_its_way(node: str) -> None:
    with closing(headquarters()) as house:
        house.server.awareness.restore({node: Posture.HELD}, 0.0)
        assert await house.issue(FarChain()) is State.REJECTED


@pytest.mark.parametrize("node", ["far", "plant-4", "plant-5", "plant-1"])
async def test_the_posture_of_what_is_not_on_its_way_is_none_of_its_business(node: str) -> None:
    with closing(headquarters()) as house:
        house.server.awareness.restore({node: Posture.HELD}, 0.0)
        assert await house.issue(FarChain()) is State.ACCEPTED


async def test_the_posture_of_a_sub_center_holds_no_order_of_a_plant_elsewhere() -> None:
    with closing(headquarters()) as house:
        house.server.awareness.restore({"west": Posture.HELD}, 0.0)
        assert await house.issue(Chain()) is State.ACCEPTED


async def test_orders_for_a_plant_below_a_sub_center_leave_by_the_center() -> None:
    with closing(headquarters()) as house:
        await house.issue(FarChain())
        waiting = {peer: len(house.node.station.outbox(peer)) for peer in ("center-1", "west", "plant-3")}
        assert waiting == {"center-1": 3, "west": 0, "plant-3": 0}  # draft, issue, accept
