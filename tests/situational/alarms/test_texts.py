"""situational/alarms/texts.py"""

from enum import Enum

import pytest

from situational.alarms import Band, Input, State, action_text, band_text, input_text, state_text
from situational.alarms.texts import ACTIONS, BANDS, INPUTS, STATES
from situational.hazard import Level
from situational.texts import Language, Texts


@pytest.mark.parametrize(
    ("texts", "codes"), [(STATES, State), (INPUTS, Input), (ACTIONS, Level), (BANDS, Band)]
)
def test_every_code_has_one_text_of_its_own_in_each_language(texts: Texts[Enum], codes: type[Enum]) -> None:
    assert set(texts) == set(codes)
    for column in zip(*texts.values(), strict=True):
        assert len(set(column)) == len(column)
        assert all(column)


def test_texts_come_in_the_language_asked_for() -> None:
    assert state_text(State.RETURNED, Language.ZH) == "已恢复，未确认"
    assert input_text(Input.BREAK_SHELF, Language.EN) == "shelf broken: major"
    assert action_text(Level.MAJOR, Language.ZH).startswith("立即处置")
    assert band_text(Band.ACCEPTABLE, Language.EN) == "very likely to be acceptable"
