"""Situational awareness, a leaf: what the nodes report -> trends A–G -> hazard -> posture of dispatching.

No I/O, no clock; depends on NumPy alone. See README.md for the method and its limits.
"""

from situational.errors import (
    BadSettingError,
    MisuseError,
    PlaybookIncompleteError,
    PlaybookNotMonotoneError,
    SampleError,
    SampleNotFiniteError,
    SituationalError,
    TimeWentBackwardsError,
    TooManyNodesError,
    WindowShapeError,
)
from situational.hazard import GrowthGate, Hazard, Level, Reason, ReasonCode, fuse
from situational.letter_filter import LetterFilter
from situational.posture import (
    DEFAULT_PLAYBOOK,
    Playbook,
    Posture,
    PostureDecision,
    check_playbook,
    posture_for,
)
from situational.series import METRICS, Metric, NodeSeries, Sample, Series, Window
from situational.texts import Language, letter_text, level_text, metric_text, posture_text, reason_text
from situational.trend import NO_TREND, Letter, Trend, classify, classify_batch, classify_windows

__all__ = [
    "DEFAULT_PLAYBOOK",
    "METRICS",
    "NO_TREND",
    "BadSettingError",
    "GrowthGate",
    "Hazard",
    "Language",
    "Letter",
    "LetterFilter",
    "Level",
    "Metric",
    "MisuseError",
    "NodeSeries",
    "Playbook",
    "PlaybookIncompleteError",
    "PlaybookNotMonotoneError",
    "Posture",
    "PostureDecision",
    "Reason",
    "ReasonCode",
    "Sample",
    "SampleError",
    "SampleNotFiniteError",
    "Series",
    "SituationalError",
    "TimeWentBackwardsError",
    "TooManyNodesError",
    "Trend",
    "Window",
    "WindowShapeError",
    "check_playbook",
    "classify",
    "classify_batch",
    "classify_windows",
    "fuse",
    "letter_text",
    "level_text",
    "metric_text",
    "posture_for",
    "posture_text",
    "reason_text",
]
