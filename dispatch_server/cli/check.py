"""dispatch-server check-config."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from dispatch_server.app import experts
from dispatch_server.awareness.store import TelemetryStore
from dispatch_server.cli.crosscheck import check_together
from dispatch_server.cli.words import POSTURE_MEANS
from dispatch_server.config import LinkSettings, PlaybookSettings, ServerSettings, refusals
from dispatch_server.identity.errors import StoreRefused
from dispatch_server.identity.sealing import read_key_file
from protocol.errors import ConfigurationRefused
from protocol.keys import Role
from protocol.settings import resolve
from protocol.terminal.check import Report, check_keys, check_places, read, require_role
from protocol.terminal.options import JsonOption
from protocol.terminal.program import command_group
from protocol.texts import Language, say
from situational import Level, Posture

app = command_group()
_OWN_FOLDER = "Name a file in a folder of this server's account"


@app.command(name="check-config")
def check_config(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="The configuration of this server, or the files of all nodes of a deployment together."
        ),
    ],
    *,
    as_json: JsonOption = False,
) -> None:
    """Check a configuration and the files it names; every refusal says where, why and what to do.

    Several files are compared with each other instead: who dials whom, in which zone, who serves what.
    """
    if len(files) > 1:
        check_together(files, as_json=as_json)
        return
    (file,) = files
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
    report.facts.append(f"it is in zone {settings.in_zone} and opens connections into lower zones only")
    check_keys(report, settings.keys, settings.node, Role(settings.role))
    written = {"journal": settings.journal, "identity.store": settings.identity.store}
    keys = {"keys.key": settings.keys.key, "identity.key": settings.identity.key}
    store = settings.telemetry.store
    check_places(report, settings.control, written, keys | ({"telemetry.store": store} if store else {}))
    _check_identity(report, settings)
    report.facts += _playbook(settings.playbook, Role(settings.role))
    _check_telemetry(report, settings)
    _check_experts(report, settings)


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


def _playbook(playbook: PlaybookSettings, role: Role) -> Iterator[str]:
    """What each level of hazard does to dispatching, and what ends it."""
    if role is Role.CENTER:
        yield "its postures are shown and recorded: headquarters decides by its own what is issued"
    asked = {level: Posture[getattr(playbook, level.name.lower(), "normal").upper()] for level in Level}
    for level, posture in asked.items():
        if posture is not Posture.NORMAL:
            means = say(POSTURE_MEANS[posture], Language.EN)
            yield f"hazard {level.name.lower()}: {posture.name.lower()}: {means}"
    if set(asked.values()) == {Posture.NORMAL}:
        yield "no hazard changes how orders are issued: [playbook] asks for nothing"
    else:
        persons = ", ".join(playbook.by_person) or "none"
        yield f"only a person ends: {persons}; other postures end {playbook.dwell_s:g} s after their hazard"


def _check_telemetry(report: Report, settings: ServerSettings) -> None:
    named = settings.telemetry.store
    if named is None:
        report.facts.append(
            "curves, and what is usual at each hour, end with the process: telemetry.store would keep them"
        )
        return
    path = resolve(report.path.absolute().parent, named)
    try:
        _check_store(path)
    except ConfigurationRefused as refusal:
        report.refusals.append(_of_file(report, refusal))
    except OSError as error:
        reason = f"{path}: {error.strerror}"
        report.refusals.append(_of_file(report, ConfigurationRefused("telemetry.store", reason, _OWN_FOLDER)))
    else:
        report.facts.append(f"curves are kept for {settings.telemetry.keep_days:g} days in {path}")


def _check_store(path: Path) -> None:
    """Whether curves can be kept there; makes nothing. Raises ConfigurationRefused, OSError."""
    if path.exists():
        TelemetryStore(path, read_only=True).close()
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir():
        raise ConfigurationRefused("telemetry.store", f"{folder} is no folder", _OWN_FOLDER)
    for written in (folder, path) if path.exists() else (folder,):
        if not os.access(written, os.W_OK):
            raise ConfigurationRefused("telemetry.store", f"{written} cannot be written", _OWN_FOLDER)


def _check_experts(report: Report, settings: ServerSettings) -> None:
    try:
        panel = experts(settings, report.path.absolute().parent)
    except ConfigurationRefused as refusal:
        report.refusals.append(_of_file(report, refusal))
        return
    if panel is None:
        report.facts.append("no risk board: risk.experts names no file of experts' intervals")
    else:
        report.facts.append(f"risk board: {len(panel.experts)} experts on {len(panel.opinions)} factors")


def _of_file(report: Report, refusal: ConfigurationRefused) -> ConfigurationRefused:
    return ConfigurationRefused(f"{report.path}: {refusal.where}", refusal.reason, refusal.remedy)
