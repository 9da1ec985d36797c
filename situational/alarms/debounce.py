"""On- and off-delay: what is found from tick to tick becomes the level that the alarm goes by.

A rise counts when it has lasted for the on-delay, at the lowest level seen meanwhile; a fall when it has
lasted for the off-delay, at the highest level seen meanwhile. MAJOR counts at once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from situational.alarms.record import Condition
from situational.errors import BadSettingError
from situational.hazard import Level


@dataclass(frozen=True, slots=True)
class Delays:
    """Milliseconds. On: two polls, so that no reading alone calls anybody. Off: twice what a letter takes."""

    on_ms: int = 10_000
    off_ms: int = 120_000

    def __post_init__(self) -> None:
        for name, value in (("on_ms", self.on_ms), ("off_ms", self.off_ms)):
            if value < 0:
                raise BadSettingError(name, value, "0 or more")


@dataclass(frozen=True, slots=True)
class Drift:
    """Since when findings differ to one side, and the one nearest to the held level (None: clear)."""

    since_ms: int
    condition: Condition | None


@dataclass(frozen=True, slots=True)
class Track:
    """What is found of one key and does not count yet. `flutters`: falls that were broken off by a return."""

    rising: Drift | None = None
    falling: Drift | None = None
    flutters: int = 0

    def unknown(self) -> Track:
        """Nothing could be found: what cannot be judged is no evidence that a danger is over."""
        return replace(self, falling=None)

    def found(
        self, held: Level, condition: Condition | None, now_ms: int, delays: Delays
    ) -> tuple[Track, Drift | None]:
        """Take in one finding; the second value is what counts from now on, None if nothing changes.

        `held` is the level that counted so far, NORMAL without a condition.
        """
        level = level_of(condition)
        if level < held:
            return self._fallen(condition, now_ms, delays.off_ms)
        flutters = self.flutters + (self.falling is not None)
        if level == held:
            return Track(flutters=flutters), None
        return self._risen(condition, now_ms, delays.on_ms, flutters)

    def _risen(
        self, condition: Condition | None, now_ms: int, on_ms: int, flutters: int
    ) -> tuple[Track, Drift | None]:
        drift = self.rising or Drift(now_ms, condition)
        if level_of(condition) <= level_of(drift.condition):
            drift = replace(drift, condition=condition)
        if level_of(condition) is Level.MAJOR:
            drift = Drift(now_ms, condition)
        elif now_ms - drift.since_ms < on_ms:
            return Track(rising=drift, flutters=flutters), None
        return Track(flutters=flutters), drift

    def _fallen(self, condition: Condition | None, now_ms: int, off_ms: int) -> tuple[Track, Drift | None]:
        drift = self.falling or Drift(now_ms, condition)
        if level_of(condition) >= level_of(drift.condition):
            drift = replace(drift, condition=condition)
        if now_ms - drift.since_ms < off_ms:
            return Track(falling=drift, flutters=self.flutters), None
        return Track(flutters=self.flutters), drift


def level_of(condition: Condition | None) -> Level:
    """NORMAL also for levels below ADVISORY: they are no condition of an alarm."""
    return condition.level if condition and condition.level >= Level.ADVISORY else Level.NORMAL
