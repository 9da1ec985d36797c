"""Words for people, in Chinese and English; the rest of the package speaks in codes and data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import TypeVar

from situational.hazard import Level, Reason, ReasonCode
from situational.posture import Posture
from situational.series import Metric
from situational.trend import Letter


class Language(StrEnum):
    ZH = "zh"
    EN = "en"


Coded = TypeVar("Coded", bound=Enum)
Texts = Mapping[Coded, tuple[str, str]]  # (Chinese, English)

LETTERS: Texts[Letter] = {
    Letter.A: ("不变", "unchanged"),
    Letter.B: ("加速增长", "accelerating growth"),
    Letter.C: ("匀速增长", "uniform growth"),
    Letter.D: ("减速增长", "slowing growth"),
    Letter.E: ("减速下降", "slowing decrease"),
    Letter.F: ("匀速下降", "uniform decrease"),
    Letter.G: ("加速下降", "accelerating decrease"),
    Letter.NONE: ("无法判定", "cannot be told"),
}

LEVELS: Texts[Level] = {
    Level.NORMAL: ("正常", "normal"),
    Level.LIFTING: ("危险正在逐步解除，系统处于安全阶段", "danger is lifting step by step, safe stage"),
    Level.ADVISORY: ("提示：指标有增长", "advisory: growth to keep in view"),
    Level.MEDIUM: ("一般隐患", "medium hazard"),
    Level.HIGH: ("较大隐患", "high hazard"),
    Level.MAJOR: ("重大隐患", "major hidden danger"),
}

POSTURES: Texts[Posture] = {
    Posture.NORMAL: ("正常下令", "normal issuing"),
    Posture.HEIGHTENED: ("加强戒备", "heightened care"),
    Posture.RESTRICTED: ("限制下令", "restricted issuing"),
    Posture.HELD: ("暂停网络下令", "network issuing held"),
}

METRIC_NAMES: Texts[Metric] = {
    Metric.LOGGED_IN_NODES: ("登录节点数", "logged-in nodes"),
    Metric.NETWORK_FLOW: ("网络流量", "network flow"),
    Metric.EXTERNAL_CONNECTIONS: ("外部网络连接数", "external network connections"),
    Metric.MEMORY_USED: ("系统内存占用", "memory in use"),
}

_ALL_FOUR = ("四项指标", "all four metrics")

REASONS: Texts[ReasonCode] = {
    ReasonCode.ALL_SURGING: (
        "{metric}均为{letter}，增幅均不低于{size:.0%}",
        "{metric} show {letter}, each by {size:.0%} or more of its level",
    ),
    ReasonCode.GROWTH_LARGE: (
        "{metric}：{letter}，大幅增加{size:.0%}",
        "{metric}: {letter}, large: up {size:.0%}",
    ),
    ReasonCode.GROWTH_SMALL: ("{metric}：{letter}，增加{size:.0%}", "{metric}: {letter}, up {size:.0%}"),
    ReasonCode.FALLING: ("{metric}：{letter}，下降{size:.0%}", "{metric}: {letter}, down {size:.0%}"),
    ReasonCode.STEADY: ("{metric}：{letter}", "{metric}: {letter}"),
    ReasonCode.CANNOT_TELL: ("{metric}：趋势{letter}", "{metric}: its trend {letter}"),
}


def text(texts: Texts[Coded], code: Coded, language: Language) -> str:
    chinese, english = texts[code]
    match language:
        case Language.ZH:
            return chinese
        case Language.EN:
            return english


def letter_text(letter: Letter, language: Language) -> str:
    return text(LETTERS, letter, language)


def level_text(level: Level, language: Language) -> str:
    return text(LEVELS, level, language)


def posture_text(posture: Posture, language: Language) -> str:
    return text(POSTURES, posture, language)


def metric_text(metric: Metric, language: Language) -> str:
    return text(METRIC_NAMES, metric, language)


def reason_text(reason: Reason, language: Language) -> str:
    """One reason as a sentence; percentages are shares of the level at which the window began."""
    if reason.metric is None:
        metric = _ALL_FOUR[0] if language is Language.ZH else _ALL_FOUR[1]
    else:
        metric = metric_text(reason.metric, language)
    template = text(REASONS, reason.code, language)
    return template.format(
        metric=metric, letter=letter_text(reason.letter, language), size=abs(reason.growth)
    )
