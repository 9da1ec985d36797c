import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import (
    DEFAULT_PLAYBOOK,
    Hazard,
    Letter,
    Level,
    PlaybookIncompleteError,
    PlaybookNotMonotoneError,
    Posture,
    check_playbook,
    posture_for,
)
from tests.situational.support import unhurried

NODES = st.sampled_from(["desk", "plant-1", "plant-2", "plant-3"])


def hazard_of(level: Level) -> Hazard:
    return Hazard(level, Letter.NONE, 4, ())


def test_the_default_playbook_passes_its_own_check_and_holds_issuing_for_major_only() -> None:
    check_playbook(DEFAULT_PLAYBOOK)
    assert [level for level in Level if DEFAULT_PLAYBOOK[level] is Posture.HELD] == [Level.MAJOR]


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
    playbook = {**DEFAULT_PLAYBOOK, Level.LIFTING: Posture.RESTRICTED}
    decision = posture_for({"a": hazard_of(Level.LIFTING), "b": hazard_of(Level.MEDIUM)}, playbook)
    assert (decision.posture, decision.level, decision.nodes) == (Posture.RESTRICTED, Level.LIFTING, ("a",))


@pytest.mark.parametrize("level", Level)
def test_a_playbook_that_leaves_out_a_level_is_refused(level: Level) -> None:
    playbook = {key: posture for key, posture in DEFAULT_PLAYBOOK.items() if key is not level}
    with pytest.raises(PlaybookIncompleteError) as caught:
        posture_for({}, playbook)
    assert caught.value.missing == (level.name,)


def test_a_playbook_that_answers_more_danger_with_less_care_is_refused() -> None:
    playbook = {**DEFAULT_PLAYBOOK, Level.HIGH: Posture.NORMAL}
    with pytest.raises(PlaybookNotMonotoneError) as caught:
        posture_for({}, playbook)
    assert (caught.value.lower, caught.value.higher) == ("MEDIUM", "HIGH")


@unhurried
@given(st.dictionaries(NODES, st.sampled_from(Level)), NODES, st.sampled_from(Level))
def test_one_node_more_never_weakens_the_posture(levels: dict[str, Level], node: str, level: Level) -> None:
    hazards = {name: hazard_of(own) for name, own in levels.items() if name != node}
    assert posture_for({**hazards, node: hazard_of(level)}).posture >= posture_for(hazards).posture
