import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational.risk import (
    BadIntervalError,
    BadShapeError,
    BadWeightsError,
    Interval,
    possibility,
    possibility_matrix,
    ranking_vector,
    weighted_average,
)
from situational.risk.interval import ranks
from tests.situational.risk.support import (
    EXACT_RHO,
    PUBLISHED_LINKS,
    PUBLISHED_RHO,
    intervals,
    point,
    unhurried,
)

some = st.lists(intervals(), min_size=2, max_size=8)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [(2.0, 1.0), (-1.0, 1.0), (0.0, math.inf), (math.nan, 1.0), (0.0, math.nan), (0.0, 1e301)],
)
def test_no_interval_is_reversed_negative_or_infinite(lower: float, upper: float) -> None:
    with pytest.raises(BadIntervalError, match="is no interval"):
        Interval(lower, upper)


def test_a_product_that_overflows_is_refused() -> None:
    with pytest.raises(BadIntervalError):
        Interval(1e200, 1e200) * Interval(1e200, 1e200)


@unhurried
@given(intervals(), intervals(), st.floats(0, 1), st.floats(0, 1))
def test_a_product_holds_every_product_of_its_members(a: Interval, b: Interval, s: float, t: float) -> None:
    x = min(a.lower + s * (a.upper - a.lower), a.upper)
    y = min(b.lower + t * (b.upper - b.lower), b.upper)
    assert (a * b).lower <= x * y <= (a * b).upper


def test_the_weighted_average_is_bound_by_bound() -> None:
    assert weighted_average([Interval(1, 3), Interval(5, 9)], [0.75, 0.25]) == Interval(2.0, 4.5)
    assert weighted_average([Interval(1, 3), Interval(5, 9)]) == Interval(3.0, 6.0)


@unhurried
@given(some)
def test_the_average_lies_within_its_intervals(items: list[Interval]) -> None:
    mean = weighted_average(items)
    assert min(i.lower for i in items) <= mean.lower * (1 + 1e-9)
    assert mean.upper <= max(i.upper for i in items) * (1 + 1e-9)


@pytest.mark.parametrize("weights", [[1.0], [0.5, 0.6], [1.5, -0.5], [math.nan, 1.0], []])
def test_weights_that_are_no_shares_are_refused(weights: list[float]) -> None:
    with pytest.raises(BadWeightsError, match="2 items"):
        weighted_average([point(1), point(2)], weights)


@pytest.mark.parametrize(
    ("a", "b", "p"),
    [
        (Interval(2, 4), Interval(1, 3), 0.75),
        (Interval(0, 1), Interval(2, 3), 0.0),
        (Interval(2, 3), Interval(0, 1), 1.0),
        (Interval(0, 1), Interval(1, 2), 0.0),  # touching
        (Interval(0, 4), Interval(1, 2), 0.6),  # one within the other
        (Interval(0, 4), point(3), 0.25),
    ],
)
def test_the_possibility_degree_by_hand(a: Interval, b: Interval, p: float) -> None:
    assert possibility(a, b) == pytest.approx(p)


def test_two_points_compare_as_numbers() -> None:
    assert [possibility(point(2), point(x)) for x in (1, 2, 3)] == [1.0, 0.5, 0.0]


@unhurried
@given(intervals(), intervals())
def test_possibilities_of_a_pair_have_the_sum_one(a: Interval, b: Interval) -> None:
    assert possibility(a, b) + possibility(b, a) == pytest.approx(1, abs=1e-9)
    assert 0 <= possibility(a, b) <= 1


@unhurried
@given(some)
def test_the_matrix_and_its_transpose_have_exactly_the_sum_one(items: list[Interval]) -> None:
    p = possibility_matrix(items)
    assert np.all(p + p.T == 1)
    assert np.all(np.diag(p) == 0.5)


@unhurried
@given(intervals(), intervals())
def test_at_least_half_means_that_the_middle_is_not_below(a: Interval, b: Interval) -> None:
    if abs(a.middle - b.middle) > 1e-9 * 100:
        assert (possibility(a, b) >= 0.5) == (a.middle > b.middle)


@unhurried
@given(some)
def test_the_ranking_vector_has_the_sum_one(items: list[Interval]) -> None:
    assert ranking_vector(items).sum() == pytest.approx(1)


@unhurried
@given(some, st.integers(-20, 20))
def test_the_unit_does_not_matter(items: list[Interval], power: int) -> None:
    scaled = [Interval(i.lower * 2.0**power, i.upper * 2.0**power) for i in items]
    assert ranking_vector(scaled) == pytest.approx(ranking_vector(items), abs=1e-12)


@unhurried
@given(some)
def test_the_order_of_the_items_does_not_matter(items: list[Interval]) -> None:
    turned = [*items[1:], items[0]]
    assert np.roll(ranking_vector(items), -1) == pytest.approx(ranking_vector(turned))


def test_the_published_links_give_the_published_ranking_vector() -> None:
    rho = ranking_vector(list(PUBLISHED_LINKS.values()))
    assert rho.round(3).tolist() == list(PUBLISHED_RHO.values())
    assert rho.round(5).tolist() == list(EXACT_RHO.values())


def test_one_item_alone_is_all_there_is() -> None:
    assert ranking_vector([Interval(1, 2)]).tolist() == [1.0]


def test_nothing_cannot_be_ranked() -> None:
    with pytest.raises(BadShapeError, match="items to rank"):
        ranking_vector([])


def test_equals_share_the_better_rank() -> None:
    assert ranks(ranking_vector([point(1), point(5), point(5), point(9)])) == [4, 2, 2, 1]
    assert ranks(np.array([0.1 + 0.2, 0.3, 0.4])) == [2, 2, 1]  # equal but for rounding
