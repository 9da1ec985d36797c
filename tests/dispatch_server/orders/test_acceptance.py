"""dispatch_server/orders/headquarters.py: an issued order is accepted or rejected by what surrounds it.

Each rule by itself stands in test_checks.py; here it is proved that headquarters looks at the right facts.
"""

from contextlib import closing

import pytest

from dispatch_server.orders.checks import Rules
from protocol.aio import station as station_module
from protocol.items import AskItem
from protocol.lifecycle import Input, State
from protocol.orders import OrderType, Reasoned, Step, VerifiedEvent
from protocol.record import OrderRecord, apply
from situational import Posture
from tests.dispatch_server.orders.support import FarChain, Office
from tests.protocol.parties import CONTENT, VALID_UNTIL_MS, Chain, write
from tests.support.pki import NOW_MS
from tests.support.stations import Decision, up


def drafted(
    order: str = "o-1",
    *,
    plant: str = "plant-1",
    device: str = "断路器 201",
    valid_until_ms: int = VALID_UNTIL_MS,
    kind: OrderType = OrderType.PERMITTED_OPERATION,
) -> Chain:
    """A draft of the usual dispatcher."""
    ticket = CONTENT.ticket.model_copy(update={"steps": (Step(device=device, action="断开"),)})
    changes = {"plant": plant, "ticket": ticket, "valid_until_ms": valid_until_ms, "type": kind}
    first = write(None, Input.DRAFT, order=order, content=CONTENT.model_copy(update=changes))
    return Chain(apply(None, first))


def issue_of(office: Office, chain: Chain, number: int = 0, at_ms: int = NOW_MS) -> VerifiedEvent:
    """An issue for which both factors were given."""
    event = chain.event(Input.ISSUE, challenge=number.to_bytes(16), at_ms=at_ms)
    office.people.grant(event)
    return event


async def issue(office: Office, chain: Chain) -> Decision:
    """Draft and issue."""
    await office.node.load(chain.record)
    return await office.say("desk-1", up(issue_of(office, chain)))


def why(record: OrderRecord) -> str:
    """What the dispatcher is told by the rejection."""
    last = record.events[-1].event
    assert isinstance(last, Reasoned)
    assert last.input is Input.REJECT
    return last.reason


async def test_what_nothing_is_objected_to_is_accepted(office: Office) -> None:
    assert (await issue(office, drafted())).recorded == [Input.ISSUE, Input.ACCEPT]
    assert office.order().state is State.ACCEPTED


async def test_the_desk_is_told_why_its_order_was_rejected_and_the_plant_hears_nothing(
    office: Office,
) -> None:
    decision = await issue(office, drafted(plant="plant-9"))
    assert decision.events("desk-1") == [Input.ISSUE, Input.REJECT]
    assert {peer for peer, _ in decision.posts} == {"desk-1"}
    assert "'plant-9'" in why(office.order())


@pytest.mark.parametrize("late_ms", [0, 1, 60_000])
async def test_an_issue_that_arrives_after_the_validity_is_rejected(office: Office, late_ms: int) -> None:
    chain = drafted()
    await office.node.load(chain.record)
    office.clock.ms = VALID_UNTIL_MS + late_ms
    await office.say("desk-1", up(issue_of(office, chain, at_ms=VALID_UNTIL_MS - 1)))
    assert "validity is over" in why(office.order())


async def test_a_validity_beyond_the_rules_is_rejected() -> None:
    with closing(Office(rules=Rules(max_validity_ms=60_000))) as office:
        await issue(office, drafted())
        assert "longer" in why(office.order())


@pytest.mark.parametrize("in_time", range(12))
async def test_wherever_the_validity_ends_during_a_decision_it_is_accepted_or_rejected(
    office: Office, monkeypatch: pytest.MonkeyPatch, in_time: int
) -> None:
    """`in_time`: how many readings of the clock lie before the end."""
    chain = drafted()
    await office.node.load(chain.record)
    event = issue_of(office, chain, at_ms=VALID_UNTIL_MS - 1)
    work = office.node.station.work()
    await office.policy.prepare("desk-1", up(event))
    readings = iter(range(VALID_UNTIL_MS - in_time, VALID_UNTIL_MS + 100))
    monkeypatch.setattr(office.node.station, "wall_ms", lambda: next(readings))
    office.policy.on_item(work, "desk-1", up(event))
    assert work.orders["o-1"].state in {State.ACCEPTED, State.REJECTED}


@pytest.mark.parametrize("node", ["hq", "desk-1", "plant-1"])
async def test_the_posture_of_each_node_that_takes_part_holds_the_order(office: Office, node: str) -> None:
    office.postures[node] = Posture.HELD
    await issue(office, drafted())
    assert "telephone" in why(office.order())


@pytest.mark.parametrize("node", ["center-1", "plant-3"])
async def test_behind_a_center_the_postures_of_center_and_plant_hold_the_order(
    office: Office, node: str
) -> None:
    office.postures[node] = Posture.HELD
    await issue(office, FarChain())
    assert "telephone" in why(office.order())


@pytest.mark.parametrize("node", ["plant-2", "desk-2", "center-1", "plant-3"])
async def test_the_posture_of_a_node_that_takes_no_part_holds_nothing(office: Office, node: str) -> None:
    office.postures[node] = Posture.HELD
    await issue(office, drafted())
    assert office.order().state is State.ACCEPTED


async def test_a_restricted_posture_lets_the_listed_types_pass_to_a_second_person(office: Office) -> None:
    office.postures["plant-1"] = Posture.RESTRICTED
    await issue(office, drafted("o-1"))
    await issue(office, drafted("o-2", kind=OrderType.OUTAGE_NOTICE))
    assert "restricted" in why(office.order("o-1"))
    assert office.order("o-2").state is State.AWAITING


async def test_equipment_is_locked_by_an_order_that_is_issued(office: Office) -> None:
    await office.at(State.EXECUTING)
    await issue(office, drafted("o-2"))
    assert "under order o-1" in why(office.order("o-2"))


async def test_equipment_is_locked_by_an_order_that_waits_for_a_second_person(office: Office) -> None:
    await office.at(State.AWAITING)
    await issue(office, drafted("o-2"))
    assert "under order o-1" in why(office.order("o-2"))


@pytest.mark.parametrize("state", [State.DRAFTED, State.CLOSED, State.CANCELLED, State.REJECTED])
async def test_equipment_is_free_while_no_order_has_it(office: Office, state: State) -> None:
    await office.at(state)
    await issue(office, drafted("o-2"))
    assert office.order("o-2").state is State.ACCEPTED


async def test_of_two_issues_in_one_report_only_the_first_has_the_equipment(office: Office) -> None:
    first, second = drafted("o-1"), drafted("o-2")
    await office.node.load(first.record)
    await office.node.load(second.record)
    items = [up(issue_of(office, chain, number)) for number, chain in enumerate((first, second))]
    decision = await office.say("desk-1", *items)
    assert decision.recorded == [Input.ISSUE, Input.ACCEPT, Input.ISSUE, Input.REJECT]
    assert "under order o-1" in why(office.order("o-2"))


async def test_a_cancellation_in_the_same_report_frees_the_equipment(office: Office) -> None:
    held, free = await office.at(State.READ_BACK), drafted("o-2")
    await office.node.load(free.record)
    await office.say("desk-1", up(held.event(Input.CANCEL)), up(issue_of(office, free)))
    assert office.order("o-2").state is State.ACCEPTED


async def test_an_order_does_not_lock_itself_out_when_it_is_issued_again(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    reissue = chain.event(Input.REISSUE)
    office.people.grant(reissue)
    await office.say("desk-1", up(reissue))
    assert office.order().state is State.ACCEPTED


async def test_a_crowded_way_rejects_what_is_for_it_and_nothing_else(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(station_module, "MAX_OUTBOX", 4)
    work = office.node.station.work()
    for _ in range(4):
        work.post("center-1", AskItem(to="plant-3", order="o-9", head=bytes(32)))
    await office.node.commit(work)
    await issue(office, FarChain())
    await issue(office, drafted("o-2"))
    assert "too much waits" in why(office.order("o-1"))
    assert office.order("o-2").state is State.ACCEPTED


async def test_a_signature_of_before_does_not_stretch_the_validity(office: Office) -> None:
    chain = drafted(valid_until_ms=NOW_MS + 1_000)
    office.clock.advance(-20)
    await issue(office, chain)
    assert office.order().state is State.ACCEPTED
    office.clock.advance(21)
    assert (await office.tick()).recorded == [Input.EXPIRE]
