"""dispatch_server/orders/headquarters.py: what becomes due as time passes, each thing exactly once."""

from contextlib import closing

import pytest

from dispatch_server.orders.checks import Rules
from protocol.lifecycle import CUSTODY, TERMINAL, Custody, Input, State
from protocol.record import apply
from tests.dispatch_server.orders.support import Office
from tests.protocol.parties import VALID_UNTIL_MS, Chain, write
from tests.support.pki import NOW_MS
from tests.support.stations import up

ANSWER_WITHIN_MS = Rules().answer_within_ms
AT_HEADQUARTERS = sorted(
    state for state in State if CUSTODY[state] is Custody.HEADQUARTERS and state is not State.COMPLETED
)
OBSERVED = {
    State.CONFIRMED: State.UNKNOWN,
    State.RECALLING: State.UNKNOWN,
    State.EXECUTING: State.UNKNOWN_EXECUTING,
}


@pytest.mark.parametrize("state", AT_HEADQUARTERS)
async def test_an_order_that_nobody_confirmed_expires_once(office: Office, state: State) -> None:
    await office.at(state)
    office.clock.ms = VALID_UNTIL_MS
    assert (await office.tick()).recorded == [Input.EXPIRE]
    assert office.order().state is State.EXPIRED
    office.clock.advance(3600)
    assert (await office.tick("plant-1")).batches == ()


@pytest.mark.parametrize("state", AT_HEADQUARTERS)
async def test_no_order_expires_before_its_time(office: Office, state: State) -> None:
    await office.at(state)
    office.clock.ms = VALID_UNTIL_MS - 1
    assert Input.EXPIRE not in (await office.tick()).recorded


@pytest.mark.parametrize("state", sorted(set(State) - set(AT_HEADQUARTERS)))
async def test_headquarters_never_expires_what_is_in_other_hands_or_over(
    office: Office, state: State
) -> None:
    await office.at(state)
    office.clock.ms = VALID_UNTIL_MS + 86_400_000
    assert (await office.tick()).batches == ()


async def test_an_order_without_an_answer_is_noticed_once(office: Office) -> None:
    await office.at(State.DELIVERED)
    office.clock.ms = NOW_MS + ANSWER_WITHIN_MS
    assert (await office.tick()).recorded == [Input.NO_ANSWER]
    office.clock.advance(60)
    assert (await office.tick()).batches == ()


async def test_no_answer_is_missed_before_the_time_that_the_rules_give(office: Office) -> None:
    await office.at(State.DELIVERED)
    office.clock.ms = NOW_MS + ANSWER_WITHIN_MS - 1
    assert (await office.tick()).batches == ()


async def test_the_time_to_answer_begins_anew_with_each_acceptance(office: Office) -> None:
    chain = Chain.at(State.READ_BACK)
    later = NOW_MS + ANSWER_WITHIN_MS
    chain.add(Input.REISSUE)
    chain.add(Input.ACCEPT, at_ms=later)
    chain.add(Input.DELIVER)
    await office.node.load(chain.record)
    office.clock.ms = later + ANSWER_WITHIN_MS - 1
    assert (await office.tick()).batches == ()
    office.clock.advance(0.001)
    assert (await office.tick()).recorded == [Input.NO_ANSWER]


async def test_a_plants_wrong_clock_does_not_move_the_time_to_answer(office: Office) -> None:
    chain = Chain.at(State.ACCEPTED)
    chain.add(Input.DELIVER, at_ms=NOW_MS + 10 * ANSWER_WITHIN_MS)
    await office.node.load(chain.record)
    office.clock.ms = NOW_MS + ANSWER_WITHIN_MS
    assert (await office.tick()).recorded == [Input.NO_ANSWER]


async def test_an_answer_after_all_is_taken(office: Office) -> None:
    chain = await office.at(State.DELIVERED)
    office.clock.ms = NOW_MS + ANSWER_WITHIN_MS
    await office.tick()
    decision = await office.say("plant-1", up(chain.event(Input.READ_BACK)))
    assert decision.recorded == [Input.READ_BACK]


@pytest.mark.parametrize(("state", "lost"), OBSERVED.items())
async def test_an_order_at_a_silent_plant_is_lost_once(office: Office, state: State, lost: State) -> None:
    await office.at(state)
    assert (await office.tick("plant-1")).recorded == [Input.LOSE]
    assert office.order().state is lost
    assert (await office.tick("plant-1")).batches == ()


@pytest.mark.parametrize("state", sorted(set(State) - OBSERVED.keys()))
async def test_silence_matters_only_while_the_plant_has_the_order(office: Office, state: State) -> None:
    await office.at(state)
    assert Input.LOSE not in (await office.tick("plant-1")).recorded


@pytest.mark.parametrize("state", OBSERVED)
async def test_the_silence_of_another_plant_loses_nothing(office: Office, state: State) -> None:
    await office.at(state)
    assert (await office.tick("plant-2", "center-1", "desk-1")).batches == ()


@pytest.mark.parametrize("state", sorted(TERMINAL))
async def test_an_order_that_is_over_stays_over(office: Office, state: State) -> None:
    await office.at(state)
    office.clock.ms = VALID_UNTIL_MS * 2
    assert (await office.tick("plant-1")).batches == ()


async def test_all_that_is_due_is_decided_in_one_go(office: Office) -> None:
    await office.at(State.EXECUTING)
    for name in ("o-2", "o-3"):
        await office.node.load(apply(None, write(None, Input.DRAFT, order=name)))
    office.clock.ms = VALID_UNTIL_MS
    decision = await office.tick("plant-1")
    assert decision.recorded == [Input.LOSE, Input.EXPIRE, Input.EXPIRE]
    assert len(decision.batches) == 1


async def test_what_was_due_while_headquarters_was_down_is_done_after_its_start() -> None:
    with closing(Office()) as office:
        await office.at(State.READ_BACK)
        office.clock.ms = VALID_UNTIL_MS + 1
        office.restart()
        assert (await office.tick()).recorded == [Input.EXPIRE]
        office.restart()
        assert (await office.tick()).batches == ()
