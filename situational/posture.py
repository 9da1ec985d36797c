"""Response: what the hazard does to dispatching, the third line of defence acting on the first two (P1)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from itertools import pairwise
from types import MappingProxyType

from situational.errors import BadSettingError, PlaybookIncompleteError, PlaybookNotMonotoneError
from situational.hazard import Hazard, Level
from situational.series import METRICS


class Posture(IntEnum):
    """How dispatching works now; what each asks of an order is decided where orders are decided."""

    NORMAL = 0
    HEIGHTENED = 1  # a second person for each issue
    RESTRICTED = 2  # only order types that the configuration lists
    HELD = 3  # no issuing over the network: telephone only


class Release(Enum):
    """What ends a posture."""

    PERSON = "person"
    HAZARD_END = "hazard-end"


DEFAULT_POSTURES: Mapping[Level, Posture] = MappingProxyType(
    {
        Level.NORMAL: Posture.NORMAL,
        Level.LIFTING: Posture.NORMAL,
        Level.ADVISORY: Posture.NORMAL,
        Level.MEDIUM: Posture.HEIGHTENED,
        Level.HIGH: Posture.RESTRICTED,
        Level.MAJOR: Posture.HELD,
    }
)

# LIFTING stands aside: staying careful while a danger lifts is a fair choice.
_RISING = (Level.NORMAL, Level.ADVISORY, Level.MEDIUM, Level.HIGH, Level.MAJOR)


@dataclass(frozen=True, slots=True)
class Playbook:
    """`by_person`: the postures that only a person ends. The others end with the hazard, when it asked for
    less for `dwell_s` seconds and all metrics can be judged, or for UNJUDGED_S if only some can.

    Raises PlaybookIncompleteError, PlaybookNotMonotoneError, BadSettingError.
    """

    postures: Mapping[Level, Posture] = field(default_factory=lambda: DEFAULT_POSTURES)
    by_person: frozenset[Posture] = frozenset({Posture.HELD})
    dwell_s: float = 120.0

    def __post_init__(self) -> None:
        missing = tuple(level.name for level in Level if level not in self.postures)
        if missing:
            raise PlaybookIncompleteError(missing)
        for lower, higher in pairwise(_RISING):
            if self.postures[higher] < self.postures[lower]:
                raise PlaybookNotMonotoneError(lower.name, higher.name)
        if not 0 <= self.dwell_s < math.inf:
            raise BadSettingError("dwell_s", self.dwell_s, "a number of seconds")

    def release(self, posture: Posture) -> Release:
        return Release.PERSON if posture in self.by_person else Release.HAZARD_END


DEFAULT_PLAYBOOK = Playbook()
UNJUDGED_S = 900.0  # s for which nothing may ask for it while not all metrics can be judged


@dataclass(frozen=True, slots=True)
class PostureDecision:
    """The strongest posture that any node asks for, the worst level behind it, and the nodes that ask for it.

    Nobody asks for NORMAL: `nodes` is empty then.
    """

    posture: Posture
    level: Level
    nodes: tuple[str, ...]


def posture_for(hazards: Mapping[str, Hazard], playbook: Playbook = DEFAULT_PLAYBOOK) -> PostureDecision:
    """What the nodes given ask for: all of them for the whole system, one of them for orders to that node."""
    asked = {node: playbook.postures[hazard.level] for node, hazard in hazards.items()}
    posture = max(asked.values(), default=playbook.postures[Level.NORMAL])
    asking = sorted(node for node, own in asked.items() if own is posture)
    level = max((hazards[node].level for node in asking), default=Level.NORMAL)
    return PostureDecision(posture, level, () if posture is Posture.NORMAL else tuple(asking))


class Cause(Enum):
    """Why a posture changed."""

    HAZARD = "hazard"
    HAZARD_END = "hazard-end"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Change:
    """`level` and `judged` are the hazard's at that moment; `person` is who released it."""

    before: Posture
    after: Posture
    cause: Cause
    level: Level
    judged: int
    person: str = ""


@dataclass(frozen=True, slots=True)
class Stance:
    """A posture that holds `since_s`; `less_since_s`: the hazard asks for less since then. Monotonic seconds.

    A posture taken up after a restart holds since then.
    """

    posture: Posture = Posture.NORMAL
    since_s: float = 0.0
    less_since_s: float | None = None


def decide(
    stance: Stance, hazard: Hazard | None, now_s: float, playbook: Playbook = DEFAULT_PLAYBOOK
) -> tuple[Stance, Change | None]:
    """The stance after one more judgement, and its change if it changed. No hazard: nothing is known."""
    if hazard is None:
        return replace(stance, less_since_s=None), None
    wanted = playbook.postures[hazard.level]
    if wanted > stance.posture:
        return _moved(stance, wanted, Cause.HAZARD, hazard, now_s)
    if wanted == stance.posture:
        return replace(stance, less_since_s=None), None
    since = now_s if stance.less_since_s is None else stance.less_since_s
    # A metric that a host never tells, or that follows no curve, must not keep a posture for ever.
    patience = playbook.dwell_s if hazard.judged == len(METRICS) else max(playbook.dwell_s, UNJUDGED_S)
    may_end = playbook.release(stance.posture) is Release.HAZARD_END and hazard.judged > 0
    if may_end and now_s - since >= patience:
        return _moved(stance, wanted, Cause.HAZARD_END, hazard, now_s)
    return replace(stance, less_since_s=since), None


def release(
    stance: Stance, person: str, now_s: float, hazard: Hazard | None = None
) -> tuple[Stance, Change | None]:
    """A person takes the posture back to normal; a hazard that goes on raises it again at once."""
    if stance.posture is Posture.NORMAL:
        return stance, None
    level, judged = (hazard.level, hazard.judged) if hazard else (Level.NORMAL, 0)
    change = Change(stance.posture, Posture.NORMAL, Cause.PERSON, level, judged, person)
    return Stance(Posture.NORMAL, now_s), change


def _moved(
    stance: Stance, wanted: Posture, cause: Cause, hazard: Hazard, now_s: float
) -> tuple[Stance, Change | None]:
    change = Change(stance.posture, wanted, cause, hazard.level, hazard.judged)
    return Stance(wanted, now_s), change
