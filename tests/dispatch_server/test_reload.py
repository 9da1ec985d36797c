"""dispatch_server/reload.py: addresses alone are taken over, and everything ends that counts no longer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from dispatch_server.config import LinkSettings, load_server_settings
from dispatch_server.identity.errors import SessionRefused
from dispatch_server.links.channel import Channel
from dispatch_server.links.link import Dial
from dispatch_server.reload import Addresses, recheck
from protocol.errors import ConfigurationRefused, LinkError, WireCode
from tests.dispatch_server.identity.support import NODE, World
from tests.protocol.parties import AUTHORITY, DISPATCHER, PLANT
from tests.support.pki import NOW_MS

CONFIG = """
role = "hq"
node = "hq"
deployment = "test-grid"
journal = "journal.db"
control = "run/control"
[keys]
authority = "authority.crt"
certificate = "node.crt"
key = "node.key"
[identity]
store = "identity.db"
key = "identity.key"
[timers]
hold_ms = 400
[[links]]
node = "plant-a"
role = "plant"
host = "192.0.2.1"
[[links]]
node = "south"
role = "center"
host = "south.example"
port = 20881
serves = ["plant-b"]
"""


async def nowhere() -> Channel:
    raise ConnectionRefusedError


class LinkStandIn:
    """What happens to a link."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.dial: Dial = nowhere
        self.ended: list[LinkError] = []
        self.rechecks = 0

    def hang_up(self, error: LinkError) -> None:
        self.ended.append(error)

    def recheck(self) -> None:
        self.rechecks += 1


class Desk:
    """A configuration with its links. `dials`: what each dial was made for."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config.toml"
        self.path.write_text(CONFIG, "utf-8")
        self.links = {name: LinkStandIn(name) for name in ("south", "plant-a")}
        self.dials: dict[Dial, tuple[str, str, int]] = {}
        settings = load_server_settings(self.path)
        self.addresses = Addresses(self.path, settings, self.links.values(), self._dial)

    def _dial(self, link: LinkSettings) -> Dial:
        async def dial() -> Channel:
            raise ConnectionRefusedError

        self.dials[dial] = (link.node, link.host, link.port)
        return dial

    def leads(self, node: str) -> tuple[str, str, int] | None:
        """Where the link leads, if that was changed."""
        return self.dials.get(self.links[node].dial)

    def change(self, *pairs: tuple[str, str]) -> None:
        text = CONFIG
        for old, new in pairs:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        self.path.write_text(text, "utf-8")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_node_that_moved_is_dialled_there_at_once_and_the_others_are_left_alone(desk: Desk) -> None:
    desk.change(("192.0.2.1", "192.0.2.9"))
    put = desk.addresses.read()
    assert desk.leads("plant-a") is None  # nothing before it is put in force
    assert put() == ["plant-a: 192.0.2.9:20880"]
    assert desk.leads("plant-a") == ("plant-a", "192.0.2.9", 20880)
    (why,) = desk.links["plant-a"].ended
    assert (why.code, why.detail) == (WireCode.REPLACED, "it is dialled at 192.0.2.9:20880 from now on")
    assert (desk.leads("south"), desk.links["south"].ended) == (None, [])
    assert desk.addresses.read()() == []
    desk.change()
    assert desk.addresses.read()() == ["plant-a: 192.0.2.1:20880"]


def test_a_port_is_an_address_too_and_several_may_move_at_once(desk: Desk) -> None:
    desk.change(("192.0.2.1", "192.0.2.9"), ("20881", "20882"))
    assert desk.addresses.read()() == ["plant-a: 192.0.2.9:20880", "south: south.example:20882"]


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("hold_ms = 400", "hold_ms = 300", "timers"),
        ('serves = ["plant-b"]', "serves = []", "links"),
        ('node = "plant-a"', 'node = "plant-c"', "links"),
        ('certificate = "node.crt"', 'certificate = "other.crt"', "keys"),
        ("[timers]", "[log]\nlevel = 'debug'\n[timers]", "log"),
        ('[[links]]\nnode = "plant-a"\nrole = "plant"\nhost = "192.0.2.1"\n', "", "links"),
    ],
)
def test_any_other_change_is_refused_by_name_together_with_a_new_address(
    desk: Desk, old: str, new: str, named: str
) -> None:
    desk.change((old, new), ("south.example", "192.0.2.77"))
    with pytest.raises(ConfigurationRefused, match=f"this changes: {named}") as caught:
        desk.addresses.read()
    assert "Restart for that" in caught.value.remedy
    assert desk.dials == {}
    assert all(link.ended == [] for link in desk.links.values())


@pytest.mark.parametrize("text", ["role = ", CONFIG.replace("south.example", ""), CONFIG + "[more]\n"])
def test_a_file_that_would_not_start_is_refused(desk: Desk, text: str) -> None:
    desk.path.write_text(text, "utf-8")
    with pytest.raises(ConfigurationRefused):
        desk.addresses.read()


# --- what ends ---


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    world.add("li")
    world.add("wang")
    world.add("plant-1")  # names are unique in a deployment, but not this store's to know
    yield world
    world.store.close()


async def test_every_link_is_looked_at_and_who_is_revoked_is_logged_out(world: World) -> None:
    world.clock.ms = NOW_MS - 100_000
    revoked = await world.login("li")
    others = [await world.login(person) for person in ("wang", "plant-1")]
    world.clock.ms = NOW_MS
    trust = AUTHORITY.trust()
    for holder in (DISPATCHER, PLANT):  # both were met before
        trust.identify(holder.certificate.der, NOW_MS)
    trust.renew(AUTHORITY.trust(DISPATCHER, PLANT).anchors)
    links = [LinkStandIn(f"plant-{number}") for number in range(600)]
    await recheck(links, trust, world.service)
    assert {link.rechecks for link in links} == {1}
    with pytest.raises(SessionRefused, match="revoked"):
        world.service.check_session(revoked.session_id, "li", NODE, NOW_MS - 1_000)
    for other in others:
        world.service.check_session(other.session_id, other.person, NODE, NOW_MS - 1_000)
    assert [record.person for record in world.audit if record.action == "end-sessions"] == ["li"]
