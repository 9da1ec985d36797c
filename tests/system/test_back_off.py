"""Whatever a captured plant does with its sessions, headquarters comes to it ever more rarely."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import pairwise

import pytest

from protocol.keys import Role
from tests.system.captured import Captured
from tests.system.credentials import Issuer, of_node
from tests.system.grid import Grid, Topology, until
from tests.system.impostor import Behaviour, Impostor

pytestmark = pytest.mark.system

BEHAVIOURS: Mapping[str, Callable[[Captured], Behaviour]] = {
    "flaps": lambda one: one.welcomes_and_leaves,
    "asks": lambda one: one.asks,
    "twice": lambda one: one.reports_twice,
}
TOPOLOGY: Topology = (("hq", Role.HQ, None), *((f"h-{name}", Role.PLANT, "hq") for name in BEHAVIOURS))


@pytest.fixture(scope="module")
def plants(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Captured]]:
    folder = tmp_path_factory.mktemp("back-off")
    grid = Grid(folder / "grid", (), TOPOLOGY)
    issuer = Issuer(grid, folder)
    plants = {name: Captured(grid, issuer, f"h-{name}") for name in BEHAVIOURS}
    with ExitStack() as stack:
        for name, plant in plants.items():
            behave = plant.noting(BEHAVIOURS[name](plant))
            port = grid.nodes[plant.name].port
            stack.enter_context(Impostor(port, of_node(grid, plant.name), behave))
        stack.callback(grid.close)
        grid.start("hq")
        yield plants


@pytest.mark.parametrize("name", ["asks", "twice"])
def test_a_link_that_ended_by_a_fault_is_not_dialled_before_its_back_off_is_over(
    plants: Mapping[str, Captured], name: str
) -> None:
    """They are 0.8-1.6 s, 1.6-3.2 s, 3.2-6.4 s at first, whatever timer the session had left."""
    visits = plants[name].visits
    until(lambda: len(visits) >= 4, f"headquarters came to {name} four times")
    gaps = [later - earlier for earlier, later in pairwise(visits[:4])]
    assert gaps[0] < gaps[1] < gaps[2], gaps


def test_a_plant_that_opens_sessions_and_leaves_is_visited_ever_more_rarely(
    plants: Mapping[str, Captured],
) -> None:
    """A session that was opened is no proof of health: it must last before losses are forgotten."""
    visits = plants["flaps"].visits
    until(lambda: len(visits) >= 7, "headquarters came seven times")
    gaps = [later - earlier for earlier, later in pairwise(visits[:7])]
    assert gaps[5] > 4 * gaps[0], gaps
