import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dispatch_server.__main__ import app
from dispatch_server.cli.status import draw
from protocol.aio.control import CommandFailed
from protocol.texts import Language
from situational import METRICS, Letter, Level, Posture
from tests.dispatch_server.support import CENTER, program, write_config
from tests.support import orders
from tests.support.terminal import run


def link(node: str = "plant-a", **more: Any) -> dict[str, Any]:
    facts = {"superior": "hq", "node": node, "role": "plant", "state": "connected", "polls": 17}
    return facts | {"sessions": 2, "faults": 0, "last_error": "", "waiting": 0} | more


def status(**more: Any) -> dict[str, Any]:
    letters = {metric.value: letter for metric, letter in zip(METRICS, "ABCG", strict=True)}
    nodes = {"plant-a": {"letters": letters, "hazard": "normal", "posture": "normal"}}
    facts = {"node": "hq", "role": "hq", "term": 3, "posture": "normal", "superior": None, "links": [link()]}
    return facts | {"nodes": nodes, "open_orders": 1, "ledger_entry": 99} | more


def coloured(result: dict[str, Any]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=250, force_terminal=True, color_system="standard", highlight=False)
    console.print(draw(result, Language.EN))
    return out.getvalue()


def test_status_shows_links_letters_hazard_and_posture(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, status=status()):
        told = run(app, "status", "--config", config)
    for part in ("headquarters hq", "plant-a", "connected", "17", "normal issuing", "network flow", "99"):
        assert part in told.out
    row = next(line for line in told.out.splitlines() if "plant-a" in line and "normal issuing" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")][1:5] == ["A", "B", "C", "G"]


def test_status_in_chinese(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, status=status()):
        told = run(app, "status", "--config", config, "--lang", "zh")
    for part in ("总调 hq", "链路", "已连接", "厂站", "网络流量", "正常下令", "态势"):
        assert part in told.out


def test_status_as_json_is_what_the_server_said(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, status=status()):
        assert run(app, "status", "--config", config, "--json").json == status()


def test_a_center_shows_whether_its_superior_is_there(tmp_path: Path) -> None:
    config = write_config(tmp_path, CENTER)
    superior = {"name": "hq", "connected": False}
    with program(config, status=status(role="center", node="south", superior=superior)):
        assert "hq: not connected" in run(app, "status", "--config", config).out


def test_what_is_normal_has_no_colour() -> None:
    text = coloured(status())
    assert "\x1b[3" not in text.replace("\x1b[3m", "")  # italics are no colour


@pytest.mark.parametrize(
    "change",
    [
        {"links": [link(state="waiting", last_error="lost: silent")]},
        {"links": [link(faults=1)]},
        {"posture": "held"},
        {"superior": {"name": "hq", "connected": False}},
        {"nodes": {"plant-a": {"letters": {}, "hazard": "major", "posture": "held"}}},
    ],
)
def test_what_is_abnormal_is_red(change: dict[str, Any]) -> None:
    assert "\x1b[31m" in coloured(status(**change))


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("posture", list(Posture))
def test_every_level_and_posture_can_be_shown_in_both_languages(level: Level, posture: Posture) -> None:
    letters = {METRICS[0].value: Letter.NONE.value}
    node = {"letters": letters, "hazard": level.name.lower(), "posture": posture.name.lower()}
    for language in Language:
        draw(status(nodes={"x": node}, posture=posture.name.lower()), language)


def test_a_node_that_cannot_be_judged_yet_says_so(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    node = {"letters": {METRICS[0].value: "none"}, "hazard": None, "posture": "normal"}
    with program(config, status=status(nodes={"plant-a": node})):
        told = run(app, "status", "--config", config)
    assert "not judged yet" in told.out
    assert "—" in told.out


def test_a_peer_s_error_text_cannot_steer_the_terminal(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    nasty = link(state="waiting", last_error="\x1b[2J[green]all is well[/]")
    with program(config, status=status(links=[nasty])):
        told = run(app, "status", "--config", config)
    assert "<U+001B>[2J[green]all is well[/]" in told.out
    assert "\x1b" not in told.out


def test_orders_are_listed_and_shown(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, list=[orders.row()], show=orders.view()) as server:
        listed = run(app, "orders", "--config", config, "--limit", 5, "--lang", "zh")
        as_json = run(app, "orders", "--config", config, "--json")
        shown = run(app, "show", "t-1", "--config", config)
    assert "已复诵" in listed.out
    assert as_json.json == [orders.row()]
    assert "wang" in shown.out
    assert server.asked[0] == ("list", {"limit": 5})
    assert server.arguments("show") == {"order": "t-1"}


def test_an_order_that_is_not_there_exits_with_1(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, show=CommandFailed("unknown-order", "there is no such order here")):
        told = run(app, "show", "t-9", "--config", config)
    assert (told.exit_code, told.err) == (1, "there is no such order here\n")


def test_a_posture_is_released_by_a_named_person(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, release_posture={"posture": "normal"}) as server:
        told = run(app, "posture", "release", "--person", "chen", "--config", config, "--lang", "zh")
    assert told.out == "态势处置：正常下令\n"
    assert server.asked == [("release-posture", {"person": "chen"})]


def test_nobody_releases_a_posture_without_a_name(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, release_posture={"posture": "normal"}) as server:
        assert run(app, "posture", "release", "--config", config).exit_code == 2
        assert run(app, "posture", "release", "--person", "X Y", "--config", config).exit_code == 2
    assert server.asked == []
