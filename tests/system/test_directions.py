"""Who opens connections to whom, read from the sockets of the running programs."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import psutil
import pytest

from protocol.aio.control import CommandFailed
from protocol.keys import Role
from tests.system.grid import Grid, until
from tests.system.orders import Errand

pytestmark = pytest.mark.system

PEOPLE = (("wang", Role.DISPATCHER, "desk-1", "hq"), ("zhao", Role.OPERATOR, "plant-b", "south"))


@dataclass(frozen=True, slots=True)
class Sockets:
    """The network sockets of one program. `dialled`: the ports to which it has opened connections."""

    listening: frozenset[int]
    dialled: frozenset[int]
    others: int


def sockets_of(grid: Grid, name: str) -> Sockets:
    found = psutil.Process(grid.processes.of(name).pid).net_connections(kind="inet")
    listening = frozenset(s.laddr.port for s in found if s.status == psutil.CONN_LISTEN)
    others = [s for s in found if s.status in {psutil.CONN_NONE, psutil.CONN_CLOSE}]  # datagrams, unconnected
    talking = [s for s in found if s.status != psutil.CONN_LISTEN and s not in others]
    dialled = frozenset(s.raddr.port for s in talking if s.laddr.port not in listening)
    return Sockets(listening, dialled, len(others))


def ports_below(grid: Grid, name: str) -> frozenset[int]:
    return frozenset(node.port for node in grid.nodes.values() if node.superior == name)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    grid = Grid(tmp_path_factory.mktemp("directions") / "grid", PEOPLE)
    try:
        grid.start()
        grid.wait_linked()
        grid.log_in("wang")
        grid.log_in("zhao")
        Errand(grid, "o-1", "plant-b").deliver("wang").carry_out()
        yield grid
    finally:
        grid.close()


def test_headquarters_listens_on_no_port_and_dials_its_subordinates_only(grid: Grid) -> None:
    assert sockets_of(grid, "hq") == Sockets(frozenset(), ports_below(grid, "hq"), 0)


def test_a_center_dials_its_children_only_and_listens_on_its_one_port(grid: Grid) -> None:
    south = grid.nodes["south"]
    assert sockets_of(grid, "south") == Sockets(frozenset({south.port}), ports_below(grid, "south"), 0)


@pytest.mark.parametrize("name", ["desk-1", "plant-a", "plant-b"])
def test_a_desk_or_plant_has_no_outgoing_connection(grid: Grid, name: str) -> None:
    assert sockets_of(grid, name) == Sockets(frozenset({grid.nodes[name].port}), frozenset(), 0)


def test_no_program_starts_another(grid: Grid) -> None:
    for name in grid.nodes:
        assert psutil.Process(grid.processes.of(name).pid).children() == []


def lacks_superior(grid: Grid, name: str) -> bool:
    return not grid.has_superior(name)


def test_nobody_dials_upward_when_headquarters_is_dead(grid: Grid) -> None:
    grid.kill("hq")
    for name in ("south", "desk-1", "plant-a"):
        until(partial(lacks_superior, grid, name), f"{name} knows that headquarters is gone")
    with pytest.raises(CommandFailed, match="is not connected"):
        grid.log_in("wang")
    below = ports_below(grid, "south")
    assert {name: sockets_of(grid, name).dialled for name in ("south", "desk-1", "plant-a", "plant-b")} == {
        "south": below,
        "desk-1": frozenset(),
        "plant-a": frozenset(),
        "plant-b": frozenset(),
    }
    grid.start("hq")
    grid.wait_linked()
