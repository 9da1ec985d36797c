"""What is remembered of a node's danger: it holds until it is seen to lift or to be over (P1 §2.3).

A falling curve lifts a danger only where there was one, and a curve that stops making sense ends none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from situational.errors import BadSettingError
from situational.hazard import DANGER, Hazard, Level, Reason, ReasonCode
from situational.letters import Letter


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds. A danger is over when its metrics were `settled_s` long steady, falling or at a usual level.

    Less than MAJOR is also over when nothing grew for `unknown_s`, whether it can be judged or not. That it
    is over is told for `told_s`.
    """

    settled_s: float = 60.0
    unknown_s: float = 900.0
    told_s: float = 600.0

    def __post_init__(self) -> None:
        for name in ("settled_s", "unknown_s", "told_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise BadSettingError(name, getattr(self, name), "a number of seconds")


DEFAULT_PATIENCE = Patience()


@dataclass(frozen=True, slots=True)
class Danger:
    """`told` is the level told, `peak` the worst of it; the times are monotonic seconds."""

    told: Level = Level.NORMAL
    peak: Level = Level.NORMAL
    still_since_s: float | None = None  # nothing grows dangerously
    settled_since_s: float | None = None  # and all that was in danger is seen to be all right
    over_s: float | None = None

    @property
    def active(self) -> bool:
        return self.peak >= DANGER and self.over_s is None


NO_DANGER = Danger()


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the short windows and the levels say of the metrics that were in danger."""

    falling: bool  # most of them fall and none grows
    settled: bool  # each has a letter that is no large growth, or is at a usual level
    letter: Letter = Letter.NONE  # the strongest of G > F > E that they fall by


def remember(
    danger: Danger, fused: Hazard, outlook: Outlook, now_s: float, patience: Patience = DEFAULT_PATIENCE
) -> tuple[Danger, Hazard]:
    """The memory after one more judgement, and the hazard to be told."""
    if fused.level >= DANGER and not (danger.active and outlook.falling):
        after = _raised(danger, fused.level)
    elif danger.active:
        after = _easing(danger, outlook, now_s, patience)
    elif danger.over_s is not None and now_s - danger.over_s < patience.told_s:
        after = danger
    else:
        after = NO_DANGER
    return after, _told(after, fused, outlook)


def _raised(danger: Danger, level: Level) -> Danger:
    """A level once told does not sink while the danger lasts; after lifting it begins anew."""
    told = max(level, danger.told) if danger.active and danger.told >= DANGER else level
    return Danger(told, max(told, danger.peak) if danger.active else told)


def _easing(danger: Danger, outlook: Outlook, now_s: float, patience: Patience) -> Danger:
    still = now_s if danger.still_since_s is None else danger.still_since_s
    settled = None
    if outlook.settled:
        settled = now_s if danger.settled_since_s is None else danger.settled_since_s
    eased = replace(
        danger,
        told=Level.LIFTING if outlook.falling else danger.told,
        still_since_s=still,
        settled_since_s=settled,
    )
    long_settled = settled is not None and now_s - settled >= patience.settled_s and not outlook.falling
    given_up = danger.peak < Level.MAJOR and now_s - still >= patience.unknown_s
    return replace(eased, told=Level.NORMAL, over_s=now_s) if long_settled or given_up else eased


def _told(danger: Danger, fused: Hazard, outlook: Outlook) -> Hazard:
    if danger.peak is Level.NORMAL:
        return fused
    if danger.over_s is not None:
        code, level = ReasonCode.DANGER_OVER, fused.level
    elif danger.told is Level.LIFTING:
        code, level = ReasonCode.DANGER_LIFTING, Level.LIFTING
    elif danger.told > fused.level:
        code, level = ReasonCode.DANGER_HOLDS, danger.told
    else:
        return replace(fused, level=danger.told, peak=danger.peak)
    leading = outlook.letter if outlook.falling and danger.active else fused.leading
    reason = Reason(code, None, leading, 0.0)
    return replace(fused, level=level, leading=leading, reasons=(reason, *fused.reasons), peak=danger.peak)
