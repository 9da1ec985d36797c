"""Made-up alarms for the tests of this package."""

from __future__ import annotations

from situational.alarms import Alarm, AlarmBoard, AlarmEvent, AlarmKey, Call, Condition, Input, State, apply
from situational.alarms.states import BY_PERSON, SETTING_ASIDE
from situational.hazard import Level

KEY = AlarmKey("plant-1", "hazard")
OTHER = AlarmKey("plant-2", "silent")
HOUR = 60 * 60 * 1000
MINUTE = 60 * 1000

ADVISORY = Condition(Level.ADVISORY, "growth-small", "memory +12 %")
MEDIUM = Condition(Level.MEDIUM, "growth-large", "memory +61 %")
HIGH = Condition(Level.HIGH, "growth-large", "memory +83 %")
MAJOR = Condition(Level.MAJOR, "all-surging", "all four +90 %")

CONDITIONS = {Input.RAISE: MEDIUM, Input.ESCALATE: HIGH, Input.EASE: ADVISORY, Input.BREAK_SHELF: MAJOR}

WHO, WHY = "li.wei", "sensor is being replaced"

# The inputs that lead from normal to each state, at MEDIUM.
PATHS: dict[State, tuple[Input, ...]] = {
    State.NORMAL: (),
    State.UNACKNOWLEDGED: (Input.RAISE,),
    State.ACKNOWLEDGED: (Input.RAISE, Input.ACKNOWLEDGE),
    State.RETURNED: (Input.RAISE, Input.CLEAR),
    State.SHELVED: (Input.SHELVE,),
    State.SHELVED_ACTIVE: (Input.RAISE, Input.SHELVE),
    State.SUPPRESSED: (Input.SUPPRESS,),
    State.SUPPRESSED_ACTIVE: (Input.RAISE, Input.SUPPRESS),
    State.OUT_OF_SERVICE: (Input.REMOVE,),
    State.OUT_OF_SERVICE_ACTIVE: (Input.RAISE, Input.REMOVE),
}


def call_for(given: Input, now_ms: int, *, incident: int = 1) -> Call:
    """What a well-behaved caller sends with an input to an alarm of level MEDIUM."""
    if given in CONDITIONS:
        return Call(CONDITIONS[given], incident if given is Input.RAISE else None)
    if given not in BY_PERSON:
        return Call()
    return Call(
        person=WHO,
        reason=WHY if given in SETTING_ASIDE else None,
        until_ms=now_ms + HOUR if given is Input.SHELVE else None,
    )


def alarm_in(state: State, now_ms: int = 1000, condition: Condition = MEDIUM) -> Alarm:
    alarm = Alarm(KEY)
    for given in PATHS[state]:
        call = call_for(given, now_ms)
        alarm, _ = apply(alarm, given, call._replace(condition=condition) if call.condition else call, now_ms)
    assert alarm.state is state
    return alarm


class Desk:
    """A board with its time and all its events, so that a test reads like a shift."""

    def __init__(self, board: AlarmBoard | None = None, now_ms: int = 1_000_000) -> None:
        self.board = board or AlarmBoard()
        self.now_ms = now_ms
        self.events: list[AlarmEvent] = []

    def find(self, conditions: dict[AlarmKey, Condition], *, after_ms: int = 0, every_ms: int = 5000) -> None:
        """The same is found at each poll for `after_ms`, and once at least."""
        end_ms = self.now_ms + after_ms
        self._update(conditions)
        while self.now_ms < end_ms:
            self.now_ms = min(end_ms, self.now_ms + every_ms)
            self._update(conditions)

    def _update(self, conditions: dict[AlarmKey, Condition]) -> None:
        self.board, events = self.board.update(conditions, self.now_ms)
        self.events += events

    def act(self, given: Input, *, key: AlarmKey = KEY, for_ms: int = HOUR) -> None:
        call = call_for(given, self.now_ms)
        self.board, events = self.board.act(
            key,
            given,
            self.now_ms,
            person=WHO,
            reason=call.reason,
            until_ms=self.now_ms + for_ms if given is Input.SHELVE else None,
        )
        self.events += events

    def state(self, key: AlarmKey = KEY) -> State:
        alarm = self.board.alarms.get(key)
        return alarm.state if alarm else State.NORMAL

    def inputs(self) -> list[Input]:
        return [event.given for event in self.events]
