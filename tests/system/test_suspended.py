"""A machine that sleeps for longer than its links live: they come back alone, each order is there once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from protocol.keys import Role
from tests.system.grid import Grid, until
from tests.system.orders import Errand

pytestmark = pytest.mark.system

PEOPLE = (
    *((f"d-{name}", Role.DISPATCHER, "desk-1", "hq") for name in ("plant-a", "south", "hq", "desk-1")),
    ("li", Role.OPERATOR, "plant-a", "hq"),
    ("zhao", Role.OPERATOR, "plant-b", "south"),
)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    grid = Grid(tmp_path_factory.mktemp("suspended") / "grid", PEOPLE)
    try:
        grid.start()
        grid.wait_linked()
        grid.log_in("li")
        grid.log_in("zhao")
        yield grid
    finally:
        grid.close()


def undisturbed(grid: Grid, *nodes: str) -> list[tuple[object, object]]:
    """Sessions and faults of the links that nobody suspends."""
    return [(grid.link(node)["sessions"], grid.link(node)["faults"]) for node in nodes]


@pytest.mark.parametrize(("sleeper", "plant"), [("plant-a", "plant-a"), ("south", "plant-b")])
def test_an_order_issued_while_a_node_below_sleeps_is_there_once_when_it_wakes(
    grid: Grid, sleeper: str, plant: str
) -> None:
    others = [node for node in ("desk-1", "plant-a", "south") if node != sleeper]
    before = undisturbed(grid, *others)
    grid.log_in(f"d-{sleeper}")
    errand = Errand(grid, f"while-{sleeper}-sleeps", plant)
    with grid.frozen(sleeper):
        until(lambda: grid.link(sleeper)["state"] != "connected", f"hq has given {sleeper} up")
        errand.draft()
        errand.issue(f"d-{sleeper}")
        assert errand.state("hq") in {"accepted", "undelivered"}
    grid.wait_linked()
    errand.wait(plant, "delivered")
    errand.wait("desk-1", "delivered")
    errand.carry_out()
    assert undisturbed(grid, *others) == before


def test_what_a_plant_did_and_a_desk_wished_while_headquarters_slept_is_there_once(grid: Grid) -> None:
    grid.log_in("d-hq")
    begun = Errand(grid, "begun-while-hq-sleeps", "plant-a").deliver("d-hq")
    begun.read_back()
    begun.wait("desk-1", "read-back")
    begun.confirm()
    begun.wait("plant-a", "confirmed")
    wished = Errand(grid, "wished-while-hq-sleeps", "plant-b")
    with ThreadPoolExecutor() as pool, grid.frozen("hq"):
        for node in ("desk-1", "plant-a", "south"):
            until(partial(is_alone, grid, node), f"{node} knows that hq is gone")
        assert begun.begin()["outcome"] == "taken"
        begun.complete()
        drafting = pool.submit(wished.draft)
        until(lambda: grid.status("desk-1")["pending"], "the draft is signed and waits")
    drafting.result()
    grid.wait_linked()
    begun.ended_once()
    wished.wait("desk-1", "drafted")
    wished.wait("hq", "drafted")
    wished.issue("d-hq")
    wished.wait("plant-b", "delivered")
    wished.wait("desk-1", "delivered")
    wished.carry_out()


def test_a_desk_that_slept_hears_what_happened_once(grid: Grid) -> None:
    grid.log_in("d-desk-1")
    errand = Errand(grid, "while-the-desk-sleeps", "plant-a").deliver("d-desk-1")
    with grid.frozen("desk-1"):
        until(partial(is_down, grid, "desk-1"), "hq has given the desk up")
        errand.read_back()
        errand.wait("hq", "read-back")
    grid.wait_linked()
    errand.wait("desk-1", "read-back")
    errand.finish()


def is_alone(grid: Grid, node: str) -> bool:
    return not grid.has_superior(node)


def is_asked(grid: Grid, polls: int) -> bool:
    return bool(grid.status("plant-a")["polls"] >= polls)


def is_down(grid: Grid, node: str) -> bool:
    return bool(grid.link(node)["state"] != "connected")


def test_a_nap_that_is_shorter_than_the_silence_costs_no_link(grid: Grid) -> None:
    before = undisturbed(grid, "desk-1", "plant-a", "south")
    for node in ("hq", "plant-a", "south"):
        polls = grid.status("plant-a")["polls"]
        with grid.frozen(node):
            pass
        until(partial(is_asked, grid, polls + 2), "polls go on")
    assert undisturbed(grid, "desk-1", "plant-a", "south") == before


def test_every_ledger_is_sound_in_the_end(grid: Grid) -> None:
    grid.wait_linked()
    grid.ledger_is_sound()
