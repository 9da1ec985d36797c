"""dispatch_server/orders/observer.py: what becomes due as time passes, each thing exactly once."""

from contextlib import closing

import pytest

from dispatch_server.orders.checks import Rules
from protocol.aio.station import Work
from protocol.errors import OrderRefused, RefusalCode
from protocol.items import answer_item
from protocol.lifecycle import CUSTODY, TERMINAL, TRANSITIONS, Custody, Input, State
from protocol.record import OrderRecord, apply
from tests.dispatch_server.orders.support import Office
from tests.protocol.parties import VALID_UNTIL_MS, Chain, write
from tests.support.pki import NOW_MS
from tests.support.stations import up

ANSWER_WITHIN_MS = Rules().answer_within_ms
EXPIRING = sorted(
    state
    for state, given in TRANSITIONS
    if given is Input.EXPIRE and state and CUSTODY[state] is Custody.HEADQUARTERS
)
OBSERVED = {
    State.CONFIRMED: State.UNKNOWN,
    State.RECALLING: State.UNKNOWN,
    State.EXECUTING: State.UNKNOWN_EXECUTING,
}


@pytest.mark.parametrize("state", EXPIRING)
async def test_an_order_that_nobody_confirmed_expires_once(office: Office, state: State) -> None:
    await office.at(state)
    office.clock.ms = VALID_UNTIL_MS
    assert (await office.tick()).recorded == [Input.EXPIRE]
    assert office.order().state is State.EXPIRED
    office.clock.advance(3600)
    assert (await office.tick("plant-1")).batches == ()


@pytest.mark.parametrize("state", EXPIRING)
async def test_no_order_expires_before_its_time(office: Office, state: State) -> None:
    await office.at(state)
    office.clock.ms = VALID_UNTIL_MS - 1
    assert Input.EXPIRE not in (await office.tick()).recorded


@pytest.mark.parametrize("state", sorted(set(State) - set(EXPIRING)))
async def test_headquarters_never_expires_what_is_in_other_hands_or_over(
    office: Office, state: State
) -> None:
    await office.at(state)
    office.clock.ms = VALID_UNTIL_MS + 86_400_000
    assert (await office.tick()).recorded == []


@pytest.mark.parametrize("state", [State.ACCEPTED, State.DELIVERED])
async def test_an_order_without_an_answer_is_noticed_once(office: Office, state: State) -> None:
    await office.at(state)
    office.clock.ms = NOW_MS + ANSWER_WITHIN_MS
    assert (await office.tick()).recorded == [Input.NO_ANSWER]
    office.clock.advance(60)
    assert (await office.tick()).batches == ()


@pytest.mark.parametrize("state", [State.ACCEPTED, State.DELIVERED])
async def test_no_answer_is_missed_before_the_time_that_the_rules_give(office: Office, state: State) -> None:
    await office.at(state)
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
    late = chain.event(Input.READ_BACK, at_ms=office.clock.ms)
    assert (await office.say("plant-1", up(late))).recorded == [Input.READ_BACK]


async def test_an_order_that_is_delivered_after_all_is_delivered(office: Office) -> None:
    chain = await office.at(State.ACCEPTED)
    office.clock.ms = NOW_MS + ANSWER_WITHIN_MS
    await office.tick()
    await office.say("plant-1", up(chain.event(Input.DELIVER)))
    assert office.order().state is State.DELIVERED


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
    assert (await office.tick("plant-2", "center-1", "desk-1")).recorded == []


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


async def test_one_order_in_trouble_does_not_keep_the_others_from_their_time(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("o-1", "o-2"):
        await office.node.load(apply(None, write(None, Input.DRAFT, order=name)))
    append = office.policy.append

    def refuse_the_first(work: Work, record: OrderRecord, given: Input, at_ms: int) -> None:
        if record.order == "o-1":
            raise OrderRefused(RefusalCode.ILLEGAL, "in trouble")
        append(work, record, given, at_ms)

    monkeypatch.setattr(office.policy, "append", refuse_the_first)
    office.clock.ms = VALID_UNTIL_MS
    assert (await office.tick()).recorded == [Input.EXPIRE]
    assert office.order("o-2").state is State.EXPIRED


async def test_the_same_observation_in_the_same_millisecond_is_one_event(office: Office) -> None:
    """A clock that is set back may meet a millisecond again."""
    chain = await office.at(State.CONFIRMED)
    await office.tick("plant-1")
    await office.say("plant-1", answer_item("plant-1", "o-1", chain.record))
    assert office.order().state is State.CONFIRMED
    assert (await office.tick("plant-1")).recorded == []
    office.clock.advance(0.001)
    assert (await office.tick("plant-1")).recorded == [Input.LOSE]


async def test_what_was_due_while_headquarters_was_down_is_done_after_its_start() -> None:
    with closing(Office()) as office:
        await office.at(State.READ_BACK)
        office.clock.ms = VALID_UNTIL_MS + 1
        office.restart()
        assert (await office.tick()).recorded == [Input.EXPIRE]
        office.restart()
        assert (await office.tick()).batches == ()
