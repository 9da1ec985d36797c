import os
import sqlite3
from pathlib import Path

import pytest

from dispatch_server.__main__ import app
from dispatch_server.awareness.store import TelemetryStore
from dispatch_server.identity.sealing import create_key_file
from protocol.keys import Role
from tests.dispatch_server.support import CENTER, HQ, write_config
from tests.support.deployment import write_keys
from tests.support.terminal import run

EXPERTS = Path(__file__).parents[2] / "configs" / "risk-experts.toml"


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


# Places


def test_it_says_into_which_zones_it_may_open_connections(tmp_path: Path) -> None:
    prepare(tmp_path)
    assert "it is in zone 9 and opens connections into lower zones only" in facts_of(tmp_path)


def test_a_control_socket_with_too_long_a_path_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path)
    name = "x" * (101 - len(os.fsencode(tmp_path / "run")) - 1)
    told = run(app, "check-config", write_config(tmp_path, HQ, "run/control", f"run/{name}"))
    assert told.exit_code == 1
    assert "config.toml: control: path is over 100 bytes. Choose a shorter one" in told.err
    told = run(app, "check-config", write_config(tmp_path, HQ, "run/control", f"run/{name[1:]}"))
    assert told.exit_code == 0


def test_a_control_socket_in_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path)
    (tmp_path / "run").mkdir(mode=0o750)
    told = run(app, "check-config", write_config(tmp_path))
    assert told.exit_code == 1
    assert (
        f"control: others may enter its folder {tmp_path / 'run'}. chmod 700 {tmp_path / 'run'}" in told.err
    )
    (tmp_path / "run").chmod(0o700)
    assert run(app, "check-config", write_config(tmp_path)).exit_code == 0


@pytest.mark.parametrize(
    ("old", "new", "setting", "other"),
    [
        ('"identity.db"', '"journal.db"', "identity.store", "journal"),
        ('"journal.db"', '"run/../run/control"', "journal", "control"),
        ("[identity]", '[telemetry]\nstore = "journal.db"\n[identity]', "telemetry.store", "journal"),
        ('"identity.key"', '"node.key"', "identity.key", "keys.key"),
    ],
)
def test_one_file_for_two_things_is_refused(
    tmp_path: Path, old: str, new: str, setting: str, other: str
) -> None:
    prepare(tmp_path)
    told = run(app, "check-config", write_config(tmp_path, HQ, old, new))
    assert told.exit_code == 1
    assert f"{setting}: it is the file of '{other}' too. Give each its own file" in told.err


def test_a_journal_that_cannot_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(tmp_path)
    (tmp_path / "is-a-folder").mkdir()
    for name, reason in (
        ("node.crt/journal.db", f"{tmp_path / 'node.crt'} is no folder"),
        ("is-a-folder", f"{tmp_path / 'is-a-folder'} is a folder"),
    ):
        told = run(app, "check-config", write_config(tmp_path, HQ, "journal.db", name))
        assert told.exit_code == 1
        assert f"config.toml: journal: {reason}. Name a file in a folder of this account" in told.err
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)
    told = run(app, "check-config", write_config(tmp_path))
    assert told.exit_code == 1
    assert f"journal: {tmp_path} cannot be written by this account" in told.err


# Awareness


def facts_of(folder: Path, text: str = "", *, base: str = HQ) -> str:
    told = run(app, "check-config", write_config(folder, base + text))
    assert told.exit_code == 0, told
    return told.out


def refused(folder: Path, text: str) -> str:
    """What stands on standard error as the only refusal."""
    told = run(app, "check-config", write_config(folder, HQ + text))
    assert told.exit_code == 1, told
    assert told.err.count("refused: ") == 1
    return told.err


def test_the_playbook_is_explained_as_what_people_will_meet(tmp_path: Path) -> None:
    prepare(tmp_path)
    out = facts_of(tmp_path)
    for part in (
        "hazard medium: heightened: each issue needs the approval of a second person, a supervisor",
        "hazard high: restricted: only the order types that the configuration lists",
        "hazard major: held: nothing is issued or confirmed over the network: use the telephone",
        "only a person ends: held; other postures end 120 s after their hazard",
    ):
        assert part in out
    assert "hazard advisory" not in out


def test_a_playbook_of_one_s_own_is_explained(tmp_path: Path) -> None:
    prepare(tmp_path)
    out = facts_of(
        tmp_path,
        '[playbook]\nadvisory = "heightened"\nlifting = "heightened"\nby_person = []\ndwell_s = 30\n',
    )
    assert "hazard advisory: heightened" in out
    assert "hazard lifting: heightened" in out
    assert "only a person ends: none; other postures end 30 s after their hazard" in out


def test_a_playbook_that_asks_for_nothing_says_so(tmp_path: Path) -> None:
    prepare(tmp_path)
    out = facts_of(tmp_path, '[playbook]\nmedium = "normal"\nhigh = "normal"\nmajor = "normal"\n')
    assert "no hazard changes how orders are issued" in out


def test_a_playbook_that_eases_while_a_hazard_grows_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path)
    err = refused(tmp_path, '[playbook]\nhigh = "normal"\n')
    assert "playbook: the playbook's posture for HIGH is weaker than the one for MEDIUM" in err
    assert "Let a higher level never ask for less care" in err


def test_a_center_is_told_that_headquarters_decides(tmp_path: Path) -> None:
    prepare(tmp_path, Role.CENTER, "south")
    assert "headquarters decides by its own what is issued" in facts_of(tmp_path, base=CENTER)


def test_without_a_store_it_says_what_is_lost(tmp_path: Path) -> None:
    prepare(tmp_path)
    assert "end with the process: telemetry.store would keep them" in facts_of(tmp_path)


def test_a_store_that_can_be_made_is_not_made_by_the_check(tmp_path: Path) -> None:
    prepare(tmp_path)
    out = facts_of(tmp_path, '[telemetry]\nstore = "new/folder/telemetry.db"\nkeep_days = 7\n')
    assert f"curves are kept for 7 days in {tmp_path / 'new' / 'folder' / 'telemetry.db'}" in out
    assert not (tmp_path / "new").exists()


def test_a_store_that_is_there_is_looked_into(tmp_path: Path) -> None:
    prepare(tmp_path)
    TelemetryStore(tmp_path / "telemetry.db").close()
    before = (tmp_path / "telemetry.db").read_bytes()
    assert "curves are kept for 30 days" in facts_of(tmp_path, '[telemetry]\nstore = "telemetry.db"\n')
    assert (tmp_path / "telemetry.db").read_bytes() == before


def test_a_store_that_is_another_program_s_file_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE precious (x)")
    other.close()
    err = refused(tmp_path, '[telemetry]\nstore = "other.db"\n')
    assert "it is another program's file. Name a file of its own" in err


def test_a_store_under_a_file_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path)
    err = refused(tmp_path, '[telemetry]\nstore = "node.crt/telemetry.db"\n')
    assert f"{tmp_path / 'node.crt'} is no folder. Name a file in a folder" in err


@pytest.mark.parametrize("exists", [True, False])
def test_a_store_that_this_account_may_not_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exists: bool
) -> None:
    prepare(tmp_path)
    (tmp_path / "curves").mkdir()
    if exists:
        TelemetryStore(tmp_path / "curves" / "telemetry.db").close()
    closed = tmp_path / "curves" / "telemetry.db" if exists else tmp_path / "curves"
    monkeypatch.setattr("os.access", lambda path, mode: path != closed)
    assert f"{closed} cannot be written" in refused(tmp_path, '[telemetry]\nstore = "curves/telemetry.db"\n')


def test_experts_that_can_be_read_are_counted(tmp_path: Path) -> None:
    prepare(tmp_path)
    (tmp_path / "experts.toml").write_bytes(EXPERTS.read_bytes())
    assert "risk board: 5 experts on 19 factors" in facts_of(tmp_path, '[risk]\nexperts = "experts.toml"\n')
    assert "no risk board: risk.experts names no file" in facts_of(tmp_path)


@pytest.mark.parametrize(
    ("right", "wrong", "cell"),
    [
        ("C24 = { probability = [6.5, 7.5]", "C24 = { probability = [7.5, 6.5]", "C24 / probability"),
        ("severity = [4.5, 6.0]", "severity = [4.5, 60.0]", "C11 / severity / upper"),
        ('name = "Example expert 2"', 'name = "Example expert 1"', "experts[2] / name"),
        ("weight = 0.2", "weight = 0.3", "experts / weight"),
        ("C55 = ", "C99 = ", "C99"),
    ],
)
def test_the_wrong_cell_of_the_experts_is_named(tmp_path: Path, right: str, wrong: str, cell: str) -> None:
    prepare(tmp_path)
    text = EXPERTS.read_text("utf-8")
    assert right in text
    (tmp_path / "experts.toml").write_text(text.replace(right, wrong, 1), "utf-8")
    err = refused(tmp_path, '[risk]\nexperts = "experts.toml"\n')
    assert f"risk.experts: {tmp_path / 'experts.toml'}" in err
    assert cell in err


def test_an_experts_file_that_is_not_there_or_not_toml_is_refused(tmp_path: Path) -> None:
    prepare(tmp_path)
    assert "No such file" in refused(tmp_path, '[risk]\nexperts = "none.toml"\n')
    (tmp_path / "bad.toml").write_bytes(b"experts = [\n")
    assert "bad.toml" in refused(tmp_path, '[risk]\nexperts = "bad.toml"\n')
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe")
    assert "binary.json" in refused(tmp_path, '[risk]\nexperts = "binary.json"\n')
