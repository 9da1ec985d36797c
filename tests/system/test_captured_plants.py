"""A captured plant below two centers floods: it loses its own link, and nobody else's suffers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import pytest

from dispatch_client.client import Login
from protocol.items import HEADQUARTERS, event_item
from protocol.keys import Role
from protocol.lifecycle import Input
from protocol.limits import MAX_REFUSALS
from protocol.orders import SignedEvent
from tests.system.grid import Grid, Topology, until
from tests.system.orders import Errand
from tests.system.rogue import Rogue

pytestmark = pytest.mark.system

TOPOLOGY: Topology = (
    ("hq", Role.HQ, None),
    ("desk-1", Role.DESK, "hq"),
    ("south", Role.CENTER, "hq"),
    ("west", Role.CENTER, "south"),
    ("plant-c", Role.PLANT, "west"),
    ("plant-d", Role.PLANT, "west"),
)
PEOPLE = (
    ("wang", Role.DISPATCHER, "desk-1", "hq"),
    ("li", Role.OPERATOR, "plant-c", "west"),
    ("zhao", Role.OPERATOR, "plant-d", "west"),
)
MANY = 4 * MAX_REFUSALS


@dataclass(frozen=True, slots=True)
class Scene:
    """All are real programs but plant-c, which is in the test's hands; its order waits to be read back."""

    grid: Grid
    plant: Rogue
    login: Login

    def flood(self, events: Sequence[SignedEvent]) -> None:
        """Post them all; they leave as fast as the link lets them."""

        async def post() -> None:
            station = self.plant.client.station
            work = station.work()
            for event in events:
                work.post("west", event_item(event, HEADQUARTERS))
            await station.commit(work)

        self.plant._run(post())

    def read_backs(self, number: int) -> list[SignedEvent]:
        """Rightly signed, in a session, each with other words: at most one of them can be taken."""
        key, session = self.login.key, self.login.session
        content_hash = self.plant.client.station.orders["flood"].content_hash
        return [
            self.plant.event(
                "flood", Input.READ_BACK, key, session, content_hash=content_hash, words=f"open {place}"
            ).signed
            for place in range(number)
        ]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    grid = Grid(tmp_path_factory.mktemp("captured") / "grid", PEOPLE, TOPOLOGY)
    with Rogue(grid, "plant-c") as plant:
        try:
            grid.start("hq", "desk-1", "south", "west", "plant-d")
            grid.wait_linked("south", "west", "desk-1", "plant-d")
            plant.wait_connected()
            login = plant.log_in("li")
            grid.log_in("zhao")
            grid.log_in("wang")
            errand = Errand(grid, "flood", "plant-c")
            errand.draft()
            errand.issue("wang")
            plant.wait_state("flood", "delivered")
            yield Scene(grid, plant, login)
        finally:
            grid.close()


def forged(scene: Scene) -> list[SignedEvent]:
    """Without the operator's signature."""
    return [event.model_copy(update={"signature": bytes(64)}) for event in scene.read_backs(MANY)]


def rightly_signed(scene: Scene) -> list[SignedEvent]:
    return scene.read_backs(MANY)


def was_ended(grid: Grid, faults: int) -> bool:
    return int(grid.link("plant-c")["faults"]) > faults


@pytest.mark.parametrize("make", [rightly_signed, forged])
def test_a_plant_that_floods_is_cut_off_and_its_centers_keep_their_links(
    scene: Scene, make: Callable[[Scene], list[SignedEvent]]
) -> None:
    grid = scene.grid
    until(lambda: scene.plant.listener.is_connected, "west has dialled again")
    before = {name: grid.link(name) for name in ("south", "west", "plant-c", "plant-d")}
    scene.flood(make(scene))
    until(partial(was_ended, grid, before["plant-c"]["faults"]), "west ends the link to plant-c")
    assert f"more than {MAX_REFUSALS} events refused" in str(scene.grid.wait_logged("west", "peer at fault"))
    for name in ("south", "west", "plant-d"):
        now = grid.link(name)
        assert (now["state"], now["sessions"], now["faults"]) == (
            "connected",
            before[name]["sessions"],
            before[name]["faults"],
        )


def test_the_neighbour_of_a_captured_plant_is_served_as_ever(scene: Scene) -> None:
    scene.flood(forged(scene))
    Errand(scene.grid, "neighbour", "plant-d").deliver("wang").carry_out()
