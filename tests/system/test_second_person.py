"""A heightened posture with real programs: a supervisor steps up to the dispatcher's desk, and is needed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from protocol.aio.control import CommandFailed
from protocol.keys import Role
from tests.system.grid import Grid, Topology
from tests.system.orders import CHAIN, Errand

pytestmark = pytest.mark.system

TOPOLOGY: Topology = (
    ("hq", Role.HQ, None),
    ("desk-1", Role.DESK, "hq"),
    ("plant-a", Role.PLANT, "hq"),
)
PEOPLE = (
    ("li", Role.DISPATCHER, "desk-1", "hq"),
    ("zhao", Role.SUPERVISOR, "desk-1", "hq"),
    ("wang", Role.OPERATOR, "plant-a", "hq"),
)
APPROVED = (*CHAIN[:2], "ask-approval", "approve", *CHAIN[2:])


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """Headquarters finds in its journal that plant-a's posture was heightened before it was restarted."""
    grid = Grid(tmp_path_factory.mktemp("second") / "grid", PEOPLE, TOPOLOGY)
    try:
        grid.start()
        grid.stop("hq")
        with closing(sqlite3.connect(grid.nodes["hq"].journal)) as db, db:
            db.execute("INSERT INTO meta VALUES ('posture of plant-a', ?)", (b"HEIGHTENED",))
        grid.start("hq")
        grid.wait_linked()
        grid.log_in("li")
        grid.log_in("wang")
        yield grid
    finally:
        grid.close()


def decide(errand: Errand, command: str, person: str, reason: str = "looked at") -> Any:
    """What the second person says, at the desk's own control socket."""
    grid = errand.grid
    return grid.call(
        errand.desk,
        command,
        order=errand.order,
        person=person,
        password=grid.password(person),
        response=grid.code(person) if person == "zhao" else "000000",
        reason=reason,
    )


def test_an_order_waits_for_the_second_person_and_is_then_carried_out(grid: Grid) -> None:
    errand = Errand(grid, "approved", "plant-a")
    errand.draft()
    assert errand.issue("li")["state"] == "awaiting-approval"
    assert errand.state("hq") == "awaiting-approval"
    assert errand.state("plant-a") == ""
    with pytest.raises(CommandFailed) as refusal:
        decide(errand, "approve", "li")
    assert refusal.value.code == "wrong-role"
    assert decide(errand, "approve", "zhao")["state"] in {"accepted", "delivered"}
    assert grid.status("desk-1")["person"] == "li"
    errand.wait("plant-a", "delivered")
    errand.read_back()
    errand.wait("desk-1", "read-back")
    errand.confirm()
    errand.wait("plant-a", "confirmed")
    errand.begin()
    errand.complete()
    for station in errand.stations:
        errand.wait(station, "closed")
        assert tuple(errand.events(station)) == APPROVED
    grid.ledger_is_sound()


def test_what_the_second_person_declines_never_reaches_the_plant(grid: Grid) -> None:
    errand = Errand(grid, "declined", "plant-a")
    errand.draft()
    errand.issue("li")
    assert decide(errand, "decline", "zhao", "the line is manned")["outcome"] == "taken"
    errand.wait("desk-1", "rejected")
    assert errand.events("hq") == ["draft", "issue", "ask-approval", "decline"]
    assert errand.state("plant-a") == ""
    grid.ledger_is_sound()
