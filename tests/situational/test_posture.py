import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import (
    DEFAULT_PLAYBOOK,
    DEFAULT_POSTURES,
    BadSettingError,
    Cause,
    Hazard,
    Letter,
    Level,
    Playbook,
    PlaybookIncompleteError,
    PlaybookNotMonotoneError,
    Posture,
    Release,
    Stance,
    decide,
    posture_for,
    release,
)
from tests.situational.support import unhurried

NODES = st.sampled_from(["desk", "plant-1", "plant-2", "plant-3"])


def hazard_of(level: Level, judged: int = 4) -> Hazard:
    return Hazard(level, Letter.NONE, judged, ())


def lived(stance: Stance, level: Level, since_s: float, seconds: float, judged: int = 4) -> Stance:
    """Judged every five seconds for so long."""
    for step in range(round(seconds / 5.0) + 1):
        stance, _ = decide(stance, hazard_of(level, judged), since_s + 5.0 * step)
    return stance


def test_the_default_playbook_holds_issuing_for_major_only_and_lets_only_a_person_end_that() -> None:
    held = [level for level in Level if DEFAULT_PLAYBOOK.postures[level] is Posture.HELD]
    assert held == [Level.MAJOR]
    by_person = [posture for posture in Posture if DEFAULT_PLAYBOOK.release(posture) is Release.PERSON]
    assert by_person == [Posture.HELD]


def test_with_no_node_to_judge_dispatching_is_normal() -> None:
    decision = posture_for({})
    assert (decision.posture, decision.level, decision.nodes) == (Posture.NORMAL, Level.NORMAL, ())


def test_the_worst_node_decides_and_is_named() -> None:
    levels = {"plant-1": Level.MEDIUM, "plant-3": Level.MAJOR, "plant-2": Level.MAJOR, "desk": Level.NORMAL}
    decision = posture_for({node: hazard_of(level) for node, level in levels.items()})
    assert (decision.posture, decision.level) == (Posture.HELD, Level.MAJOR)
    assert decision.nodes == ("plant-2", "plant-3")


def test_nobody_asks_for_the_normal_posture() -> None:
    decision = posture_for({"plant-1": hazard_of(Level.ADVISORY), "plant-2": hazard_of(Level.NORMAL)})
    assert (decision.posture, decision.level, decision.nodes) == (Posture.NORMAL, Level.ADVISORY, ())


def test_a_playbook_may_stay_careful_while_danger_lifts() -> None:
    playbook = Playbook({**DEFAULT_POSTURES, Level.LIFTING: Posture.RESTRICTED})
    decision = posture_for({"a": hazard_of(Level.LIFTING), "b": hazard_of(Level.MEDIUM)}, playbook)
    assert (decision.posture, decision.level, decision.nodes) == (Posture.RESTRICTED, Level.LIFTING, ("a",))


@pytest.mark.parametrize("level", Level)
def test_a_playbook_that_leaves_out_a_level_is_refused(level: Level) -> None:
    with pytest.raises(PlaybookIncompleteError) as caught:
        Playbook({key: posture for key, posture in DEFAULT_POSTURES.items() if key is not level})
    assert caught.value.missing == (level.name,)


def test_a_playbook_that_answers_more_danger_with_less_care_is_refused() -> None:
    with pytest.raises(PlaybookNotMonotoneError) as caught:
        Playbook({**DEFAULT_POSTURES, Level.HIGH: Posture.NORMAL})
    assert (caught.value.lower, caught.value.higher) == ("MEDIUM", "HIGH")


@pytest.mark.parametrize("dwell_s", [-1.0, math.nan, math.inf])
def test_a_dwell_without_an_end_is_refused(dwell_s: float) -> None:
    with pytest.raises(BadSettingError):
        Playbook(dwell_s=dwell_s)


def test_more_danger_moves_the_posture_at_once_and_tells_why() -> None:
    stance, change = decide(Stance(), hazard_of(Level.HIGH, judged=2), 100.0)
    assert stance == Stance(Posture.RESTRICTED, 100.0)
    assert change is not None
    assert (change.before, change.after, change.cause) == (Posture.NORMAL, Posture.RESTRICTED, Cause.HAZARD)
    assert (change.level, change.judged) == (Level.HIGH, 2)


def test_a_posture_that_a_hazard_may_end_ends_when_it_stayed_away_for_the_dwell() -> None:
    heightened = Stance(Posture.HEIGHTENED)
    assert lived(heightened, Level.NORMAL, 10.0, 115.0).posture is Posture.HEIGHTENED
    stance, change = decide(lived(heightened, Level.NORMAL, 10.0, 115.0), hazard_of(Level.NORMAL), 130.0)
    assert stance.posture is Posture.NORMAL
    assert change is not None
    assert change.cause is Cause.HAZARD_END


def test_a_hazard_that_comes_back_begins_the_dwell_anew() -> None:
    stance = lived(Stance(Posture.HEIGHTENED), Level.NORMAL, 0.0, 115.0)
    stance = lived(stance, Level.MEDIUM, 120.0, 5.0)
    assert lived(stance, Level.NORMAL, 130.0, 115.0).posture is Posture.HEIGHTENED


def test_what_cannot_be_judged_at_all_ends_no_posture() -> None:
    assert lived(Stance(Posture.HEIGHTENED), Level.NORMAL, 0.0, 7200.0, 0).posture is Posture.HEIGHTENED


@pytest.mark.parametrize("judged", range(1, 4))
def test_what_can_be_judged_in_part_ends_a_posture_after_a_quarter_of_an_hour(judged: int) -> None:
    before = lived(Stance(Posture.HEIGHTENED), Level.NORMAL, 0.0, 890.0, judged)
    assert before.posture is Posture.HEIGHTENED
    assert lived(before, Level.NORMAL, 890.0, 30.0, judged).posture is Posture.NORMAL


def test_no_hazard_at_all_ends_no_posture_and_is_no_part_of_the_dwell() -> None:
    stance = lived(Stance(Posture.HEIGHTENED), Level.NORMAL, 0.0, 115.0)
    stance, change = decide(stance, None, 1000.0)
    assert (stance.posture, change) == (Posture.HEIGHTENED, None)
    assert lived(stance, Level.NORMAL, 2000.0, 60.0).posture is Posture.HEIGHTENED


def test_held_ends_by_a_person_s_word_alone_who_is_named() -> None:
    held = lived(Stance(Posture.HELD), Level.NORMAL, 0.0, 86_400.0)
    assert held.posture is Posture.HELD
    stance, change = release(held, "li", 90_000.0, hazard_of(Level.NORMAL))
    assert stance == Stance(Posture.NORMAL, 90_000.0)
    assert change is not None
    assert (change.cause, change.person, change.before) == (Cause.PERSON, "li", Posture.HELD)


def test_releasing_the_normal_posture_changes_nothing() -> None:
    assert release(Stance(), "li", 5.0) == (Stance(), None)


def test_a_playbook_may_let_the_hazard_s_end_release_held_and_a_person_end_the_others() -> None:
    playbook = Playbook(by_person=frozenset({Posture.HEIGHTENED}), dwell_s=0.0)
    assert decide(Stance(Posture.HELD), hazard_of(Level.NORMAL), 1.0, playbook)[0].posture is Posture.NORMAL
    assert decide(Stance(Posture.HEIGHTENED), hazard_of(Level.NORMAL), 1.0, playbook)[1] is None


@unhurried
@given(st.dictionaries(NODES, st.sampled_from(Level)), NODES, st.sampled_from(Level))
def test_one_node_more_never_weakens_the_posture(levels: dict[str, Level], node: str, level: Level) -> None:
    hazards = {name: hazard_of(own) for name, own in levels.items() if name != node}
    assert posture_for({**hazards, node: hazard_of(level)}).posture >= posture_for(hazards).posture


@unhurried
@given(st.sampled_from(Posture), st.lists(st.tuples(st.sampled_from(Level), st.integers(0, 4)), max_size=80))
def test_a_posture_is_never_weaker_than_the_hazard_asks_and_each_change_is_told(
    posture: Posture, hazards: list[tuple[Level, int]]
) -> None:
    stance = Stance(posture)
    for step, (level, judged) in enumerate(hazards):
        before = stance
        stance, change = decide(stance, hazard_of(level, judged), 20.0 * step)
        assert stance.posture >= DEFAULT_POSTURES[level]
        assert (change is None) == (before.posture is stance.posture)
        assert change is None or replace(change, level=level, judged=judged) == change
        assert before.posture is not Posture.HELD or stance.posture is Posture.HELD
