"""Two headquarters with the same keys and the same past: at any time one of them commands."""

import shutil
import sqlite3
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


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    grid = Grid(tmp_path_factory.mktemp("two") / "grid", PEOPLE)
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
