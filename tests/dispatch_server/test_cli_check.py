import os
from pathlib import Path

from dispatch_server.__main__ import app
from dispatch_server.identity.sealing import create_key_file
from protocol.keys import Role
from tests.dispatch_server.support import CENTER, HQ, write_config
from tests.support.deployment import write_keys
from tests.support.terminal import run


def prepare(folder: Path, role: Role = Role.HQ, node: str = "hq") -> None:
    write_keys(folder, role, node)
    create_key_file(folder / "identity.key", os.urandom(32))


def test_headquarters_says_whom_it_dials(tmp_path: Path) -> None:
    prepare(tmp_path)
    told = run(app, "check-config", write_config(tmp_path))
    assert told.exit_code == 0
    for part in (
        "hq dials desk desk-1 at 192.0.2.11:20880",
        "hq dials plant plant-a at 192.0.2.21:20880",
        "hq dials center south at 192.0.2.31:20880, which serves plant-b",
        "hq hq of test-grid: nothing to refuse",
        "nobody may log in yet",
    ):
        assert part in told.out
    assert not told.err


def test_a_center_says_who_dials_it_too(tmp_path: Path) -> None:
    prepare(tmp_path, Role.CENTER, "south")
    told = run(app, "check-config", write_config(tmp_path, CENTER), "--json")
    assert told.exit_code == 0
    assert told.json["is"] == "center south of test-grid"
    assert told.json["refusals"] == []
    assert told.json["facts"][0] == "hq dials south at 0.0.0.0:20880; nobody else may"
    assert told.json["facts"][1] == "south dials plant plant-b at 192.0.2.41:20880"


def test_everything_that_is_wrong_is_explained_with_place_reason_and_remedy(tmp_path: Path) -> None:
    text = HQ + '[listen]\nsuperior = "x"\n[timers]\npoll_interval_ms = 100\n'
    told = run(app, "check-config", write_config(tmp_path, text), "--json")
    assert told.exit_code == 1
    by_place = {refusal["place"].split(": ", 1)[1]: refusal for refusal in told.json["refusals"]}
    assert {"listen", "timers", "keys.authority", "keys.certificate", "keys.key", "identity.key"} == set(
        by_place
    )
    assert all(refusal["reason"] and refusal["remedy"] for refusal in by_place.values())
    assert by_place["listen"]["remedy"] == "Remove [listen]"


def test_an_exposed_identity_key_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path)
    (tmp_path / "identity.key").chmod(0o644)
    told = run(app, "check-config", write_config(tmp_path))
    assert told.exit_code == 1
    assert "chmod 600" in told.err


def test_a_missing_identity_key_says_how_to_make_it(tmp_path: Path) -> None:
    write_keys(tmp_path, Role.HQ, "hq")
    told = run(app, "check-config", write_config(tmp_path))
    assert told.exit_code == 1
    assert "dispatch-server user init" in told.err


def test_a_client_s_configuration_is_sent_to_the_client_s_program(tmp_path: Path) -> None:
    config = write_config(tmp_path, 'role = "plant"\nnode = "plant-a"\n')
    told = run(app, "check-config", config)
    assert told.exit_code == 1
    assert (
        f"it configures a plant, which dispatch-client runs. Run: dispatch-client check-config {config}"
        in told.err
    )


def test_a_role_that_nobody_has_is_refused(tmp_path: Path) -> None:
    for role in ('"server"', "7", '["hq"]'):
        told = run(app, "check-config", write_config(tmp_path, HQ, '"hq"', role))
        assert told.exit_code == 1
        assert "role" in told.err


def test_a_file_that_is_not_toml_is_one_line(tmp_path: Path) -> None:
    told = run(app, "check-config", write_config(tmp_path, "role = \n"))
    assert told.exit_code == 1
    assert told.err.count("\n") == 1
    assert "is not TOML" in told.err
