"""The live risk board (P2): experts' intervals moved by the running system's counters. A report only."""

from typing import Any

import structlog

from dispatch_server.counters import Counters
from situational import SituationalError
from situational.risk import (
    BoardRow,
    BoardState,
    CounterWindow,
    Panel,
    assess,
    board_data,
    data,
    observe,
    rows,
    update,
)

_log = structlog.get_logger("risk")


class RiskBoard:
    """`panel`: what the experts said; without it there is no board."""

    def __init__(self, panel: Panel | None, counters: Counters) -> None:
        self._panel = panel
        self._counters = counters
        self._window = CounterWindow()
        self._state = BoardState()
        self._rows: tuple[BoardRow, ...] = ()
        self._report: dict[str, object] = {}

    def look(self, now_s: float) -> None:
        """Take the counters in (monotonic seconds) and rank anew. Never raises: it is a report."""
        if self._panel is None:
            return
        try:
            self._window = self._window.push(self._counters.snapshot(), now_s)
            observed = observe(self._panel, self._window)
            assessment = assess(observed.panel)
            self._state = update(self._state, assessment, now_s)
            self._rows = rows(self._state, assessment, observed.evidence)
            self._report = data(assessment)
        except SituationalError as error:
            _log.error("the risk board stands still", why=str(error))

    def view(self) -> dict[str, Any]:
        """The board as plain data with the provenance of each factor; empty without experts' intervals."""
        return {"board": board_data(self._rows), "assessment": self._report}

    def shown(self) -> tuple[BoardRow, ...]:
        """The rows in the order that is shown."""
        return self._rows
