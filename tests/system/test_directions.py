"""Who opens connections to whom, read from the sockets of the running programs, down to a third level."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import psutil
import pytest

from protocol.aio.control import CommandFailed
from protocol.keys import Role
from tests.system.grid import WHOLE, Grid, Topology, until
from tests.system.orders import Errand

pytestmark = pytest.mark.system

DEEP: Topology = (*WHOLE, ("west", Role.CENTER, "south"), ("plant-c", Role.PLANT, "west"))
PEOPLE = (("wang", Role.DISPATCHER, "desk-1", "hq"), ("zhao", Role.OPERATOR, "plant-c", "west"))
LOWER = tuple(name for name, _, superior in DEEP if superior)
CLIENTS = ("desk-1", "plant-a", "plant-b", "plant-c")


@dataclass(frozen=True, slots=True)
class Sockets:
    """The network sockets of one program.

    `dialled`: the ports to which it has opened connections; `accepted`: its own ones to which others have.
    """

    listening: frozenset[int]
    dialled: frozenset[int]
    accepted: frozenset[int]
    others: int


def sockets_of(grid: Grid, name: str) -> Sockets:
    found = psutil.Process(grid.processes.of(name).pid).net_connections(kind="inet")
    listening = frozenset(s.laddr.port for s in found if s.status == psutil.CONN_LISTEN)
    others = [s for s in found if s.status in {psutil.CONN_NONE, psutil.CONN_CLOSE}]  # datagrams, unconnected
    talking = [s for s in found if s.status != psutil.CONN_LISTEN and s not in others]
    dialled = frozenset(s.raddr.port for s in talking if s.laddr.port not in listening)
    accepted = frozenset(s.laddr.port for s in talking if s.laddr.port in listening)
    return Sockets(listening, dialled, accepted, len(others))


def ports_below(grid: Grid, name: str) -> frozenset[int]:
    return frozenset(node.port for node in grid.nodes.values() if node.superior == name)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    grid = Grid(tmp_path_factory.mktemp("directions") / "grid", PEOPLE, DEEP)
    try:
        grid.start()
        grid.wait_linked()
        grid.log_in("wang")
        grid.log_in("zhao")
        Errand(grid, "o-1", "plant-c").deliver("wang").carry_out()
        yield grid
    finally:
        grid.close()


def connections_into(grid: Grid, port: int) -> list[tuple[str, int]]:
    """Of all programs, who holds the dialling end of a connection to this port, and at which of its own."""
    found = []
    for name in grid.nodes:
        sockets = psutil.Process(grid.processes.of(name).pid).net_connections(kind="tcp")
        talking = [s for s in sockets if s.status not in {psutil.CONN_LISTEN, psutil.CONN_CLOSE}]
        found += [(name, s.laddr.port) for s in talking if s.raddr.port == port]
    return found


def test_headquarters_listens_on_no_port_and_dials_its_subordinates_only(grid: Grid) -> None:
    assert sockets_of(grid, "hq") == Sockets(frozenset(), ports_below(grid, "hq"), frozenset(), 0)


@pytest.mark.parametrize("name", ["south", "west"])
def test_a_center_dials_its_children_only_and_is_dialled_at_its_one_port(grid: Grid, name: str) -> None:
    own = frozenset({grid.nodes[name].port})
    assert sockets_of(grid, name) == Sockets(own, ports_below(grid, name), own, 0)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_desk_or_plant_has_no_outgoing_connection(grid: Grid, name: str) -> None:
    own = frozenset({grid.nodes[name].port})
    assert sockets_of(grid, name) == Sockets(own, frozenset(), own, 0)


@pytest.mark.parametrize("name", LOWER)
def test_every_connection_to_a_node_was_opened_by_its_superior_alone(grid: Grid, name: str) -> None:
    node = grid.nodes[name]
    ((dialler, port),) = connections_into(grid, node.port)
    assert dialler == node.superior
    assert port not in {other.port for other in grid.nodes.values()}


def test_no_program_starts_another(grid: Grid) -> None:
    for name in grid.nodes:
        assert psutil.Process(grid.processes.of(name).pid).children() == []


def lacks_superior(grid: Grid, name: str) -> bool:
    return not grid.has_superior(name)


def dialled_below(grid: Grid) -> dict[str, bool]:
    """Whether each program that still runs has opened connections to its own subordinates alone."""
    running = [name for name in grid.nodes if grid.processes.of(name).poll() is None]
    return {name: sockets_of(grid, name).dialled <= ports_below(grid, name) for name in running}


@pytest.mark.parametrize("dead", [("hq",), ("south",), ("hq", "south")], ids="+".join)
def test_nobody_dials_upward_when_a_superior_is_dead(grid: Grid, dead: tuple[str, ...]) -> None:
    for name in dead:
        grid.kill(name)
    orphans = [node.name for node in grid.nodes.values() if node.superior in dead and node.name not in dead]
    for name in orphans:
        until(partial(lacks_superior, grid, name), f"{name} knows that its superior is gone")
    if "hq" in dead:
        with pytest.raises(CommandFailed, match="is not connected"):
            grid.log_in("wang")
    assert dialled_below(grid) == dict.fromkeys(set(grid.nodes) - set(dead), True)
    assert sockets_of(grid, "west").dialled == ports_below(grid, "west")
    assert all(not sockets_of(grid, name).dialled for name in CLIENTS)
    grid.start(*dead)
    grid.wait_linked()
