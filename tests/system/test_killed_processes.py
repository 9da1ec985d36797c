"""kill -9 in the middle of an order: after a restart the order goes on, and everything happened once."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import pytest

from protocol.aio.control import CommandFailed
from protocol.keys import Role
from tests.system.grid import Grid, until
from tests.system.orders import Errand

pytestmark = pytest.mark.system

VICTIMS = ("hq", "south", "plant-b", "desk-1")
# A code counts once and there are three at a time, so nobody logs in and issues more often than that.
DISPATCHERS = tuple(f"d-{name}" for name in (*VICTIMS, "relief", "blackout", "lost"))
OPERATORS = tuple(f"o-{number}" for number in range(4))
PEOPLE = (
    *((name, Role.DISPATCHER, "desk-1", "hq") for name in DISPATCHERS),
    *((name, Role.OPERATOR, "plant-b", "south") for name in OPERATORS),
)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    grid = Grid(tmp_path_factory.mktemp("killed") / "grid", PEOPLE)
    grid.configure("hq", 'format = "json"', 'format = "json"\n[orders]\nlost_after_s = 3')
    try:
        grid.start()
        grid.wait_linked()
        yield grid
    finally:
        grid.close()


class Shift:
    """Who is at the desk and at plant-b; their restarts need a new login, with a code that is still good."""

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._logins = {"plant-b": 0, "desk-1": 0}

    def log_in_at(self, station: str, person: str) -> None:
        self._grid.wait_linked("south", station)
        self._grid.log_in(person)

    def someone_at_the_plant(self) -> None:
        """An operator with codes left: each has three, and this module needs fewer than four times three."""
        self._logins["plant-b"] += 1
        self.log_in_at("plant-b", OPERATORS[self._logins["plant-b"] % len(OPERATORS)])


@pytest.fixture(scope="module")
def shift(grid: Grid) -> Shift:
    shift = Shift(grid)
    shift.someone_at_the_plant()
    return shift


def kill_during(grid: Grid, errand: Errand, step: str, victim: str, action: Callable[[], Any]) -> None:
    """Do `action` while the next station of its way is frozen; kill the victim once it is under way."""
    sender = errand.desk if step in {"issue", "confirm"} else errand.plant
    frozen = victim
    if step == "issue":  # headquarters has to check both factors
        frozen = "south" if victim in {"hq", sender} else victim
    elif victim == sender:
        frozen = "hq" if sender == errand.desk else "south"
    with ThreadPoolExecutor(1) as pool:
        with grid.frozen(frozen):
            doing = pool.submit(action)
            until(lambda: doing.done() or is_durable(grid, sender), f"{step} is durable at {sender}")
            grid.kill(victim)
        grid.start(victim)
        assert outcome(doing) in {"taken", "pending"} | ({"no-answer"} if victim == sender else set())


def is_durable(grid: Grid, sender: str) -> bool:
    """Whether something that a person signed there is on the disk and waits for its outcome."""
    with closing(sqlite3.connect(f"{grid.nodes[sender].journal.as_uri()}?mode=ro", uri=True)) as db:
        return bool(db.execute("SELECT count(*) FROM pending").fetchone()[0])


def outcome(doing: Future[Any]) -> str:
    """What the person is told."""
    try:
        return str(doing.result()["outcome"])
    except CommandFailed as error:
        return error.code


def actions(errand: Errand, dispatcher: str) -> Mapping[str, tuple[Callable[[], Any], str]]:
    """Step -> what is done, and the state to which it leads everybody."""
    return {
        "issue": (lambda: errand.issue(dispatcher), "delivered"),
        "read-back": (errand.read_back, "read-back"),
        "confirm": (errand.confirm, "confirmed"),
        "begin": (errand.begin, "executing"),
    }


@pytest.mark.parametrize("victim", VICTIMS)
def test_an_order_ends_once_although_a_station_is_killed_at_every_step(
    grid: Grid, shift: Shift, victim: str
) -> None:
    dispatcher = f"d-{victim}"
    shift.log_in_at("desk-1", dispatcher)
    errand = Errand(grid, f"killed-{victim}", "plant-b")
    errand.draft()
    for step, (action, state) in actions(errand, dispatcher).items():
        kill_during(grid, errand, step, victim, action)
        for station in (errand.desk, "hq", errand.plant):
            errand.wait(station, state)
        following = {"issue": errand.read_back, "confirm": errand.begin, "begin": errand.complete}
        if victim == errand.plant and step in following:
            must_log_in_again(following[step])
            shift.someone_at_the_plant()
        elif victim == errand.desk and step == "read-back":
            must_log_in_again(errand.confirm)
            shift.log_in_at("desk-1", "d-relief")
    errand.complete()
    errand.ended_once()
    grid.ledger_is_sound()


def must_log_in_again(action: Callable[[], Any]) -> None:
    with pytest.raises(CommandFailed) as refused:
        action()
    assert "nobody is logged in here" in str(refused.value)


def test_an_order_ends_once_although_everything_is_killed_at_once(grid: Grid, shift: Shift) -> None:
    shift.log_in_at("desk-1", "d-blackout")
    errand = Errand(grid, "blackout", "plant-b").deliver("d-blackout")
    errand.read_back()
    with ExitStack() as stack:
        for name in grid.nodes:
            stack.enter_context(grid.frozen(name))
        for name in grid.nodes:
            grid.kill(name)
    grid.start()
    for station in errand.stations:
        errand.wait(station, "read-back", "delivered")
    errand.wait(errand.desk, "read-back")
    shift.log_in_at("desk-1", "d-blackout")
    shift.someone_at_the_plant()
    errand.confirm()
    errand.wait(errand.plant, "confirmed")
    errand.begin()
    errand.complete()
    errand.ended_once()
    grid.ledger_is_sound()


def test_the_outcome_at_a_dead_plant_is_unknown_until_the_plant_says_it(grid: Grid, shift: Shift) -> None:
    shift.log_in_at("desk-1", "d-lost")
    errand = Errand(grid, "lost", "plant-b").deliver("d-lost")
    errand.read_back()
    errand.wait(errand.desk, "read-back")
    errand.confirm()
    errand.wait(errand.plant, "confirmed")
    errand.begin()
    errand.wait(errand.desk, "executing")
    grid.kill("plant-b")
    errand.wait("hq", "unknown-executing")
    errand.wait(errand.desk, "unknown-executing")
    grid.start("plant-b")
    errand.wait("hq", "executing")
    shift.someone_at_the_plant()
    errand.complete()
    errand.ended_once()
    grid.ledger_is_sound()


def test_an_operators_session_survives_a_restart_of_headquarters_and_of_the_center(
    grid: Grid, shift: Shift
) -> None:
    shift.log_in_at("desk-1", "d-relief")
    errand = Errand(grid, "session", "plant-b")
    errand.draft()
    for name in ("hq", "south"):
        grid.kill(name)
        grid.start(name)
    grid.wait_linked()
    errand.issue("d-relief")
    errand.wait(errand.plant, "delivered")
    assert grid.status("plant-b")["person"] in OPERATORS
    errand.carry_out()
