"""dispatch_server/orders/headquarters.py: who is told of which event, over the whole life cycle.

The desk hears everything. The plant hears what it did not put on the chain itself, from the moment at which
the order is accepted for the first time; what headquarters merely observes is none of its business.
"""

from typing import Any

import pytest

from protocol.items import AnswerItem
from protocol.lifecycle import CUSTODY, SIGNERS, TRANSITIONS, TWO_FACTOR, Custody, Input, Signer, State
from situational import Posture
from tests.dispatch_server.orders.support import FarChain, Office
from tests.protocol.parties import VALID_UNTIL_MS, Chain
from tests.support.stations import Decision, up

DESK_ONLY = frozenset(
    {
        (State.DRAFTED, Input.CANCEL),
        (State.DRAFTED, Input.EXPIRE),
        (State.ISSUED, Input.CANCEL),
        (State.ISSUED, Input.EXPIRE),
        (State.AWAITING, Input.APPROVE),
        (State.AWAITING, Input.DECLINE),
        (State.AWAITING, Input.CANCEL),
        (State.AWAITING, Input.EXPIRE),
        (State.ACCEPTED, Input.NO_ANSWER),
        (State.DELIVERED, Input.NO_ANSWER),
        (State.CONFIRMED, Input.BEGIN),
        (State.CONFIRMED, Input.LOSE),
        (State.CONFIRMED, Input.REFUSE),
        (State.CONFIRMED, Input.EXPIRE),
        (State.CONFIRMED, Input.RECALLED),
        (State.RECALLING, Input.BEGIN),
        (State.RECALLING, Input.LOSE),
        (State.RECALLING, Input.REFUSE),
        (State.RECALLING, Input.EXPIRE),
        (State.RECALLING, Input.RECALLED),
        (State.UNKNOWN, Input.BEGIN),
        (State.UNKNOWN, Input.FIND),
        (State.UNKNOWN, Input.REFUSE),
        (State.UNKNOWN, Input.EXPIRE),
        (State.UNKNOWN, Input.RECALLED),
        (State.EXECUTING, Input.COMPLETE),
        (State.EXECUTING, Input.FAIL),
        (State.EXECUTING, Input.LOSE),
        (State.UNKNOWN_EXECUTING, Input.COMPLETE),
        (State.UNKNOWN_EXECUTING, Input.FAIL),
        (State.UNKNOWN_EXECUTING, Input.FIND),
    }
)
BOTH = frozenset(
    {
        (State.ACCEPTED, Input.DELIVER),
        (State.ACCEPTED, Input.CANCEL),
        (State.ACCEPTED, Input.EXPIRE),
        (State.DELIVERED, Input.READ_BACK),
        (State.DELIVERED, Input.REFUSE),
        (State.DELIVERED, Input.CANCEL),
        (State.DELIVERED, Input.EXPIRE),
        (State.UNDELIVERED, Input.DELIVER),
        (State.UNDELIVERED, Input.CANCEL),
        (State.UNDELIVERED, Input.EXPIRE),
        (State.UNANSWERED, Input.READ_BACK),
        (State.UNANSWERED, Input.REFUSE),
        (State.UNANSWERED, Input.CANCEL),
        (State.UNANSWERED, Input.EXPIRE),
        (State.READ_BACK, Input.CONFIRM),
        (State.READ_BACK, Input.REISSUE),
        (State.READ_BACK, Input.REFUSE),
        (State.READ_BACK, Input.CANCEL),
        (State.READ_BACK, Input.EXPIRE),
        (State.CONFIRMED, Input.RECALL),
        (State.RECALLING, Input.RECALL),
        (State.UNKNOWN, Input.RECALL),
        (State.FAILED, Input.SETTLE),
    }
)
OF_HEADQUARTERS_ALONE = {  # never the first event of a decision; their own tests are below
    (State.ISSUED, Input.ACCEPT),
    (State.ISSUED, Input.REJECT),
    (State.ISSUED, Input.ASK_APPROVAL),
    (State.COMPLETED, Input.CLOSE),
}
FIRST = {(None, Input.DRAFT), (State.DRAFTED, Input.ISSUE)}


async def happen(office: Office, chain: Chain, given: Input) -> Decision:
    """Let `given` happen to the order of `chain`, by the one who may do it."""
    record = chain.record
    expires_there = given is Input.EXPIRE and record.custody is Custody.PLANT
    if expires_there or Signer.HEADQUARTERS not in SIGNERS[given]:
        details: dict[str, Any] = {"reason": "again"} if given is Input.RECALL else {}
        event = chain.event(given, **details)
        if given in TWO_FACTOR:
            office.people.grant(event)
        at_plant = bool(SIGNERS[given] & {Signer.OPERATOR, Signer.PLANT})
        return await office.say("plant-1" if at_plant else "desk-1", up(event))
    if given is Input.FIND:
        answer = AnswerItem(to="", plant="plant-1", order="o-1", head=record.head, state=record.state)
        return await office.say("plant-1", answer)
    if given is Input.LOSE:
        return await office.tick("plant-1")
    office.clock.ms = VALID_UNTIL_MS if given is Input.EXPIRE else VALID_UNTIL_MS - 1
    return await office.tick()


def chain_at(state: State, given: Input) -> Chain:
    """An order in this state; with a recall on its way where `given` answers one."""
    if given is not Input.RECALLED or state is State.RECALLING:
        return Chain.at(state)
    chain = Chain.at(State.RECALLING)
    chain.add(Input.LOSE)
    if state is State.CONFIRMED:
        chain.add(Input.FIND)
    return chain


@pytest.mark.parametrize(("state", "given"), sorted(DESK_ONLY | BOTH))
async def test_an_event_goes_to_whom_it_concerns(office: Office, state: State, given: Input) -> None:
    chain = chain_at(state, given)
    assert chain.record.state is state
    await office.node.load(chain.record)
    decision = await happen(office, chain, given)
    assert decision.recorded[0] is given
    assert decision.events("desk-1")[0] is given
    # What is approved before the plant ever heard of the order goes there with the rest of the chain.
    concerns_plant = (state, given) in BOTH or given is Input.APPROVE
    assert (given in decision.events("plant-1")) == concerns_plant


def test_every_transition_is_in_the_table() -> None:
    assert TRANSITIONS.keys() == DESK_ONLY | BOTH | OF_HEADQUARTERS_ALONE | FIRST
    assert not DESK_ONLY & BOTH


def test_what_the_plant_put_on_the_chain_itself_is_never_sent_to_it() -> None:
    own = {
        (state, given)
        for state, given in TRANSITIONS
        if state
        and CUSTODY[state] is Custody.PLANT
        and (given is Input.EXPIRE or SIGNERS[given] & {Signer.OPERATOR, Signer.PLANT})
    }
    assert own <= DESK_ONLY


async def test_a_draft_goes_back_to_its_desk_alone(office: Office) -> None:
    decision = await office.say("desk-1", up(Chain().record.events[0]))
    assert [peer for peer, _ in decision.posts] == ["desk-1"]
    assert decision.events("desk-1") == [Input.DRAFT]


async def test_with_the_acceptance_the_plant_gets_the_whole_chain(office: Office) -> None:
    chain = await office.at(State.DRAFTED)
    issue = chain.event(Input.ISSUE)
    office.people.grant(issue)
    decision = await office.say("desk-1", up(issue))
    assert decision.events("plant-1") == [Input.DRAFT, Input.ISSUE, Input.ACCEPT]
    assert decision.events("desk-1") == [Input.ISSUE, Input.ACCEPT]


async def test_behind_a_center_everything_for_the_plant_goes_to_the_center(office: Office) -> None:
    chain = FarChain()
    await office.node.load(chain.record)
    issue = chain.event(Input.ISSUE)
    office.people.grant(issue)
    decision = await office.say("desk-1", up(issue))
    assert [item.to for peer, item in decision.posts if peer == "center-1"] == ["plant-3"] * 3
    assert {peer for peer, _ in decision.posts} == {"center-1", "desk-1"}


async def test_what_was_read_back_wrong_is_issued_again_to_both(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    decision = await happen(office, chain, Input.REISSUE)
    assert decision.events("plant-1") == [Input.REISSUE, Input.ACCEPT]
    assert decision.events("desk-1") == [Input.REISSUE, Input.ACCEPT]


async def test_a_rejected_reissue_is_told_to_the_plant_that_waits_for_it(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    office.postures["plant-1"] = Posture.HELD
    decision = await happen(office, chain, Input.REISSUE)
    assert decision.events("plant-1") == [Input.REISSUE, Input.REJECT]


@pytest.mark.parametrize("given", [Input.APPROVE, Input.DECLINE])
async def test_after_a_reissue_the_plant_hears_of_the_second_person_too(office: Office, given: Input) -> None:
    chain = await office.at(State.READ_BACK)
    office.postures["desk-1"] = Posture.HEIGHTENED
    decision = await happen(office, chain, Input.REISSUE)
    assert decision.events("plant-1") == [Input.REISSUE, Input.ASK_APPROVAL]
    decision = await happen(office, Chain(office.order()), given)
    end = [Input.ACCEPT] if given is Input.APPROVE else []
    assert decision.events("plant-1") == [given, *end]
    assert decision.events("desk-1") == [given, *end]


async def test_a_completed_order_is_closed_at_once_and_the_plant_hears_of_the_closing(
    office: Office,
) -> None:
    chain = await office.at(State.EXECUTING)
    decision = await happen(office, chain, Input.COMPLETE)
    assert decision.events("desk-1") == [Input.COMPLETE, Input.CLOSE]
    assert decision.events("plant-1") == [Input.CLOSE]
    assert office.order().state is State.CLOSED
