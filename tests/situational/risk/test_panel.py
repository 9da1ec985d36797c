import json
import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from situational.risk import (
    FACTORS,
    BadCellError,
    Interval,
    UnreadableError,
    assess,
    panel_from,
    parse_json,
    parse_toml,
)
from situational.risk.panel import MAX_BYTES, MAX_EXPERTS
from tests.situational.risk.support import document

EXAMPLE = Path(__file__).parents[3] / "configs" / "risk-experts.toml"
Spoil = Callable[[Any], object]


def test_json_and_toml_say_the_same() -> None:
    text = EXAMPLE.read_bytes()
    assert parse_json(json.dumps(tomllib.loads(text.decode()))) == parse_toml(text)


def test_the_shipped_example_is_complete_and_says_that_it_is_made_up() -> None:
    panel = parse_toml(EXAMPLE.read_text("utf-8"))
    assert len(panel.experts) == 5
    assert "made-up" in panel.title.lower()
    assert EXAMPLE.read_text("utf-8").startswith("# EXAMPLE ONLY. Every number in this file is made up")
    order = [link.code for link in assess(panel).links]
    assert order[:4] != ["C1", "C4", "C2", "C3"]  # it must not pass for P2's unpublished data


def test_cells_arrive_where_they_belong() -> None:
    panel = panel_from(document())
    assert panel.title == "made up"
    assert panel.opinions["C12"][1].probability == Interval(1, 3.5)
    assert panel.opinions["C12"][1].severity == Interval(2, 6)


def test_weights_are_equal_when_nobody_has_one() -> None:
    assert panel_from(document(experts=5)).weights == (0.2,) * 5


def test_given_weights_are_kept() -> None:
    data: Any = document()
    data["experts"][0]["weight"], data["experts"][1]["weight"] = 0.7, 0.3
    assert panel_from(data).weights == pytest.approx((0.7, 0.3))


def _factor(code: str, value: object) -> Spoil:
    return lambda data: data["experts"][1]["factors"].__setitem__(code, value)


def _cell(code: str, side: str, value: object) -> Spoil:
    return lambda data: data["experts"][1]["factors"][code].__setitem__(side, value)


def _expert(key: str, value: object) -> Spoil:
    return lambda data: data["experts"][1].__setitem__(key, value)


WRONG: list[tuple[Spoil, str, str]] = [
    (_cell("C22", "severity", [6, 4]), 'experts[2] "E2" / C22 / severity', "lower bound 6 is above"),
    (_cell("C22", "severity", [6]), 'experts[2] "E2" / C22 / severity', "two numbers"),
    (_cell("C22", "severity", 6), 'experts[2] "E2" / C22 / severity', "two numbers"),
    (_cell("C51", "probability", [-1, 4]), 'experts[2] "E2" / C51 / probability / lower', "-1 is not"),
    (_cell("C51", "probability", [1, 11]), 'experts[2] "E2" / C51 / probability / upper', "0 to 10"),
    (_cell("C51", "probability", [True, 4]), 'experts[2] "E2" / C51 / probability / lower', "True is not"),
    (_cell("C51", "probability", ["1", 4]), 'experts[2] "E2" / C51 / probability / lower', "'1' is not"),
    (_cell("C51", "probability", [1, math.nan]), 'experts[2] "E2" / C51 / probability / upper', "nan"),
    (_cell("C51", "probability", [1, math.inf]), 'experts[2] "E2" / C51 / probability / upper', "inf"),
    (
        _cell("C51", "probability", [1, 1 << 20_000]),
        'experts[2] "E2" / C51 / probability / upper',
        "too large",
    ),
    (_cell("C51", "probability", [1, [2] * 99]), 'experts[2] "E2" / C51 / probability / upper', "..."),
    (_cell("C51", "likelihood", [1, 2]), "experts[2] \"E2\" / C51 / 'likelihood'", "unknown"),
    (_factor("C51", {"probability": [1, 2]}), 'experts[2] "E2" / C51 / severity', "missing"),
    (_factor("C51", [1, 2]), 'experts[2] "E2" / C51', "table"),
    (_factor("C99", {}), "experts[2] \"E2\" / 'C99'", "unknown"),
    (lambda data: data["experts"][1]["factors"].pop("C41"), 'experts[2] "E2" / C41', "missing"),
    (_expert("factors", 3), 'experts[2] "E2"', "table"),
    (_expert("name", "E1"), "experts[2] / name", "another expert"),
    (_expert("name", ""), "experts[2] / name", "printable"),
    (_expert("name", "a\x1b[31m"), "experts[2] / name", "printable"),
    (_expert("age", 3), "experts[2] / 'age'", "unknown"),
    (_expert("weight", 0.5), "experts[1] / weight", "give all a weight or none"),
    (_expert("weight", 1.5), 'experts[2] "E2" / weight', "0 to 1"),
    (lambda data: data["experts"].append(7), "experts[3]", "table"),
    (lambda data: data["experts"][1].pop("name"), "experts[2] / name", "missing"),
    (lambda data: data.update(title=3), "title", "printable"),
    (lambda data: data.update(note="x"), "the file / 'note'", "unknown"),
    (lambda data: data.pop("experts"), "the file / experts", "missing"),
    (lambda data: data.update(experts=[]), "experts", "1 to 100"),
    (lambda data: data.update(experts=document(MAX_EXPERTS + 1)["experts"]), "experts", "1 to 100"),
]


@pytest.mark.parametrize(("spoil", "cell", "problem"), WRONG, ids=[f"{c}: {p}" for _, c, p in WRONG])
def test_a_wrong_cell_is_named(spoil: Spoil, cell: str, problem: str) -> None:
    data = document()
    spoil(data)
    with pytest.raises(BadCellError) as caught:
        panel_from(data)
    assert caught.value.cell == cell
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 300


def test_weights_that_are_no_shares_are_refused() -> None:
    data: Any = document()
    for expert in data["experts"]:
        expert["weight"] = 0.6
    with pytest.raises(BadCellError, match=r"sum 1\.2, not 1"):
        panel_from(data)


@pytest.mark.parametrize(("code", "side"), [(c, s) for c in FACTORS for s in ("probability", "severity")])
def test_every_cell_is_checked_in_both_forms(code: str, side: str) -> None:
    data = document()
    _cell(code, side, [9, 1])(data)
    for text in (json.dumps(data), _toml(data)):
        with pytest.raises(BadCellError) as caught:
            (parse_json if text.startswith("{") else parse_toml)(text)
        assert caught.value.cell == f'experts[2] "E2" / {code} / {side}'


def _toml(data: Any) -> str:
    lines = []
    for expert in data["experts"]:
        lines += ["[[experts]]", f"name = {json.dumps(expert['name'])}", "[experts.factors]"]
        for code, cell in expert["factors"].items():
            lines.append(f"{code} = {{ " + ", ".join(f"{k} = {v}" for k, v in cell.items()) + " }")
    return "\n".join(lines)


@pytest.mark.parametrize("parse", [parse_json, parse_toml])
@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe",
        "{",
        '{"experts": ',
        "a = [[" * 100_000,
        "[" * 100_000,
        b" " * (MAX_BYTES + 1),
        "a = " + "9" * 5000,
    ],
    ids=["not UTF-8", "cut off", "cut off later", "deep TOML", "deep JSON", "too long", "huge number"],
)
def test_what_cannot_be_read_is_refused_with_a_named_error(
    parse: Callable[[str | bytes], object], text: str | bytes
) -> None:
    with pytest.raises(UnreadableError, match=r"cannot be read as (JSON|TOML)"):
        parse(text)


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(UnreadableError, match="'title' stands twice"):
        parse_json('{"title": "a", "experts": [], "title": "b"}')
