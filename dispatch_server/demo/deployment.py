"""Makes a whole deployment in a folder: the same steps that an installer would take, all secrets fresh."""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatch_server import pki
from dispatch_server.config import ZONE
from dispatch_server.demo.token import SoftwareToken
from dispatch_server.identity.admin import IdentityAdmin
from dispatch_server.identity.passwords import Argon2Parameters
from dispatch_server.identity.sealing import create_key_file, read_key_file
from dispatch_server.identity.store import IdentityStore
from protocol.aio.node import wall_ms
from protocol.keys import Role

DEPLOYMENT = "demo-grid"
_DAYS = 1
_PORTS = range(21_000, 32_000)  # below those that Linux gives to outgoing connections (ip_local_port_range)


@dataclass(frozen=True, slots=True)
class Node:
    """One process of the deployment."""

    name: str
    role: Role
    folder: Path
    superior: str | None
    port: int

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.folder / "config.toml"

    @property
    def control(self) -> Path:
        """Its control socket."""
        return self.folder / "run" / "control"

    @property
    def journal(self) -> Path:
        """Its ledger."""
        return self.folder / "journal.db"

    @property
    def is_server(self) -> bool:
        """Whether dispatch-server runs it."""
        return self.role in {Role.HQ, Role.CENTER}


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """Somebody who works in the demo. The password exists in this process only."""

    name: str
    display: str
    role: Role
    station: str
    authority: str
    password: str = field(repr=False)


@dataclass(slots=True)
class Deployment:
    """Where everything lies."""

    folder: Path
    authority: Path
    revocations: Path
    nodes: dict[str, Node]
    people: dict[str, DemoPerson]
    tokens: dict[str, SoftwareToken] = field(default_factory=dict, repr=False)


_TOPOLOGY = (
    ("hq", Role.HQ, None),
    ("south", Role.CENTER, "hq"),
    ("desk-1", Role.DESK, "hq"),
    ("plant-a", Role.PLANT, "hq"),
    ("plant-b", Role.PLANT, "south"),
)
_PEOPLE = (
    ("wang", "Wang 王", Role.DISPATCHER, "desk-1", "hq"),
    ("li", "Li 李", Role.OPERATOR, "plant-a", "hq"),
    ("zhao", "Zhao 赵", Role.OPERATOR, "plant-b", "south"),
)


def make_deployment(
    folder: Path,
    *,
    topology: Sequence[tuple[str, Role, str | None]] = _TOPOLOGY,
    people: Sequence[tuple[str, str, Role, str, str]] = _PEOPLE,
    authority: pki.Authority | None = None,
) -> Deployment:
    """Make keys, certificates, people and configuration files below `folder` (which must be private).

    `topology`: name, role, superior of each node. `people`: name, display name, role, station, and the server
    that knows them. `authority`: a new one is made, and forgotten, if none is given.
    """
    ports = _free_ports(len(topology))
    nodes = {
        name: Node(name, role, folder / name, superior, port)
        for (name, role, superior), port in zip(topology, ports, strict=True)
    }
    known = {
        name: DemoPerson(name, display, role, station, server, secrets.token_urlsafe(18))
        for name, display, role, station, server in people
    }
    deployment = Deployment(folder, folder / "authority.crt", folder / "revocations.crl", nodes, known)
    now = datetime.now(UTC)
    authority = authority or pki.create_authority(DEPLOYMENT, now, _DAYS)
    deployment.authority.write_bytes(pki.certificate_pem(authority.certificate))
    deployment.revocations.write_bytes(pki.certificate_pem(pki.revocation_list(authority, [], now, _DAYS)))
    for node in nodes.values():
        _make_node(deployment, authority, node, now)
    _make_people(deployment, authority, now)
    return deployment


def _free_ports(count: int) -> list[int]:
    """Ports that nobody uses now and that no outgoing connection can take before our programs do."""
    free: set[int] = set()
    while len(free) < count:
        port = _PORTS[secrets.randbelow(len(_PORTS))]
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            free.add(port)
    return list(free)


def _make_node(deployment: Deployment, authority: pki.Authority, node: Node, now: datetime) -> None:
    node.folder.mkdir(mode=0o700)
    key = Ed25519PrivateKey.generate()
    certificate = pki.issue(authority, key.public_key(), node.role, node.name, now=now, days=_DAYS)
    write_private(node.folder / "node.key", pki.private_pem(key))
    (node.folder / "node.crt").write_bytes(pki.certificate_pem(certificate))
    node.config.write_text(_config(deployment, node), "utf-8")
    if node.is_server:
        create_key_file(node.folder / "identity.key", os.urandom(32))


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that only its owner may read."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)


def _config(deployment: Deployment, node: Node) -> str:
    lines = [
        f'role = "{node.role.value}"',
        f'node = "{node.name}"',
        *_zone(deployment, node),
        f'deployment = "{DEPLOYMENT}"',
        'journal = "journal.db"',
        'control = "run/control"',
        "telemetry_interval_s = 0.5",
        *(() if node.is_server else ('people = "people"',)),
        "[keys]",
        'authority = "../authority.crt"',
        'revocations = "../revocations.crl"',
        'certificate = "node.crt"',
        'key = "node.key"',
        "[log]",
        'format = "json"',
    ]
    if node.superior:
        lines += ["[listen]", f'superior = "{node.superior}"', 'host = "127.0.0.1"', f"port = {node.port}"]
    if node.is_server:
        lines += ["[identity]", 'store = "identity.db"', 'key = "identity.key"']
        lines += ["[timers]", "poll_interval_ms = 1000", "hold_ms = 400"]
        # All nodes share this machine's load: that it is busy must not hold up orders.
        lines += ["[playbook]", 'medium = "normal"', 'high = "normal"', 'major = "held"']
        for child in deployment.nodes.values():
            if child.superior == node.name:
                lines += _link(deployment, child)
    return "\n".join(lines) + "\n"


def _link(deployment: Deployment, child: Node) -> list[str]:
    serves = _ways(deployment, child)
    lines = ["[[links]]", f'node = "{child.name}"', f'role = "{child.role.value}"']
    lines += ['host = "127.0.0.1"', f"port = {child.port}"]
    lines += _zone(deployment, child)
    return lines + ([f"serves = {serves}".replace("'", '"')] if serves else [])


def _ways(deployment: Deployment, center: Node) -> list[str]:
    """The plants behind a center, those behind its sub-centers with these before their names."""
    below = [node for node in deployment.nodes.values() if node.superior == center.name]
    return [node.name for node in below if not node.is_server] + [
        f"{node.name}/{way}" for node in below if node.is_server for way in _ways(deployment, node)
    ]


def _zone(deployment: Deployment, node: Node) -> list[str]:
    """Below the first center each further one has a zone of its own; the others have that of their role."""
    superior = deployment.nodes.get(node.superior or "")
    depth = 0
    while node.role is Role.CENTER and superior and superior.role is Role.CENTER:
        depth += 1
        superior = deployment.nodes.get(superior.superior or "")
    return [f"zone = {ZONE[Role.CENTER] - depth}"] if depth else []


def _make_people(deployment: Deployment, authority: pki.Authority, now: datetime) -> None:
    """Each person's key is made by the client program; only the request comes to the authority."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for person in deployment.people.values():
            running[person.name] = _start_key_maker(deployment, person)
        for name, maker in running.items():
            _take_request(deployment, authority, deployment.people[name], maker, now)
    finally:
        for maker in running.values():
            maker.kill()
            maker.wait()


def _take_request(
    deployment: Deployment,
    authority: pki.Authority,
    person: DemoPerson,
    maker: "subprocess.Popen[bytes]",
    now: datetime,
) -> None:
    name, folder = person.name, deployment.nodes[person.station].folder / "people"
    _, error = maker.communicate(f"{person.password}\n{person.password}\n".encode(), timeout=60)
    if maker.returncode:
        raise RuntimeError(f"dispatch-client key new failed: {error.decode(errors='replace').strip()}")
    public = pki.read_request((folder / f"{name}.csr").read_bytes())
    certificate = pki.issue(
        authority, public, person.role, name, stations=[person.station], now=now, days=_DAYS
    )
    (folder / f"{name}.crt").write_bytes(pki.certificate_pem(certificate))
    deployment.tokens[name] = enrol(deployment, person, Argon2Parameters())


def _start_key_maker(deployment: Deployment, person: DemoPerson) -> "subprocess.Popen[bytes]":
    folder = deployment.nodes[person.station].folder / "people"
    command = [sys.executable, "-m", "dispatch_client", "key", "new"]
    return subprocess.Popen(  # noqa: S603 - our own program, no shell
        [*command, "--person", person.name, "--folder", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def enrol(deployment: Deployment, person: DemoPerson, cost: Argon2Parameters) -> SoftwareToken:
    """Make a person known to their server, as an administrator would. Raises IdentityError."""
    folder = deployment.nodes[person.authority].folder
    store = IdentityStore(folder / "identity.db", read_key_file(folder / "identity.key"), os.urandom)
    try:
        admin = IdentityAdmin(
            store,
            cost,
            actor="demo",
            issuer=DEPLOYMENT,
            wall_ms=wall_ms,
            random_bytes=os.urandom,
            audit=lambda _record: None,
        )
        given = admin.add_person(
            person.name, person.role.value, person.display, person.password, stations=[person.station]
        )
    finally:
        store.close()
    return SoftwareToken.from_uri(given.uri)
