"""dispatch_server/orders/observer.py: a lost plant is asked, says where it stands, and is told again."""

import pytest

from dispatch_server.orders.checks import Rules
from protocol.items import AnswerItem, AskItem, Item, answer_item
from protocol.lifecycle import CUSTODY, OFF_CHAIN, Custody, Input, State
from protocol.orders import GENESIS
from protocol.record import OrderRecord, replay
from tests.dispatch_server.orders.support import FarChain, Office
from tests.protocol.parties import Chain, shortest_way
from tests.support.stations import Decision, up

AGAIN_S = Rules().lost_after_ms / 1000
AT_PLANT = sorted(state for state in State if CUSTODY[state] is Custody.PLANT)


def asked(decision: Decision) -> list[tuple[str, AskItem]]:
    """The questions among the posts."""
    return [(peer, item) for peer, item in decision.posts if isinstance(item, AskItem)]


def answer(record: OrderRecord | None, plant: str = "plant-1") -> AnswerItem:
    """What the plant says of itself."""
    return answer_item(plant, "o-1", record)


# --- asking ---


@pytest.mark.parametrize("state", AT_PLANT)
async def test_after_a_start_everything_in_a_plants_hands_is_asked_for_once(
    office: Office, state: State
) -> None:
    chain = await office.at(state)
    question = AskItem(to="plant-1", order="o-1", head=chain.record.head)
    assert asked(await office.tick()) == [("plant-1", question)]
    office.clock.advance(1)
    assert asked(await office.tick()) == []


@pytest.mark.parametrize("state", sorted(set(State) - set(AT_PLANT)))
async def test_nothing_is_asked_about_an_order_in_other_hands(office: Office, state: State) -> None:
    await office.at(state)
    assert asked(await office.tick()) == []


async def test_an_order_that_is_being_confirmed_is_not_asked_for(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    await office.say("desk-1", up(chain.event(Input.CONFIRM)))
    assert (await office.tick()).batches == ()


async def test_a_silent_plant_is_asked_when_it_is_heard_again_and_until_it_answers(office: Office) -> None:
    chain = await office.at(State.UNKNOWN)
    assert (await office.tick("plant-1")).batches == ()
    assert len(asked(await office.tick())) == 1
    office.clock.advance(AGAIN_S - 0.001)
    assert asked(await office.tick()) == []
    office.clock.advance(0.001)
    assert len(asked(await office.tick())) == 1
    await office.say("plant-1", answer(chain.record))
    office.clock.advance(AGAIN_S)
    assert asked(await office.tick()) == []


async def test_behind_a_center_the_question_goes_its_way(office: Office) -> None:
    chain = FarChain.along(*shortest_way(State.UNKNOWN)[1:])
    await office.node.load(chain.record)
    assert [(peer, item.to) for peer, item in asked(await office.tick())] == [("center-1", "plant-3")]


# --- answers ---


async def test_an_answer_with_the_same_head_finds_the_order(office: Office) -> None:
    chain = await office.at(State.UNKNOWN)
    assert (await office.say("plant-1", answer(chain.record))).recorded == [Input.FIND]
    assert office.order().state is State.CONFIRMED


async def test_what_the_plant_did_meanwhile_comes_before_its_answer(office: Office) -> None:
    chain = await office.at(State.UNKNOWN)
    begin = chain.add(Input.BEGIN)
    decision = await office.say("plant-1", up(begin), answer(chain.record))
    assert decision.recorded == [Input.BEGIN]
    assert office.order().state is State.EXECUTING


@pytest.mark.parametrize("state", [State.CONFIRMED, State.EXECUTING, State.READ_BACK, State.CANCELLED])
async def test_an_answer_with_the_same_head_changes_nothing_when_nothing_is_lost(
    office: Office, state: State
) -> None:
    chain = await office.at(state)
    decision = await office.say("plant-1", answer(chain.record))
    assert all(not batch.entries and not batch.outgoing for batch in decision.batches)


async def test_a_plant_that_has_not_heard_of_the_end_yet_has_not_diverged(office: Office) -> None:
    chain = await office.at(State.EXECUTING)
    complete = chain.add(Input.COMPLETE)
    decision = await office.say("plant-1", up(complete), answer(chain.record))
    assert office.order().state is State.CLOSED
    assert decision.notes("diverged") == []


@pytest.mark.parametrize(
    ("peer", "plant", "order"),
    [
        ("plant-2", "plant-1", "o-1"),
        ("plant-2", "plant-2", "o-1"),
        ("plant-1", "plant-2", "o-1"),
        ("plant-1", "plant-1", "o-9"),
    ],
)
async def test_an_answer_about_an_order_of_others_is_a_matter_of_security(
    office: Office, peer: str, plant: str, order: str
) -> None:
    chain = await office.at(State.UNKNOWN)
    item = answer(chain.record, plant).model_copy(update={"order": order})
    decision = await office.say(peer, item)
    assert decision.recorded == []
    assert decision.notes("security")[0]["subject"] == peer
    assert office.heard == []


# --- a plant that stands elsewhere ---


def earlier(chain: Chain, behind: int) -> OrderRecord | None:
    """The order as a plant knows it that missed the last events of the chain."""
    events = [event for event in chain.record.events if event.event.input not in OFF_CHAIN]
    return replay(events[:-behind]) if behind < len(events) else None


@pytest.mark.parametrize("behind", [1, 2, 6])
async def test_a_plant_that_missed_something_is_told_again(office: Office, behind: int) -> None:
    chain = await office.at(State.CONFIRMED)
    decision = await office.say("plant-1", answer(earlier(chain, behind)))
    assert decision.recorded == [Input.LOSE]
    chain_inputs = [event.event.input for event in chain.record.events]
    assert decision.events("plant-1") == chain_inputs[-behind:]
    assert decision.notes("diverged")[0]["missing"] == str(behind)


async def test_a_plant_is_told_again_no_faster_than_it_is_asked(office: Office) -> None:
    chain = await office.at(State.CONFIRMED)
    behind = answer(earlier(chain, 1))
    await office.say("plant-1", behind)
    assert (await office.say("plant-1", behind)).events("plant-1") == []
    office.clock.advance(AGAIN_S)
    assert (await office.say("plant-1", behind)).events("plant-1") == [Input.CONFIRM]


async def test_a_plant_that_contradicts_itself_fills_neither_the_order_nor_the_ledger(
    office: Office,
) -> None:
    chain = await office.at(State.CONFIRMED)
    lie = answer(chain.record).model_copy(update={"head": b"h" * 32})
    decision = await office.say("plant-1", *[lie, answer(chain.record)] * 10)
    assert decision.recorded == [Input.LOSE, Input.FIND]
    assert len(decision.notes("diverged")) == 1


async def test_a_plant_that_was_told_again_and_took_it_is_found(office: Office) -> None:
    chain = await office.at(State.CONFIRMED)
    await office.say("plant-1", answer(earlier(chain, 1)))
    assert (await office.say("plant-1", answer(chain.record))).recorded == [Input.FIND]


async def test_a_plant_with_a_chain_of_its_own_is_lost_and_told_nothing(office: Office) -> None:
    chain = await office.at(State.EXECUTING)
    other = answer(chain.record).model_copy(update={"head": b"h" * 32})
    decision = await office.say("plant-1", other)
    assert decision.recorded == [Input.LOSE]
    assert decision.events("plant-1") == []
    assert decision.notes("diverged")[0]["missing"] == "0"


@pytest.mark.parametrize("state", [State.ACCEPTED, State.READ_BACK])
async def test_before_the_confirmation_it_is_written_down_and_nothing_is_sent(
    office: Office, state: State
) -> None:
    await office.at(state)
    decision = await office.say("plant-1", answer(None))
    assert (decision.recorded, decision.posts) == ([], [])
    assert decision.notes("diverged")[0]["plant_head"] == GENESIS.hex()


# --- signs of life ---


@pytest.mark.parametrize("sign", ["fact", "answer"])
async def test_a_fact_and_an_answer_are_signs_of_life_of_a_plant_behind_a_center(
    office: Office, sign: str
) -> None:
    chain = FarChain.along(*shortest_way(State.UNKNOWN)[1:])
    await office.node.load(chain.record)
    item: Item = up(chain.event(Input.BEGIN)) if sign == "fact" else answer(chain.record, "plant-3")
    await office.say("center-1", item)
    assert office.heard == ["plant-3"]


async def test_neither_a_repeated_nor_a_refused_event_is_a_sign_of_life(office: Office) -> None:
    chain = await office.at(State.EXECUTING)
    old = chain.record.events[-1]
    forged = chain.event(Input.COMPLETE, previous=bytes(32))
    await office.say("plant-1", up(old), up(forged))
    assert office.heard == []
