"""Logging in at real stations: who may, where, with what, and how often."""

import shutil
from collections.abc import Iterator

import pytest

from protocol.aio.control import CommandFailed
from protocol.keys import Role
from tests.system.grid import Grid, Topology, until
from tests.system.orders import Errand

pytestmark = pytest.mark.system

TOPOLOGY: Topology = (
    ("hq", Role.HQ, None),
    ("desk-1", Role.DESK, "hq"),
    ("plant-a", Role.PLANT, "hq"),
)
PEOPLE = (
    ("wang", Role.DISPATCHER, "desk-1", "hq"),
    ("sun", Role.DISPATCHER, "desk-1", "hq"),
    ("he", Role.OPERATOR, "desk-1", "hq"),
    ("li", Role.OPERATOR, "plant-a", "hq"),
    ("zhou", Role.OPERATOR, "plant-a", "hq"),
)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grid]:
    grid = Grid(tmp_path_factory.mktemp("logins") / "grid", PEOPLE, TOPOLOGY)
    try:
        grid.start()
        grid.wait_linked()
        yield grid
    finally:
        grid.close()


def refusal(grid: Grid, station: str, person: str, code: str, password: str = "") -> CommandFailed:
    """The error with which a login ends."""
    password = password or grid.password(person)
    with pytest.raises(CommandFailed) as failure:
        grid.call(station, "login", person=person, password=password, response=code)
    return failure.value


def test_without_a_login_nothing_is_signed(grid: Grid) -> None:
    with pytest.raises(CommandFailed, match="nobody is logged in here"):
        Errand(grid, "nobody", "plant-a").draft()


def test_one_code_does_not_log_in_and_issue(grid: Grid) -> None:
    code = grid.code("wang")
    grid.call("desk-1", "login", person="wang", password=grid.password("wang"), response=code)
    errand = Errand(grid, "same-code", "plant-a")
    errand.draft()
    with pytest.raises(CommandFailed, match="not accepted") as failure:
        grid.call("desk-1", "issue", order=errand.order, password=grid.password("wang"), response=code)
    assert failure.value.code == "not-accepted"
    grid.wait_noted("hq", "identity", subject="wang", purpose="issue", reasons="code was used before")
    assert errand.state("hq") == "drafted"


def test_a_wrong_code_does_not_log_in(grid: Grid) -> None:
    right = grid.code("sun")
    wrong = f"{(int(right) + 1) % 1_000_000:06}"
    assert refusal(grid, "desk-1", "sun", wrong).code == "not-accepted"
    grid.wait_noted("hq", "identity", subject="sun", purpose="login", reasons="code does not match")


def test_a_wrong_password_does_not_even_open_the_persons_key(grid: Grid) -> None:
    asked = len(grid.noted("hq", "identity"))
    error = refusal(grid, "desk-1", "sun", grid.code("sun"), password="a wrong password")
    assert "the password does not open it" in str(error)
    assert len(grid.noted("hq", "identity")) == asked


def test_an_operator_does_not_work_at_a_desk(grid: Grid) -> None:
    assert refusal(grid, "desk-1", "he", grid.code("he")).code == "wrong-role"
    assert grid.status("desk-1")["person"] != "he"


def test_a_persons_key_that_was_carried_to_another_station_logs_in_nowhere_else(grid: Grid) -> None:
    for kind in ("key", "crt"):
        shutil.copy(
            grid.nodes["desk-1"].folder / f"people/sun.{kind}", grid.nodes["plant-a"].folder / "people"
        )
    error = refusal(grid, "plant-a", "sun", grid.code("sun"))
    assert error.code in {"not-accepted", "wrong-role"}
    assert grid.status("plant-a")["person"] is None


def test_a_person_whose_key_is_elsewhere_does_not_log_in_here(grid: Grid) -> None:
    assert "it is not on this machine" in str(refusal(grid, "desk-1", "li", grid.code("li")))


def test_after_the_logout_nothing_is_signed(grid: Grid) -> None:
    grid.log_in("li")
    assert grid.status("plant-a")["person"] == "li"
    grid.call("plant-a", "logout")
    assert grid.status("plant-a")["person"] is None
    with pytest.raises(CommandFailed, match="there is no order"):
        Errand(grid, "nobody", "plant-a").begin()


def test_nobody_logs_in_while_headquarters_cannot_be_asked(grid: Grid) -> None:
    grid.kill("hq")
    until(lambda: not grid.has_superior("plant-a"), "plant-a knows that headquarters is gone")
    assert "is not connected" in str(refusal(grid, "plant-a", "zhou", grid.code("zhou")))
    grid.start("hq")
    grid.wait_linked()
    grid.log_in("zhou")


def test_no_password_code_or_key_stands_in_any_log_or_ledger(grid: Grid) -> None:
    secrets = [grid.password("wang").encode()]
    for person in ("wang", "sun", "he", "li", "zhou"):
        folder = grid.nodes[grid.deployment.people[person].station].folder
        secrets.append((folder / f"people/{person}.key").read_bytes().split(b'"wrapped": "')[1][:96])
    for node in grid.nodes.values():
        for path in (grid.processes.log_of(node), *node.folder.glob("journal.db*")):
            data = path.read_bytes()
            assert not [secret for secret in secrets if secret in data], path
