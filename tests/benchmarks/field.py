"""A throw-away deployment of up to twenty thousand nodes: `make_field(folder, plants=5_000, desks=8)`.

Each node has an Ed25519 key and a certificate of its own from the deployment's authority, as the product
makes them. Servers (`hq`, and `center-1` when there is a region) get a folder with their key files and,
by `write_server`, a configuration. All nodes below lie in one file, from which responder processes take
them; those that shall run as real programs get a folder by `write_client`.

    field = make_field(folder, plants=500, progress=True)
    with Responders(field) as responders:
        links = field.links("hq", responders.addresses)        # LinkSettings for a Server
        context = field.context("hq")                          # the TLS context that dials
        key, trust = field.signing_key("hq"), field.trust
"""

import os
import resource
import ssl
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgpack
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatch_server import pki
from dispatch_server.config import LinkSettings
from dispatch_server.identity.sealing import create_key_file
from protocol.aio.tls import tls_context
from protocol.keys import Role, SigningKey, TrustStore, parse_certificate
from protocol.limits import Timers

DEPLOYMENT = "bench-grid"
HQ = "hq"
CENTER = "center-1"
_DAYS = 2
_TIMERS = Timers()
_EVERY = 500  # nodes between two lines of progress
_NODES = "nodes.msgpack"
Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Member:
    """A node or a person. `above`: a node's superior, or the station where a person works."""

    name: str
    role: Role
    above: str
    key: bytes = field(repr=False)  # the 32 bytes of an Ed25519 key
    certificate: bytes = field(repr=False)  # DER

    def signing_key(self) -> SigningKey:
        """What signs for it."""
        return SigningKey(Ed25519PrivateKey.from_private_bytes(self.key), parse_certificate(self.certificate))

    def certificate_pem(self) -> bytes:
        """The certificate as PEM text."""
        return ssl.DER_cert_to_PEM_cert(self.certificate).encode()

    def private_pem(self) -> bytes:
        """The key as PKCS #8 PEM text."""
        return pki.private_pem(Ed25519PrivateKey.from_private_bytes(self.key))


class Field:
    """The deployment: its authority, its servers, and everybody below them."""

    def __init__(self, folder: Path, members: Iterable[Member], authority: pki.Authority | None) -> None:
        self.folder = folder
        self.members = {member.name: member for member in members}
        self.authority_path = folder / "authority.crt"
        self.trust = TrustStore.from_pem(self.authority_path.read_bytes())
        self._authority = authority

    @classmethod
    def load(cls, folder: Path) -> "Field":
        """What `save` wrote, without the authority's key."""
        rows = msgpack.unpackb((folder / _NODES).read_bytes())
        return cls(folder, (Member(name, Role(role), *rest) for name, role, *rest in rows), None)

    def save(self) -> None:
        """Write all members for the responders."""
        rows = [(m.name, m.role.value, m.above, m.key, m.certificate) for m in self.members.values()]
        (self.folder / _NODES).write_bytes(msgpack.packb(rows))

    def enrol(self, name: str, role: Role, above: str) -> Member:
        """One more node or person. `above`: see Member."""
        if self._authority is None:
            raise ValueError("the authority's key is not here: enrol before the field is loaded elsewhere")
        key = Ed25519PrivateKey.generate()
        is_person = role in {Role.DISPATCHER, Role.SUPERVISOR, Role.OPERATOR}
        certificate = pki.issue(
            self._authority,
            key.public_key(),
            role,
            name,
            stations=[above] if is_person else [],
            now=datetime.now(UTC),
            days=_DAYS,
        )
        der = certificate.public_bytes(serialization.Encoding.DER)
        self.members[name] = Member(name, role, above, key.private_bytes_raw(), der)
        return self.members[name]

    def below(self, superior: str) -> list[Member]:
        """The nodes that a server dials."""
        roles = {Role.CENTER, Role.DESK, Role.PLANT}
        return [m for m in self.members.values() if m.above == superior and m.role in roles]

    def signing_key(self, name: str) -> SigningKey:
        """What signs for a member."""
        return self.members[name].signing_key()

    def write_keys(self, name: str) -> Path:
        """The folder of one node with `node.key` and `node.crt` in it."""
        folder = self.folder / name
        if not folder.exists():
            folder.mkdir(mode=0o700)
            with os.fdopen(os.open(folder / "node.key", os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(self.members[name].private_pem())
            (folder / "node.crt").write_bytes(self.members[name].certificate_pem())
        return folder

    def context(self, name: str, side: ssl._SSLMethod = ssl.PROTOCOL_TLS_CLIENT) -> ssl.SSLContext:
        """The product's own TLS context of a node."""
        folder = self.write_keys(name)
        return tls_context(side, self.authority_path, folder / "node.crt", folder / "node.key")

    def links(self, superior: str, addresses: Mapping[str, Address]) -> tuple[LinkSettings, ...]:
        """The links of a server to all below it that have an address."""
        return tuple(
            LinkSettings(
                node=member.name,
                role=member.role,
                host=addresses[member.name][0],
                port=addresses[member.name][1],
                serves=tuple(m.name for m in self.below(member.name)),
            )
            for member in self.below(superior)
            if member.name in addresses
        )

    def write_server(
        self,
        name: str,
        addresses: Mapping[str, Address],
        *,
        timers: Timers = _TIMERS,
        listen: Address | None = None,
    ) -> Path:
        """The configuration of `hq` or `center-1`, all postures *normal*. Gives the file's path."""
        folder = self.write_keys(name)
        if not (folder / "identity.key").exists():
            create_key_file(folder / "identity.key", os.urandom(32))
        lines = self._common(name, listen)
        lines += ["[identity]", 'store = "identity.db"', 'key = "identity.key"', "[timers]"]
        lines += [f"poll_interval_ms = {timers.poll_interval_ms}", f"hold_ms = {timers.hold_ms}"]
        # Everything here shares one machine's load: that it is busy must not hold up orders.
        lines += ["[playbook]", 'medium = "normal"', 'high = "normal"', 'major = "normal"']
        for link in self.links(name, addresses):
            lines += ["[[links]]", f'node = "{link.node}"', f'role = "{link.role.value}"']
            lines += [f'host = "{link.host}"', f"port = {link.port}"]
            if link.serves:
                lines.append(f"serves = {list(link.serves)}".replace("'", '"'))
        return _write(folder / "server.toml", lines)

    def write_client(self, name: str, listen: Address) -> Path:
        """The configuration of a desk or plant that shall run as a real program. Gives the file's path."""
        return _write(
            self.write_keys(name) / "client.toml", ['people = "people"', *self._common(name, listen)]
        )

    def _common(self, name: str, listen: Address | None) -> list[str]:
        member = self.members[name]
        lines = [
            f'role = "{member.role.value}"',
            f'node = "{name}"',
            f'deployment = "{DEPLOYMENT}"',
            'journal = "journal.db"',
            'control = "run/control"',
            "[keys]",
            'authority = "../authority.crt"',
            'certificate = "node.crt"',
            'key = "node.key"',
            "[log]",
            'level = "error"',
        ]
        if listen:
            host, port = listen
            lines += ["[listen]", f'superior = "{member.above}"', f'host = "{host}"', f"port = {port}"]
        return lines


def _write(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def make_field(
    folder: Path, *, plants: int = 0, desks: int = 0, region: int = 0, progress: bool = False
) -> Field:
    """`plants` (plant-1 …) and `desks` (desk-1 …, each with dispatcher-1 …) under headquarters.

    `region`: so many plants (far-1 …) under center-1. The first plant of each has an operator. About 0.2 ms
    of one core per node.
    """
    authority = pki.create_authority(DEPLOYMENT, datetime.now(UTC), _DAYS)
    (folder / "authority.crt").write_bytes(pki.certificate_pem(authority.certificate))
    made = Field(folder, (), authority)
    wanted = [(HQ, Role.HQ, "")]
    wanted += [(CENTER, Role.CENTER, HQ)] if region else []
    wanted += [(f"plant-{n + 1}", Role.PLANT, HQ) for n in range(plants)]
    wanted += [(f"far-{n + 1}", Role.PLANT, CENTER) for n in range(region)]
    for n in range(desks):
        wanted += [(f"desk-{n + 1}", Role.DESK, HQ), (dispatcher_of(n + 1), Role.DISPATCHER, f"desk-{n + 1}")]
    wanted += [("operator-plant-1", Role.OPERATOR, "plant-1")] if plants else []
    wanted += [("operator-far-1", Role.OPERATOR, "far-1")] if region else []
    for done, (name, role, above) in enumerate(wanted, 1):
        made.enrol(name, role, above)
        if progress and (done % _EVERY == 0 or done == len(wanted)):
            tell(f"keys and certificates: {done} of {len(wanted)}", last=done == len(wanted))
    made.save()
    return made


def dispatcher_of(desk: int) -> str:
    """The dispatcher who works at desk number `desk`."""
    return f"dispatcher-{desk}"


def tell(text: str, *, last: bool = True) -> None:
    """A line of progress on standard error: tables and JSON go to standard output."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="\n" if last else "", file=sys.stderr, flush=True)
    elif last:
        print(text, file=sys.stderr, flush=True)


def raise_descriptor_limit() -> int:
    """As many descriptors as this process may have; gives their number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
