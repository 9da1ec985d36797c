"""Situational awareness, a leaf: what the nodes report -> trends A–G -> hazard -> posture of dispatching.

No I/O, no clock; depends on NumPy alone. See README.md for the method and its limits. Forecasts, alarms, risk
and the measuring of all this are in modules of their own.
"""

from situational.baseline import Baseline, BaselineError
from situational.chunk import ChunkError
from situational.danger import Patience
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
from situational.hazard import DEFAULT_LIMITS, Hazard, Level, Reason, ReasonCode, fuse
from situational.history import Chunk, Chunker, expired, export_csv
from situational.large import LargeVerdict, Limits
from situational.letter_filter import LetterFilter
from situational.passes import Judgement, Pass
from situational.posture import (
    DEFAULT_PLAYBOOK,
    DEFAULT_POSTURES,
    Cause,
    Change,
    Playbook,
    Posture,
    PostureDecision,
    Release,
    Stance,
    decide,
    posture_for,
    release,
)
from situational.series import METRICS, Metric, NodeSeries, Sample, Scale, Series, Window
from situational.texts import (
    Language,
    change_text,
    hazard_text,
    letter_text,
    level_text,
    metric_text,
    posture_text,
    reason_text,
)
from situational.trend import NO_TREND, Curve, Letter, Trend, classify, classify_batch, classify_windows
from situational.watch import Watch

__all__ = [
    "DEFAULT_LIMITS",
    "DEFAULT_PLAYBOOK",
    "DEFAULT_POSTURES",
    "METRICS",
    "NO_TREND",
    "BadSettingError",
    "Baseline",
    "BaselineError",
    "Cause",
    "Change",
    "Chunk",
    "ChunkError",
    "Chunker",
    "Curve",
    "Hazard",
    "Judgement",
    "Language",
    "LargeVerdict",
    "Letter",
    "LetterFilter",
    "Level",
    "Limits",
    "Metric",
    "MisuseError",
    "NodeSeries",
    "Pass",
    "Patience",
    "Playbook",
    "PlaybookIncompleteError",
    "PlaybookNotMonotoneError",
    "Posture",
    "PostureDecision",
    "Reason",
    "ReasonCode",
    "Release",
    "Sample",
    "SampleError",
    "SampleNotFiniteError",
    "Scale",
    "Series",
    "SituationalError",
    "Stance",
    "TimeWentBackwardsError",
    "TooManyNodesError",
    "Trend",
    "Watch",
    "Window",
    "WindowShapeError",
    "change_text",
    "classify",
    "classify_batch",
    "classify_windows",
    "decide",
    "expired",
    "export_csv",
    "fuse",
    "hazard_text",
    "letter_text",
    "level_text",
    "metric_text",
    "posture_for",
    "posture_text",
    "reason_text",
    "release",
]
