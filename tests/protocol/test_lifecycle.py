"""protocol/lifecycle.py: THE transition table. The table of this file is written by hand, on purpose:
a change of what may happen to an order has to be made in two places.
"""

from collections.abc import Callable, Iterator

import pytest

from protocol.errors import OrderRefused, RefusalCode
from protocol.lifecycle import (
    CUSTODY,
    OFF_CHAIN,
    SECOND_PERSON,
    SIGNERS,
    TERMINAL,
    TRANSITIONS,
    TWO_FACTOR,
    Custody,
    Input,
    Signer,
    State,
    next_state,
)

EXPECTED = """
-: draft>drafted
drafted: issue>issued cancel>cancelled expire>expired
issued: accept>accepted reject>rejected ask-approval>awaiting-approval cancel>cancelled expire>expired
awaiting-approval: approve>issued decline>rejected cancel>cancelled expire>expired
accepted: deliver>delivered no-answer>undelivered cancel>cancelled expire>expired
undelivered: deliver>delivered cancel>cancelled expire>expired
delivered: read-back>read-back refuse>refused no-answer>unanswered cancel>cancelled expire>expired
unanswered: read-back>read-back refuse>refused cancel>cancelled expire>expired
read-back: confirm>confirmed reissue>issued refuse>refused cancel>cancelled expire>expired
confirmed: begin>executing refuse>refused expire>expired recall>recalling recalled>cancelled lose>unknown
recalling: begin>executing refuse>refused expire>expired recall>recalling recalled>cancelled lose>unknown
unknown: begin>executing refuse>refused expire>expired recall>unknown recalled>cancelled find>confirmed
executing: complete>completed fail>failed lose>unknown-executing
unknown-executing: complete>completed fail>failed find>executing
completed: close>closed
failed: settle>settled
"""


def read_expected() -> Iterator[tuple[tuple[State | None, Input], State]]:
    for line in EXPECTED.split("\n"):
        state, _, moves = line.partition(": ")
        for given, after in (move.split(">") for move in moves.split()):
            yield (None if state == "-" else State(state), Input(given)), State(after)


TABLE = dict(read_expected())
STATES: list[State | None] = [None, *State]


def reachable(start: State, allowed: Callable[[State, Input, State], bool] = lambda *_: True) -> set[State]:
    """The states that can be reached by allowed transitions, `start` included."""
    found, queue = {start}, [start]
    while queue:
        here = queue.pop()
        for (state, given), after in TRANSITIONS.items():
            if state is here and after not in found and allowed(here, given, after):
                found.add(after)
                queue.append(after)
    return found


@pytest.mark.parametrize("given", Input)
@pytest.mark.parametrize("state", STATES)
def test_every_pair_gives_its_state_or_an_error_that_names_both(state: State | None, given: Input) -> None:
    if (state, given) in TABLE:
        assert next_state(state, given) is TABLE[state, given]
        return
    with pytest.raises(OrderRefused) as caught:
        next_state(state, given)
    assert caught.value.code is RefusalCode.ILLEGAL
    assert f"'{given.value}'" in str(caught.value)
    assert f"'{state.value if state else 'no order'}'" in str(caught.value)


def test_the_table_holds_nothing_else() -> None:
    assert dict(TRANSITIONS) == TABLE


def test_nothing_leaves_a_terminal_state() -> None:
    assert {state for state, _ in TRANSITIONS}.isdisjoint(TERMINAL)
    assert {
        State.REJECTED,
        State.CLOSED,
        State.SETTLED,
        State.REFUSED,
        State.CANCELLED,
        State.EXPIRED,
    } == TERMINAL


@pytest.mark.parametrize("state", set(State) - TERMINAL)
def test_every_order_can_come_to_an_end(state: State) -> None:
    assert reachable(state) & TERMINAL


def test_every_state_can_be_reached() -> None:
    assert reachable(State.DRAFTED) == set(State)


@pytest.mark.parametrize("needed", [State.ISSUED, State.ACCEPTED, State.DELIVERED, State.READ_BACK])
def test_no_way_to_confirmation_avoids_issue_check_delivery_or_read_back(needed: State) -> None:
    assert State.CONFIRMED not in reachable(State.DRAFTED, lambda _, __, after: after is not needed)


def test_no_way_to_execution_avoids_confirmation() -> None:
    def avoids(_here: State, _given: Input, after: State) -> bool:
        return after is not State.CONFIRMED

    assert reachable(State.DRAFTED, avoids).isdisjoint({State.EXECUTING, State.UNKNOWN_EXECUTING})


def test_a_wrong_read_back_is_read_back_again_before_it_is_confirmed() -> None:
    after_reissue = next_state(State.READ_BACK, Input.REISSUE)
    assert State.CONFIRMED not in reachable(after_reissue, lambda _, given, __: given is not Input.READ_BACK)


def test_once_confirmed_nothing_hands_the_order_back_before_it_was_executed() -> None:
    back = [
        (state, given)
        for (state, given), after in TRANSITIONS.items()
        if state and CUSTODY[state] is Custody.PLANT and CUSTODY[after] is Custody.HEADQUARTERS
    ]
    assert {given for _, given in back} == {Input.COMPLETE, Input.FAIL}


def test_only_a_confirmation_gives_the_order_into_the_hands_of_the_plant() -> None:
    over = {
        given
        for (state, given), after in TRANSITIONS.items()
        if (CUSTODY[state] if state else None) is not Custody.PLANT and CUSTODY[after] is Custody.PLANT
    }
    assert over == {Input.CONFIRM}


@pytest.mark.parametrize("given", OFF_CHAIN)
def test_an_observation_never_changes_who_holds_the_order(given: Input) -> None:
    moves = [(state, after) for (state, i), after in TRANSITIONS.items() if i is given and state]
    assert moves
    assert all(CUSTODY[state] is CUSTODY[after] for state, after in moves)


def allowed_on_chain(state: State) -> set[Input]:
    return {given for here, given in TRANSITIONS if here is state and given not in OFF_CHAIN}


def test_what_the_chain_allows_never_depends_on_an_observation() -> None:
    """The plant does not see all of them: it and headquarters must judge the next event alike."""
    for (state, given), after in TRANSITIONS.items():
        if given in OFF_CHAIN and state:
            assert allowed_on_chain(state) == allowed_on_chain(after)


def test_an_unknown_outcome_is_left_only_by_what_the_plant_says_or_by_finding_out() -> None:
    for state in (State.UNKNOWN, State.UNKNOWN_EXECUTING):
        leaving = {given for (s, given), after in TRANSITIONS.items() if s is state and after is not state}
        for given in leaving - {Input.FIND}:
            assert SIGNERS[given] & {Signer.OPERATOR, Signer.PLANT}


def test_each_input_names_its_signers_and_each_state_its_custody() -> None:
    assert set(SIGNERS) == set(Input)
    assert set(CUSTODY) == set(State)
    assert all(SIGNERS.values())
    assert {state for state in State if CUSTODY[state] is Custody.NOBODY} == TERMINAL


def test_no_station_signs_what_only_people_may_decide() -> None:
    people = {Signer.DISPATCHER, Signer.SUPERVISOR, Signer.OPERATOR}
    stations = {given for given in Input if not SIGNERS[given] <= people}
    assert stations == {
        Input.ASK_APPROVAL,
        Input.ACCEPT,
        Input.REJECT,
        Input.DELIVER,
        Input.NO_ANSWER,
        Input.CLOSE,
        Input.RECALLED,
        Input.EXPIRE,
        Input.LOSE,
        Input.FIND,
    }


def test_both_factors_are_asked_for_whatever_makes_an_order_issued_or_declines_it() -> None:
    issued = {given for (_, given), after in TRANSITIONS.items() if after is State.ISSUED}
    assert issued | {Input.DECLINE} == TWO_FACTOR


def test_an_order_for_which_approval_was_asked_goes_on_by_the_second_person_alone() -> None:
    onward = {given for (state, given), after in TRANSITIONS.items() if state is State.AWAITING} - {
        Input.CANCEL,
        Input.EXPIRE,
    }
    assert onward == SECOND_PERSON == {given for given in Input if SIGNERS[given] == {Signer.SUPERVISOR}}
    assert reachable(State.AWAITING, lambda _, given, __: given is not Input.APPROVE) == {
        State.AWAITING,
        State.REJECTED,
        State.CANCELLED,
        State.EXPIRED,
    }


def test_the_table_cannot_be_changed_at_run_time() -> None:
    for table in (TRANSITIONS, CUSTODY, SIGNERS):
        assert not hasattr(table, "__setitem__")
