"""A certificate is revoked while programs run: what lives under it ends within seconds and stays out."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dispatch_server import pki
from dispatch_server.demo.deployment import DEPLOYMENT
from protocol.aio.control import CommandFailed
from protocol.keys import Role
from tests.system.credentials import Issuer, of_node
from tests.system.grid import Grid, Topology, until
from tests.system.orders import Errand

pytestmark = pytest.mark.system

TOPOLOGY: Topology = (
    ("hq", Role.HQ, None),
    ("desk-1", Role.DESK, "hq"),
    ("desk-2", Role.DESK, "hq"),
    ("plant-a", Role.PLANT, "hq"),
    ("plant-b", Role.PLANT, "hq"),
)
PEOPLE = (("wang", Role.DISPATCHER, "desk-1", "hq"), ("chen", Role.DISPATCHER, "desk-2", "hq"))


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[Grid]:
    grid = Grid(tmp_path / "grid", PEOPLE, TOPOLOGY)
    try:
        grid.start()
        grid.wait_linked()
        yield grid
    finally:
        grid.close()


def keys_of(grid: Grid, node: str) -> dict[str, Any]:
    keys: dict[str, Any] = grid.status(node)["keys"]
    return keys


def is_alone(grid: Grid, name: str) -> bool:
    return not grid.has_superior(name)


def test_a_revoked_plant_loses_its_link_within_seconds_and_gets_no_other(grid: Grid, tmp_path: Path) -> None:
    Issuer(grid, tmp_path).revoke(of_node(grid, "plant-a").certificate)
    link = until(lambda: grid.link("plant-a") if grid.link("plant-a")["faults"] else None, "the link ends")
    assert link["last_error"] == "identity: plant-a: the certificate is revoked"
    grid.wait_logged("plant-a", "link ended", "the certificate is revoked")
    until(lambda: grid.link("plant-a")["faults"] >= 2, "it is dialled again and refused again")
    assert (grid.link("plant-a")["sessions"], grid.has_superior("plant-a")) == (1, False)
    for other in ("plant-b", "desk-1"):
        assert (grid.link(other)["state"], grid.link(other)["sessions"]) == ("connected", 1)
    grid.wait_noted("hq", "renewal", what="revocation lists")
    (told,) = keys_of(grid, "hq")["revocations"]
    assert (told["revoked"], told["overdue"]) == (1, False)


def test_a_revoked_superior_is_let_go_by_everybody_below(grid: Grid, tmp_path: Path) -> None:
    Issuer(grid, tmp_path).revoke(of_node(grid, "hq").certificate)
    for name in ("desk-1", "plant-a", "plant-b"):
        grid.wait_logged(name, "link refused", "IDENTITY", "hq: the certificate is revoked")
        until(partial(is_alone, grid, name), f"{name} has no superior")


def test_a_revoked_person_is_logged_out_on_both_sides_and_signs_nothing_more(
    grid: Grid, tmp_path: Path
) -> None:
    for person in ("wang", "chen"):
        grid.log_in(person)
    Errand(grid, "before", "plant-a").draft()
    folder = grid.nodes["desk-1"].folder / "people"
    Issuer(grid, tmp_path).revoke(folder / "wang.crt")
    until(lambda: grid.status("desk-1")["person"] is None, "nobody is logged in at desk-1")
    grid.wait_noted("hq", "identity", action="end-sessions", accepted="True")
    with pytest.raises(CommandFailed, match="nobody is logged in"):
        Errand(grid, "after", "plant-a").draft()
    with pytest.raises(CommandFailed, match="wang: the certificate is revoked"):
        grid.log_in("wang")
    assert grid.status("desk-2")["person"] == "chen"
    Errand(grid, "others", "plant-b", desk="desk-2").draft()
    assert grid.link("desk-1")["sessions"] == 1


def test_a_list_that_is_older_or_not_ours_is_refused_by_name_and_the_one_in_force_stays(
    grid: Grid, tmp_path: Path
) -> None:
    path, now = grid.deployment.revocations, datetime.now(UTC)
    first = shutil.copy(path, tmp_path / "first.crl")
    Issuer(grid, tmp_path).revoke(of_node(grid, "plant-a").certificate)
    grid.wait_link("plant-a", state="waiting")
    shutil.copy(first, path)
    until(lambda: "is older than the one in force" in keys_of(grid, "hq")["last_refusal"], "named: older")
    stranger = pki.create_authority(DEPLOYMENT, now, days=1)
    made = pki.revocation_list(stranger, [], now + timedelta(hours=1), days=1)
    path.write_bytes(pki.certificate_pem(made))
    until(lambda: "not signed by an authority" in keys_of(grid, "hq")["last_refusal"], "named: a stranger's")
    with pytest.raises(CommandFailed, match="not signed by an authority"):
        grid.call("hq", "reload")
    keys = keys_of(grid, "hq")
    assert (keys["refused"], keys["revocations"][0]["revoked"]) == (3, 1)
    assert grid.link("plant-a")["sessions"] == 1
