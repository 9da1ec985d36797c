"""A program with a certificate that does not count, or that is not its own, does not start."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from protocol.keys import Role
from tests.system.credentials import Credentials, Issuer, of_node
from tests.system.grid import WITHIN, Grid, Topology

pytestmark = pytest.mark.system

TOPOLOGY: Topology = (("hq", Role.HQ, None), ("plant-a", Role.PLANT, "hq"), ("plant-b", Role.PLANT, "hq"))


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Grid:
    return Grid(tmp_path_factory.mktemp("own") / "grid", (), TOPOLOGY)


def expired(grid: Grid, issuer: Issuer) -> Credentials:
    return issuer.issue(Role.PLANT, "plant-a", age_days=3)


def revoked(grid: Grid, issuer: Issuer) -> Credentials:
    credentials = issuer.issue(Role.PLANT, "plant-a")
    issuer.revoke(credentials.certificate)
    return credentials


def foreign(grid: Grid, issuer: Issuer) -> Credentials:
    return issuer.issue(Role.PLANT, "plant-a", foreign=True)


def of_another(grid: Grid, issuer: Issuer) -> Credentials:
    return of_node(grid, "plant-b")


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (expired, "plant-a: the certificate is not valid at this time"),
        (revoked, "plant-a: the certificate is revoked"),
        (foreign, "plant-a: the certificate is not issued by this deployment's authority"),
        (of_another, "it names plant 'plant-b', the configuration says plant 'plant-a'"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_plant_does_not_start_with_a_certificate_that_does_not_hold(
    grid: Grid, tmp_path: Path, make: Callable[[Grid, Issuer], Credentials], why: str
) -> None:
    node = grid.nodes["plant-a"]
    credentials = make(grid, Issuer(grid, tmp_path))
    shutil.copy(credentials.certificate, node.folder / "node.crt")
    shutil.copy(credentials.key, node.folder / "node.key")
    grid.processes.start(node)
    try:
        assert grid.processes.of("plant-a").wait(WITHIN) == 1
    finally:
        grid.kill("plant-a")
    assert why in grid.processes.log_of(node).read_text("utf-8").splitlines()[-1]
    assert not node.control.exists()
