import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from dispatch_server.__main__ import app
from dispatch_server.cli.risk import draw
from dispatch_server.cli.words import COUNTERS as WORDS
from protocol.aio.control import CommandFailed
from protocol.texts import Language
from situational.risk import (
    COUNTERS,
    FACTORS,
    SOURCES,
    BoardState,
    CounterWindow,
    assess,
    board_data,
    data,
    observe,
    parse_toml,
    rows,
    update,
)
from tests.dispatch_server.support import HQ, program, write_config
from tests.support.terminal import run

PANEL = parse_toml((Path(__file__).parents[2] / "configs" / "risk-experts.toml").read_bytes())
EMPTY: dict[str, Any] = {"board": [], "assessment": {}}
WITH_EXPERTS = HQ + '[risk]\nexperts = "experts.toml"\n'


def answer(**counters: float) -> dict[str, Any]:
    """What a server answers that watched these counters for an hour; the others stood still."""
    before = dict.fromkeys(COUNTERS, 0.0)
    window = CounterWindow().push(before, 0.0).push(before | counters, 3600.0)
    observed = observe(PANEL, window)
    assessment = assess(observed.panel)
    board = rows(update(BoardState(), assessment, 3600.0), assessment, observed.evidence)
    return {"board": board_data(board), "assessment": data(assessment)}


def row_of(code: str, out: str) -> str:
    return next(line for line in out.splitlines() if f" {code} " in line)


def test_the_board_tells_place_group_factor_interval_and_where_it_comes_from(tmp_path: Path) -> None:
    config = write_config(tmp_path, WITH_EXPERTS)
    result = answer(reconnects=3, polls=720)
    with program(config, risk=result):
        out = run(app, "risk", "--config", config).out
    assert out.splitlines()[0] == "Risks in order: a report, never an alarm"
    assert out.splitlines()[1].startswith("Made-up example")
    row = row_of("C24", out)
    (facts,) = (row for row in result["board"] if row["code"] == "C24")
    assert f"[{facts['value'][0]:.2f}, {facts['value'][1]:.2f}]" in row
    assert "reconnects 3, polls 720, in 60 min" in row
    for part in (str(facts["place"]), facts["group"], "unstable network"):
        assert part in row
    assert "experts alone: nothing here sees it" in row_of("C31", out)  # data theft
    assert "experts alone: nothing counted yet" not in row_of("C24", out)
    assert all(code in out for code in FACTORS)


def test_the_board_in_chinese(tmp_path: Path) -> None:
    config = write_config(tmp_path, WITH_EXPERTS)
    with program(config, risk=answer(reconnects=3, polls=720)):
        out = run(app, "risk", "--config", config, "--lang", "zh").out
    assert "仅为报告，从不产生告警" in out
    for part in ("网络不稳定", "重大风险", "重连 3, 轮询 720", "仅专家：本系统观测不到"):
        assert part in out


def test_the_rows_stand_in_the_shown_order_and_not_in_the_raw_one() -> None:
    result = answer()
    result["board"].reverse()
    text = drawn(result)
    assert text.index(result["board"][0]["code"]) < text.index(result["board"][-1]["code"])


def test_a_factor_that_was_never_watched_rests_on_the_experts() -> None:
    observed = observe(PANEL, CounterWindow())
    assessment = assess(observed.panel)
    board = rows(update(BoardState(), assessment, 0.0), assessment, observed.evidence)
    text = drawn({"board": board_data(board), "assessment": data(assessment)})
    assert text.count("nothing counted yet") == len(SOURCES)
    assert text.count("nothing here sees it") == len(FACTORS) - len(SOURCES)


def drawn(result: dict[str, Any], language: Language = Language.EN) -> str:
    out = io.StringIO()
    console = Console(file=out, width=250, force_terminal=True, color_system="standard", highlight=False)
    console.print(draw(result, language, has_experts=True))
    return out.getvalue()


def test_a_report_has_no_colour_whatever_stands_first() -> None:
    text = drawn(answer(signature_failed=100, sealed_received=100))
    assert "\x1b[3" not in text.replace("\x1b[3m", "")


def test_as_json_it_is_what_the_server_said(tmp_path: Path) -> None:
    config = write_config(tmp_path, WITH_EXPERTS)
    result = answer()
    with program(config, risk=result):
        assert run(app, "risk", "--config", config, "--json").json == result


@pytest.mark.parametrize(
    ("options", "parts"),
    [((), ("names no experts' file", "[risk]")), (("--lang", "zh"), ("未指定专家文件", "[risk]"))],
)
def test_without_an_experts_file_it_says_what_to_do(
    tmp_path: Path, options: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    config = write_config(tmp_path)
    with program(config, risk=EMPTY):
        told = run(app, "risk", "--config", config, *options)
    assert told.exit_code == 0
    assert all(part in told.out for part in parts)


@pytest.mark.parametrize(("language", "part"), [("en", "No board yet"), ("zh", "尚无风险排序")])
def test_a_board_that_is_not_there_yet_is_not_blamed_on_the_configuration(
    tmp_path: Path, language: str, part: str
) -> None:
    config = write_config(tmp_path, WITH_EXPERTS)
    with program(config, risk=EMPTY):
        assert part in run(app, "risk", "--config", config, "--lang", language).out


def test_a_server_that_does_not_run_is_told(tmp_path: Path) -> None:
    told = run(app, "risk", "--config", write_config(tmp_path))
    assert told.exit_code == 1
    assert "Is the program running?" in told.err


def test_a_failure_comes_through(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    with program(config, risk=CommandFailed("bad-command", "no such command")):
        assert run(app, "risk", "--config", config).err == "no such command\n"


def test_every_counter_has_words_in_both_languages() -> None:
    assert set(WORDS) == set(COUNTERS)
    assert all(all(words) for words in WORDS.values())
