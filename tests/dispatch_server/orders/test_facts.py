"""dispatch_server/orders/headquarters.py: what a plant did is a fact; lost plants are asked and found."""

import pytest

from protocol.items import AnswerItem, EventItem, Item
from protocol.lifecycle import Input, State
from protocol.record import apply
from tests.dispatch_server.orders.support import FarChain, Office
from tests.protocol.parties import PLANT, VALID_UNTIL_MS, Chain, shortest_way
from tests.support.stations import up

# --- lost and found ---


def answer(chain: Chain, *, plant: str = "plant-1", head: bytes | None = None) -> AnswerItem:
    """What the plant says of itself."""
    return AnswerItem(
        to="", plant=plant, order="o-1", head=head or chain.record.head, state=chain.record.state
    )


async def test_an_answer_with_the_same_head_finds_the_order(office: Office) -> None:
    chain = await office.at(State.UNKNOWN)
    assert (await office.say("plant-1", answer(chain))).recorded == [Input.FIND]
    assert office.order().state is State.CONFIRMED


async def test_what_the_plant_did_meanwhile_comes_before_its_answer(office: Office) -> None:
    chain = await office.at(State.UNKNOWN)
    begin = chain.add(Input.BEGIN)
    decision = await office.say("plant-1", up(begin), answer(chain))
    assert decision.recorded == [Input.BEGIN]
    assert office.order().state is State.EXECUTING


async def test_an_answer_with_another_chain_finds_nothing_and_is_a_matter_of_security(
    office: Office,
) -> None:
    chain = await office.at(State.UNKNOWN)
    decision = await office.say("plant-1", answer(chain, head=b"h" * 32))
    assert (decision.recorded, decision.posts) == ([], [])
    assert decision.notes("security")[0]["subject"] == "o-1"
    assert office.order().state is State.UNKNOWN


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
    item = answer(chain, plant=plant).model_copy(update={"order": order})
    decision = await office.say(peer, item)
    assert decision.recorded == []
    assert decision.notes("security")[0]["subject"] == peer
    assert office.heard == []


@pytest.mark.parametrize("state", [State.CONFIRMED, State.EXECUTING, State.CANCELLED])
async def test_an_answer_that_comes_when_nothing_is_lost_changes_nothing(
    office: Office, state: State
) -> None:
    chain = await office.at(state)
    decision = await office.say("plant-1", answer(chain))
    assert (decision.recorded, decision.posts, decision.notes("security")) == ([], [], [])


@pytest.mark.parametrize("sign", ["fact", "answer"])
async def test_a_fact_and_an_answer_are_signs_of_life_of_a_plant_behind_a_center(
    office: Office, sign: str
) -> None:
    chain = FarChain.along(*shortest_way(State.UNKNOWN)[1:])
    await office.node.load(chain.record)
    item: Item = up(chain.event(Input.BEGIN)) if sign == "fact" else answer(chain, plant="plant-3")
    await office.say("center-1", item)
    assert office.heard == ["plant-3"]


async def test_neither_a_repeated_nor_a_refused_event_is_a_sign_of_life(office: Office) -> None:
    chain = await office.at(State.EXECUTING)
    old = chain.record.events[-1]
    forged = chain.event(Input.COMPLETE, previous=bytes(32))
    await office.say("plant-1", up(old), up(forged))
    assert office.heard == []


# --- what a plant did is a fact ---


@pytest.mark.parametrize(
    ("state", "given"),
    [
        (State.CONFIRMED, Input.BEGIN),
        (State.EXECUTING, Input.COMPLETE),
        (State.UNKNOWN_EXECUTING, Input.FAIL),
        (State.RECALLING, Input.REFUSE),
    ],
)
async def test_a_fact_is_recorded_though_the_session_ended_and_the_clock_is_off(
    office: Office, state: State, given: Input
) -> None:
    chain = await office.at(state)
    office.people.sessions = set()
    fact = chain.event(given, at_ms=VALID_UNTIL_MS - 1)
    decision = await office.say("plant-1", up(fact))
    assert decision.recorded[0] is given
    assert apply(chain.record, fact).state in {office.order().state, State.COMPLETED}


async def test_a_fact_that_does_not_continue_the_chain_is_refused_and_noted(office: Office) -> None:
    chain = await office.at(State.CONFIRMED)
    torn = chain.event(Input.BEGIN, previous=b"p" * 32)
    decision = await office.say("plant-1", up(torn))
    assert decision.recorded == []
    assert [(peer, item.event) for peer, item in decision.refusals] == [("plant-1", torn.hash)]
    assert decision.notes("refused")[0]["code"] == "stale"
    assert office.order() == chain.record


async def test_a_fact_whose_signature_does_not_hold_is_refused_and_noted(office: Office) -> None:
    chain = await office.at(State.CONFIRMED)
    begin = up(chain.event(Input.BEGIN))
    decision = await office.say("plant-1", begin.model_copy(update={"signature": bytes(64)}))
    assert decision.recorded == []
    assert decision.notes("security")[0]["code"] == "signature"


async def test_a_begin_after_the_validity_is_no_fact(office: Office) -> None:
    chain = await office.at(State.CONFIRMED)
    late = chain.event(Input.BEGIN, at_ms=VALID_UNTIL_MS)
    decision = await office.say("plant-1", up(late))
    assert decision.recorded == []
    assert decision.notes("refused")[0]["code"] == "expired"


# --- a plant that was taken out of the configuration ---


async def test_what_cannot_be_sent_any_more_is_recorded_and_noted(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    del office.routes["plant-1"]
    decision = await office.say("desk-1", up(chain.event(Input.CONFIRM)))
    assert decision.recorded == [Input.CONFIRM]
    assert [peer for peer, _ in decision.posts] == ["desk-1"]
    assert decision.notes("undeliverable") == [{"order": "o-1", "subject": "plant-1"}]


async def test_a_plant_that_was_taken_out_is_lost_once_and_asked_nothing(office: Office) -> None:
    await office.at(State.EXECUTING)
    del office.routes["plant-1"]
    decision = await office.tick("plant-1")
    assert decision.recorded == [Input.LOSE]
    assert all(isinstance(item, EventItem) for _, item in decision.posts)
    assert (await office.tick("plant-1")).recorded == []


async def test_a_plant_that_was_taken_out_does_not_speak_for_its_order_any_more(office: Office) -> None:
    chain = await office.at(State.CONFIRMED)
    del office.routes["plant-1"]
    decision = await office.say("plant-1", up(chain.event(Input.BEGIN)))
    assert [item.code for _, item in decision.refusals] == ["unauthorised"]
    expire = chain.event(Input.EXPIRE, by=PLANT)
    assert (await office.say("plant-1", up(expire))).recorded == []
