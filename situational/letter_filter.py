"""A letter is adopted only when it lasts: single windows flicker at the borders between the classes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from situational.errors import BadSettingError
from situational.trend import NO_TREND, Letter, Trend


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """`trend` is the newest trend whose letter had `need` of the last `of` votes; NONE votes like any other.

    With the defaults and a poll every 5 s a new letter is adopted after 45 s to a minute.
    """

    need: int = 9
    of: int = 12
    recent: tuple[Letter, ...] = ()
    trend: Trend = NO_TREND

    def __post_init__(self) -> None:
        if not self.of < 2 * self.need <= 2 * self.of:
            raise BadSettingError("need", self.need, f"more than half of {self.of} and not above it")

    def push(self, trend: Trend) -> LetterFilter:
        """The filter after one more classification."""
        recent = (*self.recent, trend.letter)[-self.of :]
        held = recent.count(trend.letter) >= self.need or trend.letter is self.trend.letter
        return replace(self, recent=recent, trend=trend if held else self.trend)
