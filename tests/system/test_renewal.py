"""Keys, authorities and addresses change while programs run: links stay up, the next ones use what is new."""

import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from dispatch_server import pki
from dispatch_server.demo.deployment import DEPLOYMENT, _free_ports
from protocol.aio.control import CommandFailed
from protocol.keys import Role
from tests.system.credentials import Credentials, Issuer, of_node
from tests.system.grid import Grid, Topology, until
from tests.system.orders import Errand

pytestmark = pytest.mark.system

TOPOLOGY: Topology = (
    ("hq", Role.HQ, None),
    ("south", Role.CENTER, "hq"),
    ("desk-1", Role.DESK, "hq"),
    ("plant-a", Role.PLANT, "hq"),
    ("plant-b", Role.PLANT, "south"),
)
PEOPLE = (("wang", Role.DISPATCHER, "desk-1", "hq"), ("li", Role.OPERATOR, "plant-a", "hq"))
BELOW_HQ = {"south", "desk-1", "plant-a"}


@pytest.fixture
def grid(tmp_path: Path) -> Iterator[Grid]:
    grid = Grid(tmp_path / "grid", PEOPLE, TOPOLOGY)
    try:
        grid.start()
        grid.wait_linked()
        yield grid
    finally:
        grid.close()


def put(grid: Grid, name: str, credentials: Credentials) -> None:
    """Put key and certificate in the place of the node's own."""
    shutil.copy(credentials.certificate, grid.nodes[name].folder / "node.crt")
    shutil.copy(credentials.key, grid.nodes[name].folder / "node.key")


def old_of(grid: Grid, name: str, tmp_path: Path) -> Path:
    """A copy of the certificate that the node has now."""
    return Path(shutil.copy(of_node(grid, name).certificate, tmp_path / f"old-{name}.crt"))


def polled_on(grid: Grid, name: str, before: int) -> bool:
    return bool(grid.link(name)["polls"] > before + 1)


def came_back(grid: Grid, name: str) -> bool:
    return bool(grid.link(name)["sessions"] >= 2)


def test_a_renewed_key_cuts_no_link_and_the_next_link_uses_it(grid: Grid, tmp_path: Path) -> None:
    """A plant's, a center's, headquarters' own: one after the other."""
    issuer, old = Issuer(grid, tmp_path), list[Path]()
    for name, touched in (("plant-a", {"plant-a"}), ("south", {"south", "plant-b"}), ("hq", BELOW_HQ)):
        before = {node.name: grid.link(node.name) for node in grid.nodes.values() if node.superior}
        old.append(old_of(grid, name, tmp_path))
        put(grid, name, issuer.issue(grid.nodes[name].role, name))
        told = grid.call(name, "reload")
        assert (told["key"], told["revocations"]) == (True, False)
        for below, link in before.items():
            until(partial(polled_on, grid, below, link["polls"]), f"{below} is polled on")
            assert grid.link(below)["sessions"] == link["sessions"]
        issuer.revoke(*old)  # whoever shows the old one is cut off now, and must come back with the new one
        for below, link in before.items():
            again = link["sessions"] + (below in touched)
            assert grid.wait_link(below, state="connected", sessions=again)["last_error"] == ""
    grid.log_in("wang")
    grid.log_in("li")
    Errand(grid, "under-the-new-key", "plant-a").deliver("wang").carry_out()
    grid.close()
    grid.ledger_is_sound()


def test_an_unusable_pair_is_refused_by_name_and_the_old_one_goes_on(grid: Grid, tmp_path: Path) -> None:
    issuer, folder = Issuer(grid, tmp_path), grid.nodes["plant-a"].folder
    own = Credentials(
        old_of(grid, "plant-a", tmp_path),
        Path(shutil.copy(folder / "node.key", tmp_path / "own.key")),
        folder,
    )
    serial = grid.status("plant-a")["keys"]["serial"]
    other = issuer.issue(Role.PLANT, "plant-a")
    for made, why in (
        (
            Credentials(other.certificate, own.key, folder),
            "the private key does not belong to the certificate",
        ),
        (
            issuer.issue(Role.PLANT, "plant-b"),
            "it names plant 'plant-b', the configuration says plant 'plant-a'",
        ),
        (
            issuer.issue(Role.PLANT, "plant-a", age_days=3),
            "plant-a: the certificate is not valid at this time",
        ),
        (issuer.issue(Role.PLANT, "plant-a", foreign=True), "not issued by this deployment's authority"),
    ):
        put(grid, "plant-a", made)
        with pytest.raises(CommandFailed, match=why):
            grid.call("plant-a", "reload")
        assert why in grid.status("plant-a")["keys"]["last_refusal"]
    assert grid.status("plant-a")["keys"]["serial"] == serial
    assert grid.link("plant-a")["sessions"] == 1
    put(grid, "plant-a", own)
    grid.processes.of("plant-a").send_signal(signal.SIGHUP)
    until(lambda: grid.status("plant-a")["keys"]["last_refusal"] == "", "SIGHUP reloads as the command does")


def test_an_authority_is_replaced_by_way_of_both(grid: Grid, tmp_path: Path) -> None:
    """The new one has the name of the old one, as it happens in a deployment."""
    now, authority = datetime.now(UTC), grid.deployment.authority
    old = authority.read_bytes()
    lists = grid.deployment.revocations.read_bytes()
    grid.authority = pki.create_authority(DEPLOYMENT, now, days=1)
    new = pki.certificate_pem(grid.authority.certificate)
    authority.write_bytes(old + new)
    grid.deployment.revocations.write_bytes(
        lists + pki.certificate_pem(pki.revocation_list(grid.authority, [], now, days=1))
    )
    for name in grid.nodes:
        told = grid.call(name, "reload")["keys"]
        assert (told["authorities"], len(told["revocations"])) == (2, 2)
    issuer = Issuer(grid, tmp_path)
    for name in grid.nodes:
        put(grid, name, issuer.issue(grid.nodes[name].role, name))
        assert grid.call(name, "reload")["key"]
    assert all(grid.link(node.name)["sessions"] == 1 for node in grid.nodes.values() if node.superior)
    authority.write_bytes(new)
    issuer.revoke()  # a list of the new authority alone
    for name in grid.nodes:
        assert grid.call(name, "reload")["keys"]["authorities"] == 1
    for node in grid.nodes.values():
        if node.superior:
            until(partial(came_back, grid, node.name), f"{node.name} comes back")
    grid.wait_linked()


def test_a_plant_that_moved_is_dialled_at_its_new_address_and_nothing_else_is_taken_over(grid: Grid) -> None:
    hq, plant = grid.nodes["hq"], grid.nodes["plant-a"]
    (port,) = _free_ports(1)
    text = hq.config.read_text("utf-8")
    hq.config.write_text(text.replace("hold_ms = 400", "hold_ms = 300").replace(f"{plant.port}", f"{port}"))
    with pytest.raises(CommandFailed, match=r"this changes: timers\. Restart for that"):
        grid.call("hq", "reload")
    assert grid.link("plant-a")["sessions"] == 1
    hq.config.write_text(text.replace(f"port = {plant.port}", f"port = {port}"))
    grid.stop("plant-a")
    plant.config.write_text(plant.config.read_text("utf-8").replace(f"port = {plant.port}", f"port = {port}"))
    grid.start("plant-a")
    assert grid.call("hq", "reload")["moved"] == [f"plant-a: 127.0.0.1:{port}"]
    grid.wait_link("plant-a", state="connected", sessions=2)
    assert [grid.link(other)["sessions"] for other in ("south", "desk-1")] == [1, 1]
