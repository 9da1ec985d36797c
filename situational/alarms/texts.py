"""Words for people, in Chinese and English."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from situational.alarms.rate import Band
from situational.alarms.states import Input, State
from situational.hazard import Level
from situational.texts import Language, Texts, text

STATES: Texts[State] = MappingProxyType(
    {
        State.NORMAL: ("正常", "normal"),
        State.UNACKNOWLEDGED: ("未确认", "unacknowledged"),
        State.ACKNOWLEDGED: ("已确认", "acknowledged"),
        State.RETURNED: ("已恢复，未确认", "returned to normal, unacknowledged"),
        State.SHELVED: ("已搁置，条件未出现", "shelved, condition absent"),
        State.SHELVED_ACTIVE: ("已搁置，条件存在", "shelved, condition present"),
        State.SUPPRESSED: ("按设计抑制，条件未出现", "suppressed by design, condition absent"),
        State.SUPPRESSED_ACTIVE: ("按设计抑制，条件存在", "suppressed by design, condition present"),
        State.OUT_OF_SERVICE: ("退出运行，条件未出现", "out of service, condition absent"),
        State.OUT_OF_SERVICE_ACTIVE: ("退出运行，条件存在", "out of service, condition present"),
    }
)

INPUTS: Texts[Input] = MappingProxyType(
    {
        Input.RAISE: ("告警产生", "raised"),
        Input.CLEAR: ("条件消失", "condition gone"),
        Input.ESCALATE: ("告警升级", "escalated"),
        Input.EASE: ("告警降级", "eased"),
        Input.ACKNOWLEDGE: ("确认", "acknowledged"),
        Input.SHELVE: ("搁置", "shelved"),
        Input.UNSHELVE: ("取消搁置", "taken off the shelf"),
        Input.SHELF_OVER: ("搁置到期", "shelf time over"),
        Input.BREAK_SHELF: ("重大告警，搁置作废", "shelf broken: major"),
        Input.SUPPRESS: ("按设计抑制", "suppressed by design"),
        Input.UNSUPPRESS: ("解除抑制", "suppression ended"),
        Input.REMOVE: ("退出运行", "removed from service"),
        Input.RETURN: ("恢复运行", "returned to service"),
    }
)

ACTIONS: Mapping[Level, tuple[str, str]] = MappingProxyType(
    {
        Level.NORMAL: ("无需处理", "nothing to do"),
        Level.LIFTING: ("继续观察，直至解除", "keep watching until it has lifted"),
        Level.ADVISORY: ("留意该厂站的变化", "keep the node in view"),
        Level.MEDIUM: ("本班内查明原因", "find the cause within this shift"),
        Level.HIGH: ("立即联系厂站核实", "call the plant now and verify"),
        Level.MAJOR: (
            "立即处置：停止对该厂站网络下令，改用电话，并报告值长",
            "act at once: no network issuing to the node, use the telephone, tell the supervisor",
        ),
    }
)

BANDS: Texts[Band] = MappingProxyType(
    {
        Band.ACCEPTABLE: ("很可能可以接受", "very likely to be acceptable"),
        Band.MANAGEABLE: ("可以应付", "manageable"),
        Band.OVER_DEMANDING: ("很可能要求过高", "likely to be over-demanding"),
        Band.UNACCEPTABLE: ("很可能无法接受", "very likely to be unacceptable"),
    }
)


def state_text(state: State, language: Language) -> str:
    return text(STATES, state, language)


def input_text(given: Input, language: Language) -> str:
    return text(INPUTS, given, language)


def action_text(level: Level, language: Language) -> str:
    """What an alarm of this level asks of the operator."""
    return text(ACTIONS, level, language)


def band_text(band: Band, language: Language) -> str:
    return text(BANDS, band, language)
