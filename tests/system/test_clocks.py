"""Wall clocks that jump or differ: no link notices, and what depends on them says which clock is wrong."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from protocol.aio.control import CommandFailed
from protocol.keys import Role
from protocol.limits import CLOCK_SKEW_MS
from tests.system.grid import Grid, Topology, until
from tests.system.orders import Errand

pytestmark = pytest.mark.system

TOPOLOGY: Topology = (
    ("hq", Role.HQ, None),
    ("desk-1", Role.DESK, "hq"),
    ("plant-a", Role.PLANT, "hq"),
)
PEOPLE = (("wang", Role.DISPATCHER, "desk-1", "hq"), ("li", Role.OPERATOR, "plant-a", "hq"))
STEPS = (3_600_000, -1_800_000, 0)  # ms


class Clocks:
    """Sets the wall clock of one program."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    def set(self, node: str, ahead_ms: int) -> None:
        """From now on. In one step, so that nobody reads half of it."""
        place = self.grid.nodes[node].folder / "clock"
        place.with_suffix(".new").write_text(str(ahead_ms), "ascii")
        place.with_suffix(".new").replace(place)

    def _asked(self, node: str, polls: int) -> bool:
        return bool(self.grid.status(node)["polls"] >= polls)

    def polled(self, times: int) -> None:
        """Until both nodes were asked so often from now on."""
        before = {node: self.grid.status(node)["polls"] for node in ("desk-1", "plant-a")}
        for node, polls in before.items():
            until(partial(self._asked, node, polls + times), f"{node} is asked on")


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clocks]:
    here = Path(__file__).parent
    grid = Grid(tmp_path_factory.mktemp("clocks") / "grid", PEOPLE, TOPOLOGY)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", f"{here / 'clocks'}:{here.parent.parent}")
            grid.start()
        grid.wait_linked()
        grid.log_in("wang")
        grid.log_in("li")
        yield Clocks(grid)
    finally:
        grid.close()


@pytest.fixture
def clocks(programs: Clocks) -> Iterator[Clocks]:
    """All clocks are right before a test, and no link has noticed anything after it."""
    for node in programs.grid.nodes:
        programs.set(node, 0)
    yield programs
    for node in ("desk-1", "plant-a"):
        link = programs.grid.link(node)
        assert (link["state"], link["sessions"], link["faults"]) == ("connected", 1, 0)


def test_clocks_that_jump_to_and_fro_end_no_link_and_hold_up_no_poll(clocks: Clocks) -> None:
    for turn in range(3):
        for node, ahead_ms in zip(("hq", "plant-a", "desk-1"), STEPS[turn:] + STEPS[:turn], strict=True):
            clocks.set(node, ahead_ms)
        clocks.polled(3)


def test_an_order_that_is_on_its_way_survives_a_step_of_the_clock_of_headquarters(clocks: Clocks) -> None:
    grid = clocks.grid
    errand = Errand(grid, "stepped", "plant-a").deliver("wang")
    clocks.set("hq", -CLOCK_SKEW_MS // 2)
    clocks.polled(2)
    errand.read_back()
    errand.wait("desk-1", "read-back")
    clocks.set("hq", CLOCK_SKEW_MS // 2)
    clocks.polled(2)
    errand.finish()
    grid.ledger_is_sound()


@pytest.mark.parametrize(
    ("ahead_ms", "why"),
    [
        (2 * CLOCK_SKEW_MS, "its time is in the future: set that station's clock"),
        (-180_000, "it was signed too long ago"),
    ],
)
def test_a_desk_whose_clock_is_wrong_hears_that_its_clock_is_wrong_and_its_link_stays(
    clocks: Clocks, ahead_ms: int, why: str
) -> None:
    grid = clocks.grid
    clocks.set("desk-1", ahead_ms)
    errand = Errand(grid, f"skewed-{abs(ahead_ms)}", "plant-a")
    with pytest.raises(CommandFailed, match=why):
        errand.draft()
    assert errand.state("hq") == ""
    clocks.set("desk-1", 0)
    errand.draft()
    errand.wait("hq", "drafted")


def test_a_plant_whose_clock_is_behind_begins_nothing_that_has_expired_by_the_clock_of_headquarters(
    clocks: Clocks,
) -> None:
    grid = clocks.grid
    errand = Errand(grid, "late", "plant-a").deliver("wang")
    errand.read_back()
    errand.wait("desk-1", "read-back")
    errand.confirm()
    errand.wait("plant-a", "confirmed")
    clocks.set("hq", 11 * 60_000)  # orders of these tests hold for ten minutes
    clocks.polled(2)
    with pytest.raises(CommandFailed, match="expired"):
        errand.begin()
