from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dispatch_client.__main__ import app
from dispatch_server import pki
from protocol.keys import Role
from tests.dispatch_client.support import write_config
from tests.support.deployment import write_keys
from tests.support.terminal import run


def test_a_good_configuration_says_who_dials_whom_and_who_works_there(tmp_path: Path) -> None:
    write_keys(tmp_path, Role.DESK, "desk-1")
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "wang.key").touch()
    told = run(app, "check-config", write_config(tmp_path))
    assert told.exit_code == 0
    assert "hq dials desk-1" in told.out
    assert "people with a key here: wang" in told.out
    assert "valid until" in told.out


def test_every_wrong_setting_is_explained_at_once(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    config.write_text(config.read_text().replace("port = 0", 'port = 99999\naddress = "192.0.2.1"'))
    told = run(app, "check-config", config)
    assert told.exit_code == 1
    refused = [line for line in told.err.splitlines() if line.startswith("refused: ")]
    assert len(refused) == 2
    assert "listen.port" in told.err
    assert "listen.address" in told.err
    assert "README of configs/" in refused[0]


def test_the_address_of_a_superior_has_no_place(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    config.write_text(config.read_text() + '[[links]]\nnode = "hq"\nrole = "hq"\nhost = "192.0.2.1"\n')
    told = run(app, "check-config", config, "--json")
    assert told.exit_code == 1
    assert [refusal["place"] for refusal in told.json["refusals"]] == [f"{config}: links"]


def test_a_server_s_configuration_is_sent_to_the_server_s_program(tmp_path: Path) -> None:
    config = write_config(tmp_path, "center", "south")
    told = run(app, "check-config", config)
    assert told.exit_code == 1
    assert f"dispatch-server check-config {config}" in told.err


def test_missing_files_are_named_one_by_one(tmp_path: Path) -> None:
    told = run(app, "check-config", write_config(tmp_path), "--json")
    places = [refusal["place"].rsplit(": ", 1)[1] for refusal in told.json["refusals"]]
    assert places == ["keys.authority", "keys.certificate", "keys.key"]
    assert told.exit_code == 1


def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    write_keys(tmp_path, Role.DESK, "desk-1")
    (tmp_path / "node.key").chmod(0o640)
    told = run(app, "check-config", write_config(tmp_path))
    assert told.exit_code == 1
    assert "chmod 600" in told.err


@pytest.mark.parametrize(("role", "node"), [(Role.DESK, "desk-2"), (Role.PLANT, "desk-1")])
def test_the_key_of_another_node_is_refused(tmp_path: Path, role: Role, node: str) -> None:
    write_keys(tmp_path, role, node)
    told = run(app, "check-config", write_config(tmp_path))
    assert told.exit_code == 1
    assert f"it names {role.value} '{node}'" in told.err


def test_a_key_that_does_not_belong_to_the_certificate_is_refused(tmp_path: Path) -> None:
    write_keys(tmp_path, Role.DESK, "desk-1")
    (tmp_path / "other").mkdir()
    write_keys(tmp_path / "other", Role.DESK, "desk-1")
    (tmp_path / "node.key").write_bytes((tmp_path / "other" / "node.key").read_bytes())
    told = run(app, "check-config", write_config(tmp_path))
    assert told.exit_code == 1
    assert "does not belong" in told.err


def test_a_certificate_of_another_authority_is_refused(tmp_path: Path) -> None:
    write_keys(tmp_path, Role.DESK, "desk-1")
    other = pki.create_authority("other", datetime.now(UTC), 1)
    (tmp_path / "authority.crt").write_bytes(pki.certificate_pem(other.certificate))
    told = run(app, "check-config", write_config(tmp_path))
    assert told.exit_code == 1
    assert "not issued by this deployment's authority" in told.err


def test_a_certificate_that_ends_soon_is_said_to(tmp_path: Path) -> None:
    write_keys(tmp_path, Role.DESK, "desk-1", days=3)
    told = run(app, "check-config", write_config(tmp_path))
    assert told.exit_code == 0
    assert "soon: renew it" in told.out


def test_a_certificate_that_is_over_is_refused(tmp_path: Path) -> None:
    write_keys(tmp_path, Role.DESK, "desk-1", days=-0.001)
    told = run(app, "check-config", write_config(tmp_path))
    assert told.exit_code == 1
    assert "not valid at this time" in told.err


@pytest.mark.parametrize("days", [1, 30])
def test_a_revocation_list_that_is_overdue_is_told_and_refuses_nothing(tmp_path: Path, days: int) -> None:
    authority = write_keys(tmp_path, Role.DESK, "desk-1")
    made = pki.revocation_list(authority, [], datetime.now(UTC) - timedelta(days=2), days)
    (tmp_path / "revoked.crl").write_bytes(pki.certificate_pem(made))
    config = write_config(tmp_path)
    config.write_text(config.read_text().replace("[keys]", '[keys]\nrevocations = "revoked.crl"'))
    told = run(app, "check-config", config)
    assert told.exit_code == 0
    assert ("is overdue: carry a new one here" in told.out) == (days == 1)


def refused_with(folder: Path, old: str, new: str) -> str:
    """What stands on standard error when one place of a good configuration is changed."""
    write_keys(folder, Role.DESK, "desk-1")
    config = write_config(folder)
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    told = run(app, "check-config", config)
    assert told.exit_code == 1
    return told.err


def test_a_node_that_would_be_its_own_superior_is_refused(tmp_path: Path) -> None:
    err = refused_with(tmp_path, 'superior = "hq"', 'superior = "desk-1"')
    assert "listen.superior: it is this node itself. Name the server that dials it" in err


def test_a_control_socket_with_too_long_a_path_is_refused(tmp_path: Path) -> None:
    assert "control: path is over 100 bytes" in refused_with(tmp_path, "run/control", f"run/{'x' * 100}")


def test_a_control_socket_that_is_the_journal_is_refused(tmp_path: Path) -> None:
    err = refused_with(tmp_path, "run/control", "journal.db")
    assert "journal: it is the file of 'control' too" in err


def test_a_journal_under_a_file_is_refused(tmp_path: Path) -> None:
    err = refused_with(tmp_path, "journal.db", "node.crt/journal.db")
    assert f"journal: {tmp_path / 'node.crt'} is no folder" in err


def test_a_control_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir(mode=0o755)
    err = refused_with(tmp_path, "port = 0", "port = 1")
    assert f"chmod 700 {tmp_path / 'run'}" in err


def test_a_folder_that_serves_everybody_is_not_to_be_closed_for_a_control_socket(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run").chmod(0o1777)
    err = refused_with(tmp_path, "port = 0", "port = 1")
    assert "Choose a folder of this account alone, mode 700" in err
    assert "chmod" not in err
