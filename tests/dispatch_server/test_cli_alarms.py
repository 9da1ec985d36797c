import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dispatch_server.__main__ import app
from dispatch_server.awareness.alarms import ACTIONS
from dispatch_server.awareness.guard import _danger
from dispatch_server.cli import alarms as command
from dispatch_server.cli.alarms import Action, age, draw
from dispatch_server.cli.words import ALARM_LEVELS, HAZARD_CODES, KINDS, WINDOWS
from dispatch_server.commands import AlarmArguments
from protocol.aio.control import CommandFailed
from protocol.texts import Language
from situational import METRICS, Hazard, Letter, Level, Metric, Reason, ReasonCode, letter_text, metric_text
from situational import Language as TrendLanguage
from situational.alarms import AnnouncementLog, Band, State
from tests.dispatch_server.support import program, write_config
from tests.support.terminal import Told, run

NOW = 1_800_000_000_000
MINUTE = 60_000


def alarm(node: str = "plant-a", kind: str = "hazard", **more: Any) -> dict[str, Any]:
    facts = {"node": node, "kind": kind, "state": "unacknowledged", "since_ms": NOW, "level": "major"}
    found = {"code": "growth-large", "detail": "network_flow B", "began_ms": NOW - 5 * MINUTE, "incident": 7}
    people = {"acknowledged_by": None, "set_aside_by": None, "reason": None, "until_ms": None}
    return facts | found | people | more


def shelved(**more: Any) -> dict[str, Any]:
    aside = {"set_aside_by": "li", "reason": "relay test", "until_ms": NOW + 60 * MINUTE}
    return alarm() | {"state": "shelved-active", "level": "high"} | aside | more


def rate(band: str = "very-likely-acceptable", per_10_min: float = 0.2) -> dict[str, Any]:
    figures = {"count": 3, "per_10_min": per_10_min, "peak": 2.0, "band": band}
    return {"10 min": figures, "60 min": figures, "1440 min": figures}


def view(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"alarms": list(rows), "no_room_for": 0, "rate": rate()} | more


def coloured(result: dict[str, Any], language: Language = Language.EN) -> str:
    out = io.StringIO()
    console = Console(file=out, width=250, force_terminal=True, color_system="standard", highlight=False)
    console.print(draw(result, language, NOW))
    return out.getvalue()


def shown(tmp_path: Path, result: Any, *options: object) -> Told:
    config = write_config(tmp_path)
    with program(config, alarms=result):
        return run(app, "alarms", "--config", config, *options)


def test_the_list_says_what_is_where_since_when_and_how_bad(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(command, "wall_ms", lambda: NOW)
    out = shown(tmp_path, view(alarm(), shelved(node="plant-b", kind="link", detail=""))).out
    row = next(line for line in out.splitlines() if "plant-a" in line)
    for part in ("5 min", "hazard", "hazard: network flow: accelerating growth", "major", "unacknowledged"):
        assert part in row
    row = next(line for line in out.splitlines() if "plant-b" in line)
    for part in ("its link is down", "high", "shelved, condition present", "li: relay test → 20"):
        assert part in row
    assert "major: act at once" in out
    assert "high: call the plant" not in out  # what was set aside asks for nothing


def test_the_list_in_chinese(tmp_path: Path) -> None:
    out = shown(tmp_path, view(alarm(), shelved()), "--lang", "zh").out
    for part in ("隐患：网络流量：加速增长", "重大", "未确认", "已搁置，条件存在", "待确认 1", "立即处置"):
        assert part in out
    for part in ("近24小时", "可以接受"):
        assert part in out


def test_the_rows_stay_in_the_order_of_the_board(tmp_path: Path) -> None:
    rows = [alarm("n-3"), alarm("n-1", level="medium"), shelved(node="n-2")]
    lines = shown(tmp_path, view(*rows)).out.splitlines()
    places = [next(i for i, line in enumerate(lines) if node in line) for node in ("n-3", "n-1", "n-2")]
    assert places == sorted(places)


def test_the_banner_counts_what_is_to_be_done(tmp_path: Path) -> None:
    acknowledged = alarm("plant-b", state="acknowledged", acknowledged_by="wang")
    returned = alarm("plant-c", state="returned-unacknowledged")
    out = shown(tmp_path, view(alarm(), returned, acknowledged, shelved())).out
    assert out.splitlines()[0] == "alarms: 4; to be acknowledged: 2, acknowledged: 1, set aside: 1"
    assert "wang" in out


def test_no_alarm_is_told_in_words_and_shows_no_empty_table(tmp_path: Path) -> None:
    out = shown(tmp_path, view()).out
    assert out.splitlines()[0] == "no alarms"
    assert "EEMUA" in out
    assert "who, why" not in out


def test_alarms_that_found_no_room_are_told(tmp_path: Path) -> None:
    assert "12 more found no room" in shown(tmp_path, view(alarm(), no_room_for=12)).out


def test_the_rate_is_held_against_eemua_191(tmp_path: Path) -> None:
    out = shown(tmp_path, view(rate=rate("over-demanding", 4.25))).out
    row = next(line for line in out.splitlines() if "last 24 h" in line)
    assert "4.2" in row
    assert "likely to be over-demanding" in row


def test_as_json_it_is_what_the_server_said(tmp_path: Path) -> None:
    assert shown(tmp_path, view(alarm()), "--json").json == view(alarm())


def test_without_alarms_there_is_no_colour_and_what_is_set_aside_is_grey() -> None:
    assert "\x1b[3" not in coloured(view()).replace("\x1b[3m", "")
    quiet = view(shelved(), alarm("plant-b", state="suppressed-active", set_aside_by="li", reason="test"))
    text = coloured(quiet)
    assert "\x1b[3" not in text.replace("\x1b[3m", "")
    assert "\x1b[2m" in text


@pytest.mark.parametrize(
    "result",
    [view(alarm()), view(no_room_for=1), view(rate=rate("very-likely-unacceptable", 11.0))],
)
def test_what_is_abnormal_is_red(result: dict[str, Any]) -> None:
    assert "\x1b[31m" in coloured(result)


def test_an_acknowledged_major_alarm_stays_coloured_only_in_its_level() -> None:
    text = coloured(view(alarm(state="acknowledged", acknowledged_by="wang")))
    assert text.count("\x1b[31m") == 1


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("state", [state for state in State if state is not State.NORMAL])
@pytest.mark.parametrize("level", [level for level in Level if level >= Level.ADVISORY])
def test_every_state_and_level_can_be_shown(language: Language, state: State, level: Level) -> None:
    coloured(view(alarm(state=state.value, level=level.name.lower())), language)


@pytest.mark.parametrize("language", list(Language))
def test_a_state_without_an_incident_can_be_shown(language: Language) -> None:
    bare = shelved(state="shelved", level="normal", code="", detail="", began_ms=None, incident=None)
    assert "plant-a" in coloured(view(bare), language)


@pytest.mark.parametrize("band", list(Band))
def test_every_band_can_be_shown(band: Band) -> None:
    for language in Language:
        coloured(view(rate=rate(band.value)), language)


def test_every_level_window_and_code_has_words() -> None:
    assert set(ALARM_LEVELS) == set(Level)
    figures = AnnouncementLog(0).figures(0, operators=1)
    assert [f"{window.window_ms // MINUTE} min" for window in figures.windows] == list(WINDOWS)
    assert {code.value for code in ReasonCode} >= set(HAZARD_CODES)
    assert all(all(words) for table in (ALARM_LEVELS, KINDS, WINDOWS) for words in table.values())


@pytest.mark.parametrize("letter", list(Letter))
@pytest.mark.parametrize("metric", list(METRICS))
def test_a_hazard_tells_its_metric_and_letter_in_words(metric: Metric, letter: Letter) -> None:
    text = coloured(view(alarm(detail=f"{metric.value} {letter.value}")))
    words = letter_text(letter, TrendLanguage.EN)
    assert f"hazard: {metric_text(metric, TrendLanguage.EN)}: {words} " in text


@pytest.mark.parametrize(
    ("code", "detail", "words"),
    [
        ("all-surging", "all B", "hazard: all four metrics surge "),
        ("danger-holds", "all A", "hazard: nothing says yet that it has ended "),
        ("growth-slow", "memory_used C", "hazard: memory in use: slow growth over a long time"),
        ("growth-early", "network_flow B", "hazard: network flow: large growth in two minutes"),
        ("new-code", "all B", "hazard: accelerating growth "),
        ("growth-large", "of the moon", "hazard: of the moon "),
        ("growth-large", "", "hazard "),
    ],
)
def test_a_hazard_says_what_its_code_says_best(code: str, detail: str, words: str) -> None:
    assert words in coloured(view(alarm(code=code, detail=detail)))


@pytest.mark.parametrize("level", [level for level in Level if level >= Level.MEDIUM])
@pytest.mark.parametrize("code", [code for code in ReasonCode if code is not ReasonCode.DANGER_OVER])
def test_what_the_guard_says_of_a_danger_is_shown_in_words(level: Level, code: ReasonCode) -> None:
    whole = code in {ReasonCode.ALL_SURGING, ReasonCode.DANGER_HOLDS, ReasonCode.DANGER_LIFTING}
    found = Reason(code, None if whole else METRICS[1], Letter.B, 0.5)
    raised = _danger(Hazard(level, Letter.B, 4, (found,)))
    text = coloured(view(alarm(code=raised.code, detail=raised.detail)))
    assert raised.detail not in text


def test_a_kind_that_has_no_words_yet_is_shown_as_it_is() -> None:
    assert "new-kind: detail" in coloured(view(alarm(kind="new-kind", detail="detail")))


def test_a_detail_cannot_steer_the_terminal(tmp_path: Path) -> None:
    nasty = alarm(kind="seal", detail="\x1b[2J[green]all is well[/]")
    out = shown(tmp_path, view(nasty)).out
    assert "<U+001B>[2J[green]all is well[/]" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-5, "0 s"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (3_599_999, "59 min"),
        (3_600_000, "1 h 0 min"),
        (90_000_000, "1 d 1 h"),
    ],
)
def test_an_age_is_short(ms: int, text: str) -> None:
    assert age(ms) == text


def test_watching_asks_afresh_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[object] = []

    def twice(draw_once: Callable[[], object], every_s: float) -> None:
        assert every_s == 1.0
        drawn.extend([draw_once(), draw_once()])

    monkeypatch.setattr(command, "watch", twice)
    config = write_config(tmp_path)
    with program(config, alarms=view(alarm())) as server:
        run(app, "alarms", "--config", config, "--watch")
    assert server.commands == ["alarms", "alarms"]
    assert len(drawn) == 2


# What people do


def act(tmp_path: Path, answer: Any, *arguments: object) -> tuple[Told, list[Any]]:
    config = write_config(tmp_path)
    with program(config, alarm=answer, alarms=view()) as server:
        return run(app, "alarms", *arguments, "--config", config), server.asked


def test_an_alarm_is_acknowledged_by_a_named_person(tmp_path: Path) -> None:
    after = view(alarm(state="acknowledged", acknowledged_by="wang"))
    told, asked = act(tmp_path, after, "acknowledge", "plant-a", "hazard", "--person", "wang")
    assert told.out == "plant-a hazard: acknowledged\n"
    facts = {"node": "plant-a", "kind": "hazard", "action": "acknowledge", "person": "wang"}
    assert asked == [("alarm", facts | {"reason": "", "for_s": None})]


def test_an_alarm_that_left_the_list_is_told_to_be_normal(tmp_path: Path) -> None:
    told, _ = act(tmp_path, view(), "acknowledge", "plant-a", "hazard", "--person", "wang", "--lang", "zh")
    assert told.out == "plant-a hazard：正常，已不在告警表中\n"


def test_a_shelf_has_a_person_a_reason_and_an_end(tmp_path: Path) -> None:
    words = ("shelve", "plant-a", "hazard", "--person", "li", "--reason", "relay test", "--for", "2h")
    told, asked = act(tmp_path, view(shelved()), *words)
    assert told.exit_code == 0
    assert asked[0][1]["for_s"] == 7200
    assert asked[0][1]["reason"] == "relay test"


@pytest.mark.parametrize("action", list(Action))
def test_each_action_is_one_that_the_server_takes(tmp_path: Path, action: Action) -> None:
    more = ("--for", "30m") if action is Action.SHELVE else ()
    told, asked = act(tmp_path, view(), action.value, "n", "link", "--person", "li", "--reason", "r", *more)
    assert told.exit_code == 0
    ((_, arguments),) = asked
    assert AlarmArguments.model_validate(arguments).action == action.value


def test_there_are_exactly_the_actions_of_the_board() -> None:
    assert {action.value for action in Action} == set(ACTIONS)


def test_a_named_refusal_comes_through(tmp_path: Path) -> None:
    refusal = CommandFailed("refused", "hazard of plant-a is major and cannot be shelved: acknowledge it")
    words = ("shelve", "plant-a", "hazard", "--person", "li", "--reason", "noise", "--for", "1h")
    told, _ = act(tmp_path, refusal, *words)
    assert (told.exit_code, told.out) == (1, "")
    assert told.err == "hazard of plant-a is major and cannot be shelved: acknowledge it\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("acknowledge",),
        ("acknowledge", "plant-a", "--person", "wang"),
        ("acknowledge", "plant-a", "hazard"),
        ("acknowledge", "plant-a", "hazard", "--person", "Wang X"),
        ("silence", "plant-a", "hazard", "--person", "wang"),
        ("shelve", "plant-a", "hazard", "--person", "wang", "--reason", "r"),
        ("acknowledge", "plant-a", "hazard", "--person", "wang", "--for", "2h"),
        ("acknowledge", "plant-a", "hazard", "--person", "wang", "--watch"),
        ("--person", "wang"),
        ("--reason", "r"),
        ("--for", "1h"),
    ],
)
def test_what_is_said_wrongly_does_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    told, asked = act(tmp_path, view(), *arguments)
    assert told.exit_code == 2
    assert asked == []


@pytest.mark.parametrize("time", ["", "2", "h", "0m", "-1h", "1.5h", "2 h", "1e3s", "9999999s", "２h"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, time: str) -> None:
    words = ("shelve", "plant-a", "hazard", "--person", "wang", "--reason", "r", "--for", time)
    told, asked = act(tmp_path, view(), *words)
    assert (told.exit_code, asked) == (2, [])


def test_as_json_the_whole_list_follows_an_action(tmp_path: Path) -> None:
    told, _ = act(tmp_path, view(alarm()), "acknowledge", "plant-a", "hazard", "--person", "wang", "--json")
    assert told.json == view(alarm())
