"""protocol/terminal/renewal.py and `reload` of both programs: what people see of keys and lists."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from dispatch_client.__main__ import app as client
from dispatch_server.__main__ import app as server
from protocol.aio.control import CommandFailed
from tests.dispatch_client import support as at_client
from tests.dispatch_server import support as at_server
from tests.support.terminal import FakeProgram, run

LIST = {
    "number": 17,
    "at_ms": 1_800_000_000_000,
    "next_ms": 1_800_086_400_000,
    "revoked": 2,
    "overdue": False,
}
KEYS = {
    "serial": "ab",
    "valid_until_ms": 1_830_000_000_000,
    "problem": "",
    "authorities": 1,
    "revocations": [LIST],
    "renewals": 1,
    "refused": 0,
    "last_refusal": "",
}
DONE = {"key": False, "revocations": True, "moved": [], "keys": KEYS}
BOTH = [
    (server, at_server.write_config, at_server.program),
    (client, at_client.write_config, at_client.program),
]
Write = Callable[[Path], Path]
Serve = Callable[..., FakeProgram]


@pytest.mark.parametrize(("app", "write", "serve"), BOTH, ids=["server", "client"])
def test_reload_tells_what_is_in_force(app: typer.Typer, write: Write, serve: Serve, tmp_path: Path) -> None:
    config = write(tmp_path)
    with serve(config, reload=DONE) as running:
        told = run(app, "reload", "--config", config, "--lang", "en")
    assert told.exit_code == 0
    assert running.commands == ["reload"]
    assert "certificate: valid until 2027-" in told.out
    assert "revocation list 17: of 2027-01-15" in told.out
    assert "2 revoked" in told.out


@pytest.mark.parametrize(("app", "write", "serve"), BOTH, ids=["server", "client"])
def test_a_refused_reload_says_why_and_exits_with_1(
    app: typer.Typer, write: Write, serve: Serve, tmp_path: Path
) -> None:
    config = write(tmp_path)
    why = "plant-a: the certificate is not valid at this time"
    with serve(config, reload=CommandFailed("KeyRefused", why)):
        told = run(app, "reload", "--config", config)
    assert (told.exit_code, told.err) == (1, f"{why}\n")


def told_of(tmp_path: Path, language: str = "en", **changed: Any) -> str:
    config = at_server.write_config(tmp_path)
    keys = KEYS | changed.pop("keys", {})
    with at_server.program(config, reload=DONE | changed | {"keys": keys}):
        return run(server, "reload", "--config", config, "--lang", language).out


def test_a_new_certificate_says_that_links_stay(tmp_path: Path) -> None:
    assert "links that are up stay up" in told_of(tmp_path, key=True)
    assert "现有链路保持" in told_of(tmp_path, "zh", key=True)


def test_nodes_that_moved_are_listed(tmp_path: Path) -> None:
    assert "moved: plant-a: 192.0.2.7:20880" in told_of(tmp_path, moved=["plant-a: 192.0.2.7:20880"])


def test_two_authorities_an_overdue_list_and_the_last_refusal_are_told(tmp_path: Path) -> None:
    keys = {
        "authorities": 2,
        "revocations": [LIST | {"overdue": True}, LIST | {"number": None}],
        "problem": "the certificate is revoked",
        "last_refusal": "revocation list: it is not signed by an authority of this deployment",
    }
    out = told_of(tmp_path, keys=keys)
    assert "authorities: 2" in out
    assert "revocation list 17 was to be replaced by 2027-01-16" in out
    assert "revocation list —: of" in out
    assert "own certificate does not count, every peer refuses it: the certificate is revoked" in out
    assert "the last renewal was refused: revocation list: it is not signed" in out
    assert "证书机构：2 个" in told_of(tmp_path, "zh", keys=keys)


def test_that_there_is_no_list_is_told(tmp_path: Path) -> None:
    assert "no revocation list is configured" in told_of(tmp_path, keys={"revocations": []})


def test_as_json_it_is_the_answer_itself(tmp_path: Path) -> None:
    config = at_client.write_config(tmp_path)
    with at_client.program(config, reload=DONE):
        assert run(client, "reload", "--config", config, "--json").json == DONE


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_status_of_a_client_says_what_has_to_be_mended_and_nothing_else(
    tmp_path: Path, language: str
) -> None:
    config = at_client.write_config(tmp_path)
    told = {}
    for name, keys in (("calm", KEYS), ("late", KEYS | {"revocations": [LIST | {"overdue": True}]})):
        with at_client.program(config, status=at_client.status(keys=keys)):
            told[name] = run(client, "status", "--config", config, "--lang", language).out
    assert told["late"].startswith(told["calm"].rstrip("\n"))
    assert {"en": "it stays in force", "zh": "仍在使用"}[language] in told["late"]
