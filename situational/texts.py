"""Words for people, in Chinese and English; the rest of the package speaks in codes and data."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import TypeVar

from situational.hazard import Hazard, Level, Reason, ReasonCode
from situational.letters import Letter
from situational.posture import Cause, Change, Posture
from situational.series import METRICS, Metric


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
    ReasonCode.GROWTH_EARLY: (
        "{metric}：最近两分钟大幅增加，尚待确认",
        "{metric}: large growth in the last two minutes, not confirmed yet",
    ),
    ReasonCode.GROWTH_SLOW: (
        "{metric}：长时间缓慢增加，已超出同时段常态",
        "{metric}: slow growth over a long time, beyond what is usual at this hour",
    ),
    ReasonCode.DANGER_HOLDS: (
        "隐患尚未确认解除，等级保持",
        "nothing says yet that the danger has ended: the level holds",
    ),
    ReasonCode.DANGER_LIFTING: ("{metric}回落：危险正在逐步解除", "{metric} fall: the danger is lifting"),
    ReasonCode.DANGER_OVER: ("危险已解除，系统处于安全状态", "the danger is over: safe"),
}

CAUSES: Texts[Cause] = {
    Cause.HAZARD: ("隐患等级：{level}", "the hazard: {level}"),
    Cause.HAZARD_END: ("隐患已结束", "the hazard has ended"),
    Cause.PERSON: ("由{person}解除", "released by {person}"),
}

_DRIVERS = ("相关指标", "the metrics concerned")
_JUDGED = ("可判定{judged}/{all}项指标", "{judged} of {all} metrics judged")
_UNKNOWN = ("无法判定", "not known")
_SAFE = ("危险已解除，系统处于安全状态", "danger is over, safe")


def text(texts: Texts[Coded], code: Coded, language: Language) -> str:
    return _pick(texts[code], language)


def _pick(pair: tuple[str, str], language: Language) -> str:
    chinese, english = pair
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
        metric = _pick(_ALL_FOUR if reason.code is ReasonCode.ALL_SURGING else _DRIVERS, language)
    else:
        metric = metric_text(reason.metric, language)
    template = text(REASONS, reason.code, language)
    return template.format(
        metric=metric, letter=letter_text(reason.letter, language), size=abs(reason.growth)
    )


def hazard_text(hazard: Hazard, language: Language) -> str:
    """The level, that a danger is over, and always how much of it is known."""
    if hazard.is_safe_again and hazard.level is Level.NORMAL:
        level = _pick(_SAFE, language)
    elif hazard.level is Level.NORMAL and not hazard.judged:
        level = _pick(_UNKNOWN, language)
    else:
        level = level_text(hazard.level, language)
    known = _pick(_JUDGED, language).format(judged=hazard.judged, all=len(METRICS))
    return f"{level}（{known}）" if language is Language.ZH else f"{level} ({known})"


def change_text(change: Change, language: Language) -> str:
    """A change of posture as a sentence with its cause."""
    cause = text(CAUSES, change.cause, language).format(
        level=level_text(change.level, language), person=change.person
    )
    before, after = posture_text(change.before, language), posture_text(change.after, language)
    known = _pick(_JUDGED, language).format(judged=change.judged, all=len(METRICS))
    match language:
        case Language.ZH:
            return f"{before} → {after}：{cause}（{known}）"
        case Language.EN:
            return f"{before} -> {after}: {cause} ({known})"
