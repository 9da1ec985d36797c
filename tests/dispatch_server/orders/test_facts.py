"""dispatch_server/orders: what a plant did is a fact, whoever should not have done it; it is recorded."""

from contextlib import closing

import pytest

from protocol.items import EventItem
from protocol.lifecycle import Input, State
from protocol.limits import CLOCK_SKEW_MS, MAX_WISH_AGE_MS
from tests.dispatch_server.orders.support import Office
from tests.protocol.parties import AUTHORITY, OPERATOR, PLANT, VALID_UNTIL_MS, Chain
from tests.support.pki import NOW_MS
from tests.support.stations import up


@pytest.mark.parametrize(
    ("state", "given"),
    [
        (State.CONFIRMED, Input.BEGIN),
        (State.EXECUTING, Input.COMPLETE),
        (State.UNKNOWN_EXECUTING, Input.FAIL),
        (State.RECALLING, Input.REFUSE),
    ],
)
async def test_a_fact_is_recorded_in_doubt_though_the_session_ended(
    office: Office, state: State, given: Input
) -> None:
    chain = await office.at(state)
    office.people.sessions = set()
    fact = chain.event(given)
    decision = await office.say("plant-1", up(fact))
    assert decision.recorded[0] is given
    assert decision.refusals == []
    assert [note["code"] for note in decision.notes("doubt")] == ["session"]


async def test_a_fact_under_a_certificate_that_is_revoked_by_now_is_recorded_in_doubt() -> None:
    with closing(Office(trust=AUTHORITY.trust(OPERATOR))) as office:
        chain = Chain.at(State.CONFIRMED)
        before = chain.event(Input.BEGIN, at_ms=NOW_MS - 1)
        office.node.station.trust = AUTHORITY.trust()
        await office.node.load(chain.record)
        office.node.station.trust = office.node.trust
        decision = await office.say("plant-1", up(before))
        assert decision.recorded == [Input.BEGIN]
        assert [note["code"] for note in decision.notes("doubt")] == ["signature"]


@pytest.mark.parametrize("off_ms", [CLOCK_SKEW_MS + 1, -MAX_WISH_AGE_MS - 1])
async def test_a_fact_with_a_clock_that_is_off_is_recorded_in_doubt(office: Office, off_ms: int) -> None:
    chain = await office.at(State.CONFIRMED)
    office.clock.ms = NOW_MS + 1_000_000
    begin = chain.event(Input.BEGIN, at_ms=office.clock.ms + off_ms)
    decision = await office.say("plant-1", up(begin))
    assert decision.recorded == [Input.BEGIN]
    assert [note["code"] for note in decision.notes("doubt")] == ["clock"]


async def test_a_fact_that_nothing_speaks_against_is_not_in_doubt(office: Office) -> None:
    chain = await office.at(State.CONFIRMED)
    assert (await office.say("plant-1", up(chain.event(Input.BEGIN)))).notes("doubt") == []


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
    decision = await office.say("desk-1", up(chain.event(Input.CANCEL)))
    assert decision.recorded == [Input.CANCEL]
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
