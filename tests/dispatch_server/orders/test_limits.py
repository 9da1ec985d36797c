"""What headquarters refuses for want of room, and for a plant that another server commands."""

import pytest

from protocol.aio import room
from protocol.errors import RefusalCode
from protocol.lifecycle import Input, State
from protocol.limits import MIN_FREE_DISK
from protocol.orders import Reasoned
from tests.dispatch_server.orders.support import Office, the_refusal
from tests.protocol.parties import write
from tests.support.stations import up


async def test_a_draft_beyond_what_may_be_open_is_refused_by_name(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MAX_OPEN_ORDERS_OF_PLANT", 1)
    await office.say("desk-1", up(write(None, Input.DRAFT, order="o-1")))
    decision = await office.say("desk-1", up(write(None, Input.DRAFT, order="o-2")))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.LIMIT)
    assert office.refusals == [RefusalCode.LIMIT]
    assert "o-2" not in office.node.station.orders


async def test_with_a_disk_that_is_nearly_full_nothing_is_drafted_or_issued_and_what_runs_goes_on(
    office: Office,
) -> None:
    office.node.station.free_disk = lambda: MIN_FREE_DISK - 1
    decision = await office.say("desk-1", up(write(None, Input.DRAFT, order="o-2")))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.LIMIT)
    chain = await office.at(State.DRAFTED)
    issue = chain.event(Input.ISSUE)
    office.people.grant(issue)
    the_refusal(await office.say("desk-1", up(issue)), "desk-1", "desk-1", RefusalCode.LIMIT)


@pytest.mark.parametrize(
    ("state", "given", "peer"),
    [(State.DELIVERED, Input.READ_BACK, "plant-1"), (State.READ_BACK, Input.CONFIRM, "desk-1")],
)
async def test_an_order_that_is_under_way_needs_no_more_room(
    office: Office, state: State, given: Input, peer: str
) -> None:
    office.node.station.free_disk = lambda: 0
    chain = await office.at(state)
    assert given in (await office.say(peer, up(chain.event(given)))).recorded


async def test_an_order_for_a_plant_that_obeys_another_server_is_rejected(office: Office) -> None:
    office.policy.fence_by({"plant-1"}.__contains__)
    chain = await office.at(State.DRAFTED)
    issue = chain.event(Input.ISSUE)
    office.people.grant(issue)
    decision = await office.say("desk-1", up(issue))
    assert decision.recorded == [Input.ISSUE, Input.REJECT]
    rejected = office.order().events[-1].event
    assert isinstance(rejected, Reasoned)
    assert "another server commands the way to 'plant-1'" in rejected.reason
    assert decision.events("plant-1") == []


async def test_what_was_read_back_is_not_confirmed_while_another_server_commands_the_plant(
    office: Office,
) -> None:
    office.policy.fence_by({"plant-1"}.__contains__)
    chain = await office.at(State.READ_BACK)
    decision = await office.say("desk-1", up(chain.event(Input.CONFIRM)))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.POSTURE)
    assert office.order().state is State.READ_BACK
