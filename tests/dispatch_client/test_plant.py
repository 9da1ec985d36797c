"""dispatch_client/plant.py: it takes orders in, and it alone knows whether work began."""

from contextlib import closing

import pytest

from dispatch_client.client import OutcomeKind
from dispatch_client.plant import Plant
from protocol.errors import OrderRefused, RefusalCode
from protocol.items import answer_item
from protocol.journal.file import JournalError
from protocol.lifecycle import CUSTODY, TRANSITIONS, Custody, Input, State
from protocol.orders import ReadBack, Recalled
from tests.dispatch_client.rooms import Room, plant_room
from tests.protocol.parties import AUTHORITY, DISPATCHER, HQ, VALID_UNTIL_MS, Chain, shortest_way
from tests.support.pki import NOW_MS

EXPIRING = sorted(
    state
    for state, given in TRANSITIONS
    if state and given is Input.EXPIRE and CUSTODY[state] is Custody.PLANT
)

# --- taking orders in ---


async def test_an_accepted_order_is_delivered_when_it_is_durable_here(plant: Room[Plant]) -> None:
    chain = Chain.at(State.ACCEPTED)
    decision = await plant.say(*map(plant.down, chain.record.events))
    assert decision.recorded == [Input.DRAFT, Input.ISSUE, Input.ACCEPT]
    deliver = plant.sent(decision)
    assert (deliver.event.input, deliver.signer.name) == (Input.DELIVER, "plant-1")
    assert len(decision.batches) == 1
    assert plant.client.order("o-1").state is State.ACCEPTED


async def test_a_draft_and_an_issue_alone_are_not_answered(plant: Room[Plant]) -> None:
    chain = Chain.at(State.ISSUED)
    assert (await plant.say(*map(plant.down, chain.record.events))).posts == []


async def test_an_order_that_is_issued_again_is_delivered_again(plant: Room[Plant]) -> None:
    chain = await plant.at(State.READ_BACK)
    decision = await plant.say(*map(plant.down, (chain.add(Input.REISSUE), chain.add(Input.ACCEPT))))
    assert decision.events("") == [Input.DELIVER]


async def test_what_was_drafted_is_what_is_read_back(plant: Room[Plant]) -> None:
    chain = await plant.at(State.DELIVERED)
    outcome = await plant.client.read_back("o-1", "断开 201", 0)
    event = plant.sent(plant.node.decision()).event
    assert isinstance(event, ReadBack)
    assert (event.content_hash, event.words) == (chain.record.content_hash, "断开 201")
    assert outcome.kind is OutcomeKind.PENDING
    assert plant.client.order("o-1").state is State.DELIVERED


async def test_nothing_of_a_confirmation_is_taken_whose_signer_does_not_count_any_more() -> None:
    """The word that lets work begin; headquarters is told that the plant did not take it."""
    with closing(plant_room(AUTHORITY.trust(DISPATCHER))) as plant:
        chain = Chain.at(State.READ_BACK)
        confirm = chain.event(Input.CONFIRM, at_ms=NOW_MS - 1)
        plant.node.station.trust = AUTHORITY.trust()
        await plant.node.load(chain.record)
        plant.node.station.trust = plant.node.trust
        decision = await plant.say(plant.down(confirm))
        assert decision.recorded == []
        assert decision.posts == [("hq", answer_item("plant-1", "o-1", chain.record))]
        with pytest.raises(OrderRefused):
            await plant.client.begin("o-1")


# --- beginning ---


@pytest.mark.parametrize(
    "state", sorted(set(State) - {State.CONFIRMED, State.RECALLING, State.UNKNOWN, State.REJECTED})
)
async def test_nothing_begins_that_is_not_confirmed(plant: Room[Plant], state: State) -> None:
    await plant.at(state)
    with pytest.raises(OrderRefused) as refusal:
        await plant.client.begin("o-1")
    assert refusal.value.code is RefusalCode.ILLEGAL
    assert plant.node.decision().batches == ()


async def test_a_begin_is_durable_and_on_its_way_when_the_operator_hears_of_it(plant: Room[Plant]) -> None:
    await plant.at(State.CONFIRMED)
    outcome = await plant.client.begin("o-1")
    assert outcome.kind is OutcomeKind.TAKEN
    decision = plant.node.decision()
    assert decision.recorded == [Input.BEGIN]
    assert plant.sent(decision).hash == outcome.event_hash
    plant.restart()
    assert plant.client.order("o-1").state is State.EXECUTING
    assert len(plant.node.station.outbox("hq")) == 1


async def test_nothing_begins_that_cannot_be_written_down(plant: Room[Plant]) -> None:
    await plant.at(State.CONFIRMED)
    plant.node.writer.broken = True
    with pytest.raises(JournalError):
        await plant.client.begin("o-1")


@pytest.mark.parametrize(("own_ms", "superior_ms"), [(0, -1000), (-1000, 0), (5, 5)])
async def test_nothing_begins_that_has_expired_by_our_clock_or_by_the_superiors(
    plant: Room[Plant], own_ms: int, superior_ms: int
) -> None:
    await plant.at(State.CONFIRMED)
    plant.clock.ms = VALID_UNTIL_MS + own_ms
    plant.client.superior_ms = lambda: VALID_UNTIL_MS + superior_ms
    with pytest.raises(OrderRefused) as refusal:
        await plant.client.begin("o-1")
    assert refusal.value.code is RefusalCode.EXPIRED
    assert plant.node.decision().batches == ()


async def test_in_the_last_millisecond_work_may_begin(plant: Room[Plant]) -> None:
    await plant.at(State.CONFIRMED)
    plant.clock.ms = VALID_UNTIL_MS - 1
    assert (await plant.client.begin("o-1")).kind is OutcomeKind.TAKEN


async def test_work_begins_once(plant: Room[Plant]) -> None:
    await plant.at(State.CONFIRMED)
    await plant.client.begin("o-1")
    with pytest.raises(OrderRefused) as refusal:
        await plant.client.begin("o-1")
    assert refusal.value.code is RefusalCode.ILLEGAL


async def test_what_was_begun_can_be_completed_or_fail(plant: Room[Plant]) -> None:
    await plant.at(State.EXECUTING)
    assert (await plant.client.complete("o-1", "open and earthed")).kind is OutcomeKind.TAKEN
    assert plant.node.decision().recorded == [Input.COMPLETE]
    assert plant.client.order("o-1").state is State.COMPLETED


@pytest.mark.parametrize("end", ["complete", "fail"])
@pytest.mark.parametrize("state", [State.CONFIRMED, State.READ_BACK, State.CLOSED])
async def test_what_was_not_begun_has_no_end(plant: Room[Plant], state: State, end: str) -> None:
    await plant.at(state)
    act = plant.client.complete if end == "complete" else plant.client.fail
    with pytest.raises(OrderRefused) as refusal:
        await act("o-1", "done")
    assert refusal.value.code is RefusalCode.ILLEGAL


# --- recall ---


async def test_a_recall_that_comes_before_the_beginning_is_answered_and_ends_the_order(
    plant: Room[Plant],
) -> None:
    chain = await plant.at(State.CONFIRMED)
    recall = chain.event(Input.RECALL)
    decision = await plant.say(plant.down(recall))
    assert decision.recorded == [Input.RECALL, Input.RECALLED]
    answer = plant.sent(decision).event
    assert isinstance(answer, Recalled)
    assert answer.recall == recall.hash
    assert plant.client.order("o-1").state is State.CANCELLED
    with pytest.raises(OrderRefused):
        await plant.client.begin("o-1")


async def test_a_recall_that_comes_after_the_beginning_is_late_and_headquarters_hears_where_we_stand(
    plant: Room[Plant],
) -> None:
    chain = await plant.at(State.CONFIRMED)
    recall = chain.event(Input.RECALL)
    await plant.client.begin("o-1")
    plant.node.decision()
    decision = await plant.say(plant.down(recall))
    record = plant.client.order("o-1")
    assert record.state is State.EXECUTING
    assert decision.recorded == []
    assert decision.posts == [("hq", answer_item("plant-1", "o-1", record))]
    assert decision.notes("late")


async def test_a_second_recall_of_an_order_that_was_given_up_changes_nothing(plant: Room[Plant]) -> None:
    chain = await plant.at(State.CONFIRMED)
    first = chain.event(Input.RECALL)
    second = chain.event(Input.RECALL, reason="again")
    await plant.say(plant.down(first))
    decision = await plant.say(plant.down(second))
    assert decision.recorded == []
    assert plant.client.order("o-1").state is State.CANCELLED


# --- refusing ---


@pytest.mark.parametrize("state", [State.DELIVERED, State.READ_BACK])
async def test_before_the_confirmation_refusing_is_a_wish(plant: Room[Plant], state: State) -> None:
    await plant.at(state)
    assert (await plant.client.refuse("o-1", "gas is low", 0)).kind is OutcomeKind.PENDING
    assert plant.client.order("o-1").state is state


async def test_after_the_confirmation_refusing_is_a_fact(plant: Room[Plant]) -> None:
    await plant.at(State.CONFIRMED)
    assert (await plant.client.refuse("o-1", "gas is low", 0)).kind is OutcomeKind.TAKEN
    assert plant.client.order("o-1").state is State.REFUSED


async def test_what_was_begun_cannot_be_refused(plant: Room[Plant]) -> None:
    await plant.at(State.EXECUTING)
    with pytest.raises(OrderRefused):
        await plant.client.refuse("o-1", "gas is low", 0)


# --- time ---


@pytest.mark.parametrize("state", EXPIRING)
async def test_what_nobody_began_in_time_expires_once(plant: Room[Plant], state: State) -> None:
    await plant.at(state)
    plant.clock.ms = VALID_UNTIL_MS
    decision = await plant.node.commit(plant.client.on_tick())
    assert decision.recorded == [Input.EXPIRE]
    assert plant.sent(decision).event.input is Input.EXPIRE
    assert plant.client.order("o-1").state is State.EXPIRED
    assert plant.client.on_tick() is None


@pytest.mark.parametrize("state", sorted(set(State) - set(EXPIRING)))
async def test_nothing_else_expires_here(plant: Room[Plant], state: State) -> None:
    await plant.at(state)
    plant.clock.ms = VALID_UNTIL_MS + 86_400_000
    assert plant.client.on_tick() is None


@pytest.mark.parametrize("state", EXPIRING)
async def test_nothing_expires_before_its_time(plant: Room[Plant], state: State) -> None:
    await plant.at(state)
    plant.clock.ms = VALID_UNTIL_MS - 1
    assert plant.client.on_tick() is None


async def test_the_superiors_clock_expires_an_order_too(plant: Room[Plant]) -> None:
    await plant.at(State.CONFIRMED)
    plant.client.superior_ms = lambda: VALID_UNTIL_MS
    assert (await plant.node.commit(plant.client.on_tick())).recorded == [Input.EXPIRE]


@pytest.mark.parametrize("state", [State.UNKNOWN, State.UNKNOWN_EXECUTING])
async def test_a_superior_that_sends_what_it_merely_observes_stops_nothing(
    plant: Room[Plant], state: State
) -> None:
    """It never should; if it is captured it may."""
    chain = Chain.along(*shortest_way(state)[1:])
    await plant.say(*map(plant.down, chain.record.events))
    plant.clock.ms = VALID_UNTIL_MS
    await plant.node.commit(plant.client.on_tick())
    assert plant.client.order("o-1").state in {State.EXPIRED, State.UNKNOWN_EXECUTING}


async def test_a_desks_clock_expires_nothing_at_the_plant(plant: Room[Plant]) -> None:
    chain = await plant.at(State.CONFIRMED)
    expire = chain.event(Input.EXPIRE, by=HQ)
    decision = await plant.say(plant.down(expire))
    assert decision.recorded == []
    assert decision.notes("security")[0]["code"] == "unauthorised"
