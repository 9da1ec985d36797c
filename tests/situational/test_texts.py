from enum import Enum

import pytest

from situational import (
    METRICS,
    NO_TREND,
    Language,
    Letter,
    Level,
    Metric,
    Posture,
    Reason,
    ReasonCode,
    fuse,
    letter_text,
    level_text,
    metric_text,
    posture_text,
    reason_text,
)
from situational.texts import LETTERS, LEVELS, METRIC_NAMES, POSTURES, REASONS, Texts


@pytest.mark.parametrize(
    ("texts", "codes"),
    [(LETTERS, Letter), (LEVELS, Level), (POSTURES, Posture), (METRIC_NAMES, Metric), (REASONS, ReasonCode)],
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
    told = [reason_text(reason, language) for reason in fuse(dict.fromkeys(METRICS, NO_TREND)).reasons]
    assert len(set(told)) == len(METRICS)
    assert not any("{" in sentence for sentence in told)
