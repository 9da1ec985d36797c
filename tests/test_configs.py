"""The examples load, belong together, and their README lists every setting and works as written."""

import re
import shlex
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

import dispatch_client.__main__
import dispatch_server.__main__
from dispatch_client.config import ClientSettings
from dispatch_server.app import experts
from dispatch_server.config import (
    AlarmSettings,
    PlaybookSettings,
    ServerSettings,
    TelemetrySettings,
    load_server_settings,
)
from protocol.settings import Settings, load_settings, read_toml
from tests.support.terminal import Told, run

CONFIGS = Path(__file__).parent.parent / "configs"
README = (CONFIGS / "README.md").read_text("utf-8")
SERVERS = {
    name: load_server_settings(CONFIGS / name) for name in ("hq.toml", "center.toml", "sub-center.toml")
}
CLIENTS = {
    name: load_settings(CONFIGS / name, ClientSettings)
    for name in ("desk.toml", "plant.toml", "plant-b.toml", "plant-c.toml")
}
EVERYBODY: dict[str, ServerSettings | ClientSettings] = {**SERVERS, **CLIENTS}
PASSWORD = "correct horse battery"
GROUPS = {"pki", "user", "ledger", "posture", "telemetry", "order", "key"}


def test_every_example_is_loaded_here() -> None:
    examples = {path.name for path in CONFIGS.glob("*.toml")}
    assert examples == {*EVERYBODY, "risk-experts.toml"}  # the last by tests/situational/risk/test_panel.py
    assert {settings.role for settings in EVERYBODY.values()} == {"hq", "center", "desk", "plant"}


def test_all_are_of_one_deployment_and_no_name_stands_twice() -> None:
    assert len({settings.deployment for settings in EVERYBODY.values()}) == 1
    assert len({settings.node for settings in EVERYBODY.values()}) == len(EVERYBODY)


@pytest.mark.parametrize("server", sorted(SERVERS))
def test_every_link_ends_at_a_node_that_waits_for_this_superior_there(server: str) -> None:
    by_name = {settings.node: settings for settings in EVERYBODY.values()}
    for link in SERVERS[server].links:
        below = by_name[link.node]
        assert below.role == link.role.value
        assert below.listen is not None
        assert below.listen.superior == SERVERS[server].node
        assert (below.listen.host, below.listen.port) == (link.host, link.port)
        if isinstance(below, ServerSettings):
            assert (below.in_zone, below.listen.zone) == (link.in_zone, SERVERS[server].in_zone)


def test_all_files_together_agree() -> None:
    told = run(dispatch_server.__main__.app, "check-config", *(CONFIGS / name for name in EVERYBODY))
    assert told.exit_code == 0, told
    assert told.out.splitlines()[-2].endswith("─▶ plant-c (plant, zone 1) at 192.0.2.61:20880")


@pytest.mark.parametrize("name", sorted(EVERYBODY))
def test_whoever_waits_for_a_superior_is_dialled_by_it(name: str) -> None:
    settings = EVERYBODY[name]
    if settings.listen is None:
        assert settings.role == "hq"
        return
    (superior,) = (server for server in SERVERS.values() if server.node == settings.listen.superior)
    assert settings.node in {link.node for link in superior.links}


@pytest.mark.parametrize("name", sorted(EVERYBODY))
def test_no_address_of_a_superior_stands_anywhere(name: str) -> None:
    own = EVERYBODY[name].listen
    hosts = set(re.findall(r"\d+\.\d+\.\d+\.\d+", (CONFIGS / name).read_text("utf-8")))
    links = EVERYBODY[name]
    dialled = {link.host for link in links.links} if isinstance(links, ServerSettings) else set()
    assert hosts == dialled | ({own.host} if own else set())


def test_the_state_of_the_programs_lies_where_the_units_let_them_write() -> None:
    for settings in EVERYBODY.values():
        written = [settings.journal]
        written += [settings.people] if isinstance(settings, ClientSettings) else [settings.identity.store]
        if isinstance(settings, ServerSettings) and settings.telemetry.store:
            written.append(settings.telemetry.store)
        assert len(set(written)) == len(written)
        assert all(path.is_relative_to("/var/lib/dispatch") for path in written)
        assert settings.control.is_relative_to("/run/dispatch")


@pytest.mark.parametrize("server", sorted(SERVERS))
def test_the_examples_of_awareness_are_the_defaults_and_keep_their_curves(server: str) -> None:
    """Whoever copies an example gets what the README calls the default; the store has none, and is named."""
    settings = SERVERS[server]
    assert (settings.playbook, settings.alarms) == (PlaybookSettings(), AlarmSettings())
    assert settings.telemetry.keep_days == TelemetrySettings().keep_days
    assert settings.telemetry.store is not None


@pytest.mark.parametrize("server", sorted(SERVERS))
def test_no_example_ranks_risks_by_numbers_that_are_made_up(server: str) -> None:
    assert SERVERS[server].risk.experts is None
    assert "# experts = " in (CONFIGS / server).read_text("utf-8")


def test_a_center_has_the_playbook_of_its_headquarters() -> None:
    assert len({settings.playbook.model_dump_json() for settings in SERVERS.values()}) == 1


def test_the_example_of_the_experts_works_where_it_is_named(tmp_path: Path) -> None:
    text = (CONFIGS / "hq.toml").read_text("utf-8").replace("# experts = ", "experts = ")
    (tmp_path / "hq.toml").write_text(text, "utf-8")
    (tmp_path / "risk-experts.toml").write_bytes((CONFIGS / "risk-experts.toml").read_bytes())
    panel = experts(load_server_settings(tmp_path / "hq.toml"), tmp_path)
    assert panel is not None
    assert "Made-up example" in panel.title


# The README


def _settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        inner = _inner(field.annotation)
        if inner:
            yield from _settings(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.default


def _inner(annotation: Any) -> type[Settings] | None:
    kinds = [annotation, *getattr(annotation, "__args__", ())]
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, Settings)), None)


ALL_SETTINGS = dict([*_settings(ServerSettings), *_settings(ClientSettings)])


def _documented() -> dict[str, str]:
    rows = re.findall(r"^\| `([a-z_.]+)` \|[^|]*\|([^|]*)\|[^|]+\|$", README, re.MULTILINE)
    assert len(rows) == len(dict(rows))
    return {name: default.strip() for name, default in rows}


def test_the_readme_lists_exactly_the_settings_that_exist() -> None:
    assert set(_documented()) == set(ALL_SETTINGS)


@pytest.mark.parametrize("name", sorted(ALL_SETTINGS))
def test_the_readme_gives_the_default(name: str) -> None:
    assert _documented()[name] == _written(ALL_SETTINGS[name])


def _written(default: Any) -> str:
    match default:
        case _ if default is PydanticUndefined:
            return "required"
        case None | ():
            return "none"
        case tuple():
            return ", ".join(_written(value) for value in default)
        case Enum():
            return str(default.value)
        case _:
            return str(default)


def _commands(program: str) -> list[list[str]]:
    """Every command line of the program in the README's shell blocks."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", README, re.DOTALL)).replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in blocks.splitlines()]
    starts = [(line, line.index(program)) for line in lines if program in line]
    return [line[start + 1 :] for line, start in starts if line[start + 1 :]]


def test_the_bring_up_of_the_readme_works_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pki, key, user and check-config line, in order, with only the places of files changed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people").mkdir()
    for line in _commands("dispatch-server"):
        if line[0] == "pki":
            if line[1] == "person":
                _key_made_at_the_desk(tmp_path)
            done = run(dispatch_server.__main__.app, *line, typed=f"{PASSWORD}\n{PASSWORD}\n")
            assert done.exit_code == 0, (line, done)
    assert (tmp_path / "wang.crt").is_file()
    config = _config(tmp_path, "hq", CONFIGS / "hq.toml")
    for line in _commands("dispatch-server"):
        if line[0] in {"user", "check-config"}:
            _succeeds(line, config, dispatch_server.__main__.app)
    for settings, example in ((settings, example) for example, settings in CLIENTS.items()):
        node = settings.node
        config = _config(tmp_path, node, CONFIGS / example)
        told = run(dispatch_client.__main__.app, "check-config", config)
        assert told.exit_code == 0, told
        assert f"dials {node} at" in told.out
    for node, example in (("south", "center.toml"), ("west", "sub-center.toml")):
        told = run(dispatch_server.__main__.app, "check-config", _config(tmp_path, node, CONFIGS / example))
        assert [line.startswith("refused") for line in told.err.splitlines()] == [True]
        assert "user init" in told.err


def _key_made_at_the_desk(folder: Path) -> None:
    (line,) = (line for line in _commands("dispatch-client") if line[0] == "key")
    line = [str(folder / "people") if word == "/var/lib/dispatch/people" else word for word in line]
    told = run(dispatch_client.__main__.app, *line, typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert told.exit_code == 0, told
    (folder / "people" / "wang.csr").rename(folder / "wang.csr")


def _config(folder: Path, node: str, example: Path) -> Path:
    """The example with its keys where `pki node` put them and its state in the test's folder."""
    text = example.read_text("utf-8").replace('"keys/', f'"{folder}/out/{node}/')
    text = text.replace("/var/lib/dispatch", f"{folder}/state/{node}").replace(
        "/run/dispatch", f"{folder}/run"
    )
    path = folder / f"{node}.toml"
    path.write_text(text, "utf-8")
    return path


def _succeeds(line: list[str], config: Path, app: Any) -> Told:
    examples = {"/etc/dispatch/config.toml": str(config)} | {name: str(CONFIGS / name) for name in EVERYBODY}
    words = [examples.get(word, word) for word in line]
    told = run(app, *words, typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert told.exit_code == 0, (words, told)
    return told


@pytest.mark.parametrize("program", ["dispatch-server", "dispatch-client"])
def test_every_command_line_of_the_readme_can_be_parsed(program: str) -> None:
    module = dispatch_server.__main__ if program == "dispatch-server" else dispatch_client.__main__
    for line in _commands(program):
        told = run(module.app, *line, "--help")
        assert told.exit_code == 0, (line, told)
        group = line[1] if line[0] in GROUPS else line[0]
        assert f"{group} [OPTIONS]" in told.out
        for option in (word for word in line if word.startswith("--")):
            assert option in told.out


# The units


@pytest.mark.parametrize("program", ["dispatch-server", "dispatch-client"])
def test_a_unit_runs_its_program_hardened_and_as_its_own_account(program: str) -> None:
    lines = (CONFIGS / "systemd" / f"{program}.service").read_text("utf-8").splitlines()
    service = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    assert service["ExecStart"].endswith(f"/{program} run --config /etc/dispatch/config.toml")
    assert service["ExecStartPre"].endswith(f"/{program} check-config /etc/dispatch/config.toml")
    assert service["User"] == "dispatch"
    for setting in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "PrivateDevices"):
        assert service[setting] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert (service["StateDirectoryMode"], service["RuntimeDirectoryMode"]) == ("0700", "0700")
    assert not service["CapabilityBoundingSet"]


def test_no_example_holds_a_secret() -> None:
    for path in CONFIGS.rglob("*"):
        if path.is_file():
            assert "PRIVATE KEY" not in path.read_text("utf-8")
    for name in EVERYBODY:
        tables = read_toml(CONFIGS / name)
        assert not {"password", "passphrase", "secret"} & {key.lower() for key in _keys(tables)}


def _keys(tables: Any) -> Iterator[str]:
    if isinstance(tables, dict):
        for key, value in tables.items():
            yield key
            yield from _keys(value)
    elif isinstance(tables, list):
        for value in tables:
            yield from _keys(value)
