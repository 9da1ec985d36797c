"""Two headquarters with the same keys and the same past: at any time one of them commands."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from protocol.keys import Role
from tests.system.grid import Grid, until
from tests.system.orders import Errand

pytestmark = pytest.mark.system

PEOPLE = (
    ("wang", Role.DISPATCHER, "desk-1", "hq"),
    ("li", Role.OPERATOR, "plant-a", "hq"),
)
CHILDREN = ("south", "desk-1", "plant-a")
OVER = "term 1 is over: 2 was granted since"


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    grid = Grid(tmp_path_factory.mktemp("two") / "grid", PEOPLE)
    # Alarms are looked at as often as readings are.
    grid.configure("hq", "telemetry_interval_s = 60", "telemetry_interval_s = 2")
    try:
        grid.start()
        grid.wait_linked()
        yield grid
    finally:
        grid.close()


def copy_of_headquarters(grid: Grid) -> None:
    """Make a node `hq-copy`: all that headquarters has, in another folder."""
    node = grid.nodes["hq"]
    folder = node.folder.with_name("hq-copy")
    folder.mkdir(mode=0o700)
    for path in node.folder.iterdir():
        if path.suffix in {".crt", ".key", ".toml"}:
            shutil.copy(path, folder)
    for name in ("journal.db", "identity.db"):
        with closing(sqlite3.connect(node.folder / name)) as db, closing(copy_to(folder / name)) as copy:
            db.backup(copy)
    grid.deployment.nodes["hq-copy"] = replace(node, name="hq-copy", folder=folder)


def copy_to(path: Path) -> sqlite3.Connection:
    path.touch(0o600)
    return sqlite3.connect(path)


def commands(grid: Grid, name: str) -> set[str]:
    """Which of the children this headquarters commands."""
    links = grid.status(name)["links"]
    return {link["node"] for link in links if link["state"] == "connected"}


def test_of_two_headquarters_the_later_commands_and_the_earlier_is_refused(grid: Grid) -> None:
    grid.log_in("wang")
    grid.log_in("li")
    errand = Errand(grid, "o-1", "plant-a").deliver("wang")
    copy_of_headquarters(grid)
    said = len(grid.logged("hq"))
    grid.start("hq-copy")
    for child in CHILDREN:
        grid.wait_logged("hq", "peer at fault", f'"{child}"', "term 1 is over: 2 was granted", after=said)
    until(lambda: commands(grid, "hq-copy") == set(CHILDREN), "the copy commands everybody")
    assert commands(grid, "hq") == set()
    replace(errand, hq="hq-copy").carry_out()
    assert errand.state("hq") == "delivered"


def test_the_earlier_says_whom_it_has_lost_and_raises_a_major_alarm_for_each(grid: Grid) -> None:
    def fenced() -> dict[str, str]:
        alarms = grid.call("hq", "alarms")["alarms"]
        return {alarm["node"]: alarm["level"] for alarm in alarms if alarm["kind"] == "fenced"}

    until(lambda: fenced() == dict.fromkeys(CHILDREN, "major"), "an alarm for each child")
    details = [a["detail"] for a in grid.call("hq", "alarms")["alarms"] if a["kind"] == "fenced"]
    assert all("obeys another server" in detail and OVER in detail for detail in details)
    links = {link["node"]: link["fenced"] for link in grid.status("hq")["links"]}
    assert links.keys() == set(CHILDREN)
    assert all(OVER in told for told in links.values())
    assert all(link["fenced"] is None for link in grid.status("hq-copy")["links"])
    copy = grid.call("hq-copy", "alarms")["alarms"]
    assert not [alarm for alarm in copy if alarm["kind"] == "fenced"]


@pytest.mark.parametrize("node", ["desk-1", "plant-a"])
def test_a_client_shows_which_superior_it_turned_away_and_when(grid: Grid, node: str) -> None:
    fenced = grid.status(node)["fenced"]
    assert (fenced["term"], fenced["granted"]) == (1, 2)
    assert fenced["why"] == OVER
    assert 0 <= time.time() * 1000 - fenced["at_ms"] < 600_000
    grid.wait_logged(node, "link refused", "TERM", OVER)


@pytest.mark.parametrize("why", ["term 2 belongs to another run", "a journal was replaced or restored"])
def test_no_restart_brings_the_earlier_back_where_it_missed_something(grid: Grid, why: str) -> None:
    """Its first restart gives it the term that the other holds, its second one a higher term."""
    grid.kill("hq")
    said = len(grid.logged("hq"))
    grid.start("hq")
    for child in ("desk-1", "plant-a"):
        grid.wait_logged("hq", "peer at fault", f'"{child}"', why, after=said)
    assert commands(grid, "hq-copy") >= {"desk-1", "plant-a"}
    assert commands(grid, "hq").isdisjoint({"desk-1", "plant-a"})
