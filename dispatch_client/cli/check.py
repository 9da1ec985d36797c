"""dispatch-client check-config."""

from pathlib import Path
from typing import Annotated

import typer

from dispatch_client.config import ClientSettings
from protocol.errors import ConfigurationRefused
from protocol.keys import Role
from protocol.settings import resolve
from protocol.terminal.check import Report, check_keys, check_places, read, require_role
from protocol.terminal.options import JsonOption
from protocol.terminal.program import command_group

app = command_group()


@app.command(name="check-config")
def check_config(
    file: Annotated[Path, typer.Argument(help="The configuration of a desk or plant.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Check a configuration and the files it names; every refusal says where, why and what to do."""
    require_role(file, (Role.DESK, Role.PLANT), "dispatch-server")
    report = Report(file)
    settings = read(report, ClientSettings)
    if settings:
        _check(report, settings)
    report.finish(as_json=as_json)


def _check(report: Report, settings: ClientSettings) -> None:
    listen = settings.listen
    report.is_a = f"{settings.role} {settings.node} of {settings.deployment}"
    report.facts.append(
        f"{listen.superior} dials {settings.node} at {listen.host}:{listen.port}; nobody else may"
    )
    if listen.superior == settings.node:
        report.refusals.append(
            ConfigurationRefused(
                f"{report.path}: listen.superior", "it is this node itself", "Name the server that dials it"
            )
        )
    check_keys(report, settings.keys, settings.node, Role(settings.role))
    check_places(report, settings.control, {"journal": settings.journal})
    people = resolve(report.path.absolute().parent, settings.people)
    names = sorted(key.stem for key in people.glob("*.key"))
    report.facts.append(
        f"people with a key here: {', '.join(names) or 'nobody yet (dispatch-client key new)'}"
    )
