"""dispatch-server check-config."""

from pathlib import Path
from typing import Annotated

import typer

from dispatch_server.config import LinkSettings, ServerSettings, refusals
from dispatch_server.identity.errors import StoreRefused
from dispatch_server.identity.sealing import read_key_file
from protocol.errors import ConfigurationRefused
from protocol.keys import Role
from protocol.settings import resolve
from protocol.terminal.check import Report, check_keys, read, require_role
from protocol.terminal.options import JsonOption
from protocol.terminal.program import command_group

app = command_group()


@app.command(name="check-config")
def check_config(
    file: Annotated[Path, typer.Argument(help="The configuration of headquarters or a regional center.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Check a configuration and the files it names; every refusal says where, why and what to do."""
    require_role(file, (Role.HQ, Role.CENTER), "dispatch-client")
    report = Report(file)
    settings = read(report, ServerSettings)
    if settings:
        _check(report, settings)
    report.finish(as_json=as_json)


def _check(report: Report, settings: ServerSettings) -> None:
    report.is_a = f"{settings.role} {settings.node} of {settings.deployment}"
    report.refusals += refusals(settings, str(report.path))
    if settings.listen:
        listen = settings.listen
        report.facts.append(
            f"{listen.superior} dials {settings.node} at {listen.host}:{listen.port}; nobody else may"
        )
    report.facts += [_dials(settings.node, link) for link in settings.links]
    check_keys(report, settings.keys, settings.node, Role(settings.role))
    _check_identity(report, settings)


def _dials(node: str, link: LinkSettings) -> str:
    serves = f", which serves {', '.join(link.serves)}" if link.serves else ""
    return f"{node} dials {link.role.value} {link.node} at {link.host}:{link.port}{serves}"


def _check_identity(report: Report, settings: ServerSettings) -> None:
    base = report.path.absolute().parent
    try:
        read_key_file(resolve(base, settings.identity.key))
    except StoreRefused as refusal:
        place = f"{report.path}: identity.key"
        report.refusals.append(ConfigurationRefused(place, str(refusal), "Then check again"))
    if not resolve(base, settings.identity.store).exists():
        report.facts.append("nobody may log in yet: dispatch-server user add")
