"""dispatch_server/orders/relay.py: keeps and passes on what may pass; nobody speaks for others."""

from contextlib import closing

import pytest

from protocol.errors import RefusalCode
from protocol.items import AnswerItem, AskItem, EventItem, Item, RefusalItem, answer_item, event_item
from protocol.keys import Role
from protocol.lifecycle import Input, State
from protocol.orders import VerifiedEvent
from protocol.record import OrderRecord
from tests.dispatch_server.orders.support import FAR_OPERATOR, Center, FarChain
from tests.protocol.parties import AUTHORITY, DISPATCHER, HQ, OPERATOR, Chain, shortest_way
from tests.support.pki import NOW_MS
from tests.support.stations import Decision, up

NEIGHBOUR = AUTHORITY.key(Role.PLANT, "plant-4")
NEIGHBOURS_OPERATOR = AUTHORITY.key(Role.OPERATOR, "he", "plant-4")


def down(event: VerifiedEvent, to: str = "plant-3") -> EventItem:
    """An event on its way from headquarters."""
    return event_item(event.signed, to)


async def at(center: Center, state: State) -> Chain:
    """The order for plant-3, as the center knows it."""
    chain = FarChain.along(*shortest_way(state)[1:])
    await center.node.load(chain.record)
    return chain


def the_refusal(decision: Decision, peer: str, code: RefusalCode) -> None:
    """Nothing passed; the child that spoke is told, and the ledger knows."""
    assert decision.recorded == []
    assert [told for told, _ in decision.posts] == [peer]
    assert [(item.to, item.code) for _, item in decision.refusals] == [(peer, code)]
    assert code.value in {note["code"] for note in decision.notes("security") + decision.notes("late")}


def went_nowhere(decision: Decision, record: OrderRecord | None) -> None:
    """Nothing was passed on or kept; headquarters is told where the order ends here."""
    assert decision.recorded == []
    assert decision.posts == [("hq", answer_item("plant-3", "o-1", record))]


# --- down ---


async def test_an_order_from_above_is_kept_and_passed_on_in_its_order(center: Center) -> None:
    chain = FarChain.along(Input.ISSUE, Input.ACCEPT)
    items = [down(event) for event in chain.record.events]
    decision = await center.say("hq", *items)
    assert decision.posts == [("plant-3", item) for item in items]
    assert decision.recorded == [Input.DRAFT, Input.ISSUE, Input.ACCEPT]
    assert center.order() == chain.record


async def test_what_comes_twice_from_above_is_kept_once_and_passed_on_again(center: Center) -> None:
    chain = await at(center, State.READ_BACK)
    item = down(chain.event(Input.CONFIRM))
    await center.say("hq", item)
    decision = await center.say("hq", item)
    assert (decision.recorded, decision.posts) == ([], [("plant-3", item)])


@pytest.mark.parametrize(
    "item",
    [
        AskItem(to="plant-3", order="o-1", head=bytes(32)),
        RefusalItem(to="plant-3", order="o-1", event=bytes(32), code=RefusalCode.STALE, detail="late"),
    ],
    ids=lambda item: item.kind,
)
async def test_questions_and_refusals_from_above_pass(center: Center, item: Item) -> None:
    assert (await center.say("hq", item)).posts == [("plant-3", item)]


@pytest.mark.parametrize("to", ["plant-1", "center-1", "desk-1", ""])
async def test_an_item_for_a_node_that_is_no_child_goes_nowhere(center: Center, to: str) -> None:
    decision = await center.say("hq", down(FarChain().record.events[0], to))
    assert (decision.posts, decision.recorded) == ([], [])
    assert decision.notes("security")[0]["to"] == to


async def test_a_tampered_event_from_above_goes_nowhere_and_headquarters_hears_of_it(center: Center) -> None:
    item = down(FarChain().record.events[0]).model_copy(update={"signature": bytes(64)})
    decision = await center.say("hq", item)
    went_nowhere(decision, None)
    assert decision.notes("security")[0]["code"] == "signature"


async def test_an_event_from_above_that_does_not_continue_the_chain_goes_nowhere(center: Center) -> None:
    chain = await at(center, State.READ_BACK)
    decision = await center.say("hq", down(chain.event(Input.CONFIRM, previous=b"p" * 32)))
    went_nowhere(decision, chain.record)


async def test_a_recall_that_meets_a_begun_order_is_late_and_not_suspect(center: Center) -> None:
    chain = await at(center, State.CONFIRMED)
    recall = chain.event(Input.RECALL)
    await center.say("plant-3", up(chain.add(Input.BEGIN)))
    decision = await center.say("hq", down(recall))
    went_nowhere(decision, chain.record)
    assert decision.notes("late")
    assert not decision.notes("security")


# --- up ---


@pytest.mark.parametrize(
    ("state", "given"),
    [
        (State.ACCEPTED, Input.DELIVER),
        (State.DELIVERED, Input.READ_BACK),
        (State.READ_BACK, Input.REFUSE),
    ],
)
async def test_a_wish_of_a_child_passes_and_is_not_kept_before_headquarters_took_it(
    center: Center, state: State, given: Input
) -> None:
    chain = await at(center, state)
    item = up(chain.event(given))
    decision = await center.say("plant-3", item)
    assert (decision.recorded, decision.posts) == ([], [("hq", item)])
    assert center.order() == chain.record


@pytest.mark.parametrize(
    ("state", "given"),
    [
        (State.CONFIRMED, Input.BEGIN),
        (State.CONFIRMED, Input.REFUSE),
        (State.EXECUTING, Input.COMPLETE),
        (State.RECALLING, Input.RECALLED),
    ],
)
async def test_a_fact_of_a_child_is_kept_and_passed_on(center: Center, state: State, given: Input) -> None:
    chain = await at(center, state)
    fact = chain.add(given)
    decision = await center.say("plant-3", up(fact))
    assert (decision.recorded, decision.posts) == ([given], [("hq", up(fact))])
    assert center.order() == chain.record


async def test_a_fact_is_kept_though_the_session_ended_and_the_certificate_too() -> None:
    with closing(Center(trust=AUTHORITY.trust(FAR_OPERATOR))) as center:
        chain = FarChain.along(*shortest_way(State.CONFIRMED)[1:])
        before = chain.event(Input.BEGIN, at_ms=NOW_MS - 1)
        center.node.station.trust = AUTHORITY.trust()
        await center.node.load(chain.record)
        center.node.station.trust = center.node.trust
        center.people.sessions = set()
        assert (await center.say("plant-3", up(before))).recorded == [Input.BEGIN]


async def test_a_fact_that_comes_twice_is_kept_once_and_passed_on_again(center: Center) -> None:
    chain = await at(center, State.CONFIRMED)
    item = up(chain.event(Input.BEGIN))
    await center.say("plant-3", item)
    decision = await center.say("plant-3", item)
    assert (decision.recorded, decision.posts) == ([], [("hq", item)])


async def test_a_wish_that_was_signed_before_the_confirmation_passes_unrecorded(center: Center) -> None:
    chain = await at(center, State.READ_BACK)
    wish = up(chain.event(Input.REFUSE))
    await center.say("hq", down(chain.add(Input.CONFIRM)))
    decision = await center.say("plant-3", wish)
    assert (decision.recorded, decision.posts) == ([], [("hq", wish)])
    assert not decision.notes("security")
    assert center.order().state is State.CONFIRMED


@pytest.mark.parametrize(
    "sessions", [set(), {(bytes(16), "zhou", "plant-4")}, {(bytes(16), "wang", "plant-3")}]
)
async def test_a_wish_of_an_operator_without_a_session_here_is_refused(
    center: Center, sessions: set[tuple[bytes, str, str]]
) -> None:
    chain = await at(center, State.DELIVERED)
    center.people.sessions = sessions
    decision = await center.say("plant-3", up(chain.event(Input.READ_BACK)))
    the_refusal(decision, "plant-3", RefusalCode.SESSION)


async def test_what_a_station_signs_itself_needs_no_session(center: Center) -> None:
    chain = await at(center, State.ACCEPTED)
    center.people.sessions = set()
    assert (await center.say("plant-3", up(chain.event(Input.DELIVER)))).refusals == []


async def test_a_wish_of_a_revoked_operator_is_refused_whatever_time_it_names() -> None:
    with closing(Center(trust=AUTHORITY.trust(FAR_OPERATOR))) as center:
        chain = FarChain.along(*shortest_way(State.DELIVERED)[1:])
        await center.node.load(chain.record)
        backdated = chain.event(Input.READ_BACK, at_ms=NOW_MS - 60_000)
        the_refusal(await center.say("plant-3", up(backdated)), "plant-3", RefusalCode.SIGNATURE)


async def test_a_child_speaks_only_for_itself_and_for_those_who_work_there(center: Center) -> None:
    chain = await at(center, State.CONFIRMED)
    for by, given in (
        (DISPATCHER, Input.RECALL),
        (HQ, Input.LOSE),
        (OPERATOR, Input.BEGIN),
        (NEIGHBOURS_OPERATOR, Input.BEGIN),
        (NEIGHBOUR, Input.EXPIRE),
    ):
        decision = await center.say("plant-3", up(chain.event(given, by=by)))
        the_refusal(decision, "plant-3", RefusalCode.UNAUTHORISED)


async def test_a_child_does_not_speak_of_the_order_of_another_child(center: Center) -> None:
    chain = await at(center, State.CONFIRMED)
    decision = await center.say("plant-4", up(chain.event(Input.EXPIRE, by=NEIGHBOUR)))
    the_refusal(decision, "plant-4", RefusalCode.UNKNOWN_ORDER)
    decision = await center.say("plant-4", up(chain.event(Input.BEGIN)))
    the_refusal(decision, "plant-4", RefusalCode.UNAUTHORISED)


async def test_an_order_that_never_came_from_above_is_unknown(center: Center) -> None:
    wish = Chain.at(State.DELIVERED).event(Input.READ_BACK, by=FAR_OPERATOR)
    the_refusal(await center.say("plant-3", up(wish)), "plant-3", RefusalCode.UNKNOWN_ORDER)


async def test_a_tampered_event_from_below_is_refused(center: Center) -> None:
    chain = await at(center, State.CONFIRMED)
    item = up(chain.event(Input.BEGIN)).model_copy(update={"signature": bytes(64)})
    the_refusal(await center.say("plant-3", item), "plant-3", RefusalCode.SIGNATURE)


async def test_what_cannot_be_read_is_noted_and_there_is_nobody_to_tell(center: Center) -> None:
    chain = await at(center, State.CONFIRMED)
    item = up(chain.event(Input.BEGIN)).model_copy(update={"body": b"\xff"})
    decision = await center.say("plant-3", item)
    assert decision.posts == []
    assert decision.notes("security")[0]["code"] == "malformed"


@pytest.mark.parametrize(
    "item",
    [
        AskItem(to="", order="o-1", head=bytes(32)),
        RefusalItem(to="", order="o-1", event=bytes(32), code=RefusalCode.STALE, detail=""),
        AnswerItem(to="hq", plant="plant-3", order="o-1", head=bytes(32), state=None),
        down(FarChain().record.events[0], "plant-4"),
    ],
    ids=["ask", "refusal", "answer not for headquarters", "event for a neighbour"],
)
async def test_a_child_may_not_send_what_a_superior_sends_nor_to_anybody_else(
    center: Center, item: Item
) -> None:
    assert await center.node.station.take("plant-3", [(1, item.encode())], center.policy) == 1
    decision = center.node.decision()
    assert decision.posts == []
    assert decision.notes("security")[0]["subject"] == "plant-3"


async def test_an_answer_passes_only_from_the_plant_that_it_names(center: Center) -> None:
    await at(center, State.CONFIRMED)
    answer = AnswerItem(to="", plant="plant-3", order="o-1", head=bytes(32), state=None)
    assert (await center.say("plant-3", answer)).posts == [("hq", answer)]
    decision = await center.say("plant-4", answer)
    assert decision.posts == []
    assert decision.notes("security")[0]["code"] == "unauthorised"


async def test_an_answer_about_an_order_of_another_plant_goes_nowhere(center: Center) -> None:
    await at(center, State.CONFIRMED)
    answer = AnswerItem(to="", plant="plant-4", order="o-1", head=bytes(32), state=None)
    decision = await center.say("plant-4", answer)
    assert decision.posts == []
    assert decision.notes("security")[0]["code"] == "unknown-order"


async def test_an_answer_about_an_order_unknown_here_passes_only_when_headquarters_asked(
    center: Center,
) -> None:
    """The plant came under this center while the order was open: then only headquarters knows it."""
    answer = AnswerItem(to="", plant="plant-3", order="o-9", head=bytes(32), state=None)
    assert (await center.say("plant-3", answer)).posts == []
    await center.say("hq", AskItem(to="plant-3", order="o-9", head=bytes(32)))
    assert (await center.say("plant-3", answer)).posts == [("hq", answer)]
    assert (await center.say("plant-3", answer)).posts == []


async def test_a_wish_that_headquarters_would_refuse_is_refused_here(center: Center) -> None:
    chain = await at(center, State.DELIVERED)
    earlier = chain.event(Input.READ_BACK, previous=chain.record.events[-2].hash)
    the_refusal(await center.say("plant-3", up(earlier)), "plant-3", RefusalCode.STALE)
    too_early = chain.event(Input.BEGIN)
    the_refusal(await center.say("plant-3", up(too_early)), "plant-3", RefusalCode.ILLEGAL)


async def test_of_one_order_one_decision_waits_for_headquarters_at_a_time(center: Center) -> None:
    """Or a captured plant would fill the center's disk while headquarters is away."""
    chain = await at(center, State.DELIVERED)
    first, second = (chain.event(Input.READ_BACK, words=words) for words in ("断开 201", "断开 202"))
    assert (await center.say("plant-3", up(first))).posts == [("hq", up(first))]
    the_refusal(await center.say("plant-3", up(second)), "plant-3", RefusalCode.STALE)
    answer = RefusalItem(to="plant-3", order="o-1", event=first.hash, code=RefusalCode.CLOCK, detail="late")
    await center.say("hq", answer)
    assert (await center.say("plant-3", up(second))).posts == [("hq", up(second))]


async def test_what_headquarters_can_do_without_is_not_kept_when_too_much_waits(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = await at(center, State.CONFIRMED)
    begun = chain.add(Input.BEGIN)
    monkeypatch.setattr("protocol.aio.station.MAX_OUTBOX", 0)
    fact = await center.say("plant-3", up(begun))
    assert fact.posts == [("hq", up(begun))]
    again = await center.say("plant-3", up(begun))
    assert [(item.to, item.code) for _, item in again.refusals] == [("plant-3", RefusalCode.LIMIT)]
    answer = AnswerItem(to="", plant="plant-3", order="o-1", head=chain.record.head, state=None)
    assert (await center.say("plant-3", answer)).posts == []


async def test_a_wish_is_refused_when_too_much_waits(center: Center, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = await at(center, State.DELIVERED)
    monkeypatch.setattr("protocol.aio.station.MAX_OUTBOX", 0)
    wish = await center.say("plant-3", up(chain.event(Input.READ_BACK)))
    the_refusal(wish, "plant-3", RefusalCode.LIMIT)


async def test_nobody_above_fills_a_center_with_what_nobody_signed(
    center: Center, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has the key of headquarters, while a plant or the true headquarters reads nothing."""
    monkeypatch.setattr("protocol.aio.station.MAX_UNREAD", 8)
    chain = await at(center, State.CONFIRMED)
    known = down(chain.record.events[0])
    forged = known.model_copy(update={"signature": bytes(64)})
    ask = AskItem(to="plant-3", order="o-1", head=bytes(32))
    refusal = RefusalItem(to="plant-3", order="o-1", event=bytes(32), code=RefusalCode.STALE, detail="")
    for item in (ask, refusal, known, forged):
        await center.say("hq", *[item] * 9)
        await center.say("hq", item)
    station = center.node.station
    assert len(station.outbox("plant-3")) < 8 + 9
    assert len(station.outbox("hq")) < 8 + 9
    recall = down(chain.add(Input.RECALL))
    assert (await center.say("hq", recall)).posts == [("plant-3", recall)]


async def test_after_a_restart_the_center_goes_on_where_it_was(center: Center) -> None:
    chain = await at(center, State.CONFIRMED)
    await center.say("plant-3", up(chain.add(Input.BEGIN)))
    center.restart()
    decision = await center.say("plant-3", up(chain.add(Input.COMPLETE)))
    assert decision.recorded == [Input.COMPLETE]
    assert len(center.node.station.outbox("hq")) == 2
