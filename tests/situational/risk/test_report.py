import json

import pytest

from situational.risk import (
    FACTORS,
    BoardState,
    CounterWindow,
    Entropy,
    assess,
    board_data,
    board_table,
    compare,
    compare_table,
    data,
    observe,
    panel_from,
    rows,
    table,
    update,
)
from situational.texts import Language
from tests.situational.risk.support import counters, document

PANEL = panel_from(document())
ASSESSMENT = assess(PANEL)


@pytest.mark.parametrize("language", list(Language))
def test_the_table_has_every_factor_in_order_and_every_link(language: Language) -> None:
    lines = table(ASSESSMENT, language).splitlines()
    assert lines[0] == "made up"
    factors = lines[4:23]
    for line, factor in zip(factors, ASSESSMENT.factors, strict=True):
        assert line.split()[0] == str(factor.rank)
        assert f" {factor.code} " in line
        assert FACTORS[factor.code].name(language) in line
        assert f"[{factor.value.lower:.3f}, {factor.value.upper:.3f}]" in line
    for line, link in zip(lines[25:], ASSESSMENT.links, strict=True):
        assert f"  {link.code} " in line


def test_columns_line_up_though_chinese_signs_are_wide() -> None:
    lines = table(ASSESSMENT, Language.ZH).splitlines()[4:23]
    ends = {sum(2 if ord(sign) > 0x2E80 else 1 for sign in line.split("[")[0]) for line in lines}
    assert len(ends) == 1


def test_the_data_survive_json_whole() -> None:
    again = json.loads(json.dumps(data(ASSESSMENT)))
    assert again["entropy"] == "improved"
    assert [factor["code"] for factor in again["factors"]] == [f.code for f in ASSESSMENT.factors]
    first, risk = again["factors"][0], ASSESSMENT.factors[0]
    assert first["value"] == [risk.value.lower, risk.value.upper]
    assert (first["rho"], first["rank"], first["weight"]) == (risk.rho, risk.rank, risk.weight)
    assert first["group"] == "major"
    assert again["links"][-1]["rank"] is None


def test_the_comparison_holds_the_assessment_of_each_entropy() -> None:
    compared = compare(PANEL)
    assert compared == {entropy: assess(PANEL, entropy) for entropy in Entropy}
    assert len({one.factor("C12").weight for one in compared.values()}) > 1
    text = compare_table(compared, Language.EN)
    for one in compared.values():
        assert f"{one.factor('C12').weight:.3f}" in text
        assert f"[{one.link('C4').value.lower:.3f}, " in text


def test_the_board_shows_where_its_numbers_come_from() -> None:
    before, after = counters(), counters(polls=1000.0, poll_overruns=10.0)
    observed = observe(PANEL, CounterWindow().push(before, 0).push(after, 60))
    assessment = assess(observed.panel)
    shown = rows(update(BoardState(), assessment, 60), assessment, observed.evidence)
    lines = {line.split()[3]: line for line in board_table(shown, Language.EN).splitlines()}
    weight = observed.evidence["C23"].weight
    assert lines["C23"].endswith(f"experts {1 - weight:.0%}, poll_overruns 10, polls 1000 / 60 s")
    assert lines["C55"].endswith("experts")
    assert "专家" in board_table(shown, Language.ZH)
    by_code = {row["code"]: row for row in json.loads(json.dumps(board_data(shown)))}
    assert by_code["C23"]["evidence"]["counts"] == {"poll_overruns": 10.0, "polls": 1000.0}
    assert by_code["C23"]["evidence"]["weight"] == weight
    assert by_code["C55"]["evidence"] is None
