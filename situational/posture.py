"""Response: what the hazard does to dispatching, the third line of defence acting on the first two (P1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from types import MappingProxyType

from situational.errors import PlaybookIncompleteError, PlaybookNotMonotoneError
from situational.hazard import Hazard, Level


class Posture(IntEnum):
    """How dispatching works now; what each asks of an order is decided where orders are decided."""

    NORMAL = 0
    HEIGHTENED = 1  # everybody is warned
    RESTRICTED = 2  # only order types that the configuration lists
    HELD = 3  # no issuing over the network


Playbook = Mapping[Level, Posture]

DEFAULT_PLAYBOOK: Playbook = MappingProxyType(
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
class PostureDecision:
    """The strongest posture that any node asks for, the worst level behind it, and the nodes that ask for it.

    Nobody asks for NORMAL: `nodes` is empty then.
    """

    posture: Posture
    level: Level
    nodes: tuple[str, ...]


def check_playbook(playbook: Playbook) -> None:
    """Raise PlaybookIncompleteError or PlaybookNotMonotoneError; to be called where settings are loaded."""
    missing = tuple(level.name for level in Level if level not in playbook)
    if missing:
        raise PlaybookIncompleteError(missing)
    for lower, higher in pairwise(_RISING):
        if playbook[higher] < playbook[lower]:
            raise PlaybookNotMonotoneError(lower.name, higher.name)


def posture_for(hazards: Mapping[str, Hazard], playbook: Playbook = DEFAULT_PLAYBOOK) -> PostureDecision:
    """Decide for the nodes given: all of them for the whole system, one of them for orders to that node.

    Raises PlaybookIncompleteError, PlaybookNotMonotoneError.
    """
    check_playbook(playbook)
    asked = {node: playbook[hazard.level] for node, hazard in hazards.items()}
    posture = max(asked.values(), default=playbook[Level.NORMAL])
    asking = sorted(node for node, own in asked.items() if own is posture)
    level = max((hazards[node].level for node in asking), default=Level.NORMAL)
    return PostureDecision(posture, level, () if posture is Posture.NORMAL else tuple(asking))
