"""A letter is adopted only when it lasts: single windows flicker at the borders between the classes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from situational.errors import BadSettingError
from situational.letters import NO_TREND, Letter, Trend


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """`trend` holds the adopted shape and the adopted regime, each with what its newest vote said of it.

    A new letter is adopted when it had `need` of the last `of` votes; NONE votes like any other. With the
    defaults and a poll every 5 s that takes 45 s to a minute.
    """

    need: int = 9
    of: int = 12
    shapes: tuple[Letter, ...] = ()
    regimes: tuple[Letter, ...] = ()
    trend: Trend = NO_TREND

    def __post_init__(self) -> None:
        if not self.of < 2 * self.need <= 2 * self.of:
            raise BadSettingError("need", self.need, f"more than half of {self.of} and not above it")

    def push(self, trend: Trend) -> LetterFilter:
        """The filter after one more classification."""
        shapes = (*self.shapes, trend.shape)[-self.of :]
        regimes = (*self.regimes, trend.regime)[-self.of :]
        shape_held = trend.shape is self.trend.shape or shapes.count(trend.shape) >= self.need
        regime_held = trend.regime is self.trend.regime or regimes.count(trend.regime) >= self.need
        return LetterFilter(
            self.need,
            self.of,
            shapes,
            regimes,
            _joined(
                trend if shape_held else self.trend,
                trend if regime_held else self.trend,
            ),
        )


def _joined(shape: Trend, regime: Trend) -> Trend:
    """One trend's shape with the other's regime."""
    if shape is regime:
        return shape
    return replace(
        shape,
        regime=regime.regime,
        regime_posterior=regime.regime_posterior,
        regime_confidence=regime.regime_confidence,
        regime_curve=regime.regime_curve,
        break_s=regime.break_s,
    )
