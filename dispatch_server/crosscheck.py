"""Whether the configuration files of one deployment agree: who dials whom, in which zone, who serves what.

Each file alone can only be checked for what it says itself. A circle of centers that each call the next one
lower, two superiors of one node, or a plant that is behind a center in one file only, show when files meet.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dispatch_server.config import LinkSettings, ServerSettings, ways_of
from protocol.errors import ConfigurationRefused
from protocol.keys import Role
from protocol.settings import ListenSettings


@dataclass(frozen=True, slots=True)
class NodeFile:
    """What one file says of its node. `server`: all of it, where it is a server's."""

    path: Path
    role: Role
    node: str
    deployment: str
    listen: ListenSettings | None
    server: ServerSettings | None = None

    @property
    def superior(self) -> str | None:
        """Whom it waits for."""
        return self.listen.superior if self.listen else None

    @property
    def links(self) -> Sequence[LinkSettings]:
        """Whom it dials."""
        return self.server.links if self.server else ()


def disagreements(files: Sequence[NodeFile]) -> Iterator[ConfigurationRefused]:
    """Everything in which files of one deployment contradict each other."""
    yield from _double_files(files)
    yield from _other_deployments(files)
    by_name = {file.node: file for file in files}
    dialled_by = _dialled_by(files)
    for file in files:
        yield from _of_superior(file, by_name, dialled_by)
        for link in file.links:
            if below := by_name.get(link.node):
                yield from _of_link(file, link, below)
    yield from _double_superiors(dialled_by)
    yield from _double_addresses(files)
    yield from _circles(by_name)
    for file in files:
        if file.server and file.role is Role.HQ:
            yield from _lost_too_soon(file, file.server, by_name)


def _double_files(files: Sequence[NodeFile]) -> Iterator[ConfigurationRefused]:
    times = Counter(file.node for file in files)
    for name in (name for name, count in times.items() if count > 1):
        paths = ", ".join(str(file.path) for file in files if file.node == name)
        yield ConfigurationRefused(
            paths, f"all of them configure '{name}'", "Give each node one file and one name"
        )


def _other_deployments(files: Sequence[NodeFile]) -> Iterator[ConfigurationRefused]:
    for file in files:
        if file.deployment != files[0].deployment:
            yield ConfigurationRefused(
                f"{file.path}: deployment",
                f"'{file.deployment}' is not the '{files[0].deployment}' of {files[0].path}",
                "Write the same deployment into every file",
            )


def _dialled_by(files: Sequence[NodeFile]) -> Mapping[str, Sequence[NodeFile]]:
    found: dict[str, list[NodeFile]] = {}
    for file in files:
        for link in file.links:
            found.setdefault(link.node, []).append(file)
    return found


def _of_superior(
    file: NodeFile, by_name: Mapping[str, NodeFile], dialled_by: Mapping[str, Sequence[NodeFile]]
) -> Iterator[ConfigurationRefused]:
    above = by_name.get(file.superior or "")
    if above is None:
        return
    if above.server is None:
        yield ConfigurationRefused(
            f"{file.path}: listen.superior",
            f"'{above.node}' is a {above.role.value}, which dials nobody",
            "Name the headquarters or center that dials this node",
        )
    elif above not in dialled_by.get(file.node, ()):
        yield ConfigurationRefused(
            f"{file.path}: listen.superior",
            f"it waits for '{above.node}', and {above.path} has no link to '{file.node}'",
            f"Add the link there, or name here who dials '{file.node}'",
        )
    stated = file.server.listen.zone if file.server and file.server.listen else None
    if above.server and stated and stated != above.server.in_zone:
        yield ConfigurationRefused(
            f"{file.path}: listen.zone",
            f"it says zone {stated} of '{above.node}', who is in zone {above.server.in_zone} by {above.path}",
            "Make both the same",
        )


def _of_link(file: NodeFile, link: LinkSettings, below: NodeFile) -> Iterator[ConfigurationRefused]:
    where = f"{file.path}: links: {link.node}"
    if link.role is not below.role:
        yield ConfigurationRefused(
            where, f"it is a {below.role.value} by {below.path}, not a {link.role.value}", "Correct its role"
        )
    if below.superior != file.node:
        waits = f"waits for '{below.superior}'" if below.superior else "waits for nobody"
        yield ConfigurationRefused(
            where,
            f"by {below.path} it {waits} and would turn '{file.node}' away",
            "Let one superior dial it, and name that one as its listen.superior",
        )
    if below.listen and below.listen.port != link.port:
        yield ConfigurationRefused(
            where,
            f"port {link.port} is dialled, and by {below.path} it listens at {below.listen.port}",
            "Make both the same; behind something that forwards ports, check these two files apart",
        )
    if below.server and below.server.in_zone != link.in_zone:
        yield ConfigurationRefused(
            where,
            f"it is in zone {below.server.in_zone} by {below.path}, not in zone {link.in_zone}",
            "Write the same zone into both",
        )
    if below.server and link.role is Role.CENTER:
        yield from _of_serves(where, link, below, below.server)


def _of_serves(
    where: str, link: LinkSettings, below: NodeFile, center: ServerSettings
) -> Iterator[ConfigurationRefused]:
    """A center leads to the plants that it dials, and through its sub-centers to those that these serve."""
    leads_to = {child.node for child in center.links if child.role is Role.PLANT}
    leads_to |= {f"{child.node}/{way}" for child in center.links for way in child.serves}
    for way in sorted(set(link.serves) - leads_to):
        yield ConfigurationRefused(
            where,
            f"serves '{way}', and by {below.path} '{link.node}' does not lead there",
            f"Take '{way}' out of serves, or add it at '{link.node}'; "
            "a plant behind a sub-center is written 'center/plant'",
        )
    for way in sorted(leads_to - set(link.serves)):
        yield ConfigurationRefused(
            where,
            f"'{way}' is missing in serves: by {below.path} '{link.node}' leads there, "
            "and its orders and readings would be turned away here",
            f"Add '{way}' to serves",
        )


def _double_superiors(dialled_by: Mapping[str, Sequence[NodeFile]]) -> Iterator[ConfigurationRefused]:
    for name, superiors in dialled_by.items():
        if len({file.node for file in superiors}) > 1:
            yield ConfigurationRefused(
                ", ".join(str(file.path) for file in superiors),
                f"all of them dial '{name}': two ways to one node would be two commands to it",
                "Let one of them dial it, and the others reach it through that one",
            )


def _double_addresses(files: Sequence[NodeFile]) -> Iterator[ConfigurationRefused]:
    taken: dict[tuple[str, int], tuple[str, str]] = {}
    for file in files:
        for link in file.links:
            dialler, other = taken.setdefault((link.host, link.port), (file.node, link.node))
            if other != link.node and dialler != file.node:  # within one file that file alone is refused
                yield ConfigurationRefused(
                    f"{file.path}: links: {link.node}",
                    f"{link.host}:{link.port} is the address at which '{dialler}' dials '{other}'",
                    "Give each node its own address and port",
                )


def _circles(by_name: Mapping[str, NodeFile]) -> Iterator[ConfigurationRefused]:
    """Zones that each file alone believes in can still lead round."""
    told: set[str] = set()
    for start in by_name:
        way: list[str] = []
        name: str | None = start
        while name and name not in way and name not in told:
            way.append(name)
            name = by_name[name].superior if name in by_name else None
        if name in way:
            circle = [*way[way.index(name) :], name]
            yield ConfigurationRefused(
                str(by_name[name].path),
                f"it would command itself: {' is dialled by '.join(circle)}",
                "Take out the link that leads upward, and let each zone be lower than the one that dials it",
            )
        told.update(way)


def _lost_too_soon(
    file: NodeFile, hq: ServerSettings, by_name: Mapping[str, NodeFile]
) -> Iterator[ConfigurationRefused]:
    """A sign of life waits at each server on its way for the next poll of the one above."""
    for name, way in ways_of(hq.links).items():
        servers = [found.server for place in way if (found := by_name.get(place)) and found.server]
        needed_ms = sum(server.timers.poll_interval_ms for server in (hq, hq, *servers))
        if way and needed_ms > hq.orders.lost_after_s * 1000:
            yield ConfigurationRefused(
                f"{file.path}: orders.lost_after_s",
                f"'{name}' is polled through {' and '.join(way)}, which may take {needed_ms / 1000:g} s: "
                "it would be lost and found for ever",
                f"Make it at least {needed_ms / 1000:g} (s), or their poll intervals shorter",
            )


def open_ends(files: Sequence[NodeFile]) -> Iterator[str]:
    """What could not be compared because a file is not among these."""
    names = {file.node for file in files}
    for file in files:
        if file.superior and file.superior not in names:
            yield f"the file of {file.superior}, who dials {file.node}, is not among those compared"
        for link in file.links:
            if link.node not in names:
                yield f"the file of {link.node}, which {file.node} dials, is not among those compared"


def tree(files: Sequence[NodeFile]) -> Iterator[str]:
    """Who dials whom, a line each; every connection is opened by the upper node."""
    by_name = {file.node: file for file in files}
    for file in files:
        if file.superior not in by_name:
            zone = f", zone {file.server.in_zone}" if file.server else ""
            yield f"{file.node} ({file.role.value}{zone})"
            yield from _branches(file, by_name, "", {file.node})


def _branches(file: NodeFile, by_name: Mapping[str, NodeFile], indent: str, seen: set[str]) -> Iterator[str]:
    for place, link in enumerate(file.links, start=1):
        is_last = place == len(file.links)
        arrow = "└─▶" if is_last else "├─▶"
        is_a = f"{link.node} ({link.role.value}, zone {link.in_zone})"
        yield f"{indent}{arrow} {is_a} at {link.host}:{link.port}"
        below = by_name.get(link.node)
        if below and link.node not in seen:
            seen.add(link.node)
            yield from _branches(below, by_name, indent + ("   " if is_last else "│  "), seen)
