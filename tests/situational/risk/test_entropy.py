import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational.risk import BadShapeError, Entropy, Interval, entropy_weights
from tests.situational.risk.support import intervals, point, unhurried


@st.composite
def matrices(draw: st.DrawFn) -> list[list[Interval]]:
    experts, factors = draw(st.integers(2, 6)), draw(st.integers(1, 5))
    return [[draw(intervals(least=0.1)) for _ in range(factors)] for _ in range(experts)]


def by_hand(matrix: list[list[Interval]]) -> list[float]:
    """P2's step 5, written out number by number."""
    d = []
    for column in zip(*matrix, strict=True):
        bounds = [[cell.lower for cell in column], [cell.upper for cell in column]]
        h = [-sum(x / sum(b) * math.log(x / sum(b)) for x in b) / math.log(len(b)) for b in bounds]
        d.append(1 - sum(h) / 2)
    return [one / sum(d) for one in d]


@unhurried
@given(matrices())
def test_weights_are_shares_whatever_the_entropy(matrix: list[list[Interval]]) -> None:
    for entropy in Entropy:
        weights = entropy_weights(matrix, entropy)
        assert weights.sum() == pytest.approx(1)
        assert weights.min() >= 0


def test_the_improved_weights_are_those_written_out_by_hand() -> None:
    matrix = [
        [Interval(20, 30), Interval(35, 42), Interval(8, 20)],
        [Interval(25, 28), Interval(30, 48), Interval(16, 18)],
        [Interval(24, 35), Interval(12, 20), Interval(10, 11)],
    ]
    assert entropy_weights(matrix).tolist() == pytest.approx(by_hand(matrix))
    assert entropy_weights(matrix).tolist() != pytest.approx(entropy_weights(matrix, Entropy.LOWER).tolist())


@unhurried
@given(matrices(), st.integers(-10, 10), st.data())
def test_a_factor_measured_in_another_unit_keeps_its_weight(
    matrix: list[list[Interval]], power: int, data: st.DataObject
) -> None:
    changed = data.draw(st.integers(0, len(matrix[0]) - 1))
    scaled = [
        [Interval(c.lower * 2.0**power, c.upper * 2.0**power) if j == changed else c for j, c in enumerate(r)]
        for r in matrix
    ]
    assert entropy_weights(scaled) == pytest.approx(entropy_weights(matrix), abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 42.471, 1e299])
def test_unanimous_experts_leave_equal_weights(value: float) -> None:
    assert entropy_weights([[point(value)] * 3] * 5).tolist() == [1 / 3] * 3


def test_one_expert_cannot_disagree_and_leaves_equal_weights() -> None:
    assert entropy_weights([[point(1), Interval(2, 9)]]).tolist() == [0.5, 0.5]


@pytest.mark.parametrize("experts", range(2, 20))
@pytest.mark.parametrize("value", [0.0, 100.0])
def test_a_factor_on_which_all_agree_weighs_nothing_however_large_it_is(experts: int, value: float) -> None:
    matrix = [[point(value), point(expert)] for expert in range(experts)]
    assert entropy_weights(matrix).tolist() == [0.0, 1.0]


def test_nought_has_no_logarithm_and_needs_none() -> None:
    weights = entropy_weights([[point(0), point(0)], [point(0), point(7)]])
    assert weights.tolist() == [0.0, 1.0]  # all zeros agree; all on one expert is the greatest disagreement


def test_a_traditional_entropy_sees_its_bound_alone() -> None:
    matrix = [[Interval(1, 5), Interval(2, 3)], [Interval(1, 9), Interval(1, 3)]]
    assert entropy_weights(matrix, Entropy.LOWER).tolist() == [0.0, 1.0]
    assert entropy_weights(matrix, Entropy.UPPER).tolist() == [1.0, 0.0]
    improved = entropy_weights(matrix)
    assert 0 < improved[0] < 1


def test_weights_measure_disagreement_as_the_squared_variation() -> None:
    """d ≈ CV²/(2 ln m), so the ratio of two weights is that of the squared coefficients of variation."""
    spread = [-2, -1, 0, 1, 2]
    matrix = [[point(50 + s), point(50 + 2 * s)] for s in spread]
    weights = entropy_weights(matrix)
    assert weights[1] / weights[0] == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize("matrix", [[], [[]], [[point(1)], [point(1), point(2)]]])
def test_a_matrix_that_is_none_is_refused(matrix: list[list[Interval]]) -> None:
    with pytest.raises(BadShapeError, match="experts' rows"):
        entropy_weights(matrix)
