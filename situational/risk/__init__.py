"""P2's risk assessment: experts' intervals and the system's own counters -> a ranked report.

A report, never the trigger of an alarm. Depends on NumPy alone (charts: matplotlib). See README.md.
"""

from situational.risk.assess import Assessment, FactorRisk, Group, LinkRisk, assess, group_of, rank_links
from situational.risk.board import BoardRow, BoardState, Hysteresis, rows, update
from situational.risk.chart import chart
from situational.risk.counters import CounterWindow, Evidence, Observed, observe, wilson
from situational.risk.entropy import Entropy, entropy_weights
from situational.risk.errors import (
    BadBoardError,
    BadCellError,
    BadIntervalError,
    BadShapeError,
    BadWeightsError,
    CounterError,
    FiguresMissingError,
    InputError,
    RiskError,
    RiskMisuseError,
    UnreadableError,
)
from situational.risk.factors import COUNTERS, FACTORS, LINKS, SOURCES, Factor, Link, Source
from situational.risk.interval import (
    Interval,
    possibility,
    possibility_matrix,
    ranking_vector,
    weighted_average,
)
from situational.risk.panel import Opinion, Panel, panel_from, parse_json, parse_toml
from situational.risk.report import board_data, board_table, compare, compare_table, data, table

__all__ = [
    "COUNTERS",
    "FACTORS",
    "LINKS",
    "SOURCES",
    "Assessment",
    "BadBoardError",
    "BadCellError",
    "BadIntervalError",
    "BadShapeError",
    "BadWeightsError",
    "BoardRow",
    "BoardState",
    "CounterError",
    "CounterWindow",
    "Entropy",
    "Evidence",
    "Factor",
    "FactorRisk",
    "FiguresMissingError",
    "Group",
    "Hysteresis",
    "InputError",
    "Interval",
    "Link",
    "LinkRisk",
    "Observed",
    "Opinion",
    "Panel",
    "RiskError",
    "RiskMisuseError",
    "Source",
    "UnreadableError",
    "assess",
    "board_data",
    "board_table",
    "chart",
    "compare",
    "compare_table",
    "data",
    "entropy_weights",
    "group_of",
    "observe",
    "panel_from",
    "parse_json",
    "parse_toml",
    "possibility",
    "possibility_matrix",
    "rank_links",
    "ranking_vector",
    "rows",
    "table",
    "update",
    "weighted_average",
    "wilson",
]
