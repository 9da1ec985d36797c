"""A disk that takes no more: the program ends and says so; what it had not kept it has not told anybody."""

import resource
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from protocol.aio.control import CommandFailed
from protocol.keys import Role
from tests.system.grid import WITHIN, Grid
from tests.system.orders import Errand

pytestmark = pytest.mark.system

VICTIMS = ("plant-a", "hq", "desk-1")
PEOPLE = (
    *((f"d-{name}", Role.DISPATCHER, "desk-1", "hq") for name in VICTIMS),
    ("li", Role.OPERATOR, "plant-a", "hq"),
)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    grid = Grid(tmp_path_factory.mktemp("full") / "grid", PEOPLE)
    try:
        grid.start()
        grid.wait_linked()
        yield grid
    finally:
        grid.close()


def fill_disk(grid: Grid, name: str) -> None:
    """No file of the program grows beyond what its journal needs now; its log is much smaller."""
    journal = grid.nodes[name].journal
    size = max(journal.stat().st_size, journal.with_name("journal.db-wal").stat().st_size)
    psutil.Process(grid.processes.of(name).pid).rlimit(resource.RLIMIT_FSIZE, (size, size))


def read_back(errand: Errand) -> str:
    """What the operator is told."""
    try:
        return str(errand.read_back()["outcome"])
    except CommandFailed as error:
        return error.code


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_program_whose_disk_is_full_ends_and_its_order_goes_on_when_there_is_room(
    grid: Grid, victim: str
) -> None:
    dispatcher = f"d-{victim}"
    grid.log_in(dispatcher)
    if grid.status("plant-a")["person"] is None:
        grid.log_in("li")
    errand = Errand(grid, f"full-{victim}", "plant-a").deliver(dispatcher)
    fill_disk(grid, victim)
    with ThreadPoolExecutor(1) as pool:
        told = pool.submit(read_back, errand)
        assert grid.processes.of(victim).wait(WITHIN) == 1
        last = grid.processes.log_of(grid.nodes[victim]).read_text("utf-8").splitlines()[-1]
        assert "the journal cannot be written" in last
        if victim == "plant-a":
            assert errand.state("hq") == "delivered"
        grid.start(victim)
        grid.wait_linked()
        assert told.result() in {"taken", "pending", "no-answer", "JournalError"}
    if victim == "plant-a":
        assert errand.state("plant-a") == "delivered"
        grid.log_in("li")
        errand.read_back()
    elif victim == "desk-1":
        grid.log_in(dispatcher)
    errand.wait("desk-1", "read-back")
    errand.finish()
    grid.ledger_is_sound()
