"""Many sequences' P-values -> PASS or FAIL: SP 800-22 rev 1a section 4.2, and what it leaves to its reader.

Section 4.2.1 asks that the share of sequences with P >= 0.01 lies in 0.99 +- 3 sqrt(0.99 * 0.01 / s), section
4.2.2 that the P-values are uniform (ten bins, chi-square, 0.0001; from 55 sequences). Of 188 statistics an
ideal generator breaks one of these limits about every other time, so breaking one only makes a statistic
*suspect*. Suspects are judged once more, by the same rule, on as many new sequences; a suspect again is
*confirmed*, and one confirmed statistic is a FAIL. The interval is an approximation that is far too narrow
below some 500 sequences: to be suspect, a share must also have an exact binomial tail of at most 0.005.
So an ideal statistic is suspect with a chance of at most 0.0101 and confirmed with at most its square, for
any number of sequences and however the statistics depend on one another: under 1.92 % for all 188. The exact
bound (false_alarm) is far lower: it never passes 0.51 % up to 1,500 sequences.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Final, TypeAlias

import numpy as np

from chaos_cipher.quality.battery import STATISTICS, TESTS, Outcomes
from chaos_cipher.quality.bits import class_p_value
from chaos_cipher.quality.excursions import NotApplicable

ALPHA: Final = 0.01
RAREST_SHARE: Final = 0.005
LEAST_UNIFORMITY: Final = 0.0001
LEAST_FOR_UNIFORMITY: Final = 55
BINS: Final = 10

Statistic: TypeAlias = tuple[str, str]  # test, label


class Verdict(StrEnum):
    PASSED = "PASS"
    FAILED = "FAIL"
    INCOMPLETE = "INCOMPLETE"  # nothing failed, but some test could not be applied to any sequence


@dataclass(frozen=True, slots=True)
class Judgement:
    """One statistic over all sequences to which its test applies."""

    statistic: Statistic
    sequences: int
    failures: int  # sequences with P < 0.01
    tail: float  # exact chance of a share at least so far on this side
    uniformity: float | None  # None with fewer than 55 sequences
    suspect: bool

    @property
    def proportion(self) -> float:
        return 1 - self.failures / self.sequences


@dataclass(frozen=True, slots=True)
class Assessment:
    """What one source has shown: all statistics, and those judged again because they were suspect."""

    first: tuple[Judgement, ...]
    again: tuple[Judgement, ...]
    not_judged: tuple[str, ...]  # tests that applied to no sequence

    @property
    def suspects(self) -> tuple[Judgement, ...]:
        return tuple(each for each in self.first if each.suspect)

    @property
    def confirmed(self) -> tuple[Judgement, ...]:
        return tuple(each for each in self.again if each.suspect)

    @property
    def verdict(self) -> Verdict:
        if self.confirmed:
            return Verdict.FAILED
        return Verdict.INCOMPLETE if self.not_judged else Verdict.PASSED


def assess(first: Sequence[Outcomes], again: Sequence[Outcomes]) -> Assessment:
    """From the outcomes of the first sequences, and of the new ones that their suspects call for."""
    judged = judge(first)
    wanted = {each.statistic for each in judged if each.suspect}
    repeated = tuple(each for each in judge(again) if each.statistic in wanted)
    unjudged = tuple(name for name in TESTS if name not in {each.statistic[0] for each in judged})
    return Assessment(judged, repeated, unjudged)


def judge(outcomes: Iterable[Outcomes]) -> tuple[Judgement, ...]:
    """Every statistic that applies to at least one of the sequences."""
    collected = _collect(outcomes)
    return tuple(_judge_one(each, collected[each]) for each in STATISTICS if collected.get(each))


def suspect_tests(judgements: Iterable[Judgement]) -> Collection[str]:
    """The tests that have to be run again."""
    return {each.statistic[0] for each in judgements if each.suspect}


def _collect(outcomes: Iterable[Outcomes]) -> Mapping[Statistic, list[float]]:
    collected: dict[Statistic, list[float]] = {}
    for sequence in outcomes:
        for name, outcome in sequence.items():
            if isinstance(outcome, NotApplicable):
                continue
            for label, p_value in zip(TESTS[name].statistics, outcome, strict=True):
                collected.setdefault((name, label), []).append(p_value)
    return collected


def _judge_one(statistic: Statistic, p_values: Sequence[float]) -> Judgement:
    count = len(p_values)
    failures = sum(p < ALPHA for p in p_values)
    tail = share_tail(count, failures)
    uniform = uniformity(p_values) if count >= LEAST_FOR_UNIFORMITY else None
    suspect = share_is_suspect(count, failures) or (uniform is not None and uniform < LEAST_UNIFORMITY)
    return Judgement(statistic, count, failures, tail, uniform, suspect)


def interval(count: int) -> tuple[float, float]:
    """Section 4.2.1: the acceptable shares of count sequences."""
    reach = 3 * math.sqrt(ALPHA * (1 - ALPHA) / count)
    return 1 - ALPHA - reach, min(1.0, 1 - ALPHA + reach)


def share_is_suspect(count: int, failures: int) -> bool:
    low, high = interval(count)
    return not low <= 1 - failures / count <= high and share_tail(count, failures) <= RAREST_SHARE


def share_tail(count: int, failures: int) -> float:
    """The chance of at least so many failures, or of at most so many when they are fewer than expected."""
    if failures >= count * ALPHA:
        return math.fsum(_binomial(count, k, ALPHA) for k in range(failures, count + 1))
    return math.fsum(_binomial(count, k, ALPHA) for k in range(failures + 1))


def _binomial(count: int, k: int, chance: float) -> float:
    ways = math.lgamma(count + 1) - math.lgamma(k + 1) - math.lgamma(count - k + 1)
    return math.exp(ways + k * math.log(chance) + (count - k) * math.log1p(-chance))


def uniformity(p_values: Sequence[float]) -> float:
    """Section 4.2.2: the P-value of the P-values."""
    bins = np.minimum((np.asarray(p_values) * BINS).astype(np.int64), BINS - 1)
    return class_p_value(np.bincount(bins, minlength=BINS), (1 / BINS,) * BINS)


@cache
def suspect_limits(count: int) -> tuple[int, int]:
    """At most the first number of failures (-1: never) is suspect, and at least the second."""
    expected = math.ceil(count * ALPHA)
    above = (k for k in range(expected, count + 1) if share_is_suspect(count, k))
    below = (k for k in range(expected - 1, -1, -1) if share_is_suspect(count, k))
    return next(below, -1), next(above, count + 1)


def suspect_chance(count: int, failure_chance: float = ALPHA) -> float:
    """How likely the share of a statistic is suspect when it fails with this chance (0.01: an ideal one).

    With uniformity: for an ideal generator 0.0001 more at most; for a bad one at least this.
    """
    few, many = suspect_limits(count)
    suspect = (*range(few + 1), *range(many, count + 1))
    return math.fsum(_binomial(count, failures, failure_chance) for failures in suspect)


def expected_suspects(count: int) -> float:
    """How many of the 188 statistics of an ideal generator are suspect on average in one round."""
    return len(STATISTICS) * (suspect_chance(count) + _uniformity_chance(count))


def false_alarm(count: int) -> float:
    """At most so likely an ideal generator is failed: some statistic is suspect in both rounds."""
    return min(1.0, len(STATISTICS) * (suspect_chance(count) + _uniformity_chance(count)) ** 2)


def _uniformity_chance(count: int) -> float:
    return LEAST_UNIFORMITY if count >= LEAST_FOR_UNIFORMITY else 0.0
