"""What headquarters refuses for want of room, and for a plant that another server commands."""

import pytest

from protocol.aio import room, station
from protocol.errors import RefusalCode
from protocol.lifecycle import Input, State
from protocol.limits import MAX_RECALLS, MIN_FREE_DISK
from protocol.orders import Reasoned
from protocol.record import apply
from tests.dispatch_server.orders.support import Office, the_refusal
from tests.protocol.parties import CONTENT, OTHER_DISPATCHER, Chain, write
from tests.support.pki import NOW_MS
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


async def test_a_draft_whose_plant_is_its_own_desk_comes_to_its_end_like_any_other(office: Office) -> None:
    content = CONTENT.model_copy(update={"plant": "desk-1", "valid_until_ms": NOW_MS + 1_000})
    draft = write(None, Input.DRAFT, content=content)
    assert (await office.say("desk-1", up(draft))).recorded == [Input.DRAFT]
    open_orders = office.node.station.open_orders
    assert (len(open_orders), open_orders.count("desk-1")) == (1, 1)
    office.clock.advance(2)
    assert (await office.tick()).recorded == [Input.EXPIRE]
    assert (len(open_orders), open_orders.count("desk-1")) == (0, 0)


async def drafted_and_cancelled(office: Office, order: str) -> int:
    """A desk that acknowledges nothing does this without end; tells how many of the two were taken."""
    chain = Chain(apply(None, write(None, Input.DRAFT, order=order)))
    draft = await office.say("desk-1", up(chain.record.events[0]))
    return len(draft.recorded) + len((await office.say("desk-1", up(chain.event(Input.CANCEL)))).recorded)


@pytest.mark.parametrize(("limit", "most"), [("MAX_OUTBOX", 10), ("MAX_OUTBOX_BYTES_OF_PEER", 8_000)])
async def test_a_desk_that_reads_nothing_uses_up_its_own_room_and_not_that_of_all(
    office: Office, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(station, limit, most)
    assert await drafted_and_cancelled(office, "o-1") == 2
    taken = [await drafted_and_cancelled(office, f"o-{number}") for number in range(2, 40)]
    assert sum(taken) < 2 * most
    assert taken[-1] == 0
    assert office.refusals[-2] is RefusalCode.LIMIT
    content = CONTENT.model_copy(update={"desk": "desk-2"})
    other = write(None, Input.DRAFT, order="o-99", by=OTHER_DISPATCHER, content=content)
    assert (await office.say("desk-2", up(other))).recorded == [Input.DRAFT]


async def test_of_refusals_that_nobody_reads_no_more_are_kept_than_twice_what_a_peer_may_have(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(station, "MAX_UNREAD", 8)
    stray = up(Chain.at(State.DRAFTED).event(Input.CANCEL))
    for _ in range(12):
        await office.say("desk-1", stray)
    assert len(office.node.station.outbox("desk-1")) == 8
    assert len(office.refusals) == 12


async def test_an_order_is_not_recalled_without_end(office: Office) -> None:
    chain = await office.at(State.RECALLING)
    for number in range(MAX_RECALLS - 1):
        recall = chain.event(Input.RECALL, reason=str(number))
        assert (await office.say("desk-1", up(recall))).recorded == [Input.RECALL]
    one_more = await office.say("desk-1", up(chain.event(Input.RECALL, reason="again")))
    the_refusal(one_more, "desk-1", "desk-1", RefusalCode.LIMIT)
