import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console, RenderableType

from dispatch_server.__main__ import app
from dispatch_server.cli.status import draw
from protocol.aio.control import CommandFailed
from protocol.terminal.screen import local_time
from protocol.texts import Language
from situational import METRICS, Letter, Level, Metric, Posture, ReasonCode
from tests.dispatch_server.support import CENTER, program, write_config
from tests.support import orders
from tests.support.pki import NOW_MS
from tests.support.terminal import run


def link(node: str = "plant-a", **more: Any) -> dict[str, Any]:
    facts = {"superior": "hq", "node": node, "role": "plant", "state": "connected", "polls": 17}
    times = {"since_ms": NOW_MS, "round_trip_s": 0.0123}
    return facts | times | {"sessions": 2, "faults": 0, "last_error": "", "waiting": 0} | more


def total(rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    up = sum(each["state"] == "connected" for each in rows)
    counts = {"links": len(rows), "up": up, "dialling": 0, "faulty": 0, "behind": 0, "nodes": 1}
    queues = {"waiting": 0, "waiting_most": 0, "uncommitted": 0}
    times = {"polls_per_s": 3.4, "round_trip_p99_s": 0.0456, "commit_p99_s": 0.0078}
    stalls = {"stalls": 0, "stall_last_minute_s": 0.0021, "stall_longest_s": 0.0032}
    return counts | queues | times | stalls | more


def status(**more: Any) -> dict[str, Any]:
    letters = {metric.value: letter for metric, letter in zip(METRICS, "ABCG", strict=True)}
    facts = {"node": "hq", "role": "hq", "term": 3, "posture": "normal", "superior": None}
    counts = {"unacknowledged in all": 0}
    more = {"links": [link()], "nodes": {"plant-a": node(letters=letters)}, "alarms": counts} | more
    more = {"total": total(more["links"], nodes=len(more["nodes"])), "behind": [], "impaired": {}} | more
    return facts | {"open_orders": 1, "ledger_entry": 99} | more


def behind(**more: Any) -> dict[str, Any]:
    facts = {"superior": "south", "node": "plant-b", "reachable": True, "heard_s": 1.2, "is_silent": False}
    return facts | more


def node(**more: Any) -> dict[str, Any]:
    facts = {"letters": {}, "hazard": "normal", "judged": 4, "leading": "A", "reasons": []}
    return facts | {"posture": "normal"} | more


def reason(code: str, metric: str | None = None, letter: str = "B", growth: float = 0.5) -> dict[str, Any]:
    return {"code": code, "metric": metric, "letter": letter, "growth": growth}


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
        {"nodes": {"plant-a": node(hazard="major")}},
        {"nodes": {"plant-a": node(posture="held")}},
        {"alarms": {"unacknowledged in all": 1, "unacknowledged": 1}},
        {"impaired": {"curves": "database or disk is full"}},
        {"total": total([link()], stall_last_minute_s=0.3)},
        {"total": total([link()], links=20_000)},
        {"behind": [behind(is_silent=True, heard_s=60.0)]},
        {"behind": [behind(reachable=False)]},
    ],
)
def test_what_is_abnormal_is_red(change: dict[str, Any]) -> None:
    assert "\x1b[31m" in coloured(status(**change))


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("posture", list(Posture))
def test_every_level_and_posture_can_be_shown_in_both_languages(level: Level, posture: Posture) -> None:
    letters = {METRICS[0].value: Letter.NONE.value}
    view = node(letters=letters, hazard=level.name.lower(), posture=posture.name.lower())
    for language in Language:
        draw(status(nodes={"x": view}, posture=posture.name.lower()), language)


def test_a_node_that_cannot_be_judged_yet_says_so(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    view = node(letters={METRICS[0].value: "none"}, hazard=None, judged=0)
    with program(config, status=status(nodes={"plant-a": view})):
        told = run(app, "status", "--config", config)
    assert "not judged yet" in told.out
    assert "—" in told.out


def text_of(tmp_path: Path, *options: str, **more: Any) -> str:
    config = write_config(tmp_path)
    with program(config, status=status(**more)):
        return run(app, "status", "--config", config, *options).out


@pytest.mark.parametrize("judged", [0, 1, 3, 4])
def test_a_hazard_says_how_much_is_known(tmp_path: Path, judged: int) -> None:
    view = node(hazard="high", judged=judged)
    assert f"high hazard ({judged} of 4 metrics judged)" in text_of(tmp_path, nodes={"plant-a": view})


def test_normal_of_which_nothing_is_known_is_not_called_normal(tmp_path: Path) -> None:
    nothing = {"plant-a": node(judged=0)}
    out = text_of(tmp_path, nodes=nothing)
    row = next(line for line in out.splitlines() if "0 of 4 metrics judged" in line)
    assert "not known" in row
    assert "│ normal (" not in row
    assert "无法判定（可判定0/4项指标）" in text_of(tmp_path, "--lang", "zh", nodes=nothing)


def test_normal_of_which_something_is_known_is_called_so(tmp_path: Path) -> None:
    assert "normal (3 of 4 metrics judged)" in text_of(tmp_path, nodes={"plant-a": node(judged=3)})


def test_a_danger_is_explained_in_words_and_what_says_nothing_is_left_out(tmp_path: Path) -> None:
    reasons = [
        reason("growth-large", "network_flow", growth=2.4),
        reason("steady", "memory_used", "A"),
        reason("cannot-tell", "logged_in_nodes", "none"),
    ]
    nodes = {"plant-a": node(hazard="high", reasons=reasons)}
    out = text_of(tmp_path, nodes=nodes)
    assert "network flow: accelerating growth, large: up 240%" in out
    assert "memory in use: unchanged" not in out
    assert "cannot be told" not in out
    assert "网络流量：加速增长，大幅增加240%" in text_of(tmp_path, "--lang", "zh", nodes=nodes)


def test_each_reason_has_a_line_of_its_own(tmp_path: Path) -> None:
    reasons = [reason("danger-holds"), reason("growth-small", "network_flow", "C")]
    out = text_of(tmp_path, nodes={"plant-a": node(hazard="medium", reasons=reasons)}).splitlines()
    (first,) = (i for i, line in enumerate(out) if "nothing says yet that the danger has ended" in line)
    assert "network flow: uniform growth, up 50%" in out[first + 1]


def test_a_danger_that_is_over_is_told_although_the_level_is_normal(tmp_path: Path) -> None:
    over = node(reasons=[reason("danger-over", letter="A")])
    assert "danger is over, safe (4 of 4" in text_of(tmp_path, nodes={"plant-a": over})


def test_while_every_node_is_normal_no_reasons_are_shown(tmp_path: Path) -> None:
    quiet = node(reasons=[reason("steady", "memory_used", "A")])
    assert "Hazards and why" not in text_of(tmp_path, nodes={"plant-a": quiet})


@pytest.mark.parametrize("code", list(ReasonCode))
@pytest.mark.parametrize("metric", [None, *METRICS])
def test_every_reason_can_be_shown(code: ReasonCode, metric: Metric | None) -> None:
    given = reason(code.value, metric.value if metric else None)
    for language in Language:
        draw(status(nodes={"x": node(hazard="high", reasons=[given])}), language)


@pytest.mark.parametrize(
    ("posture", "english", "chinese"),
    [
        ("heightened", "each issue needs the approval of a second person", "每次下令须经第二人"),
        ("restricted", "only the order types that the configuration lists", "仅可下达配置所列类型"),
        ("held", "use the telephone", "改用电话"),
    ],
)
def test_a_posture_says_what_it_means_for_dispatching(
    tmp_path: Path, posture: str, english: str, chinese: str
) -> None:
    nodes = {"plant-a": node(posture=posture), "plant-b": node()}
    out = text_of(tmp_path, nodes=nodes, posture=posture)
    (line,) = (line for line in out.splitlines() if english in line)
    assert "(plant-a)" in line
    assert chinese in text_of(tmp_path, "--lang", "zh", nodes=nodes, posture=posture)


def test_the_strongest_posture_comes_first_and_normal_is_not_explained(tmp_path: Path) -> None:
    nodes = {"a": node(posture="heightened"), "b": node(posture="held"), "c": node()}
    out = text_of(tmp_path, nodes=nodes, posture="held")
    assert out.index("use the telephone") < out.index("second person")
    assert "as usual" not in out


def test_many_nodes_of_one_posture_are_one_line(tmp_path: Path) -> None:
    nodes = {f"n-{i}": node(posture="held") for i in range(8)}
    assert "network issuing held (n-0, n-1, n-2, n-3, n-4 +3)" in text_of(tmp_path, nodes=nodes)


def test_a_center_says_that_headquarters_decides(tmp_path: Path) -> None:
    nodes = {"plant-b": node(posture="held")}
    assert "headquarters decides by its own" in text_of(tmp_path, role="center", nodes=nodes)
    assert "headquarters decides by its own" not in text_of(tmp_path, role="hq", nodes=nodes)


def test_alarms_that_want_acknowledgement_are_the_first_line(tmp_path: Path) -> None:
    counts = {"unacknowledged in all": 2, "unacknowledged": 1, "returned-unacknowledged": 1, "shelved": 1}
    out = text_of(tmp_path, alarms=counts)
    assert out.splitlines()[0] == "alarms to be acknowledged: 2 of 3 (dispatch-server alarms)"
    assert text_of(tmp_path, "--lang", "zh", alarms=counts).startswith("2 个告警待确认，共 3 个")


def test_acknowledged_alarms_make_no_banner(tmp_path: Path) -> None:
    out = text_of(tmp_path, alarms={"unacknowledged in all": 0, "acknowledged": 3})
    assert "alarms" not in out


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


def test_what_the_server_goes_on_without_is_told_in_both_languages(tmp_path: Path) -> None:
    impaired = {"curves": "database or disk is full", "metrics": "address already in use"}
    out = text_of(tmp_path, impaired=impaired)
    assert "curves are not kept on disk: database or disk is full" in out
    assert "metrics are not served: address already in use" in out
    assert "曲线未写入磁盘: database or disk is full" in text_of(tmp_path, "--lang", "zh", impaired=impaired)


def test_a_part_that_has_no_words_is_told_by_its_name(tmp_path: Path) -> None:
    assert "spare parts: sold out" in text_of(tmp_path, impaired={"spare parts": "sold out"})


def test_the_sums_of_links_journal_and_loop_are_told(tmp_path: Path) -> None:
    out = text_of(tmp_path)
    for part in ("1 of 1 up", "3.4 a second", "p99 45.6 ms", "commit p99 7.8 ms", "2.1 ms in the last"):
        assert part in out
    links = [link(), link("plant-c", state="waiting", last_error="no answer in time")]
    assert "1 of 2 up, 1 down" in text_of(tmp_path, links=links)
    assert "共 2 条：已连接 1，中断 1" in text_of(tmp_path, "--lang", "zh", links=links)


def test_what_was_not_measured_yet_is_a_dash_and_not_a_number(tmp_path: Path) -> None:
    nothing = total([link()], polls_per_s=None, round_trip_p99_s=None, commit_p99_s=None)
    out = text_of(tmp_path, total=nothing, links=[link(since_ms=None, round_trip_s=None)])
    assert "— a second; round trip p99 —" in out
    assert "commit p99 —" in out
    row = next(line for line in out.splitlines() if "│ connected" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")][3:6] == ["connected", "—", "—"]


def test_a_link_says_since_when_and_how_long_its_last_poll_took(tmp_path: Path) -> None:
    out = text_of(tmp_path, links=[link(since_ms=NOW_MS, round_trip_s=1.5)])
    assert local_time(NOW_MS) in out
    assert "1.50 s" in out


def test_of_many_links_only_those_that_were_given_are_shown_and_the_others_counted(tmp_path: Path) -> None:
    rows = [link("plant-x", state="waiting", last_error="no answer in time")]
    out = text_of(tmp_path, links=rows, total=total(rows, links=20_000, up=19_999))
    assert "plant-x" in out
    assert "19,999 more links are not shown (--all shows them)" in out
    assert len(out.splitlines()) < 60


def test_many_links_without_faults_are_one_line(tmp_path: Path) -> None:
    out = text_of(tmp_path, links=[], total=total([], links=20_000, up=20_000))
    assert "all 20,000 links are up and without faults" in out


def test_all_asks_for_every_row_in_pages(tmp_path: Path) -> None:
    rows = [link(f"plant-{i}") for i in range(3)]
    names = [node() | {"node": f"plant-{i}"} for i in range(3)]
    pages = {("links", 0): rows[:2], ("links", 2): rows[2:], ("nodes", 0): names}

    def page(arguments: dict[str, Any]) -> list[dict[str, Any]]:
        return pages.get((arguments["of"], arguments["first"]), [])

    config = write_config(tmp_path)
    few = status(links=[], nodes={}, total=total(rows, nodes=3))
    with program(config, status=few, rows=page):
        told = run(app, "status", "--config", config, "--all", "--json").json
    assert told["links"] == rows
    assert told["nodes"] == {f"plant-{i}": node() for i in range(3)}


def test_without_all_only_the_status_is_asked_for(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, status=status(links=[], total=total([], links=20_000))) as server:
        run(app, "status", "--config", config)
    assert [command for command, _ in server.asked] == ["status"]


def test_plants_behind_a_center_say_when_they_were_heard_of(tmp_path: Path) -> None:
    rows = [behind(), behind(node="plant-c", heard_s=None, is_silent=True)]
    out = text_of(tmp_path, behind=rows)
    for part in ("south", "plant-b", "heard of 1 s ago", "plant-c", "not heard of yet"):
        assert part in out
    assert "behind a link that is down" in text_of(tmp_path, behind=[behind(reachable=False)])


def test_a_letter_that_the_whole_curve_does_not_have_is_the_judged_one_in_brackets(tmp_path: Path) -> None:
    letters = {metric.value: "none" for metric in METRICS}
    judged = [reason("steady", metric.value, "A") for metric in METRICS]
    out = text_of(tmp_path, nodes={"plant-a": node(letters=letters, reasons=judged)})
    row = next(line for line in out.splitlines() if "4 of 4 metrics judged" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")][1:5] == ["(A)"] * 4
    assert "judged by what follows its last break" in out


def test_a_metric_that_was_not_judged_stays_a_dash(tmp_path: Path) -> None:
    letters = {metric.value: "none" for metric in METRICS}
    reasons = [reason("cannot-tell", METRICS[0].value, "none")]
    out = text_of(tmp_path, nodes={"plant-a": node(letters=letters, reasons=reasons, judged=0)})
    row = next(line for line in out.splitlines() if "0 of 4 metrics judged" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")][1:5] == ["—"] * 4
    assert "in brackets" not in out


def test_who_watches_is_told_that_the_server_is_gone_and_sees_it_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path)
    drawn: list[str] = []

    def watch_thrice(draw_once: Callable[[], RenderableType], _every: float) -> None:
        for _ in range(3):
            console = Console(file=(out := io.StringIO()), width=200)
            console.print(draw_once())
            drawn.append(out.getvalue())

    answers = iter([status(), status(), CommandFailed("not-running", "Is the program running?"), status()])

    def answer(_: dict[str, Any]) -> Any:
        given = next(answers)
        if isinstance(given, CommandFailed):
            raise given
        return given

    monkeypatch.setattr("dispatch_server.cli.status.watch", watch_thrice)
    with program(config, status=answer):
        assert run(app, "status", "--config", config, "--watch").exit_code == 0
    assert ["headquarters hq" in text for text in drawn] == [True, False, True]
    assert "Is the program running? (asked again every second)" in drawn[1]


def test_watching_a_server_that_is_not_there_ends_at_once(tmp_path: Path) -> None:
    told = run(app, "status", "--config", write_config(tmp_path), "--watch")
    assert told.exit_code == 1
    assert "Is the program running?" in told.err


def test_a_link_whose_node_obeys_another_server_says_so(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    fenced = link(state="waiting", fenced="term 1 is over: 2 was granted since", last_error="term: over")
    with program(config, status=status(links=[fenced])):
        told = run(app, "status", "--config", config)
    row = next(line for line in told.out.splitlines() if "term: over" in line)
    assert "it obeys another server" in row
    assert "waiting to dial again" not in row


def test_a_narrow_window_shows_whole_words_of_what_matters() -> None:
    down = link(node="plant-b", state="waiting", last_error="no answer")
    out = io.StringIO()
    shown = draw(status(links=[link(), down], behind=[behind(node="plant-c")]), Language.EN)
    Console(file=out, width=80, highlight=False).print(shown)
    rows = [line for line in out.getvalue().splitlines() if line.startswith(("│ hq ", "│ south "))]
    words = [[part.strip() for part in row.strip("│").split("│")] for row in rows]
    assert words == [
        ["hq", "plant-a", "connected", "0", ""],
        ["hq", "plant-b", "waiting to dial again", "0", "no answer"],
        ["south", "plant-c", "heard of 1 s ago", "", ""],
    ]
