"""situational/alarms/record.py"""

from dataclasses import FrozenInstanceError, replace

import pytest

from situational.alarms import (
    Alarm,
    AlarmInconsistentError,
    AlarmKey,
    AlarmTextError,
    Aside,
    Condition,
    Incident,
    State,
)
from situational.hazard import Level
from tests.situational.alarms.support import KEY, MAJOR, MEDIUM, alarm_in

INCIDENT = Incident(1, 5, MEDIUM, 1)
ASIDE = Aside("li.wei", "test", 5, None)
SHELF = Aside("li.wei", "test", 5, 9)


@pytest.mark.parametrize(
    ("alarm", "need"),
    [
        (lambda: Alarm(KEY, State.UNACKNOWLEDGED), "an incident"),
        (lambda: Alarm(KEY, State.NORMAL, incident=INCIDENT), "an incident"),
        (lambda: Alarm(KEY, State.SHELVED), "who and why"),
        (lambda: Alarm(KEY, State.NORMAL, aside=ASIDE), "who and why"),
        (lambda: Alarm(KEY, State.SHELVED, aside=ASIDE), "an end"),
        (lambda: Alarm(KEY, State.SUPPRESSED, aside=SHELF), "an end"),
        (lambda: Alarm(KEY, State.ACKNOWLEDGED, incident=INCIDENT), "who acknowledged"),
        (lambda: Alarm(KEY, State.NORMAL, acknowledged_by="li.wei"), "who acknowledged"),
        (lambda: replace(alarm_in(State.SHELVED_ACTIVE), incident=Incident(1, 5, MAJOR, 1)), "below major"),
        (
            lambda: Alarm(
                KEY, State.UNACKNOWLEDGED, incident=Incident(1, 5, Condition(Level.LIFTING, "falling"), 1)
            ),
            "advisory",
        ),
    ],
)
def test_an_alarm_whose_parts_contradict_its_state_cannot_be_made(alarm: object, need: str) -> None:
    assert callable(alarm)
    with pytest.raises(AlarmInconsistentError, match=need):
        alarm()


@pytest.mark.parametrize("text", ["", " ", "two\nlines", "bell\a", "turned\u202e", "x" * 129])
def test_a_name_is_one_short_line_of_printable_text(text: str) -> None:
    for make in (
        lambda: AlarmKey(text, "hazard"),
        lambda: AlarmKey("plant-1", text),
        lambda: Condition(Level.HIGH, text),
    ):
        with pytest.raises(AlarmTextError):
            make()


def test_an_error_about_a_text_does_not_repeat_it() -> None:
    with pytest.raises(AlarmTextError) as caught:
        AlarmKey("evil\n2026 raised nothing", "hazard")
    assert "evil" not in str(caught.value)


def test_a_condition_may_go_without_values_but_not_with_endless_ones() -> None:
    assert Condition(Level.HIGH, "silent").detail == ""
    with pytest.raises(AlarmTextError, match="detail of 501"):
        Condition(Level.HIGH, "silent", "x" * 501)


def test_an_alarm_cannot_be_written_to() -> None:
    for name in ("state", "incident", "aside"):
        with pytest.raises(FrozenInstanceError):
            setattr(alarm_in(State.UNACKNOWLEDGED), name, None)
