"""dispatch_client/client.py: what a person signs is pending until headquarters took or refused it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing

import pytest

from dispatch_client.client import OutcomeKind
from dispatch_client.desk import Desk
from dispatch_client.plant import Plant
from protocol.errors import OrderRefused, RefusalCode
from protocol.items import AnswerItem, AskItem, EventItem, answer_item
from protocol.journal.file import JournalError
from protocol.lifecycle import Input, State
from protocol.orders import GENESIS, Step, Ticket
from protocol.record import apply
from tests.dispatch_client.rooms import PATIENCE, SESSION_ENDS_MS, Room, desk_room, plant_room, started
from tests.protocol.parties import (
    AUTHORITY,
    CONTENT,
    DISPATCHER,
    OPERATOR,
    OTHER_DISPATCHER,
    OTHER_OPERATOR,
    VALID_UNTIL_MS,
    Chain,
    write,
)
from tests.support.pki import NOW_MS

# --- what cannot hold is refused before anything leaves ---

Act = Callable[[Room[Desk]], Awaitable[object]]


async def draft_a_book(room: Room[Desk]) -> None:
    steps = tuple(Step(device="断路器" * 60, action="断开" * 90) for _ in range(64))
    ticket = Ticket(number="1", title="too long", steps=steps)
    await room.client.draft(
        "o-9",
        order_type=CONTENT.type,
        plant="plant-1",
        ticket=ticket,
        valid_until_ms=VALID_UNTIL_MS,
        patience=PATIENCE,
    )


async def confirm_late(room: Room[Desk]) -> None:
    room.clock.ms = VALID_UNTIL_MS
    await room.client.confirm("o-1", PATIENCE)


async def confirm_as_a_stranger(room: Room[Desk]) -> None:
    room.person = OTHER_DISPATCHER
    room.client = room._client()
    await room.client.confirm("o-1", PATIENCE)


@pytest.mark.parametrize(
    ("state", "act", "code"),
    [
        (State.DRAFTED, lambda room: room.client.confirm("o-1", PATIENCE), RefusalCode.ILLEGAL),
        (State.EXECUTING, lambda room: room.client.cancel("o-1", "", PATIENCE), RefusalCode.ILLEGAL),
        (State.CLOSED, lambda room: room.client.cancel("o-1", "", PATIENCE), RefusalCode.ILLEGAL),
        (State.READ_BACK, confirm_late, RefusalCode.EXPIRED),
        (State.READ_BACK, confirm_as_a_stranger, RefusalCode.UNAUTHORISED),
        (State.DRAFTED, draft_a_book, RefusalCode.LIMIT),
        (State.DRAFTED, lambda room: room.client.confirm("o-9", PATIENCE), RefusalCode.UNKNOWN_ORDER),
    ],
)
async def test_what_cannot_hold_never_leaves(
    desk: Room[Desk], state: State, act: Act, code: RefusalCode
) -> None:
    await desk.at(state)
    with pytest.raises(OrderRefused) as refusal:
        await act(desk)
    assert refusal.value.code is code
    assert desk.node.decision().batches == ()
    assert not desk.node.station.pending


# --- the person ---


async def nobody(room: Room[Desk]) -> None:
    room.client.login = None


async def too_long_ago(room: Room[Desk]) -> None:
    room.clock.ms = SESSION_ENDS_MS


@pytest.mark.parametrize("leave", [nobody, too_long_ago])
async def test_without_a_session_nothing_is_signed(desk: Room[Desk], leave: Act) -> None:
    await desk.at(State.READ_BACK)
    await leave(desk)
    with pytest.raises(OrderRefused) as refusal:
        await desk.client.confirm("o-1", PATIENCE)
    assert refusal.value.code is RefusalCode.SESSION
    assert desk.client.login is None


async def test_the_last_millisecond_of_a_session_counts(desk: Room[Desk]) -> None:
    desk.clock.ms = SESSION_ENDS_MS - 1
    assert desk.client.person().person == "li"


async def test_a_fact_under_a_certificate_that_ended_is_refused_before_it_parts_the_chains() -> None:
    with closing(plant_room()) as plant:
        plant.person = AUTHORITY.key(OPERATOR.certificate.role, "wang", "plant-1", days=0.01)
        plant.client = plant._client()
        chain = await plant.at(State.CONFIRMED)
        plant.clock.advance(20 * 60)
        with pytest.raises(OrderRefused) as refusal:
            await plant.client.begin("o-1")
        assert refusal.value.code is RefusalCode.SIGNATURE
        assert plant.client.order("o-1") == chain.record


async def test_a_revoked_person_signs_nothing_any_more() -> None:
    with closing(desk_room(AUTHORITY.trust(DISPATCHER))) as desk:
        with pytest.raises(OrderRefused) as refusal:
            desk.client.person()
        assert refusal.value.code is RefusalCode.SIGNATURE


# --- three honest outcomes ---


async def test_taken_when_it_comes_back_on_the_chain(desk: Room[Desk]) -> None:
    await desk.at(State.READ_BACK)
    confirming = asyncio.create_task(desk.client.confirm("o-1", PATIENCE))
    await started(confirming)
    confirm = desk.sent(desk.node.decision())
    assert set(desk.node.station.pending) == {confirm.hash}
    await desk.say(desk.down(confirm))
    outcome = await confirming
    assert (outcome.kind, outcome.order, outcome.event_hash) == (OutcomeKind.TAKEN, "o-1", confirm.hash)
    assert not desk.node.station.pending
    assert desk.client.order("o-1").state is State.CONFIRMED


async def test_refused_with_the_reason_of_headquarters(desk: Room[Desk]) -> None:
    await desk.at(State.READ_BACK)
    confirming = asyncio.create_task(desk.client.confirm("o-1", PATIENCE))
    await started(confirming)
    confirm = desk.sent(desk.node.decision())
    decision = await desk.say(desk.refusal(confirm.hash, RefusalCode.POSTURE, "use the telephone"))
    outcome = await confirming
    assert (outcome.kind, outcome.reason) == (OutcomeKind.REFUSED, "posture: use the telephone")
    assert not desk.node.station.pending
    assert decision.notes("refused")[0]["why"] == "use the telephone"
    assert desk.client.order("o-1").state is State.READ_BACK


async def test_pending_when_headquarters_does_not_answer_in_time(desk: Room[Desk]) -> None:
    await desk.at(State.READ_BACK)
    outcome = await desk.client.confirm("o-1", 0)
    assert outcome.kind is OutcomeKind.PENDING
    assert set(desk.node.station.pending) == {outcome.event_hash}
    assert desk.client.order("o-1").state is State.READ_BACK


async def test_what_was_pending_can_still_be_taken_or_refused(desk: Room[Desk]) -> None:
    await desk.at(State.READ_BACK)
    await desk.client.confirm("o-1", 0)
    confirm = desk.sent(desk.node.decision())
    await desk.say(desk.down(confirm))
    assert not desk.node.station.pending
    recall = await desk.client.cancel("o-1", "stop", 0)
    await desk.say(desk.refusal(recall.event_hash))
    assert not desk.node.station.pending


async def test_what_is_pending_survives_a_restart(desk: Room[Desk]) -> None:
    await desk.at(State.READ_BACK)
    await desk.client.confirm("o-1", 0)
    confirm = desk.sent(desk.node.decision())
    desk.restart()
    assert set(desk.node.station.pending) == {confirm.hash}
    assert len(desk.node.station.outbox("hq")) == 1
    with pytest.raises(OrderRefused):
        await desk.client.cancel("o-1", "stop", 0)
    await desk.say(desk.down(confirm))
    desk.restart()
    assert not desk.node.station.pending
    assert desk.client.order("o-1").state is State.CONFIRMED


async def test_a_refusal_is_remembered_over_a_restart(desk: Room[Desk]) -> None:
    await desk.at(State.READ_BACK)
    outcome = await desk.client.confirm("o-1", 0)
    await desk.say(desk.refusal(outcome.event_hash))
    desk.restart()
    assert not desk.node.station.pending


async def test_what_cannot_be_made_durable_is_neither_sent_nor_answered(desk: Room[Desk]) -> None:
    await desk.at(State.READ_BACK)
    desk.node.writer.broken = True
    with pytest.raises(JournalError):
        await desk.client.confirm("o-1", PATIENCE)
    assert desk.node.station.outbox("hq").after(0, 10) == []
    with pytest.raises(JournalError):
        await desk.node.station.failed


async def test_somebody_who_gives_up_waiting_takes_nothing_back(desk: Room[Desk]) -> None:
    await desk.at(State.READ_BACK)
    confirming = asyncio.create_task(desk.client.confirm("o-1", PATIENCE))
    await started(confirming)
    confirming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await confirming
    confirm = desk.sent(desk.node.decision())
    await desk.say(desk.down(confirm))
    assert desk.client.order("o-1").state is State.CONFIRMED


async def test_it_is_told_when_something_was_signed_here(desk: Room[Desk]) -> None:
    signed: list[bytes] = []
    desk.client.on_signed = signed.append
    await desk.at(State.READ_BACK)
    outcome = await desk.client.confirm("o-1", 0)
    assert signed == [outcome.event_hash]


# --- one wish at a time ---


async def test_a_second_wish_for_an_order_waits_for_the_first(desk: Room[Desk]) -> None:
    await desk.at(State.READ_BACK)
    await desk.client.confirm("o-1", 0)
    desk.node.decision()
    with pytest.raises(OrderRefused) as refusal:
        await desk.client.cancel("o-1", "stop", PATIENCE)
    assert refusal.value.code is RefusalCode.STALE
    assert desk.node.decision().batches == ()


async def test_two_wishes_at_the_same_moment_are_one(desk: Room[Desk]) -> None:
    await desk.at(State.READ_BACK)
    both = await asyncio.gather(
        desk.client.confirm("o-1", 0), desk.client.cancel("o-1", "stop", 0), return_exceptions=True
    )
    assert [isinstance(one, OrderRefused) for one in both] == [False, True]
    assert len(desk.node.station.pending) == 1


async def test_a_wish_for_another_order_does_not_wait(desk: Room[Desk]) -> None:
    await desk.at(State.READ_BACK)
    await desk.node.load(apply(None, write(None, Input.DRAFT, order="o-2")))
    await desk.client.confirm("o-1", 0)
    await desk.client.cancel("o-2", "stop", 0)
    assert len(desk.node.station.pending) == 2


# --- what comes down ---


async def test_an_order_is_built_up_from_what_comes_down(desk: Room[Desk]) -> None:
    chain = Chain.at(State.EXECUTING)
    await desk.say(*map(desk.down, chain.record.events))
    assert desk.client.order("o-1") == chain.record


async def test_what_comes_again_changes_nothing(desk: Room[Desk]) -> None:
    chain = await desk.at(State.EXECUTING)
    decision = await desk.say(*map(desk.down, chain.record.events))
    assert (decision.recorded, decision.posts) == ([], [])
    assert not decision.notes("security") + decision.notes("late")


async def test_an_event_that_is_tampered_with_is_noted_and_not_taken(desk: Room[Desk]) -> None:
    chain = await desk.at(State.READ_BACK)
    item = desk.down(chain.event(Input.CONFIRM)).model_copy(update={"signature": bytes(64)})
    decision = await desk.say(item)
    assert decision.recorded == []
    assert decision.notes("security")[0]["code"] == "signature"


async def test_an_event_that_comes_too_late_is_not_suspect(desk: Room[Desk]) -> None:
    chain = await desk.at(State.CONFIRMED)
    recall = chain.event(Input.RECALL)
    await desk.say(desk.down(chain.event(Input.BEGIN)))
    decision = await desk.say(desk.down(recall))
    assert decision.recorded == []
    assert decision.notes("late")
    assert not decision.notes("security")


async def test_an_event_that_the_table_does_not_allow_is_suspect(desk: Room[Desk]) -> None:
    chain = await desk.at(State.DRAFTED)
    decision = await desk.say(desk.down(chain.event(Input.CONFIRM)))
    assert decision.notes("security")[0]["code"] == "illegal"


@pytest.mark.parametrize("field", ["desk", "plant"])
async def test_an_order_of_other_stations_is_not_taken(
    desk: Room[Desk], plant: Room[Plant], field: str
) -> None:
    room: Room[Desk] | Room[Plant] = desk if field == "desk" else plant
    content = CONTENT.model_copy(update={field: f"{field}-2"})
    signer = OTHER_DISPATCHER if field == "desk" else DISPATCHER
    decision = await room.say(room.down(write(None, Input.DRAFT, by=signer, content=content)))
    assert decision.recorded == []
    assert decision.notes("security")[0]["code"] == "unauthorised"


@pytest.mark.parametrize("to", ["", "desk-2", "hq", "plant-1"])
async def test_an_item_for_another_node_is_not_taken(desk: Room[Desk], to: str) -> None:
    item = desk.down(Chain().record.events[0]).model_copy(update={"to": to})
    decision = await desk.say(item)
    assert decision.recorded == []
    assert decision.notes("security")[0]["to"] == to


async def test_an_answer_that_nobody_asked_for_is_suspect(desk: Room[Desk]) -> None:
    answer = AnswerItem(to="desk-1", plant="plant-1", order="o-1", head=bytes(32), state=None)
    assert (await desk.say(answer)).notes("security")


async def test_a_refusal_of_something_that_nobody_signed_here_is_written_down(desk: Room[Desk]) -> None:
    decision = await desk.say(desk.refusal(b"h" * 32))
    assert decision.notes("refused")
    assert decision.posts == []


async def test_an_item_that_cannot_be_read_is_noted(desk: Room[Desk]) -> None:
    item = EventItem(to="desk-1", body=b"\xff", certificate=b"", signature=bytes(64))
    assert (await desk.say(item)).notes("security")[0]["code"] == "malformed"


# --- where do you stand? ---


async def test_a_question_is_answered_with_what_came_after_and_then_with_the_head(plant: Room[Plant]) -> None:
    chain = Chain.at(State.CONFIRMED)
    asked = chain.record.head
    chain.add(Input.BEGIN)
    chain.add(Input.COMPLETE)
    await plant.node.load(chain.record)
    decision = await plant.say(AskItem(to="plant-1", order="o-1", head=asked))
    assert decision.events("") == [Input.BEGIN, Input.COMPLETE]
    assert decision.posts[-1] == ("hq", answer_item("plant-1", "o-1", chain.record))


async def test_who_stands_where_headquarters_does_says_just_that(plant: Room[Plant]) -> None:
    chain = await plant.at(State.EXECUTING)
    decision = await plant.say(AskItem(to="plant-1", order="o-1", head=chain.record.head))
    assert decision.posts == [("hq", answer_item("plant-1", "o-1", chain.record))]


async def test_who_knows_nothing_of_an_order_says_so(plant: Room[Plant]) -> None:
    decision = await plant.say(AskItem(to="plant-1", order="o-9", head=b"h" * 32))
    ((_, answer),) = decision.posts
    assert isinstance(answer, AnswerItem)
    assert (answer.head, answer.state) == (GENESIS, None)


async def test_a_question_about_an_order_that_is_over_is_answered_from_the_journal(
    plant: Room[Plant],
) -> None:
    chain = await plant.at(State.CLOSED)
    plant.restart()
    assert "o-1" not in plant.node.station.orders
    decision = await plant.say(AskItem(to="plant-1", order="o-1", head=chain.record.head))
    assert decision.posts == [("hq", answer_item("plant-1", "o-1", chain.record))]


async def test_a_stranger_to_this_plant_begins_nothing(plant: Room[Plant]) -> None:
    plant.person = OTHER_OPERATOR
    plant.client = plant._client()
    await plant.at(State.CONFIRMED)
    with pytest.raises(OrderRefused) as refusal:
        await plant.client.begin("o-1")
    assert refusal.value.code is RefusalCode.UNAUTHORISED
    assert plant.node.decision().batches == ()


async def test_every_event_names_the_session_and_the_time_of_this_station(desk: Room[Desk]) -> None:
    chain = await desk.at(State.READ_BACK)
    desk.clock.ms = NOW_MS + 1234
    event = desk.client.compose(chain.record, Input.CONFIRM).event
    assert (event.session, event.at_ms, event.signer) == (bytes(16), NOW_MS + 1234, "li")
