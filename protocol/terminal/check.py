"""What `check-config` of both programs finds and how it tells it."""

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import typer
from pydantic import ValidationError

from protocol.aio.control import check_path
from protocol.aio.node import load_keys, wall_ms
from protocol.errors import ConfigurationRefused, KeyRefused
from protocol.keys import Role
from protocol.settings import KeySettings, Settings, read_toml, refusals_of, resolve
from protocol.terminal.program import ExitCode
from protocol.terminal.screen import complain, local_time, tell, tell_json

S = TypeVar("S", bound=Settings)
_SOON_MS = 30 * 24 * 3_600_000
_CARRY = "Carry it here from where dispatch-server pki node made it"
_RENEW = "Have the certificate authority make a new one: dispatch-server pki node"


@dataclass(slots=True)
class Report:
    """`facts`: what holds, for a person to read over. `refusals`: what stops the program."""

    path: Path
    is_a: str = ""
    facts: list[str] = field(default_factory=list)
    refusals: list[ConfigurationRefused] = field(default_factory=list)

    def finish(self, *, as_json: bool) -> None:
        """Print, and exit with 1 if anything is refused. Raises typer.Exit."""
        if as_json:
            refusals = [{"place": r.where, "reason": r.reason, "remedy": r.remedy} for r in self.refusals]
            tell_json({"file": str(self.path), "is": self.is_a, "facts": self.facts, "refusals": refusals})
        else:
            for fact in self.facts:
                tell(f"  {fact}")
        for refusal in self.refusals:
            complain(f"refused: {refusal}")
        if self.refusals:
            raise typer.Exit(ExitCode.FAILED)
        if not as_json:
            tell(f"{self.path}: {self.is_a}: nothing to refuse")


def require_role(path: Path, roles: Collection[Role], other: str) -> None:
    """Raises ConfigurationRefused when the file configures a node that the `other` program runs."""
    role = read_toml(path).get("role")
    if isinstance(role, str) and role in set(Role) - set(roles):
        raise ConfigurationRefused(
            str(path), f"it configures a {role}, which {other} runs", f"Run: {other} check-config {path}"
        )


def read(report: Report, model: type[S]) -> S | None:
    """The settings of a file, or every reason why there are none."""
    try:
        return model.model_validate(read_toml(report.path))
    except ValidationError as error:
        report.refusals += refusals_of(report.path, error)
    except ConfigurationRefused as refusal:
        report.refusals.append(refusal)
    return None


def check_keys(report: Report, keys: KeySettings, node: str, role: Role) -> None:
    """Whether key, certificate and authority are there, private, valid and this node's own."""
    base = report.path.absolute().parent
    missing = list(_unreadable(report.path, keys, base))
    report.refusals += missing
    if missing:
        return
    try:
        key, trust = load_keys(keys, base, node, role)
    except ConfigurationRefused as refusal:
        report.refusals.append(refusal)
    except KeyRefused as refusal:
        place = f"{report.path}: keys: {refusal.subject}"
        report.refusals.append(ConfigurationRefused(place, refusal.reason, _RENEW))
    else:
        until = key.certificate.not_after_ms
        soon = " (soon: renew it)" if until - wall_ms() < _SOON_MS else ""
        report.facts.append(f"its key and certificate belong together, valid until {local_time(until)}{soon}")
        report.facts += [
            f"its revocation list, {each.label}, is overdue: carry a new one here"
            for each in trust.revocations
            if each.is_overdue(wall_ms())
        ]


def _unreadable(file: Path, keys: KeySettings, base: Path) -> Iterator[ConfigurationRefused]:
    named = {
        "authority": keys.authority,
        "revocations": keys.revocations,
        "certificate": keys.certificate,
        "key": keys.key,
    }
    for setting, path in named.items():
        if path is None:
            continue
        try:
            resolve(base, path).open("rb").close()
        except OSError as error:
            reason = f"{resolve(base, path)} cannot be read ({error.strerror})"
            yield ConfigurationRefused(f"{file}: keys.{setting}", reason, _CARRY)


def check_places(
    report: Report, control: Path, files: Mapping[str, Path], others: Mapping[str, Path] | None = None
) -> None:
    """Whether the control socket and what else the program writes (setting -> path) can be made there.

    `others`: files that only must not be one of these.
    """
    base = report.path.absolute().parent
    places = {setting: resolve(base, path) for setting, path in files.items()}
    apart = {setting: resolve(base, path) for setting, path in (others or {}).items()}
    report.refusals += _control_refusals(report.path, resolve(base, control))
    report.refusals += _doubles(report.path, {"control": resolve(base, control), **places, **apart})
    for setting, path in places.items():
        folder = next(parent for parent in path.parents if parent.exists())
        if not folder.is_dir():
            reason = f"{folder} is no folder"
        elif not os.access(folder, os.W_OK | os.X_OK):
            reason = f"{folder} cannot be written by this account"
        elif path.is_dir():
            reason = f"{path} is a folder"
        else:
            continue
        place = f"{report.path}: {setting}"
        report.refusals.append(ConfigurationRefused(place, reason, "Name a file in a folder of this account"))


def _control_refusals(file: Path, path: Path) -> Iterator[ConfigurationRefused]:
    try:
        check_path(path)
    except ConfigurationRefused as refusal:
        yield ConfigurationRefused(f"{file}: {refusal.where}", refusal.reason, refusal.remedy)
    folder = path.parent
    if folder.is_dir() and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        reason = f"others may enter its folder {folder}"
        is_shared = stat.S_IMODE(folder.stat().st_mode) & stat.S_ISVTX  # as /tmp is: it serves everybody
        own = "Choose a folder of this account alone, mode 700"
        yield ConfigurationRefused(f"{file}: control", reason, own if is_shared else f"chmod 700 {folder}")


def _doubles(file: Path, places: Mapping[str, Path]) -> Iterator[ConfigurationRefused]:
    taken: dict[Path, str] = {}
    for setting, path in places.items():
        other = taken.setdefault(Path(os.path.normpath(path)), setting)
        if other != setting:
            yield ConfigurationRefused(
                f"{file}: {setting}", f"it is the file of '{other}' too", "Give each its own file"
            )
