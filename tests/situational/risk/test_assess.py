from itertools import pairwise

import pytest
from hypothesis import given, settings

from situational.risk import (
    FACTORS,
    LINKS,
    BadShapeError,
    BadWeightsError,
    Entropy,
    Group,
    Interval,
    Opinion,
    Panel,
    assess,
    rank_links,
)
from tests.situational.risk.support import (
    PUBLISHED_FACTORS,
    PUBLISHED_LINKS,
    PUBLISHED_RHO,
    panel_of,
    panels,
    point,
    unhurried,
)

few = settings(unhurried, max_examples=8)


def test_the_published_link_values_give_the_published_numbers_and_order() -> None:
    links = rank_links(PUBLISHED_LINKS)
    assert [link.code for link in links] == ["C1", "C4", "C2", "C3"]
    assert [link.rank for link in links] == [1, 2, 3, 4]
    assert {link.code: round(link.rho or 0, 3) for link in links} == PUBLISHED_RHO


def test_the_published_factor_order_falls_into_six_four_and_nine() -> None:
    assert set(PUBLISHED_FACTORS) == set(FACTORS)
    assessment = assess(panel_of({code: 90 - 4 * place for place, code in enumerate(PUBLISHED_FACTORS)}))
    assert tuple(factor.code for factor in assessment.factors) == PUBLISHED_FACTORS
    groups = [factor.group for factor in assessment.factors]
    assert groups == [Group.MAJOR] * 6 + [Group.GENERAL] * 4 + [Group.LOW] * 9


def test_a_small_panel_worked_by_hand() -> None:
    panel = panel_of({})
    c11 = (Opinion(Interval(2, 4), Interval(5, 5)), Opinion(Interval(4, 4), Interval(5, 10)))
    c12 = (Opinion(point(3), point(4)), Opinion(point(3), point(4)))
    given_rows = dict(panel.opinions) | {"C11": c11, "C12": c12}
    assessment = assess(Panel(panel.experts, (0.25, 0.75), given_rows))
    assert assessment.factor("C11").value == Interval(0.25 * 10 + 0.75 * 20, 0.25 * 20 + 0.75 * 40)
    assert assessment.factor("C12").value == point(12)
    assert (assessment.factor("C11").weight, assessment.factor("C12").weight) == (
        1.0,
        0.0,
    )  # all agree on C12
    assert assessment.link("C1").value == assessment.factor("C11").value


def test_with_unanimity_the_top_factor_weighs_nothing_in_its_link() -> None:
    rows = dict(panel_of({"C11": 100.0}).opinions)
    rows["C12"] = (Opinion(point(1), point(1)), Opinion(point(2), point(1)))
    assessment = assess(Panel(("A", "B"), (0.5, 0.5), rows))
    assert assessment.factors[0].code == "C11"
    assert assessment.factor("C11").weight == 0
    assert assessment.link("C1").value == point(1.5)


def test_what_is_common_to_all_links_is_listed_but_not_ranked() -> None:
    *ranked, last = assess(panel_of({"C51": 100.0})).links
    assert sorted(link.code for link in ranked) == ["C1", "C2", "C3", "C4"]
    assert (last.code, last.rho, last.rank) == ("C5", None, None)
    assert last.value.upper > 0


@few
@given(panels())
def test_ranks_rho_and_weights_agree_with_each_other(panel: Panel) -> None:
    for entropy in Entropy:
        assessment = assess(panel, entropy)
        rho = [factor.rho for factor in assessment.factors]
        assert sum(rho) == pytest.approx(1)
        assert all(a >= b - 1e-9 for a, b in pairwise(rho))
        assert sum(link.rho or 0 for link in assessment.links) == pytest.approx(1)
        for link in LINKS:
            factors = [assessment.factor(factor.code) for factor in link.factors]
            assert sum(factor.weight for factor in factors) == pytest.approx(1)
            value = assessment.link(link.code).value
            assert min(f.value.lower for f in factors) <= value.lower + 1e-9
            assert value.upper <= max(f.value.upper for f in factors) + 1e-9


@few
@given(panels())
def test_the_entropy_changes_weights_and_never_the_factors_ranking(panel: Panel) -> None:
    orders = {tuple((f.code, f.rank) for f in assess(panel, entropy).factors) for entropy in Entropy}
    assert len(orders) == 1


def test_equal_factors_share_a_rank_and_its_group() -> None:
    values = {code: 90.0 - 4 * place for place, code in enumerate(PUBLISHED_FACTORS)}
    values["C43"] = values["C21"]  # the seventh is as bad as the sixth
    assessment = assess(panel_of(values))
    assert {assessment.factor(code).rank for code in ("C21", "C43")} == {6}
    assert assessment.factor("C43").group is Group.MAJOR
    assert assessment.factor("C42").rank == 8


def test_a_panel_needs_all_factors_and_an_opinion_of_every_expert() -> None:
    panel = panel_of({})
    some = {code: row for code, row in panel.opinions.items() if code != "C22"}
    with pytest.raises(BadShapeError, match="factors"):
        Panel(panel.experts, panel.weights, some)
    with pytest.raises(BadShapeError, match="C22: 1 opinions"):
        Panel(panel.experts, panel.weights, some | {"C22": panel.opinions["C22"][:1]})
    with pytest.raises(BadWeightsError):
        Panel(panel.experts, (0.5, 0.4), panel.opinions)
