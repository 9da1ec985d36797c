import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from dispatch_server.__main__ import app
from dispatch_server.demo.token import SoftwareToken
from dispatch_server.identity.errors import PasswordRefused
from dispatch_server.identity.lockout import UNTIL_UNLOCKED, LockoutState
from dispatch_server.identity.passwords import Argon2Parameters, verify_password
from dispatch_server.identity.sealing import read_key_file
from dispatch_server.identity.store import IdentityStore
from tests.dispatch_server.support import write_config
from tests.support.terminal import Told, run

PASSWORD = "correct horse battery"
TWICE = f"{PASSWORD}\n{PASSWORD}\n"


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of Argon2 is proven in identity's own tests."""
    cheap = Argon2Parameters(memory_kib=8, iterations=1, production=False)
    monkeypatch.setattr(import_module("dispatch_server.cli.user"), "Argon2Parameters", lambda: cheap)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = write_config(tmp_path)
    assert run(app, "user", "init", "--config", path).exit_code == 0
    return path


def user(config: Path, *arguments: object, typed: str = "") -> Told:
    return run(app, "user", *arguments, "--config", config, typed=typed)


def add(config: Path, *more: object, person: str = "wang", typed: str = TWICE) -> Told:
    given = ("--role", "dispatcher", "--name", "Wang 王", "--station", "desk-1")
    return user(config, "add", person, *given, *more, typed=typed)


def listed(config: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = user(config, "list", "--json").json
    return rows


def store(config: Path) -> IdentityStore:
    folder = config.parent
    return IdentityStore(folder / "identity.db", read_key_file(folder / "identity.key"), os.urandom)


def stored_password(config: Path) -> str:
    opened = store(config)
    try:
        account = opened.account("wang")
        assert account is not None
        return account.password
    finally:
        opened.close()


def audit(config: Path) -> list[dict[str, Any]]:
    lines = (config.parent / "identity.audit.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_init_makes_a_private_key_and_an_empty_store_and_can_be_repeated(config: Path) -> None:
    key = config.parent / "identity.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert (config.parent / "identity.db").stat().st_mode & 0o777 == 0o600
    before = key.read_bytes()
    assert user(config, "init").exit_code == 0
    assert key.read_bytes() == before
    assert listed(config) == []


def test_a_lost_key_is_not_replaced_by_a_new_one(config: Path) -> None:
    (config.parent / "identity.key").unlink()
    told = user(config, "init")
    assert told.exit_code == 1
    assert "restore the backup" in told.err
    assert not (config.parent / "identity.key").exists()


def test_without_init_people_cannot_be_added_and_the_reason_says_what_to_do(tmp_path: Path) -> None:
    told = add(write_config(tmp_path))
    assert told.exit_code == 1
    assert "dispatch-server user init" in told.err
    assert told.err.count("\n") == 1
    assert not (tmp_path / "identity.db").exists()


def test_the_secret_of_the_second_factor_is_shown_once(config: Path) -> None:
    told = add(config)
    assert told.exit_code == 0
    (uri,) = [line for line in told.out.splitlines() if line.startswith("otpauth://")]
    assert "issuer=test-grid" in uri
    assert len(SoftwareToken.from_uri(uri).next_code()) == 6
    assert "otpauth" not in user(config, "list").out
    verify_password(PASSWORD, stored_password(config))


def test_as_json_the_secret_is_in_the_answer(config: Path) -> None:
    answer = add(config, "--json").json
    assert answer["person"] == "wang"
    assert answer["uri"].startswith("otpauth://")


def test_a_person_is_listed_with_role_stations_and_factor(config: Path) -> None:
    add(config, "--station", "desk-2")
    (row,) = listed(config)
    assert row == {
        "person": "wang",
        "name": "Wang 王",
        "role": "dispatcher",
        "stations": ["desk-1", "desk-2"],
        "factors": ["totp"],
        "state": "enabled",
        "failures": 0,
        "attempts": 0,
    }
    table = run(app, "user", "list", "--config", config, "--lang", "zh").out
    assert "Wang 王" in table
    assert "调度员" in table


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        (f"{PASSWORD}\n{PASSWORD}2\n", "not the same"),
        ("short\nshort\n", "at least 12"),
        ("aaaaaaaaaaaaa\naaaaaaaaaaaaa\n", "different characters"),
        ("my id is wang.\nmy id is wang.\n", "must not contain"),
        ("", "ended before"),
    ],
)
def test_nobody_is_added_without_a_good_password_given_twice(config: Path, typed: str, reason: str) -> None:
    told = add(config, typed=typed)
    assert told.exit_code == 1
    assert reason in told.err
    assert told.err.count("\n") == 1
    assert listed(config) == []


def test_a_person_exists_once(config: Path) -> None:
    add(config)
    told = add(config, typed="another password 1\nanother password 1\n")
    assert told.exit_code == 1
    assert "exists already" in told.err
    verify_password(PASSWORD, stored_password(config))


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "Wang"),
        ("add", "wang", "--role", "admin", "--name", "W", "--station", "desk-1"),
        ("add", "wang", "--role", "dispatcher", "--name", "W"),
        ("add", "wang", "--role", "dispatcher", "--name", "W", "--station", "Desk One"),
        ("add", "wang", "--role", "dispatcher", "--name", "W", "--station", "d", "--password", PASSWORD),
    ],
)
def test_wrong_usage_adds_nobody(config: Path, arguments: tuple[str, ...]) -> None:
    assert user(config, *arguments, typed=TWICE).exit_code == 2
    assert listed(config) == []


def test_a_new_password_replaces_the_old_one(config: Path) -> None:
    add(config)
    new = "a newer password 2"
    assert user(config, "password", "wang", typed=f"{new}\n{new}\n").exit_code == 0
    verify_password(new, stored_password(config))
    with pytest.raises(PasswordRefused):
        verify_password(PASSWORD, stored_password(config))


def test_re_enrolling_gives_another_secret(config: Path) -> None:
    first = add(config, "--json").json["uri"]
    told = user(config, "re-enrol", "wang", "--json")
    assert told.json["uri"].startswith("otpauth://")
    assert told.json["uri"] != first


def test_a_person_is_disabled_and_enabled(config: Path) -> None:
    add(config)
    assert user(config, "disable", "wang").exit_code == 0
    assert listed(config)[0]["state"] == "disabled"
    assert user(config, "enable", "wang").exit_code == 0
    assert listed(config)[0]["state"] == "enabled"


@pytest.mark.parametrize(
    ("until_ms", "state"),
    [(4_000_000_000_000, "locked until 2096"), (UNTIL_UNLOCKED, "locked until unlocked")],
)
def test_a_locked_person_is_shown_as_locked_and_can_be_unlocked(
    config: Path, until_ms: int, state: str
) -> None:
    add(config)
    opened = store(config)
    opened.charge("wang", lambda _: LockoutState(100, until_ms))
    opened.close()
    assert listed(config)[0]["state"].startswith(state)
    assert user(config, "unlock", "wang").exit_code == 0
    assert listed(config)[0]["state"] == "enabled"


@pytest.mark.parametrize("command", ["password", "re-enrol", "unlock", "disable", "enable"])
def test_somebody_who_is_not_there_cannot_be_changed(config: Path, command: str) -> None:
    told = user(config, command, "nobody", typed=TWICE)
    assert told.exit_code == 1
    assert "there is no person 'nobody'" in told.err


def test_every_change_and_every_refusal_is_written_down_without_a_secret(config: Path) -> None:
    add(config)
    add(config)
    user(config, "disable", "wang")
    lines = audit(config)
    assert [(line["action"], line["person"], line["accepted"]) for line in lines] == [
        ("add-person", "wang", True),
        ("add-person", "wang", False),
        ("disable", "wang", True),
    ]
    assert all(line["by"].startswith("admin:") for line in lines)
    path = config.parent / "identity.audit.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in path.read_text("utf-8")


def test_the_key_of_another_store_is_refused_in_one_line(config: Path) -> None:
    (config.parent / "identity.key").write_bytes(os.urandom(32))
    told = user(config, "list")
    assert told.exit_code == 1
    assert "does not belong to this identity store" in told.err
    assert told.err.count("\n") == 1


def test_an_exposed_store_is_refused(config: Path) -> None:
    (config.parent / "identity.db").chmod(0o644)
    told = user(config, "list")
    assert told.exit_code == 1
    assert "chmod 600" in told.err


def test_a_store_that_is_busy_for_too_long_is_one_line(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("dispatch_server.identity.database"), "BUSY_S", 0.0)
    opened = store(config)
    with opened._db.writing():
        told = add(config)
    opened.close()
    assert told.exit_code == 1
    assert "locked" in told.err
    assert told.err.count("\n") == 1
