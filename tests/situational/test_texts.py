from enum import Enum

import pytest

from situational import (
    METRICS,
    NO_TREND,
    Cause,
    Change,
    Hazard,
    Language,
    Letter,
    Level,
    Metric,
    Posture,
    Reason,
    ReasonCode,
    change_text,
    fuse,
    hazard_text,
    letter_text,
    level_text,
    metric_text,
    posture_text,
    reason_text,
)
from situational.texts import CAUSES, LETTERS, LEVELS, METRIC_NAMES, POSTURES, REASONS, Texts


@pytest.mark.parametrize(
    ("texts", "codes"),
    [
        (LETTERS, Letter),
        (LEVELS, Level),
        (POSTURES, Posture),
        (METRIC_NAMES, Metric),
        (REASONS, ReasonCode),
        (CAUSES, Cause),
    ],
)
def test_every_code_has_one_text_of_its_own_in_each_language(texts: Texts[Enum], codes: type[Enum]) -> None:
    assert set(texts) == set(codes)
    for column in zip(*texts.values(), strict=True):
        assert len(set(column)) == len(column)
        assert all(column)


def test_texts_come_in_the_language_asked_for() -> None:
    assert letter_text(Letter.B, Language.ZH) == "加速增长"
    assert letter_text(Letter.B, Language.EN) == "accelerating growth"
    assert level_text(Level.MAJOR, Language.ZH) == "重大隐患"
    assert posture_text(Posture.HELD, Language.EN) == "network issuing held"
    assert metric_text(Metric.NETWORK_FLOW, Language.ZH) == "网络流量"


def test_a_reason_becomes_a_sentence_with_its_metric_letter_and_size() -> None:
    large = Reason(ReasonCode.GROWTH_LARGE, Metric.MEMORY_USED, Letter.B, 0.83)
    assert reason_text(large, Language.EN) == "memory in use: accelerating growth, large: up 83%"
    assert reason_text(large, Language.ZH) == "系统内存占用：加速增长，大幅增加83%"
    fall = Reason(ReasonCode.FALLING, Metric.NETWORK_FLOW, Letter.G, -0.4)
    assert reason_text(fall, Language.EN) == "network flow: accelerating decrease, down 40%"


def test_the_reason_for_a_major_danger_speaks_of_all_four_metrics() -> None:
    surge = Reason(ReasonCode.ALL_SURGING, None, Letter.B, 0.6)
    assert reason_text(surge, Language.ZH) == "四项指标均为加速增长，增幅均不低于60%"
    assert reason_text(surge, Language.EN).startswith("all four metrics show accelerating growth")


@pytest.mark.parametrize("language", Language)
def test_every_reason_that_fusing_gives_can_be_told(language: Language) -> None:
    told = [reason_text(reason, language) for reason in fuse(dict.fromkeys(METRICS, NO_TREND), {}).reasons]
    assert len(set(told)) == len(METRICS)
    assert not any("{" in sentence for sentence in told)


def hazard_of(level: Level, judged: int, *codes: ReasonCode) -> Hazard:
    return Hazard(level, Letter.A, judged, tuple(Reason(code, None, Letter.A, 0.0) for code in codes))


def test_a_hazard_is_always_told_with_how_much_of_it_is_known() -> None:
    assert hazard_text(hazard_of(Level.MAJOR, 4), Language.ZH) == "重大隐患（可判定4/4项指标）"
    assert hazard_text(hazard_of(Level.NORMAL, 2), Language.EN) == "normal (2 of 4 metrics judged)"
    assert hazard_text(hazard_of(Level.NORMAL, 0), Language.EN) == "not known (0 of 4 metrics judged)"


def test_that_a_danger_is_over_is_told_as_safe_but_never_over_a_new_level() -> None:
    over = ReasonCode.DANGER_OVER
    assert hazard_text(hazard_of(Level.NORMAL, 4, over), Language.EN).startswith("danger is over, safe")
    assert hazard_text(hazard_of(Level.NORMAL, 4, over), Language.ZH).startswith("危险已解除")
    assert hazard_text(hazard_of(Level.ADVISORY, 4, over), Language.EN).startswith("advisory")


def test_a_change_of_posture_is_told_with_its_cause_and_who_made_it() -> None:
    raised = Change(Posture.NORMAL, Posture.HELD, Cause.HAZARD, Level.MAJOR, 4)
    assert change_text(raised, Language.ZH) == (
        "正常下令 → 暂停网络下令：隐患等级：重大隐患（可判定4/4项指标）"
    )
    freed = Change(Posture.HELD, Posture.NORMAL, Cause.PERSON, Level.NORMAL, 1, "li")
    assert change_text(freed, Language.EN) == (
        "network issuing held -> normal issuing: released by li (1 of 4 metrics judged)"
    )


@pytest.mark.parametrize("code", ReasonCode)
@pytest.mark.parametrize("language", Language)
def test_every_reason_can_be_told_of_one_metric_and_of_those_concerned(
    code: ReasonCode, language: Language
) -> None:
    for metric in (None, Metric.MEMORY_USED):
        assert "{" not in reason_text(Reason(code, metric, Letter.B, 0.5), language)
