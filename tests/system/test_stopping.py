"""SIGTERM and SIGINT: every program ends by itself, in good order, whatever its links are doing."""

import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psutil
import pytest

from protocol.aio.control import CommandFailed
from protocol.keys import Role
from tests.system.grid import WITHIN, Grid, until
from tests.system.orders import Errand

pytestmark = pytest.mark.system

PEOPLE = (
    ("wang", Role.DISPATCHER, "desk-1", "hq"),
    ("li", Role.OPERATOR, "plant-a", "hq"),
)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    grid = Grid(tmp_path_factory.mktemp("stopping") / "grid", PEOPLE)
    try:
        yield grid
    finally:
        grid.close()


@pytest.fixture
def running(grid: Grid) -> Grid:
    """All programs run and are linked."""
    stopped = [name for name in grid.nodes if not is_running(grid, name)]
    if stopped:
        grid.start(*stopped)
    grid.wait_linked()
    return grid


def is_running(grid: Grid, name: str) -> bool:
    try:
        return grid.processes.of(name).poll() is None
    except KeyError:
        return False


def end(grid: Grid, number: signal.Signals) -> None:
    """Send the signal to all at once: each ends by itself, leaves no socket and whole databases."""
    for name in grid.nodes:
        grid.processes.of(name).send_signal(number)
    statuses = {name: grid.processes.of(name).wait(WITHIN) for name in grid.nodes}
    assert set(statuses.values()) == {0}, statuses
    for node in grid.nodes.values():
        assert not node.control.exists(), node.name
        for database in node.folder.glob("*.db"):
            assert not database.with_name(database.name + "-wal").exists(), database
            with closing(sqlite3.connect(database)) as db:
                assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    grid.ledger_is_sound()


def is_asked(grid: Grid, name: str) -> bool:
    """Whether somebody is connected to the node's control socket."""
    sockets = psutil.Process(grid.processes.of(name).pid).net_connections(kind="unix")
    return [str(s.laddr) for s in sockets].count(str(grid.nodes[name].control)) > 1


def test_a_program_ends_although_a_command_waits_for_an_order(running: Grid) -> None:
    with ThreadPoolExecutor() as pool:
        waiting: Future[Any] = pool.submit(
            running.call, "plant-b", "wait", order="never", states=["closed"], timeout_s=300
        )
        until(lambda: is_asked(running, "plant-b"), "the command is at plant-b")
        assert running.stop("plant-b") == 0
        with pytest.raises(CommandFailed) as failure:
            waiting.result(WITHIN)
    assert failure.value.code == "no-answer"
    assert not running.nodes["plant-b"].control.exists()


@pytest.mark.parametrize(("deaf", "name"), [("plant-a", "hq"), ("hq", "plant-a"), ("plant-b", "south")])
def test_a_program_ends_although_the_other_end_of_its_link_hears_nothing(
    running: Grid, deaf: str, name: str
) -> None:
    with running.frozen(deaf):
        assert running.stop(name) == 0
    assert not running.nodes[name].control.exists()


def test_an_order_goes_on_after_all_programs_were_stopped_in_the_middle_of_it(running: Grid) -> None:
    for person in ("wang", "li"):
        running.log_in(person)
    errand = Errand(running, "interrupted", "plant-a").deliver("wang")
    errand.read_back()
    end(running, signal.SIGTERM)
    running.start()
    running.wait_linked()
    errand.wait("desk-1", "read-back")
    for person in ("wang", "li"):
        running.log_in(person)
    errand.finish()
    end(running, signal.SIGINT)
