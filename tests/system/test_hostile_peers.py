"""Whatever a captured plant does at headquarters' end of its link, no other link notices."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

from protocol.keys import Role
from tests.system.captured import CAPTURED, Captured, Mute
from tests.system.credentials import Issuer, of_node
from tests.system.grid import Grid, Topology, until
from tests.system.impostor import Impostor
from tests.system.memory import memory_of
from tests.system.orders import Errand

pytestmark = pytest.mark.system

SILENCE = 2.0  # s: two polls of this deployment
MUTE, DROPS = "h-mute", "h-drops"
TOPOLOGY: Topology = (
    ("hq", Role.HQ, None),
    ("desk-1", Role.DESK, "hq"),
    ("plant-a", Role.PLANT, "hq"),
    *((f"h-{name}", Role.PLANT, "hq") for name in CAPTURED),
    (MUTE, Role.PLANT, "hq"),
    (DROPS, Role.PLANT, "hq"),
)
PEOPLE = (("wang", Role.DISPATCHER, "desk-1", "hq"), ("li", Role.OPERATOR, "plant-a", "hq"))


class Siege:
    """A headquarters with captured plants all around it, and one real desk and plant."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.grid = Grid(folder / "grid", PEOPLE, TOPOLOGY)
        issuer = Issuer(self.grid, folder)
        self.plants = {name: Captured(self.grid, issuer, f"h-{name}") for name in CAPTURED}
        for name, plant in self.plants.items():
            behave = plant.noting(CAPTURED[name][0](plant))
            port = self.grid.nodes[plant.name].port
            stack.enter_context(Impostor(port, of_node(self.grid, plant.name), behave))
        self.mutes = {
            name: stack.enter_context(Mute(self.grid.nodes[name].port, hold=name == MUTE))
            for name in (MUTE, DROPS)
        }
        stack.callback(self.grid.close)
        self.grid.start("hq", "desk-1", "plant-a")
        self.grid.wait_linked("desk-1", "plant-a")
        self.memory = memory_of(self.grid.processes.of("hq").pid)


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Siege]:
    with ExitStack() as stack:
        yield Siege(tmp_path_factory.mktemp("siege"), stack)


def test_orders_go_through_while_all_of_them_do_their_worst(siege: Siege) -> None:
    siege.grid.log_in("wang")
    siege.grid.log_in("li")
    for number in range(3):
        Errand(siege.grid, f"besieged-{number}", "plant-a").deliver("wang").carry_out()


@pytest.mark.parametrize("name", [name for name, (_, why) in CAPTURED.items() if why])
def test_what_a_captured_plant_does_is_named(siege: Siege, name: str) -> None:
    why = CAPTURED[name][1]
    found = until(
        lambda: [line for line in siege.grid.logged("hq") if why in str(line) and f"h-{name}" in str(line)],
        f"headquarters says '{why}' of {name}",
    )
    is_fault = found[0]["event"] == "peer at fault"
    assert is_fault == (why.split(":")[0] in {"sequence", "limit", "malformed"})
    until(lambda: siege.grid.link(f"h-{name}")["faults"] >= is_fault, "faults are counted")


@pytest.mark.parametrize(("name", "why"), [(MUTE, "no answer in time"), (DROPS, "reset")])
def test_a_plant_that_does_not_even_speak_tls_is_named(siege: Siege, name: str, why: str) -> None:
    until(lambda: siege.grid.link(name)["last_error"], "an error stands in the status")
    assert siege.grid.link(name)["state"] != "connected"
    assert siege.grid.link(name)["sessions"] == 0


@pytest.mark.parametrize("name", ["twice", "refused", "large"])
def test_a_captured_plant_is_visited_ever_more_rarely(siege: Siege, name: str) -> None:
    visits = siege.plants[name].visits
    until(lambda: len(visits) >= 4, f"headquarters came to {name} four times")
    gaps = [later - earlier for earlier, later in pairwise(visits[:4])]
    assert gaps[2] > gaps[0]


def test_a_plant_that_drops_each_connection_is_visited_ever_more_rarely(siege: Siege) -> None:
    visits = siege.mutes[DROPS].visits
    until(lambda: len(visits) >= 6, "headquarters came six times")
    assert visits[5] - visits[4] > visits[1] - visits[0]


@pytest.mark.parametrize("name", ["readings", "last-moment"])
def test_what_breaks_no_rule_keeps_its_link_and_its_rhythm(siege: Siege, name: str) -> None:
    plant = siege.plants[name]
    until(lambda: len(plant.polls) >= 5, "it was asked five times")
    link = siege.grid.link(plant.name)
    assert (link["state"], link["sessions"], link["faults"]) == ("connected", 1, 0)
    assert len(plant.visits) == 1


def test_no_other_link_missed_a_poll_and_memory_is_bounded(siege: Siege) -> None:
    """The last one: all the others have done what they do by now."""
    honest = siege.plants["honest"]
    until(lambda: len(honest.polls) >= 15, "the honest one was asked for a while")
    gaps = [later - earlier for earlier, later in pairwise(honest.polls)]
    print(
        f"polls {len(gaps)}, longest gap {max(gaps):.3f} s over {time.monotonic() - honest.visits[0]:.0f} s"
    )
    assert max(gaps) < SILENCE
    assert len(honest.visits) == 1
    for name in ("plant-a", "desk-1", honest.name):
        link = siege.grid.link(name)
        assert (link["state"], link["sessions"], link["faults"]) == ("connected", 1, 0)
    grown = memory_of(siege.grid.processes.of("hq").pid) - siege.memory
    print(f"memory grew by {grown / 1e6:.1f} MB")
    assert grown < 64 << 20
