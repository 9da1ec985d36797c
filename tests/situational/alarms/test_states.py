"""situational/alarms/states.py: the table, against a second one written by hand."""

from typing import cast

import pytest

from situational.alarms import TRANSITIONS, AlarmInputImpossibleError, Input, State, next_state
from situational.alarms.states import ACTIVE, ASIDE, BY_CONDITION, BY_PERSON, announces

# Per state, what each input leads to, in the order of Input:
# raise clear escalate ease | acknowledge | shelve unshelve shelf-over break-shelf | suppress unsuppress
# | out back
EXPECTED = {
    "NORMAL": "UNACKNOWLEDGED - - - | - | SHELVED - - - | SUPPRESSED - | OUT_OF_SERVICE -",
    "UNACKNOWLEDGED": "- RETURNED UNACKNOWLEDGED UNACKNOWLEDGED | ACKNOWLEDGED | SHELVED_ACTIVE - - - "
    "| SUPPRESSED_ACTIVE - | OUT_OF_SERVICE_ACTIVE -",
    "ACKNOWLEDGED": "- NORMAL UNACKNOWLEDGED ACKNOWLEDGED | - | SHELVED_ACTIVE - - - "
    "| SUPPRESSED_ACTIVE - | OUT_OF_SERVICE_ACTIVE -",
    "RETURNED": "UNACKNOWLEDGED - - - | NORMAL | SHELVED - - - | SUPPRESSED - | OUT_OF_SERVICE -",
    "SHELVED": "SHELVED_ACTIVE - - - | - | - NORMAL NORMAL NORMAL | SUPPRESSED - | OUT_OF_SERVICE -",
    "SHELVED_ACTIVE": "- SHELVED SHELVED_ACTIVE SHELVED_ACTIVE | - "
    "| - UNACKNOWLEDGED UNACKNOWLEDGED UNACKNOWLEDGED | SUPPRESSED_ACTIVE - | OUT_OF_SERVICE_ACTIVE -",
    "SUPPRESSED": "SUPPRESSED_ACTIVE - - - | - | - - - - | - NORMAL | OUT_OF_SERVICE -",
    "SUPPRESSED_ACTIVE": "- SUPPRESSED SUPPRESSED_ACTIVE SUPPRESSED_ACTIVE | - | - - - - "
    "| - UNACKNOWLEDGED | OUT_OF_SERVICE_ACTIVE -",
    "OUT_OF_SERVICE": "OUT_OF_SERVICE_ACTIVE - - - | - | - - - - | - - | - NORMAL",
    "OUT_OF_SERVICE_ACTIVE": "- OUT_OF_SERVICE OUT_OF_SERVICE_ACTIVE OUT_OF_SERVICE_ACTIVE | - | - - - - "
    "| - - | - UNACKNOWLEDGED",
}


def expected(state: State, given: Input) -> State | None:
    cells = [cell for cell in EXPECTED[state.name].split() if cell != "|"]
    assert len(cells) == len(Input)
    name = cells[list(Input).index(given)]
    return None if name == "-" else State[name]


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("given", Input)
def test_each_pair_leads_where_the_standard_leads_or_is_refused_by_name(state: State, given: Input) -> None:
    after = expected(state, given)
    if after:
        assert next_state(state, given) is after
        return
    with pytest.raises(AlarmInputImpossibleError) as caught:
        next_state(state, given)
    assert (caught.value.state, caught.value.given) == (state, given)
    assert f"'{given.value}'" in str(caught.value)
    assert f"'{state.value}'" in str(caught.value)


def test_the_table_cannot_be_written_to() -> None:
    with pytest.raises(TypeError):
        cast(dict[tuple[State, Input], State], TRANSITIONS)[State.NORMAL, Input.CLEAR] = State.NORMAL


def test_the_condition_can_come_or_go_in_every_state() -> None:
    for state in State:
        assert ((state, Input.CLEAR) in TRANSITIONS) is (state in ACTIVE)
        assert ((state, Input.RAISE) in TRANSITIONS) is (state not in ACTIVE)


def test_only_clear_and_raise_change_whether_the_condition_holds() -> None:
    for (state, given), after in TRANSITIONS.items():
        changes = (state in ACTIVE) is not (after in ACTIVE)
        assert changes is (given in {Input.RAISE, Input.CLEAR})


def test_what_returns_from_aside_with_its_condition_is_unacknowledged_and_announced() -> None:
    for (state, given), after in TRANSITIONS.items():
        if state in ASIDE and after not in ASIDE:
            assert after is (State.UNACKNOWLEDGED if state in ACTIVE else State.NORMAL)
            assert announces(state, given, after) is (state in ACTIVE)


def test_nothing_that_is_set_aside_calls_the_operator() -> None:
    for (state, given), after in TRANSITIONS.items():
        if after in ASIDE:
            assert not announces(state, given, after)


def test_easing_never_calls_the_operator_and_escalating_in_service_always_does() -> None:
    for (state, given), after in TRANSITIONS.items():
        if given is Input.EASE:
            assert state is after
            assert not announces(state, given, after)
        if given is Input.ESCALATE and state not in ASIDE:
            assert announces(state, given, after)


def test_every_state_can_be_reached_and_left() -> None:
    assert set(TRANSITIONS.values()) == set(State)
    assert {state for state, _ in TRANSITIONS} == set(State)


def test_a_person_and_the_condition_never_give_the_same_input() -> None:
    assert not BY_PERSON & BY_CONDITION
    assert set(Input) - BY_PERSON - BY_CONDITION == {Input.CLEAR, Input.SHELF_OVER}
