from math import comb

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaos_cipher.quality.battery import TESTS, Outcomes
from chaos_cipher.quality.excursions import NotApplicable, Reason
from chaos_cipher.quality.verdict import (
    Verdict,
    assess,
    expected_suspects,
    false_alarm,
    interval,
    judge,
    share_is_suspect,
    share_tail,
    suspect_chance,
    suspect_tests,
    uniformity,
)
from tests.chaos_cipher.support import few, many

EVEN = np.linspace(0.0005, 0.9995, 1_000)  # 10 of them below 0.01


def outcomes(p_values: object = EVEN, **others: object) -> list[Outcomes]:
    """Sequences in which every statistic has the same P-values, except those of the tests named."""
    columns = {name: np.asarray(others.get(name.replace("-", "_"), p_values)) for name in TESTS}
    return [
        {name: (float(columns[name][row]),) * len(TESTS[name].statistics) for name in TESTS}
        for row in range(len(columns["frequency"]))
    ]


def test_the_interval_is_that_of_section_4_2_1() -> None:
    assert interval(1_000) == pytest.approx((0.99 - 0.0094392, 0.99 + 0.0094392), abs=1e-6)
    assert interval(20)[1] == 1.0


@pytest.mark.parametrize(("count", "limit"), [(20, 3), (60, 4), (100, 5), (1_000, 20)])
def test_so_many_failures_make_a_statistic_suspect_and_one_fewer_do_not(count: int, limit: int) -> None:
    assert share_is_suspect(count, limit)
    assert not share_is_suspect(count, limit - 1)


def test_no_failure_in_a_thousand_sequences_is_suspect_too() -> None:
    assert share_is_suspect(1_000, 0)
    assert not share_is_suspect(1_000, 1)


@many
@given(st.integers(1, 200), st.data())
def test_the_tail_is_the_exact_binomial_one(count: int, data: st.DataObject) -> None:
    failures = data.draw(st.integers(0, count))
    side = range(failures, count + 1) if failures >= count / 100 else range(failures + 1)
    exact = sum(comb(count, k) * 99 ** (count - k) for k in side) / 100**count
    assert share_tail(count, failures) == pytest.approx(exact, rel=1e-9, abs=1e-300)


@few
@given(st.integers(1, 1_500))
@example(898)  # the worst
def test_an_ideal_generator_is_failed_in_fewer_than_six_of_a_thousand_runs(count: int) -> None:
    assert suspect_chance(count) <= 0.01
    assert false_alarm(count) < 0.006


def test_the_figures_of_the_full_run() -> None:
    assert expected_suspects(1_000) == pytest.approx(0.645, abs=1e-3)
    assert false_alarm(1_000) == pytest.approx(0.0022, abs=1e-4)
    assert suspect_chance(1_000, 0.03) ** 2 == pytest.approx(0.96, abs=5e-3)


def test_uniformity_is_that_of_section_4_2_2() -> None:
    assert uniformity(EVEN.tolist()) == pytest.approx(1.0)
    assert uniformity([*EVEN[:900], *[0.05] * 100]) < 1e-4  # chi-square 200 with nine degrees of freedom
    assert uniformity([0.0, 1.0] * 30) < 1e-4  # a P-value of 1 falls into the last bin


def test_even_p_values_pass() -> None:
    assessment = assess(outcomes(), [])
    assert (assessment.verdict, assessment.suspects) == (Verdict.PASSED, ())
    assert len(assessment.first) == 188
    assert {each.proportion for each in assessment.first} == {0.99}


def test_a_suspect_that_is_one_again_is_confirmed_and_fails_the_source() -> None:
    low = EVEN * 0.4
    assessment = assess(outcomes(serial=low), outcomes(serial=low))
    assert [each.statistic for each in assessment.confirmed] == [("serial", "first"), ("serial", "second")]
    assert assessment.verdict is Verdict.FAILED


def test_a_suspect_that_is_none_on_new_sequences_is_not_held_against_the_source() -> None:
    assessment = assess(outcomes(serial=EVEN * 0.4), outcomes())
    assert len(assessment.suspects) == len(assessment.again) == 2
    assert (assessment.verdict, assessment.confirmed) == (Verdict.PASSED, ())


def test_what_is_suspect_only_among_the_new_sequences_does_not_count() -> None:
    assessment = assess(outcomes(serial=EVEN * 0.4), outcomes(runs=EVEN * 0.4))
    assert assessment.verdict is Verdict.PASSED


def test_too_few_small_p_values_count_as_much_as_too_many() -> None:
    high = 0.011 + EVEN * 0.98
    assert assess(outcomes(runs=high), outcomes(runs=high)).verdict is Verdict.FAILED


def test_p_values_in_a_heap_are_suspect_though_their_share_is_right() -> None:
    heap = np.where(EVEN < 0.01, EVEN, 0.5)
    judged = [each for each in judge(outcomes(spectral=heap)) if each.suspect]
    assert [each.statistic[0] for each in judged] == ["spectral"]
    assert judged[0].failures == 10
    assert suspect_tests(judged) == {"spectral"}


def test_below_55_sequences_uniformity_is_not_judged() -> None:
    assert {each.uniformity for each in judge(outcomes([0.5] * 54))} == {None}
    assert all(each.suspect for each in judge(outcomes([0.5] * 55)))


def test_a_test_that_never_applied_leaves_the_verdict_incomplete() -> None:
    without: list[Outcomes] = [
        {**each, "random-excursions": NotApplicable(Reason.TOO_FEW_CYCLES)} for each in outcomes()
    ]
    assessment = assess(without, [])
    assert assessment.not_judged == ("random-excursions",)
    assert assessment.verdict is Verdict.INCOMPLETE


def test_only_the_sequences_to_which_a_test_applies_are_counted() -> None:
    some: list[Outcomes] = [
        {**each, "runs": NotApplicable(Reason.TOO_FEW_BITS)} if place % 2 else each
        for place, each in enumerate(outcomes())
    ]
    counted = {each.statistic[0]: each.sequences for each in judge(some)}
    assert (counted["runs"], counted["frequency"]) == (500, 1_000)
