"""A storm at one plant, from its readings to the orders that do not reach it and the person who ends it."""

import asyncio
from contextlib import closing

from dispatch_server.config import LinkSettings
from protocol.keys import Role
from protocol.lifecycle import Input, State
from protocol.record import apply
from situational import Level, Posture
from situational.alarms import AlarmKey
from situational.alarms import State as AlarmState
from tests.dispatch_server.awareness.support import STEP, sample, storm
from tests.dispatch_server.house import DESK_LINK, PLANT_LINK, House, running
from tests.dispatch_server.links.support import virtually
from tests.protocol.parties import CONTENT, HQ, Chain, write

OTHER = LinkSettings(node="plant-2", role=Role.PLANT, host="-")
BEGINS = 400.0
KEY = AlarmKey("plant-1", "hazard")


def now() -> float:
    return asyncio.get_running_loop().time()


async def live(house: House, seconds: float) -> None:
    """Both plants answer their polls with telemetry; the storm is at plant-1."""
    for _ in range(round(seconds / STEP)):
        house.server.on_report("plant-1", (sample("plant-1", storm(now(), BEGINS)),))
        house.server.on_report("plant-2", (sample("plant-2", storm(now(), 1e9)),))
        await asyncio.sleep(STEP)


def draft(order: str, plant: str) -> Chain:
    """An order of its own, drafted."""
    content = CONTENT.model_copy(update={"plant": plant})
    return Chain(apply(None, write(None, Input.DRAFT, content=content, order=order)))


def posture(house: House, node: str) -> Posture:
    return house.server.awareness.posture_of([node])


def inputs(house: House, kind: str, fact: str) -> list[str]:
    """One fact of each new line of a kind in the ledger that concerns plant-1's telemetry."""
    notes = house.node.decision().notes(kind)
    return [note[fact] for note in notes if note["subject"] == "plant-1" and note.get("alarm") != "link"]


@virtually
async def test_a_storm_stops_orders_to_its_plant_alone_until_a_person_says_so() -> None:
    with closing(House(HQ, DESK_LINK, PLANT_LINK, OTHER)) as house:
        with running(house):
            await live(house, BEGINS)
            assert posture(house, "plant-1") is Posture.NORMAL
            while posture(house, "plant-1") is not Posture.HELD:
                assert now() < BEGINS + 300
                await live(house, STEP)
            await live(house, 60)
            decision = house.node.decision()
            alarm = [note for note in decision.notes("alarm") if note["alarm"] == "hazard"]
            assert [note["input"] for note in alarm if note["input"] == "raise"] == ["raise"]
            assert [note["after"] for note in decision.notes("posture")][-1] == "HELD"
            assert {note["subject"] for note in decision.notes("posture")} == {"plant-1"}
            assert await house.issue(draft("o-1", "plant-1")) is State.REJECTED
            assert await house.issue(draft("o-2", "plant-2")) is State.ACCEPTED

        await house.server.close()
        house.restart()
        house.node.decision()
        assert posture(house, "plant-1") is Posture.HELD
        kept = house.server.guard.alarms.board.alarms[KEY]
        assert (kept.state, kept.level) == (AlarmState.UNACKNOWLEDGED, Level.MAJOR)

        with running(house):
            await live(house, 120)
            assert inputs(house, "alarm", "input") == []
            assert house.server.guard.alarms.board.alarms[KEY].incident == kept.incident
            assert await house.issue(draft("o-3", "plant-1")) is State.REJECTED

            house.server.awareness.release("zhao", now())
            assert posture(house, "plant-1") is Posture.NORMAL
            assert inputs(house, "posture", "person") == ["zhao"]
            assert await house.issue(draft("o-4", "plant-1")) is State.ACCEPTED
        await house.server.close()
