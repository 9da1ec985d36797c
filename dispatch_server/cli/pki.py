"""dispatch-server pki: the deployment's certificate authority."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatch_server import pki
from dispatch_server.cli.authority import AuthorityFolder, Row, write_new
from protocol.keys import Role
from protocol.terminal.options import JsonOption, language_of, name
from protocol.terminal.person import new_secret, secret
from protocol.terminal.program import Refused, command_group
from protocol.terminal.screen import tell, tell_json
from protocol.terminal.tables import ABNORMAL, cell, show, table
from protocol.texts import SENTENCES, say

app = command_group("The deployment's certificate authority. Keep its folder on a machine without network.")

FolderOption = Annotated[Path, typer.Option("--folder", help="The authority's folder.")]
NameOption = Annotated[str, typer.Option("--name", parser=name)]
RenewOption = Annotated[bool, typer.Option("--renew", help="Beside a certificate that still counts.")]
DaysOption = Annotated[int, typer.Option("--days", min=1, max=36_500, help="How long it is valid.")]
_FOLDER = Path("authority")


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _ask(sentence: str) -> str:
    return say(SENTENCES[sentence], language_of(None))


def _unlock(authority: AuthorityFolder) -> pki.Authority:
    return authority.unlock(secret(_ask("passphrase")))


@app.command()
def init(
    deployment: Annotated[str, typer.Option(parser=name, help="The deployment's name.")],
    *,
    folder: FolderOption = _FOLDER,
    days: DaysOption = 3650,
) -> None:
    """Make the authority: certificate, encrypted key, empty revocation list, index."""
    if (folder / "authority.key").exists():
        raise Refused(f"{folder}: there is an authority already; it is never overwritten")
    passphrase = new_secret(_ask("passphrase"), _ask("passphrase again"))
    AuthorityFolder.create(folder, deployment, passphrase, _now(), days)
    tell(f"{folder}: authority of {deployment}. Back this folder up; keep the passphrase apart from it.")


@app.command()
def node(
    role: Annotated[Literal["hq", "center", "desk", "plant"], typer.Option()],
    node_name: NameOption,
    out: Annotated[Path, typer.Option(help="Where to put its files; then carry them to the node.")],
    *,
    folder: FolderOption = _FOLDER,
    days: DaysOption = 365,
    renew: RenewOption = False,
) -> None:
    """Make a node's key and certificate."""
    if (out / "node.key").exists():
        raise Refused(f"{out}: there is a node's key already; it is never overwritten: choose another folder")
    authority = AuthorityFolder(folder)
    opened = _unlock(authority)
    key = Ed25519PrivateKey.generate()
    certificate = authority.issue(
        opened, key.public_key(), Role(role), node_name, now=_now(), days=days, renew=renew
    )
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_new(out / "node.key", pki.private_pem(key))
    (out / "node.crt").write_bytes(certificate)
    for public in authority.public_files():
        (out / public.name).write_bytes(public.read_bytes())
    tell(f"{out}: node.key, node.crt, authority.crt, revocations.crl of {role} {node_name}")


@app.command()
def person(
    role: Annotated[Literal["dispatcher", "supervisor", "operator"], typer.Option()],
    person_name: NameOption,
    station: Annotated[
        list[str], typer.Option(help="A desk or plant where the person works; may be repeated.")
    ],
    request: Annotated[
        Path, typer.Option(help="The .csr that the person made with dispatch-client key new.")
    ],
    out: Annotated[Path, typer.Option(help="Where to write the certificate.")],
    *,
    folder: FolderOption = _FOLDER,
    days: DaysOption = 365,
    renew: RenewOption = False,
) -> None:
    """Certify a person's key. Make sure first that the request came from that person."""
    stations = tuple(name(text) for text in station)
    if out.exists():
        raise Refused(f"{out}: it exists already and is never overwritten")
    key = pki.read_request(request.read_bytes(), person_name)
    authority = AuthorityFolder(folder)
    opened = _unlock(authority)
    certificate = authority.issue(
        opened, key, Role(role), person_name, stations=stations, now=_now(), days=days, renew=renew
    )
    out.write_bytes(certificate)
    tell(f"{out}: {role} {person_name} at {', '.join(stations)}. Put it beside the person's key.")


@app.command()
def revoke(
    *,
    folder: FolderOption = _FOLDER,
    holder: Annotated[
        str | None, typer.Option("--name", parser=name, help="All certificates of a name.")
    ] = None,
    serial: Annotated[str | None, typer.Option(help="One certificate, as `pki list` shows it.")] = None,
) -> None:
    """Revoke certificates from now on; then carry revocations.crl to every node."""
    if (holder is None) == (serial is None):
        raise typer.BadParameter("say either --name or --serial")
    authority = AuthorityFolder(folder)
    wanted = [
        row
        for row in authority.rows
        if row.revoked is None and (row.issued.name == holder or row.issued.serial == (serial or "").lower())
    ]
    if not wanted:
        raise Refused(
            f"{holder or serial}: nothing that is not revoked already; see: dispatch-server pki list"
        )
    authority.revoke(_unlock(authority), wanted, _now())
    for row in wanted:
        tell(f"revoked: {row.issued.role.value} {row.issued.name}, serial {row.issued.serial}")
    _carry(folder)


def _carry(folder: Path) -> None:
    tell(f"Carry {folder / 'revocations.crl'} to every node: a program that runs takes it within seconds.")


@app.command()
def refresh(*, folder: FolderOption = _FOLDER) -> None:
    """Make the revocation list anew, with the same content, before it runs out."""
    authority = AuthorityFolder(folder)
    authority.revoke(_unlock(authority), [], _now())
    _carry(folder)


@app.command(name="list")
def list_certificates(*, folder: FolderOption = _FOLDER, as_json: JsonOption = False) -> None:
    """List every certificate ever issued."""
    authority, now = AuthorityFolder(folder), _now()
    if as_json:
        tell_json(
            [row.issued.model_dump(mode="json") | {"state": _state(row, now)} for row in authority.rows]
        )
        return
    made = table(authority.deployment, ("name", "role", "stations", "valid until", "state", "serial"))
    for row in authority.rows:
        issued, state = row.issued, _state(row, now)
        made.add_row(
            cell(issued.name),
            cell(issued.role.value),
            cell(" ".join(issued.stations)),
            cell(issued.not_after.date()),
            cell(state, "" if state == "valid" else ABNORMAL),
            cell(issued.serial),
        )
    show(made)


def _state(row: Row, now: datetime) -> str:
    if row.revoked:
        return "revoked"
    return "valid" if row.counts(now) else "expired"
