"""Alarms after ISA-18.2 (IEC 62682) and their rates after EEMUA 191. No I/O, no clock. See README.md."""

from situational.alarms.board import AlarmBoard, BoardSettings, replay
from situational.alarms.debounce import Delays
from situational.alarms.errors import (
    AlarmClockError,
    AlarmError,
    AlarmHistoryError,
    AlarmInconsistentError,
    AlarmInputImpossibleError,
    AlarmInputMisfitError,
    AlarmStateError,
    AlarmTextError,
    BoardFullError,
    MajorShelvedError,
    PersonMissingError,
    ReasonMissingError,
    ShelfNotOverError,
    ShelfTimeError,
)
from situational.alarms.machine import Call, apply, follow
from situational.alarms.plain import board_from_plain, board_to_plain, event_from_plain, event_to_plain
from situational.alarms.rate import (
    AnnouncementLog,
    Band,
    RateFigures,
    WindowRate,
    band_of,
    chattering,
    standing,
)
from situational.alarms.record import Alarm, AlarmEvent, AlarmKey, Aside, Condition, Incident
from situational.alarms.states import TRANSITIONS, Input, State, next_state
from situational.alarms.texts import action_text, band_text, input_text, state_text

__all__ = [
    "TRANSITIONS",
    "Alarm",
    "AlarmBoard",
    "AlarmClockError",
    "AlarmError",
    "AlarmEvent",
    "AlarmHistoryError",
    "AlarmInconsistentError",
    "AlarmInputImpossibleError",
    "AlarmInputMisfitError",
    "AlarmKey",
    "AlarmStateError",
    "AlarmTextError",
    "AnnouncementLog",
    "Aside",
    "Band",
    "BoardFullError",
    "BoardSettings",
    "Call",
    "Condition",
    "Delays",
    "Incident",
    "Input",
    "MajorShelvedError",
    "PersonMissingError",
    "RateFigures",
    "ReasonMissingError",
    "ShelfNotOverError",
    "ShelfTimeError",
    "State",
    "WindowRate",
    "action_text",
    "apply",
    "band_of",
    "band_text",
    "board_from_plain",
    "board_to_plain",
    "chattering",
    "event_from_plain",
    "event_to_plain",
    "follow",
    "input_text",
    "next_state",
    "replay",
    "standing",
    "state_text",
]
