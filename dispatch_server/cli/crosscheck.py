"""dispatch-server check-config FILE FILE...: the files of one deployment, compared with each other."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import typer
from pydantic import ConfigDict

from dispatch_server.config import ServerSettings, refusals
from dispatch_server.crosscheck import NodeFile, disagreements, open_ends, tree
from protocol.errors import ConfigurationRefused
from protocol.keys import Role
from protocol.models import Name
from protocol.settings import ListenSettings, Settings, read_toml
from protocol.terminal.check import Report, read
from protocol.terminal.program import ExitCode
from protocol.terminal.screen import complain, tell, tell_json


class ClientOutline(Settings):
    """What a desk or plant says of its place; the rest is for `dispatch-client check-config`."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["desk", "plant"]
    node: Name
    deployment: Name
    listen: ListenSettings


def check_together(paths: Sequence[Path], *, as_json: bool) -> None:
    """Compare, print, and exit with 1 if anything is refused. The files that they name are not looked at:

    they lie on other machines, each to be checked there. Raises typer.Exit.
    """
    found: list[NodeFile] = []
    refused: list[ConfigurationRefused] = []
    for path in paths:
        report = Report(path)
        if file := _read(report):
            found.append(file)
        refused += report.refusals
    refused += disagreements(found)
    read_from = {file.path for file in found}
    _tell(found, refused, [path for path in paths if path not in read_from], as_json=as_json)
    if refused:
        raise typer.Exit(ExitCode.FAILED)


def _read(report: Report) -> NodeFile | None:
    try:
        raw = read_toml(report.path)
    except ConfigurationRefused as refusal:
        report.refusals.append(refusal)
        return None
    if raw.get("role") in {"desk", "plant"}:
        if "links" in raw:
            reason = f"a {raw['role']} dials nobody: only a superior opens connections"
            remedy = "Remove [[links]]: its superior's file has the link"
            report.refusals.append(ConfigurationRefused(f"{report.path}: links", reason, remedy))
        client = read(report, ClientOutline)
        if client is None:
            return None
        return NodeFile(report.path, Role(client.role), client.node, client.deployment, client.listen)
    server = read(report, ServerSettings)
    if server is None:
        return None
    report.refusals += refusals(server, str(report.path))
    return NodeFile(report.path, Role(server.role), server.node, server.deployment, server.listen, server)


def _tell(
    found: Sequence[NodeFile],
    refused: Sequence[ConfigurationRefused],
    unread: Sequence[Path],
    *,
    as_json: bool,
) -> None:
    lines, ends = list(tree(found)), list(open_ends(found))
    if unread:
        ends.append(f"not compared, as they are refused: {', '.join(map(str, unread))}")
    if as_json:
        refusals = [{"place": r.where, "reason": r.reason, "remedy": r.remedy} for r in refused]
        tell_json({"files": len(found), "tree": lines, "missing": ends, "refusals": refusals})
        return
    for line in _indented(lines, ends):
        tell(line)
    for refusal in refused:
        complain(f"refused: {refusal}")
    if not refused:
        tell(f"{len(found)} files: they agree; check each one also alone, on its own machine")


def _indented(lines: Sequence[str], ends: Sequence[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in lines)
    yield from ends
