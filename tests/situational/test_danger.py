import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import BadSettingError, Hazard, Letter, Level, Patience, ReasonCode
from situational.danger import NO_DANGER, Outlook, remember
from tests.situational.support import unhurried

PATIENCE = Patience(settled_s=60.0, unknown_s=900.0, told_s=600.0)
BLIND = Outlook(falling=False, settled=False)
CALM = Outlook(falling=False, settled=True)
FALL = Outlook(falling=True, settled=False, letter=Letter.G)


class Story:
    """A node's judgements every five seconds."""

    def __init__(self) -> None:
        self.danger = NO_DANGER
        self.now = 0.0
        self.told = Hazard(Level.NORMAL, Letter.A, 4, ())

    def live(self, level: Level, outlook: Outlook = BLIND, *, seconds: float = 5.0) -> Level:
        for _ in range(round(seconds / 5.0)):
            self.now += 5.0
            fused = Hazard(level, Letter.A, 4, ())
            self.danger, self.told = remember(self.danger, fused, outlook, self.now, PATIENCE)
        return self.told.level

    @property
    def code(self) -> ReasonCode | None:
        return self.told.reasons[0].code if self.told.reasons else None


def test_a_fall_lifts_nothing_where_no_danger_was() -> None:
    story = Story()
    assert story.live(Level.NORMAL, FALL) is Level.NORMAL
    assert story.live(Level.ADVISORY, FALL) is Level.ADVISORY
    assert story.danger is NO_DANGER


def test_a_danger_is_told_to_hold_then_to_lift_then_to_be_over_and_then_no_more() -> None:
    story = Story()
    assert story.live(Level.MAJOR) is Level.MAJOR
    assert (story.live(Level.NORMAL), story.code) == (Level.MAJOR, ReasonCode.DANGER_HOLDS)
    assert (story.live(Level.NORMAL, FALL), story.code) == (Level.LIFTING, ReasonCode.DANGER_LIFTING)
    assert story.told.leading is Letter.G
    assert story.live(Level.NORMAL, CALM, seconds=60.0) is Level.LIFTING
    assert (story.live(Level.NORMAL, CALM), story.code) == (Level.NORMAL, ReasonCode.DANGER_OVER)
    assert story.told.is_safe_again
    assert story.told.peak is Level.MAJOR
    story.live(Level.NORMAL, CALM, seconds=600.0)
    assert story.danger is NO_DANGER
    assert not story.told.is_safe_again


def test_a_level_does_not_sink_while_the_danger_lasts_and_so_is_raised_once() -> None:
    story = Story()
    levels = [
        story.live(level) for level in (Level.MAJOR, Level.HIGH, Level.NORMAL, Level.MEDIUM, Level.MAJOR)
    ]
    assert levels == [Level.MAJOR] * 5


def test_letters_that_lag_do_not_raise_a_danger_again_while_it_falls() -> None:
    story = Story()
    story.live(Level.MAJOR)
    assert story.live(Level.MAJOR, FALL) is Level.LIFTING


def test_after_lifting_new_growth_counts_by_itself() -> None:
    story = Story()
    story.live(Level.MAJOR)
    story.live(Level.NORMAL, FALL)
    assert story.live(Level.MEDIUM) is Level.MEDIUM
    assert story.told.peak is Level.MAJOR


def test_being_settled_must_last_without_a_break() -> None:
    story = Story()
    story.live(Level.HIGH)
    for _ in range(5):
        story.live(Level.NORMAL, CALM, seconds=60.0)
        assert story.live(Level.NORMAL, BLIND) is Level.HIGH
    assert story.live(Level.NORMAL, CALM, seconds=65.0) is Level.NORMAL


def test_a_major_danger_never_ends_by_curves_that_cannot_be_judged_a_lesser_one_after_patience() -> None:
    major, high = Story(), Story()
    major.live(Level.MAJOR)
    high.live(Level.HIGH)
    assert major.live(Level.NORMAL, BLIND, seconds=86_400.0) is Level.MAJOR
    assert high.live(Level.NORMAL, BLIND, seconds=900.0) is Level.HIGH
    assert high.live(Level.NORMAL, BLIND) is Level.NORMAL


def test_an_advisory_is_told_beside_a_danger_that_is_over() -> None:
    story = Story()
    story.live(Level.MEDIUM)
    story.live(Level.NORMAL, CALM, seconds=70.0)
    assert (story.live(Level.ADVISORY, CALM), story.code) == (Level.ADVISORY, ReasonCode.DANGER_OVER)


@pytest.mark.parametrize("name", ["settled_s", "unknown_s", "told_s"])
@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_patience_without_an_end_is_refused(name: str, value: float) -> None:
    with pytest.raises(BadSettingError):
        Patience(**{name: value})


FUSED = st.sampled_from([level for level in Level if level is not Level.LIFTING])  # fusing never says so
STEPS = st.lists(st.tuples(FUSED, st.sampled_from([BLIND, CALM, FALL])), max_size=60)


@unhurried
@given(STEPS)
def test_lifting_is_told_only_in_a_danger_and_growth_always_at_its_level(
    steps: list[tuple[Level, Outlook]],
) -> None:
    story = Story()
    for level, outlook in steps:
        told = story.live(level, outlook, seconds=30.0)
        assert told is not Level.LIFTING or story.danger.active
        if level >= Level.MEDIUM and not outlook.falling:
            assert told >= level
        assert story.danger.active or told is level
