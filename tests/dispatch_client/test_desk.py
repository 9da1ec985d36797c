"""dispatch_client/desk.py: drafts, issues, confirms, cancels, recalls, settles."""

import pytest

from dispatch_client.client import OutcomeKind
from dispatch_client.desk import Desk
from protocol.errors import OrderRefused, RefusalCode
from protocol.lifecycle import CUSTODY, Custody, Input, State
from protocol.orders import Draft, Issue, Reasoned, SignableEvent, approval_digest
from tests.dispatch_client.rooms import SESSION, Room
from tests.protocol.parties import CONTENT, VALID_UNTIL_MS, Chain
from tests.support.pki import NOW_MS

BEFORE_CONFIRMATION = [State.DRAFTED, State.ACCEPTED, State.DELIVERED, State.READ_BACK]
RECALLABLE = [State.CONFIRMED, State.RECALLING, State.UNKNOWN]


def wish(desk: Room[Desk]) -> SignableEvent:
    """What the desk just sent."""
    return desk.sent(desk.node.decision()).event


async def draft(desk: Room[Desk], order: str = "o-1") -> OutcomeKind:
    outcome = await desk.client.draft(
        order,
        order_type=CONTENT.type,
        plant=CONTENT.plant,
        ticket=CONTENT.ticket,
        valid_until_ms=VALID_UNTIL_MS,
        patience=0,
    )
    return outcome.kind


async def test_a_draft_says_what_was_written_at_this_desk(desk: Room[Desk]) -> None:
    assert await draft(desk) is OutcomeKind.PENDING
    event = wish(desk)
    assert isinstance(event, Draft)
    assert event.content == CONTENT
    assert (event.signer, event.session, event.at_ms) == ("li", SESSION, NOW_MS)
    assert "o-1" not in desk.node.station.orders


@pytest.mark.parametrize("state", [State.DRAFTED, State.EXECUTING, State.CLOSED])
async def test_a_name_that_is_taken_is_refused_at_the_desk_already(desk: Room[Desk], state: State) -> None:
    await desk.at(state)
    with pytest.raises(OrderRefused) as refusal:
        await draft(desk)
    assert refusal.value.code is RefusalCode.STALE
    assert desk.node.decision().batches == ()


async def test_a_draft_that_is_on_its_way_is_not_drafted_again(desk: Room[Desk]) -> None:
    await draft(desk)
    with pytest.raises(OrderRefused) as refusal:
        await draft(desk)
    assert refusal.value.code is RefusalCode.STALE


async def test_an_approval_is_for_this_input_on_this_head(desk: Room[Desk]) -> None:
    chain = await desk.at(State.READ_BACK)
    digests = {desk.client.approval("o-1", given) for given in (Input.ISSUE, Input.REISSUE)}
    assert digests == {
        approval_digest("o-1", given, chain.record.head) for given in (Input.ISSUE, Input.REISSUE)
    }
    assert len(digests) == 2
    await desk.say(desk.down(chain.event(Input.CONFIRM)))
    assert desk.client.approval("o-1", Input.REISSUE) not in digests


@pytest.mark.parametrize(("state", "given"), [(State.DRAFTED, Input.ISSUE), (State.READ_BACK, Input.REISSUE)])
async def test_an_issue_carries_its_challenge_and_what_the_approval_was_for(
    desk: Room[Desk], state: State, given: Input
) -> None:
    await desk.at(state)
    digest = desk.client.approval("o-1", given)
    await desk.client.issue("o-1", given, b"c" * 16, "wrong breaker", 0)
    event = wish(desk)
    assert isinstance(event, Issue)
    assert (event.input, event.challenge, event.reason) == (given, b"c" * 16, "wrong breaker")
    assert approval_digest(event.order, event.input, event.previous) == digest


@pytest.mark.parametrize("state", [State.ACCEPTED, State.CONFIRMED, State.CLOSED])
@pytest.mark.parametrize("given", [Input.ISSUE, Input.REISSUE])
async def test_what_is_not_drafted_or_read_back_cannot_be_issued(
    desk: Room[Desk], state: State, given: Input
) -> None:
    await desk.at(state)
    with pytest.raises(OrderRefused) as refusal:
        await desk.client.issue("o-1", given, bytes(16), "", 0)
    assert refusal.value.code is RefusalCode.ILLEGAL


async def test_a_confirmation_follows_exactly_what_was_read_back(desk: Room[Desk]) -> None:
    chain = await desk.at(State.READ_BACK)
    await desk.client.confirm("o-1", 0)
    event = wish(desk)
    assert (event.input, event.previous) == (Input.CONFIRM, chain.record.head)


@pytest.mark.parametrize("state", BEFORE_CONFIRMATION)
async def test_before_the_confirmation_a_cancellation_cancels(desk: Room[Desk], state: State) -> None:
    await desk.at(state)
    await desk.client.cancel("o-1", "not today", 0)
    event = wish(desk)
    assert isinstance(event, Reasoned)
    assert (event.input, event.reason) == (Input.CANCEL, "not today")


@pytest.mark.parametrize("state", RECALLABLE)
async def test_after_the_confirmation_a_cancellation_is_a_recall(desk: Room[Desk], state: State) -> None:
    chain = await desk.at(state)
    assert CUSTODY[state] is Custody.PLANT
    await desk.client.cancel("o-1", "not today", 0)
    event = wish(desk)
    assert (event.input, event.previous) == (Input.RECALL, chain.record.head)
    assert desk.client.order("o-1").state is state


async def test_a_failed_order_is_settled_with_a_reason(desk: Room[Desk]) -> None:
    await desk.at(State.FAILED)
    await desk.client.settle("o-1", "breaker is open, earthed", 0)
    event = wish(desk)
    assert isinstance(event, Reasoned)
    assert (event.input, event.reason) == (Input.SETTLE, "breaker is open, earthed")


@pytest.mark.parametrize("state", [State.EXECUTING, State.CONFIRMED, State.CLOSED])
async def test_nothing_else_can_be_settled(desk: Room[Desk], state: State) -> None:
    await desk.at(state)
    with pytest.raises(OrderRefused):
        await desk.client.settle("o-1", "", 0)


async def test_an_order_that_moves_on_while_somebody_decides_is_not_what_was_decided_on(
    desk: Room[Desk],
) -> None:
    chain = Chain.at(State.READ_BACK)
    await desk.node.load(chain.record)
    await desk.say(desk.down(chain.event(Input.REFUSE)))
    with pytest.raises(OrderRefused) as refusal:
        await desk.client.confirm("o-1", 0)
    assert refusal.value.code is RefusalCode.ILLEGAL
