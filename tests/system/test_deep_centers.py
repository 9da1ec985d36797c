"""Headquarters, a center, a sub-center and a plant below it: all that works in a region works there."""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import pytest
from typing_extensions import override

from dispatch_server.__main__ import app
from protocol.aio.control import CommandFailed
from protocol.items import EventItem, decode_item
from protocol.keys import Role
from protocol.models import decode_as
from protocol.orders import EVENTS
from tests.support.terminal import run
from tests.system.grid import Grid, Topology, until
from tests.system.orders import Errand

pytestmark = pytest.mark.system

DEEP: Topology = (
    ("hq", Role.HQ, None),
    ("desk-1", Role.DESK, "hq"),
    ("south", Role.CENTER, "hq"),
    ("plant-b", Role.PLANT, "south"),
    ("west", Role.CENTER, "south"),
    ("plant-c", Role.PLANT, "west"),
    ("plant-d", Role.PLANT, "west"),
)
# A code counts once and there are three at a time, so nobody logs in and issues more often than that.
DISPATCHERS = tuple(f"d-{name}" for name in ("calm", "hq", "south", "west", "cut", "lost", "late"))
OPERATORS = tuple(f"o-{number}" for number in range(4))
PEOPLE = (
    *((name, Role.DISPATCHER, "desk-1", "hq") for name in DISPATCHERS),
    *((name, Role.OPERATOR, "plant-c", "west") for name in OPERATORS),
)
LOST_AFTER = 4  # s; the least that the configuration takes for three hops of 1 s
WAY = ("desk-1", "hq", "south", "west", "plant-c")


class Region(Errand):
    """An order for plant-c; every station on its way keeps a record of it."""

    @property
    @override
    def stations(self) -> Sequence[str]:
        return WAY


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    grid = Grid(tmp_path_factory.mktemp("deep") / "grid", PEOPLE, DEEP)
    grid.configure("hq", 'format = "json"', f'format = "json"\n[orders]\nlost_after_s = {LOST_AFTER}')
    soon = "[orders]\nlost_after_s = 3\n[alarms]\non_delay_s = 0\noff_delay_s = 0"
    grid.configure("west", 'format = "json"', f'format = "json"\n{soon}')
    # plant-c tells nothing of its own accord: only its answers to polls say that it lives.
    for name in ("hq", "south", "west", "plant-d"):
        grid.configure(name, "telemetry_interval_s = 60", "telemetry_interval_s = 1")
    grid.configure("hq", 'major = "held"', 'major = "normal"')  # orders are the subject, not this machine
    try:
        grid.start()
        grid.wait_linked()
        grid.log_in("o-0")
        yield grid
    finally:
        grid.close()


def errand(grid: Grid, order: str) -> Region:
    return Region(grid, order, "plant-c")


def knows(grid: Grid, server: str, *nodes: str) -> bool:
    """Whether this server has judged readings of these nodes."""
    return set(nodes) <= set(grid.status(server)["nodes"])


def test_the_files_of_this_deployment_agree(grid: Grid) -> None:
    told = run(app, "check-config", *(node.config for node in grid.nodes.values()))
    assert told.exit_code == 0, told
    assert told.out.splitlines()[0] == "  hq (hq, zone 9)"
    assert "        ├─▶ plant-c (plant, zone 1)" in told.out


def test_an_order_goes_through_two_centers_and_ends_once_everywhere(grid: Grid) -> None:
    grid.log_in("d-calm")
    errand(grid, "calm").deliver("d-calm").carry_out()
    grid.ledger_is_sound()


def test_readings_of_a_plant_reach_every_server_above_it(grid: Grid) -> None:
    for server in ("west", "south", "hq"):
        until(partial(knows, grid, server, "plant-d"), f"{server} has judged plant-d")


def test_people_log_in_at_the_center_that_dials_their_plant_and_at_no_other(grid: Grid) -> None:
    assert grid.status("plant-c")["person"] == "o-0"
    asked = {
        server: {note["subject"] for note in grid.noted(server, "identity")}
        for server in ("west", "south", "hq")
    }
    assert "o-0" in asked["west"]
    assert "o-0" not in asked["south"] | asked["hq"]


@pytest.mark.parametrize("victim", ["hq", "south", "west"])
def test_an_order_ends_once_although_a_server_on_its_way_is_killed_at_every_step(
    grid: Grid, victim: str
) -> None:
    grid.wait_linked("desk-1")
    grid.log_in(f"d-{victim}")
    going = errand(grid, f"killed-{victim}").deliver(f"d-{victim}")
    for action, state in (
        (going.read_back, "read-back"),
        (going.confirm, "confirmed"),
        (going.begin, "executing"),
    ):
        grid.kill(victim)
        if action == going.begin:
            action()  # a fact: it needs nobody's answer
            grid.start(victim)
        else:
            grid.start(victim)
            grid.wait_linked("south", "west", "plant-c", "desk-1")
            action()
        for station in WAY:
            going.wait(station, state)
    going.complete()
    going.ended_once()
    grid.ledger_is_sound()


def waits(grid: Grid, center: str, superior: str, order: str, *inputs: str) -> bool:
    """Whether these events of an order are on this center's disk on their way up."""
    with closing(sqlite3.connect(f"{grid.nodes[center].journal.as_uri()}?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT item FROM outbox WHERE peer = ? ORDER BY cursor", (superior,)).fetchall()
    items = [item for item in (decode_item(row[0]) for row in rows) if isinstance(item, EventItem)]
    events = [decode_as(EVENTS, item.body) for item in items]
    return [event.input.value for event in events if event.order == order][-len(inputs) :] == list(inputs)


def test_a_region_that_is_cut_off_goes_on_and_keeps_what_it_has_to_tell(grid: Grid) -> None:
    """Headquarters and the center in between are dead: what the plant does waits durably at the other."""
    grid.wait_linked()
    grid.log_in("d-cut")
    going = errand(grid, "cut").deliver("d-cut")
    going.read_back()
    going.wait("desk-1", "read-back")
    going.confirm()
    going.wait("plant-c", "confirmed")
    grid.kill("hq")
    grid.kill("south")
    until(lambda: not grid.has_superior("west"), "west knows that it is cut off")
    going.begin()
    going.complete()
    going.wait("west", "completed")
    assert waits(grid, "west", "south", "cut", "begin", "complete")
    entry, polls = grid.status("west")["ledger_entry"], grid.link("plant-d")["polls"]
    until(lambda: grid.link("plant-d")["polls"] > polls, "west goes on polling")
    until(partial(knows, grid, "west", "plant-d"), "west judges, though nobody is above it")
    grid.kill("west")  # even so nothing is lost
    assert waits(grid, "west", "south", "cut", "begin", "complete")
    grid.start("west")
    assert grid.status("west")["ledger_entry"] >= entry
    until(partial(knows, grid, "west", "plant-d"), "west judges again, alone")
    grid.start("south")
    going.wait("south", "completed")
    assert waits(grid, "south", "hq", "cut", "begin", "complete")
    grid.start("hq")
    going.ended_once()
    grid.ledger_is_sound()


def alarms_of(grid: Grid, server: str) -> set[tuple[str, str]]:
    """Node and state of each alarm about a link."""
    found = grid.call(server, "alarms")["alarms"]
    return {(alarm["node"], alarm["state"]) for alarm in found if alarm["kind"] == "link"}


def test_a_cut_off_center_calls_its_own_people_when_a_plant_of_its_region_is_gone(grid: Grid) -> None:
    grid.kill("hq")
    grid.kill("south")
    grid.kill("plant-c")
    until(lambda: ("plant-c", "unacknowledged") in alarms_of(grid, "west"), "west raises an alarm")
    shown = grid.link("plant-c")
    assert (shown["state"] == "connected", shown["node"]) == (False, "plant-c")
    grid.start("hq", "south", "plant-c")
    grid.wait_linked()


def test_an_idle_plant_is_not_lost_and_a_dead_one_is_until_it_says_what_happened(grid: Grid) -> None:
    grid.log_in("o-1")
    grid.log_in("d-lost")
    going = errand(grid, "lost").deliver("d-lost")
    going.read_back()
    going.wait("desk-1", "read-back")
    going.confirm()
    going.wait("plant-c", "confirmed")
    going.begin()
    going.wait("desk-1", "executing")
    time.sleep(2 * LOST_AFTER)  # it says nothing; its signs of life cross both centers
    assert going.state("hq") == "executing"
    grid.kill("plant-c")
    going.wait("hq", "unknown-executing")
    going.wait("desk-1", "unknown-executing")
    grid.start("plant-c")
    going.wait("hq", "executing")
    going.wait("desk-1", "executing")
    grid.wait_linked("plant-c")
    grid.log_in("o-1")
    going.complete()
    going.ended_once()
    grid.ledger_is_sound()


def test_a_decision_that_comes_too_late_is_refused_to_the_operator_below_two_centers(grid: Grid) -> None:
    grid.log_in("d-late")
    going = errand(grid, "late").deliver("d-late")
    with ThreadPoolExecutor(1) as pool:
        with grid.frozen("west"):
            grid.call("desk-1", "cancel", order="late", text="not today")
            reading = pool.submit(going.read_back)
            until(lambda: grid.status("plant-c")["pending"], "the read-back is signed")
        with pytest.raises(CommandFailed, match="stale"):
            reading.result()
    for station in WAY:
        going.wait(station, "cancelled")
    grid.ledger_is_sound()
