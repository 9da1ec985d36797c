"""The values that alarms are made of; all immutable, all checked when they are made.

Times are whole milliseconds of one clock that never goes back (README.md, "Clock").
"""

from __future__ import annotations

from dataclasses import dataclass

from situational.alarms.errors import AlarmInconsistentError, AlarmTextError
from situational.alarms.states import (
    ACTIVE,
    ASIDE,
    SHELVED,
    WANTS_ACKNOWLEDGEMENT,
    WITH_INCIDENT,
    Input,
    State,
    announces,
)
from situational.hazard import Level

LONGEST_NAME = 128
LONGEST_TEXT = 500

_IDEOGRAPHIC_SPACE = "\u3000"  # not "printable" to Python, but what a Chinese keyboard types


def check_text(name: str, text: str, longest: int) -> None:
    """Raise AlarmTextError: a line break or a sign that turns the writing round could fake a ledger line."""
    printable = text.replace(_IDEOGRAPHIC_SPACE, " ").isprintable()
    if not (text.strip() and printable and len(text) <= longest):
        raise AlarmTextError(name, len(text), longest)


@dataclass(frozen=True, slots=True, order=True)
class AlarmKey:
    """Which alarm: of which node, and of what kind."""

    node: str
    kind: str

    def __post_init__(self) -> None:
        check_text("node", self.node, LONGEST_NAME)
        check_text("kind", self.kind, LONGEST_NAME)


@dataclass(frozen=True, slots=True)
class Condition:
    """What was found of a key. Below ADVISORY there is no alarm condition.

    `code` names what was found for `texts` of the caller's; `detail` tells the values, "" if there are none.
    """

    level: Level
    code: str
    detail: str = ""

    def __post_init__(self) -> None:
        check_text("code", self.code, LONGEST_NAME)
        if self.detail:
            check_text("detail", self.detail, LONGEST_TEXT)


@dataclass(frozen=True, slots=True)
class Incident:
    """From one raise to the end of the condition, however much it flickered.

    `number` is the board's, never used twice. `announced` counts how often the operator was called.
    `condition` is the one that it was last raised, escalated or eased with.
    """

    number: int
    began_ms: int
    condition: Condition
    announced: int


@dataclass(frozen=True, slots=True)
class Aside:
    """Who set the alarm aside, why, since when; until when if it is a shelf."""

    person: str
    reason: str
    since_ms: int
    until_ms: int | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. `incident` is the one that goes on or was not yet acknowledged; `since_ms` is the state's.

    Raises AlarmInconsistentError: the parts must say the same as the state.
    """

    key: AlarmKey
    state: State = State.NORMAL
    since_ms: int = 0
    incident: Incident | None = None
    acknowledged_by: str | None = None
    aside: Aside | None = None

    def __post_init__(self) -> None:
        for wrong, need in (
            (self.has_incident is not (self.incident is not None), "an incident if and only if one is open"),
            (self.is_aside is not (self.aside is not None), "who and why if and only if it is set aside"),
            (
                (self.state in SHELVED) is not (self.aside is not None and self.aside.until_ms is not None),
                "an end if and only if it is shelved",
            ),
            (
                (self.state is State.ACKNOWLEDGED) is not (self.acknowledged_by is not None),
                "who acknowledged it if and only if it is acknowledged",
            ),
            (self.has_incident and self.level < Level.ADVISORY, "a level of advisory or above"),
            (self.state in SHELVED and self.level is Level.MAJOR, "a level below major"),
        ):
            if wrong:
                raise AlarmInconsistentError(self.state.value, need)

    @property
    def level(self) -> Level:
        """NORMAL when there is no incident."""
        return self.incident.condition.level if self.incident else Level.NORMAL

    @property
    def has_incident(self) -> bool:
        return self.state in WITH_INCIDENT

    @property
    def is_active(self) -> bool:
        """Whether the condition holds (delays included)."""
        return self.state in ACTIVE

    @property
    def is_aside(self) -> bool:
        return self.state in ASIDE

    @property
    def wants_acknowledgement(self) -> bool:
        return self.state in WANTS_ACKNOWLEDGEMENT


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """One transition, with everything that an auditor needs; `plain.py` turns it to strings and integers.

    `incident` and `condition` are those that the input concerns, None where none is open; a shelf that is
    broken before an incident begins tells the condition only. `flutters` counts how often the condition had
    gone and come back in this incident so far.
    """

    key: AlarmKey
    given: Input
    before: State
    after: State
    at_ms: int
    incident: int | None
    condition: Condition | None
    person: str | None
    reason: str | None
    until_ms: int | None
    flutters: int = 0

    @property
    def announces(self) -> bool:
        """Whether the operator is called."""
        return announces(self.before, self.given, self.after)
