"""dispatch_server/orders/headquarters.py: under a heightened posture each issue waits for a second person."""

from contextlib import closing

import pytest

from protocol.errors import RefusalCode
from protocol.keys import Role, SigningKey
from protocol.lifecycle import SECOND_PERSON, Input, State
from protocol.limits import MAX_WISH_AGE_MS
from protocol.orders import Issue, OrderType, Reasoned, VerifiedEvent, approval_digest
from situational import Posture
from tests.dispatch_server.orders.support import SESSION, FarChain, Office, the_refusal
from tests.dispatch_server.orders.test_acceptance import drafted, issue_of
from tests.protocol.parties import (
    AUTHORITY,
    DISPATCHER,
    OPERATOR,
    OTHER_SUPERVISOR,
    SUPERVISOR,
    VALID_UNTIL_MS,
    Chain,
    write,
)
from tests.support.pki import NOW_MS
from tests.support.stations import Decision, up

DECISIONS = sorted(SECOND_PERSON)


async def issued(office: Office, chain: Chain, posture: Posture = Posture.HEIGHTENED) -> Decision:
    """The dispatcher issues while the plant's posture is this."""
    office.postures[chain.record.content.plant] = posture
    await office.node.load(chain.record)
    return await office.say("desk-1", up(issue_of(office, chain)))


async def waiting(office: Office) -> Chain:
    """Order o-1, for which headquarters asked a second person."""
    await issued(office, drafted())
    return Chain(office.order())


def decided(office: Office, chain: Chain, given: Input = Input.APPROVE) -> VerifiedEvent:
    """What the supervisor says, under both factors."""
    event = chain.event(given, challenge=b"2" * 16)
    office.people.grant(event)
    return event


def last_reason(office: Office, order: str = "o-1") -> str:
    event = office.order(order).events[-1].event
    assert isinstance(event, Reasoned | Issue)
    return event.reason


# --- when it is asked ---


async def test_an_issue_waits_and_the_desk_alone_is_told(office: Office) -> None:
    decision = await issued(office, drafted())
    assert decision.recorded == [Input.ISSUE, Input.ASK_APPROVAL]
    assert decision.events("desk-1") == [Input.ISSUE, Input.ASK_APPROVAL]
    assert {peer for peer, _ in decision.posts} == {"desk-1"}
    assert office.order().state is State.AWAITING


async def test_an_approval_lets_it_go_on_and_the_plant_gets_the_whole_chain(office: Office) -> None:
    chain = await waiting(office)
    decision = await office.say("desk-1", up(decided(office, chain)))
    assert decision.recorded == [Input.APPROVE, Input.ACCEPT]
    whole = [Input.DRAFT, Input.ISSUE, Input.ASK_APPROVAL, Input.APPROVE, Input.ACCEPT]
    assert decision.events("plant-1") == whole
    assert office.order().is_approved


async def test_a_decline_ends_it_and_the_plant_never_hears_of_it(office: Office) -> None:
    chain = await waiting(office)
    decision = await office.say("desk-1", up(decided(office, chain, Input.DECLINE)))
    assert decision.recorded == [Input.DECLINE]
    assert {peer for peer, _ in decision.posts} == {"desk-1"}
    assert office.order().state is State.REJECTED
    assert last_reason(office) == "too risky"


async def test_under_a_normal_posture_nobody_is_asked(office: Office) -> None:
    assert (await issued(office, drafted(), Posture.NORMAL)).recorded == [Input.ISSUE, Input.ACCEPT]


@pytest.mark.parametrize("node", ["hq", "desk-1", "plant-1"])
async def test_the_posture_of_each_node_that_takes_part_asks(office: Office, node: str) -> None:
    office.postures[node] = Posture.HEIGHTENED
    await issued(office, drafted(), office.postures.get("plant-1", Posture.NORMAL))
    assert office.order().state is State.AWAITING


@pytest.mark.parametrize("node", ["center-1", "plant-3"])
async def test_behind_a_center_the_postures_of_center_and_plant_ask(office: Office, node: str) -> None:
    office.postures[node] = Posture.HEIGHTENED
    await issued(office, FarChain(), office.postures.get("plant-3", Posture.NORMAL))
    assert office.order().state is State.AWAITING


@pytest.mark.parametrize("node", ["plant-2", "desk-2", "center-1", "plant-3"])
async def test_the_posture_of_a_node_that_takes_no_part_asks_nobody(office: Office, node: str) -> None:
    office.postures[node] = Posture.HEIGHTENED
    await issued(office, drafted(), Posture.NORMAL)
    assert office.order().state is State.ACCEPTED


async def test_a_restricted_posture_is_stricter_and_asks_for_the_types_that_it_allows(office: Office) -> None:
    await issued(office, drafted(kind=OrderType.OUTAGE_NOTICE), Posture.RESTRICTED)
    assert office.order().state is State.AWAITING


@pytest.mark.parametrize("posture", [Posture.RESTRICTED, Posture.HELD])
async def test_what_is_objected_to_is_rejected_and_no_second_person_is_troubled(
    office: Office, posture: Posture
) -> None:
    assert (await issued(office, drafted(), posture)).recorded == [Input.ISSUE, Input.REJECT]


async def test_a_reissue_asks_again_for_what_was_approved_before(office: Office) -> None:
    chain = Chain.along(Input.ISSUE, Input.ASK_APPROVAL, Input.APPROVE)
    for given in (Input.ACCEPT, Input.DELIVER, Input.READ_BACK):
        chain.add(given)
    await office.node.load(chain.record)
    office.postures["plant-1"] = Posture.HEIGHTENED
    reissue = chain.event(Input.REISSUE)
    office.people.grant(reissue)
    assert (await office.say("desk-1", up(reissue))).recorded == [Input.REISSUE, Input.ASK_APPROVAL]


async def test_a_confirmation_needs_no_second_person(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    office.postures["plant-1"] = Posture.HEIGHTENED
    assert (await office.say("desk-1", up(chain.event(Input.CONFIRM)))).recorded == [Input.CONFIRM]


# --- while it waits ---


async def test_an_order_that_waits_goes_on_waiting_when_the_posture_ends(office: Office) -> None:
    chain = await waiting(office)
    office.postures.clear()
    office.clock.advance(600)
    assert (await office.tick()).batches == ()
    assert office.order() == chain.record


async def test_it_waits_over_a_restart(office: Office) -> None:
    chain = await waiting(office)
    office.restart()
    assert office.order() == chain.record
    assert (await office.say("desk-1", up(decided(office, chain)))).recorded == [
        Input.APPROVE,
        Input.ACCEPT,
    ]


async def test_the_dispatcher_may_cancel_it_meanwhile(office: Office) -> None:
    chain = await waiting(office)
    assert (await office.say("desk-1", up(chain.event(Input.CANCEL)))).recorded == [Input.CANCEL]


async def test_it_expires_when_nobody_answers(office: Office) -> None:
    await waiting(office)
    office.clock.ms = VALID_UNTIL_MS
    assert (await office.tick()).recorded == [Input.EXPIRE]


async def test_an_approval_does_not_help_against_a_posture_that_became_held(office: Office) -> None:
    chain = await waiting(office)
    office.postures["plant-1"] = Posture.HELD
    decision = await office.say("desk-1", up(decided(office, chain)))
    assert decision.recorded == [Input.APPROVE, Input.REJECT]
    assert "telephone" in last_reason(office)


async def test_what_is_approved_is_checked_against_the_grid_of_that_moment(office: Office) -> None:
    chain = await waiting(office)
    del office.routes["plant-1"]
    await office.say("desk-1", up(decided(office, chain)))
    assert "not reachable" in last_reason(office)


# --- who may decide, and under what ---


@pytest.mark.parametrize("given", DECISIONS)
@pytest.mark.parametrize("peer", ["desk-2", "plant-1", "center-1"])
async def test_a_decision_comes_from_the_orders_own_desk(office: Office, given: Input, peer: str) -> None:
    chain = await waiting(office)
    decision = await office.say(peer, up(decided(office, chain, given)))
    the_refusal(decision, peer, peer, RefusalCode.UNAUTHORISED)


@pytest.mark.parametrize("given", DECISIONS)
@pytest.mark.parametrize("by", [DISPATCHER, OTHER_SUPERVISOR, AUTHORITY.key(Role.SUPERVISOR, "li", "desk-1")])
async def test_nobody_decides_who_is_not_a_second_person_of_this_desk(
    office: Office, given: Input, by: SigningKey
) -> None:
    """Even with both factors of their own: not a dispatcher, not another desk's, not the issuer."""
    chain = await waiting(office)
    event = chain.event(given, by=by, challenge=b"2" * 16)
    office.people.grant(event)
    the_refusal(await office.say("desk-1", up(event)), "desk-1", "desk-1", RefusalCode.UNAUTHORISED)
    assert office.order() == chain.record


async def test_an_operator_approves_nothing(office: Office) -> None:
    chain = await waiting(office)
    event = chain.event(Input.APPROVE, by=OPERATOR, challenge=b"2" * 16)
    office.people.grant(event, node="plant-1")
    the_refusal(await office.say("plant-1", up(event)), "plant-1", "plant-1", RefusalCode.UNAUTHORISED)


@pytest.mark.parametrize("given", DECISIONS)
async def test_a_decision_without_both_factors_is_refused(office: Office, given: Input) -> None:
    chain = await waiting(office)
    decision = await office.say("desk-1", up(chain.event(given, challenge=b"2" * 16)))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.FACTORS)


@pytest.mark.parametrize("given", DECISIONS)
async def test_the_issuers_grant_does_not_serve_the_second_person(office: Office, given: Input) -> None:
    chain = await waiting(office)
    decision = await office.say("desk-1", up(chain.event(given, challenge=bytes(16))))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.FACTORS)


@pytest.mark.parametrize(
    ("given", "previous"), [(Input.DECLINE, None), (Input.ISSUE, None), (Input.APPROVE, b"p" * 32)]
)
async def test_a_grant_for_another_decision_or_another_head_is_no_grant(
    office: Office, given: Input, previous: bytes | None
) -> None:
    chain = await waiting(office)
    other = approval_digest("o-1", given, previous or chain.record.head)
    office.people.grants[b"2" * 16] = ("zhao", "desk-1", other)
    decision = await office.say("desk-1", up(chain.event(Input.APPROVE, challenge=b"2" * 16)))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.FACTORS)


async def test_a_grant_that_was_given_at_another_desk_is_no_grant(office: Office) -> None:
    chain = await waiting(office)
    approval = chain.event(Input.APPROVE, challenge=b"2" * 16)
    office.people.grant(approval, node="desk-2")
    the_refusal(await office.say("desk-1", up(approval)), "desk-1", "desk-1", RefusalCode.FACTORS)


@pytest.mark.parametrize("given", DECISIONS)
async def test_a_decision_is_signed_in_no_session_not_even_in_the_dispatchers(
    office: Office, given: Input
) -> None:
    chain = await waiting(office)
    event = chain.event(given, session=SESSION, challenge=b"2" * 16)
    office.people.grant(event)
    the_refusal(await office.say("desk-1", up(event)), "desk-1", "desk-1", RefusalCode.SESSION)


@pytest.mark.parametrize("given", DECISIONS)
async def test_a_second_person_needs_no_session_and_an_issuer_does(office: Office, given: Input) -> None:
    chain = await waiting(office)
    office.people.sessions.clear()
    assert (await office.say("desk-1", up(decided(office, chain, given)))).recorded[0] is given
    other = drafted("o-2", device="断路器 9")
    await office.node.load(other.record)
    issue = up(issue_of(office, other))
    the_refusal(await office.say("desk-1", issue), "desk-1", "desk-1", RefusalCode.SESSION)


async def test_a_decision_that_is_too_old_was_made_about_another_grid(office: Office) -> None:
    chain = await waiting(office)
    approval = decided(office, chain)
    office.clock.ms = NOW_MS + MAX_WISH_AGE_MS + 1
    the_refusal(await office.say("desk-1", up(approval)), "desk-1", "desk-1", RefusalCode.CLOCK)


async def test_a_revoked_supervisor_approves_nothing() -> None:
    with closing(Office(trust=AUTHORITY.trust(SUPERVISOR))) as office:
        chain = await waiting(office)
        approval = chain.event(Input.APPROVE, challenge=b"2" * 16, at_ms=NOW_MS - 1)
        office.people.grant(approval)
        the_refusal(await office.say("desk-1", up(approval)), "desk-1", "desk-1", RefusalCode.SIGNATURE)


@pytest.mark.parametrize("given", DECISIONS)
@pytest.mark.parametrize("state", [State.DRAFTED, State.READ_BACK, State.EXECUTING])
async def test_nobody_decides_about_an_order_that_does_not_wait(
    office: Office, state: State, given: Input
) -> None:
    chain = await office.at(state)
    decision = await office.say("desk-1", up(decided(office, chain, given)))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.ILLEGAL)
    assert office.refusals == [RefusalCode.ILLEGAL]  # counted, once


async def test_a_decline_without_a_reason_is_refused(office: Office) -> None:
    chain = await waiting(office)
    decline = chain.event(Input.DECLINE, challenge=b"2" * 16, reason=" ")
    office.people.grant(decline)
    the_refusal(await office.say("desk-1", up(decline)), "desk-1", "desk-1", RefusalCode.ILLEGAL)
    assert office.order() == chain.record


async def test_of_two_decisions_in_one_report_the_first_counts(office: Office) -> None:
    chain = await waiting(office)
    first, second = decided(office, chain, Input.DECLINE), chain.event(Input.APPROVE, challenge=b"3" * 16)
    office.people.grant(second)
    decision = await office.say("desk-1", up(first), up(second))
    assert decision.recorded == [Input.DECLINE]
    assert [item.code for _, item in decision.refusals] == [RefusalCode.STALE]


async def test_a_decision_that_comes_again_changes_nothing(office: Office) -> None:
    chain = await waiting(office)
    approval = up(decided(office, chain))
    await office.say("desk-1", approval)
    record = office.order()
    assert (await office.say("desk-1", approval)).posts == []
    assert office.order() == record


async def test_headquarters_question_is_not_taken_from_a_peer(office: Office) -> None:
    chain = await office.at(State.ISSUED)
    decision = await office.say("desk-1", up(write(chain.record, Input.ASK_APPROVAL)))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.UNAUTHORISED)
