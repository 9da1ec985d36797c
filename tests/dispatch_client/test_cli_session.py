from pathlib import Path

import pytest

from dispatch_client.__main__ import app
from protocol.aio.control import CommandFailed
from tests.dispatch_client.support import PASSWORD, program, status, write_config
from tests.support import orders
from tests.support.terminal import run

LOGIN = {"person": "wang", "expires_ms": 1_800_000_000_000}


def test_login_reads_the_password_and_then_the_code_from_standard_input(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, login=LOGIN) as client:
        told = run(app, "login", "wang", "--config", config, typed=f"{PASSWORD}\n123456\n")
    assert told.exit_code == 0
    assert "wang is logged in until" in told.out
    expected = {"person": "wang", "password": PASSWORD, "factor": "totp", "response": "123456"}
    assert client.arguments("login") == expected


def test_secrets_are_never_shown_again(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, login=CommandFailed("not-accepted", "not accepted: check name and password")):
        told = run(app, "login", "wang", "--config", config, typed=f"{PASSWORD}\n123456\n")
    assert told.exit_code == 1
    assert told.err == "not accepted: check name and password\n"
    assert PASSWORD not in told.out + told.err
    assert "123456" not in told.out + told.err


def test_nothing_is_sent_when_the_input_ends_before_the_second_factor(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, login=LOGIN) as client:
        told = run(app, "login", "wang", "--config", config, typed=f"{PASSWORD}\n")
    assert told.exit_code == 1
    assert "ended before" in told.err
    assert client.commands == []


def test_there_is_no_option_for_a_password(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    told = run(app, "login", "wang", "--password", PASSWORD, "--config", config)
    assert told.exit_code == 2
    assert "No such option" in told.err


def test_another_factor_can_be_named(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, login=LOGIN) as client:
        run(app, "login", "wang", "--config", config, "--factor", "face", typed=f"{PASSWORD}\nr\n")
    assert client.arguments("login")["factor"] == "face"


def test_login_in_chinese_and_as_json(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    typed = f"{PASSWORD}\n123456\n"
    with program(config, login=LOGIN):
        chinese = run(app, "login", "wang", "--config", config, "--lang", "zh", typed=typed)
        as_json = run(app, "login", "wang", "--config", config, "--json", typed=typed)
    assert "wang 已登录" in chinese.out
    assert as_json.json == LOGIN


def test_logout_names_who_it_was(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, logout={"person": "wang"}):
        assert run(app, "logout", "--config", config).out == "wang is logged out\n"
    with program(config, logout={"person": None}):
        assert run(app, "logout", "--config", config, "--lang", "zh").out == "无人登录 已退出\n"


def test_status_shows_the_link_and_who_is_here(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, status=status()):
        told = run(app, "status", "--config", config)
    for part in ("desk desk-1", "hq: connected", "wang", "42"):
        assert part in told.out


def test_status_says_when_nobody_dials_and_nobody_is_logged_in(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, status=status(connected=False, person=None)):
        told = run(app, "status", "--config", config, "--lang", "zh")
    assert "hq: 未连接" in told.out
    assert "无人登录" in told.out


def test_the_inbox_says_what_to_do_next(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    rows = [orders.row("t-2", "executing", custody="plant"), orders.row("t-1", "read-back")]
    with program(config, status=status(), list=rows) as client:
        told = run(app, "inbox", "--config", config)
        as_json = run(app, "inbox", "--config", config, "--json")
        chinese = run(app, "inbox", "--config", config, "--lang", "zh")
    assert told.out.index("t-1") < told.out.index("t-2")
    assert "compare: confirm or reissue" in told.out
    assert "核对复诵" in chinese.out
    assert [row["order"] for row in as_json.json] == ["t-1", "t-2"]
    assert client.arguments("list") == {"limit": 1000}


def test_the_inbox_of_a_plant_says_what_the_operator_does(tmp_path: Path) -> None:
    config = write_config(tmp_path, "plant", "plant-a")
    rows = [orders.row("t-1", "confirmed", custody="plant"), orders.row("t-2", "delivered")]
    with program(config, status=status("plant"), list=rows):
        told = run(app, "inbox", "--config", config, "--lang", "zh")
    assert "开始执行" in told.out
    assert "复诵或拒绝" in told.out


def test_watching_without_a_screen_prints_one_below_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path)
    pauses = iter([None, None])

    def pause(_seconds: float) -> None:
        if next(pauses, "over") == "over":
            raise KeyboardInterrupt

    monkeypatch.setattr("protocol.terminal.tables.time.sleep", pause)
    with program(config, status=status(), list=[orders.row()]):
        told = run(app, "inbox", "--watch", "--config", config)
    assert told.exit_code == 130
    assert told.out.count("t-1") == 3


@pytest.mark.parametrize(
    ("granted", "said"),
    [(2, "its term 1 does not count, 2 does"), (1, "its term 1 was granted to another server")],
)
def test_a_superior_that_was_turned_away_is_told_with_its_term(
    tmp_path: Path, granted: int, said: str
) -> None:
    config = write_config(tmp_path)
    fenced = {"at_ms": 0, "term": 1, "granted": granted}
    with program(config, status=status(fenced=fenced)):
        told = run(app, "status", "--config", config)
    assert said in told.out
