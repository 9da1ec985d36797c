import os
import stat
from importlib import import_module
from pathlib import Path

import pytest

from dispatch_client.__main__ import app
from dispatch_client.keyfile import WrappingCost, create_key
from dispatch_server import pki
from tests.support.terminal import run

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _cheap_wrapping(monkeypatch: pytest.MonkeyPatch) -> None:
    cheap = WrappingCost(memory_kib=8, iterations=1)
    monkeypatch.setattr(import_module("dispatch_client.cli.key"), "WrappingCost", lambda: cheap)


def new(folder: Path, typed: str, person: str = "wang", *more: str) -> tuple[int, str, str]:
    told = run(app, "key", "new", "--person", person, "--folder", folder, *more, typed=typed)
    return told.exit_code, told.out, told.err


def test_a_new_key_comes_with_a_request_and_says_what_to_do_next(tmp_path: Path) -> None:
    code, out, _ = new(tmp_path / "people", f"{PASSWORD}\n{PASSWORD}\n")
    assert code == 0
    assert stat.S_IMODE((tmp_path / "people" / "wang.key").stat().st_mode) == 0o600
    pki.read_request((tmp_path / "people" / "wang.csr").read_bytes(), "wang")
    assert "dispatch-server pki person" in out
    assert PASSWORD not in out


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        (f"{PASSWORD}\n{PASSWORD}x\n", "not the same"),
        ("short\nshort\n", "at least 12"),
        ("I am Wang myself\nI am Wang myself\n", "must not contain the person's id"),
        (f"{PASSWORD}\n", "ended before"),
        ("", "ended before"),
    ],
)
def test_no_key_is_made_without_a_password_that_was_given_twice(
    tmp_path: Path, typed: str, reason: str
) -> None:
    code, _, err = new(tmp_path / "people", typed)
    assert code == 1
    assert reason in err
    assert err.count("\n") == 1
    assert not (tmp_path / "people").exists()


def test_an_existing_key_is_kept(tmp_path: Path) -> None:
    typed = f"{PASSWORD}\n{PASSWORD}\n"
    assert new(tmp_path, typed)[0] == 0
    before = (tmp_path / "wang.key").read_bytes()
    code, _, err = new(tmp_path, typed)
    assert code == 1
    assert "there is a key already" in err
    assert (tmp_path / "wang.key").read_bytes() == before


@pytest.mark.parametrize("person", ["../wang", "Wang", "", "a b", "王", "a" * 33])
def test_a_person_is_named_as_certificates_name_people(tmp_path: Path, person: str) -> None:
    code, _, err = new(tmp_path / "people", f"{PASSWORD}\n{PASSWORD}\n", person)
    assert code == 2
    assert "lower-case" in err
    assert not (tmp_path / "people").exists()


def test_refusals_can_be_asked_for_in_chinese(tmp_path: Path) -> None:
    assert "口令" in new(tmp_path, "short\nshort\n", "wang", "--lang", "zh")[2]


def test_the_password_of_a_key_can_be_changed(tmp_path: Path) -> None:
    create_key("wang", PASSWORD, tmp_path, os.urandom, WrappingCost(memory_kib=8, iterations=1))
    arguments = ("key", "password", "--person", "wang", "--folder", tmp_path)
    typed = f"{PASSWORD}\na newer password\na newer password\n"
    assert run(app, *arguments, typed=typed).exit_code == 0
    again = run(app, *arguments, typed=typed)
    assert again.exit_code == 1
    assert "password does not open it" in again.err
