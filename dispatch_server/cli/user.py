"""dispatch-server user: who may log in at this server, with which second factor.

Every change, also a refused one, is a line in a file beside the store: the ledger belongs to the running
server alone, and people are also added while it is down.
"""

import json
import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dispatch_server.config import ServerSettings, load_server_settings
from dispatch_server.identity.admin import IdentityAdmin, Provisioned
from dispatch_server.identity.audit import AuditRecord
from dispatch_server.identity.lockout import UNTIL_UNLOCKED
from dispatch_server.identity.passwords import MIN_NEW_CHARACTERS, Argon2Parameters
from dispatch_server.identity.records import Person
from dispatch_server.identity.sealing import KEY_BYTES, create_key_file, read_key_file
from dispatch_server.identity.store import IdentityStore
from protocol.aio.node import wall_ms
from protocol.keys import Role
from protocol.settings import resolve
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption, language_of, name
from protocol.terminal.person import new_secret
from protocol.terminal.program import Refused, command_group
from protocol.terminal.screen import local_time, tell, tell_json
from protocol.terminal.tables import ABNORMAL, cell, show, table
from protocol.texts import ROLES, SENTENCES, Language, say

app = command_group("Who may log in at this server. Run it under the account that runs the server.")

PersonArgument = Annotated[str, typer.Argument(parser=name, metavar="PERSON")]


def _paths(config: Path) -> tuple[ServerSettings, Path, Path]:
    settings = load_server_settings(config)
    base = config.absolute().parent
    return settings, resolve(base, settings.identity.store), resolve(base, settings.identity.key)


@contextmanager
def _admin(config: Path) -> Iterator[IdentityAdmin]:
    """Raises StoreRefused, ConfigurationRefused."""
    settings, store_path, key_path = _paths(config)
    store = IdentityStore(store_path, read_key_file(key_path), os.urandom)
    try:
        yield IdentityAdmin(
            store,
            Argon2Parameters(),
            actor=pwd.getpwuid(os.getuid()).pw_name,
            issuer=settings.deployment,
            wall_ms=wall_ms,
            random_bytes=os.urandom,
            audit=_audit_to(store_path.with_suffix(".audit.jsonl")),
        )
    finally:
        store.close()


def _audit_to(path: Path) -> Callable[[AuditRecord], None]:
    def write(record: AuditRecord) -> None:
        line = {
            "at_ms": record.at_ms,
            "action": record.action,
            "by": record.node,
            "person": record.person,
            "accepted": record.accepted,
            "reasons": record.reasons,
        }
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    return write


def _new_password(lang: Language | None) -> str:
    language = language_of(lang)
    first, again = (say(SENTENCES[key], language) for key in ("password", "password again"))
    return new_secret(first, again, at_least=MIN_NEW_CHARACTERS)


@app.command()
def init(config: ConfigOption) -> None:
    """Make the key that seals second factors, and an empty store. Does nothing to what is there."""
    _, store_path, key_path = _paths(config)
    if store_path.exists() and not key_path.exists():
        raise Refused(f"{key_path}: the store's key is gone; a new one would not open it: restore the backup")
    for folder in (key_path.parent, store_path.parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not key_path.exists():
        create_key_file(key_path, os.urandom(KEY_BYTES))
    IdentityStore(store_path, read_key_file(key_path), os.urandom).close()
    tell(f"{store_path}: ready. Back up {key_path} apart from it.")


@app.command()
def add(
    person: PersonArgument,
    config: ConfigOption,
    role: Annotated[Literal["dispatcher", "supervisor", "operator"], typer.Option()],
    display: Annotated[str, typer.Option("--name", help="The name that people know.")],
    station: Annotated[
        list[str], typer.Option(help="A desk or plant where the person may act; may be repeated.")
    ],
    *,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Add a person: asks for a password twice, and shows the secret of the second factor once."""
    stations = tuple(name(text) for text in station)
    with _admin(config) as admin:
        _show_secret(
            admin.add_person(person, role, display, _new_password(lang), stations=stations), as_json=as_json
        )


def _show_secret(given: Provisioned, *, as_json: bool) -> None:
    if as_json:
        tell_json({"person": given.person, "uri": given.uri})
        return
    tell(f"{given.person}: put this into the authenticator app now; it is not shown again:")
    tell(given.uri)


@app.command(name="list")
def list_persons(config: ConfigOption, *, as_json: JsonOption = False, lang: LanguageOption = None) -> None:
    """List who may log in here, and who is locked."""
    with _admin(config) as admin:
        persons = admin.persons()
    if as_json:
        tell_json([_facts(person) for person in persons])
        return
    made = table("", ("person", "name", "role", "stations", "factors", "state", "failures"))
    for person in persons:
        state = _state(person)
        made.add_row(
            cell(person.person),
            cell(person.display_name),
            cell(say(ROLES[Role(person.role)], language_of(lang))),
            cell(" ".join(sorted(person.stations))),
            cell(" ".join(person.factors)),
            cell(state, "" if state == "enabled" else ABNORMAL),
            cell(person.lockout.failures),
        )
    show(made)


def _facts(person: Person) -> dict[str, Any]:
    return {
        "person": person.person,
        "name": person.display_name,
        "role": person.role,
        "stations": sorted(person.stations),
        "factors": person.factors,
        "state": _state(person),
        "failures": person.lockout.failures,
        "attempts": person.attempts,
    }


def _state(person: Person) -> str:
    if not person.enabled:
        return "disabled"
    until = person.lockout.locked_until_ms
    if until >= UNTIL_UNLOCKED:
        return "locked until unlocked here"
    return f"locked until {local_time(until)}" if until > wall_ms() else "enabled"


@app.command()
def password(person: PersonArgument, config: ConfigOption, lang: LanguageOption = None) -> None:
    """Set a new password and end the person's sessions."""
    with _admin(config) as admin:
        admin.set_password(person, _new_password(lang))
    tell(f"{person}: new password. The person runs: dispatch-client key password, with the same new one")


@app.command(name="re-enrol")
def re_enrol(person: PersonArgument, config: ConfigOption, *, as_json: JsonOption = False) -> None:
    """Give a new second factor; the old one and the person's sessions end."""
    with _admin(config) as admin:
        _show_secret(admin.re_enrol(person), as_json=as_json)


@app.command()
def unlock(person: PersonArgument, config: ConfigOption) -> None:
    """Let a person try again after too many failures."""
    with _admin(config) as admin:
        admin.unlock(person)
    tell(f"{person}: unlocked")


@app.command()
def disable(person: PersonArgument, config: ConfigOption) -> None:
    """Shut a person out and revoke every session. Revoke the certificate too: dispatch-server pki revoke."""
    with _admin(config) as admin:
        admin.disable(person)
    tell(f"{person}: disabled; every session is revoked")


@app.command()
def enable(person: PersonArgument, config: ConfigOption) -> None:
    """Let a disabled person in again."""
    with _admin(config) as admin:
        admin.enable(person)
    tell(f"{person}: enabled")
