"""Ledgers of real programs, altered afterwards: the verifier finds it, alone or against the superior's."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dispatch_server.demo.deployment import DEPLOYMENT
from protocol.journal.verify import LedgerFault, VerifiedLedger, compare_ledgers, verify_ledger
from protocol.keys import Role, TrustStore
from tests.system.grid import Grid
from tests.system.orders import Errand

pytestmark = pytest.mark.system

PEOPLE = (
    ("wang", Role.DISPATCHER, "desk-1", "hq"),
    ("zhao", Role.OPERATOR, "plant-b", "south"),
)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    """A deployment that carried out an order and was stopped. Half way a copy of its ledgers was made."""
    grid = Grid(tmp_path_factory.mktemp("ledgers") / "grid", PEOPLE)
    try:
        grid.start()
        grid.wait_linked()
        grid.log_in("wang")
        grid.log_in("zhao")
        errand = Errand(grid, "o-1", "plant-b").deliver("wang")
        for node in grid.nodes.values():
            with (
                closing(sqlite3.connect(node.journal)) as db,
                closing(sqlite3.connect(older(node.journal))) as copy,
            ):
                db.backup(copy)
        errand.carry_out()
        yield grid
    finally:
        grid.close()


def older(journal: Path) -> Path:
    return journal.with_name("older.db")


@pytest.fixture(scope="module")
def stopped(grid: Grid) -> Grid:
    for name in grid.nodes:
        assert grid.stop(name) == 0
    grid.ledger_is_sound()
    return grid


def verify(grid: Grid, journal: Path) -> VerifiedLedger:
    authority = grid.deployment.authority.read_bytes()
    return verify_ledger(journal, TrustStore.from_pem(authority), DEPLOYMENT)


def alter(journal: Path, folder: Path, *statements: str) -> Path:
    """A copy with the triggers gone and the statements carried out: what somebody with the file can do."""
    copy = folder / "journal.db"
    shutil.copy(journal, copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as db:
        db.execute("DROP TRIGGER ledger_is_not_updated")
        db.execute("DROP TRIGGER ledger_is_not_deleted")
        for statement in statements:
            assert db.execute(statement).rowcount, statement
    return copy


_BODY = """UPDATE ledger SET body = CAST(body || x'00' AS BLOB)
    WHERE entry = (SELECT min(entry) FROM ledger WHERE kind = 'event')"""
_TIME = "UPDATE ledger SET at_ms = at_ms + 1 WHERE entry = 3"
_SUBJECT = "UPDATE ledger SET subject = 'o-2' WHERE kind = 'event'"
_KIND = "UPDATE ledger SET kind = 'note' WHERE kind = 'event'"
_HASH = "UPDATE ledger SET hash = zeroblob(32) WHERE entry = (SELECT max(entry) FROM ledger)"
_MIDDLE = "DELETE FROM ledger WHERE entry = 3"
_TAIL = "DELETE FROM ledger WHERE entry > (SELECT max(entry) FROM ledger) - 3"
_CHECKPOINT = """UPDATE checkpoint SET (entry, hash) =
    (SELECT entry, hash FROM ledger ORDER BY entry DESC LIMIT 1)"""
_INDEX = "DELETE FROM order_event WHERE entry = (SELECT max(entry) FROM order_event)"
ALTERATIONS = {
    "a body": (_BODY,),
    "a time": (_TIME,),
    "a subject": (_SUBJECT,),
    "a kind": (_KIND,),
    "a hash": (_HASH,),
    "a row taken out": (_MIDDLE,),
    "the tail cut off": (_TAIL,),
    "the tail cut off and the checkpoint moved": (_TAIL, _CHECKPOINT),
    "no checkpoint": ("DELETE FROM checkpoint",),
    "the state of an order": ("UPDATE orders SET state = 'cancelled'",),
    "the index of events": (_INDEX,),
}


@pytest.mark.parametrize("name", ["hq", "south", "desk-1", "plant-b"])
@pytest.mark.parametrize("what", ALTERATIONS)
def test_what_was_altered_is_found_in_the_file_alone(
    stopped: Grid, tmp_path: Path, name: str, what: str
) -> None:
    altered = alter(stopped.nodes[name].journal, tmp_path, *ALTERATIONS[what])
    with pytest.raises(LedgerFault):
        verify(stopped, altered)


def test_a_file_with_a_flipped_byte_is_never_verified(stopped: Grid, tmp_path: Path) -> None:
    journal = stopped.nodes["plant-b"].journal
    original = journal.read_bytes()
    event = original.index(b"open the breaker")
    altered = tmp_path / "journal.db"
    altered.write_bytes(original[:event] + b"shut" + original[event + 4 :])
    with pytest.raises(LedgerFault):
        verify(stopped, altered)


@pytest.mark.parametrize(("name", "superior"), [("south", "hq"), ("desk-1", "hq"), ("plant-b", "south")])
def test_a_ledger_that_was_restored_from_an_older_copy_is_found_at_its_superior(
    stopped: Grid, name: str, superior: str
) -> None:
    restored = verify(stopped, older(stopped.nodes[name].journal))  # in itself it is whole
    with pytest.raises(LedgerFault, match=f"'{superior}' saw another entry here: replaced or cut off"):
        compare_ledgers(verify(stopped, stopped.nodes[superior].journal), restored)


def test_a_ledger_of_another_node_is_not_taken_for_this_one(stopped: Grid) -> None:
    assert verify(stopped, stopped.nodes["plant-a"].journal).node == "plant-a"


@pytest.mark.parametrize("restored", ["plant-b", "desk-1"])
def test_a_station_that_comes_back_with_an_older_ledger_gets_no_link(stopped: Grid, restored: str) -> None:
    """Last of the module: it runs the deployment again, with one journal restored from a backup."""
    node = stopped.nodes[restored]
    kept = node.journal.with_name("kept.db")
    shutil.copy(node.journal, kept)
    shutil.copy(older(node.journal), node.journal)
    names = ("hq", "south", restored)
    try:
        said = len(stopped.logged(restored))
        stopped.start(*names)
        stopped.wait_logged(restored, "link refused", "a journal was replaced or restored", after=said)
        assert stopped.link(restored)["state"] != "connected"
    finally:
        for name in names:
            stopped.stop(name)
        shutil.copy(kept, node.journal)
