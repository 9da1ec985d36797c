"""dispatch_server/orders/headquarters.py: what may not be, is refused, and its station is told why."""

from contextlib import closing

import pytest

from dispatch_server.orders.checks import Rules
from protocol.errors import RefusalCode
from protocol.items import AskItem, Item, RefusalItem
from protocol.keys import SigningKey
from protocol.lifecycle import Input, State
from protocol.limits import CLOCK_SKEW_MS, MAX_WISH_AGE_MS
from protocol.orders import approval_digest
from situational import Posture
from tests.dispatch_server.orders.support import Office, the_refusal
from tests.protocol.parties import (
    AUTHORITY,
    CONTENT,
    DISPATCHER,
    HQ,
    OPERATOR,
    OTHER_DISPATCHER,
    OTHER_OPERATOR,
    OTHER_PLANT,
    SUPERVISOR,
    Chain,
    write,
)
from tests.support.pki import NOW_MS
from tests.support.stations import up

# --- who may speak for whom ---


@pytest.mark.parametrize(
    ("state", "given", "peer"),
    [
        (State.READ_BACK, Input.CONFIRM, "desk-2"),
        (State.READ_BACK, Input.CONFIRM, "plant-1"),
        (State.CONFIRMED, Input.RECALL, "center-1"),
        (State.ACCEPTED, Input.DELIVER, "plant-2"),
        (State.DELIVERED, Input.READ_BACK, "desk-1"),
        (State.DELIVERED, Input.READ_BACK, "plant-2"),
        (State.CONFIRMED, Input.BEGIN, "center-1"),
        (State.EXECUTING, Input.COMPLETE, "desk-1"),
    ],
)
async def test_a_peer_speaks_only_for_those_who_work_there(
    office: Office, state: State, given: Input, peer: str
) -> None:
    chain = await office.at(state)
    decision = await office.say(peer, up(chain.event(given)))
    the_refusal(decision, peer, peer, RefusalCode.UNAUTHORISED)
    assert office.order() == chain.record


async def test_a_draft_comes_from_the_desk_that_it_names(office: Office) -> None:
    decision = await office.say("desk-2", up(write(None, Input.DRAFT)))
    the_refusal(decision, "desk-2", "desk-2", RefusalCode.UNAUTHORISED)
    assert "o-1" not in office.node.station.orders


@pytest.mark.parametrize(
    ("state", "given", "peer"),
    [
        (State.ISSUED, Input.ACCEPT, "desk-1"),
        (State.ISSUED, Input.REJECT, "desk-1"),
        (State.DELIVERED, Input.NO_ANSWER, "plant-1"),
        (State.CONFIRMED, Input.LOSE, "plant-1"),
        (State.UNKNOWN, Input.FIND, "plant-1"),
        (State.COMPLETED, Input.CLOSE, "plant-1"),
    ],
)
async def test_what_headquarters_signed_is_not_taken_from_a_peer(
    office: Office, state: State, given: Input, peer: str
) -> None:
    chain = await office.at(state)
    decision = await office.say(peer, up(chain.event(given, by=HQ)))
    the_refusal(decision, peer, peer, RefusalCode.UNAUTHORISED)


@pytest.mark.parametrize(
    ("state", "given", "by", "peer"),
    [
        (State.READ_BACK, Input.CONFIRM, OTHER_DISPATCHER, "desk-1"),
        (State.READ_BACK, Input.CONFIRM, SUPERVISOR, "desk-1"),
        (State.READ_BACK, Input.CONFIRM, OPERATOR, "plant-1"),
        (State.DELIVERED, Input.READ_BACK, OTHER_OPERATOR, "plant-1"),
        (State.DELIVERED, Input.READ_BACK, DISPATCHER, "desk-1"),
        (State.ACCEPTED, Input.DELIVER, OTHER_PLANT, "plant-1"),
        (State.CONFIRMED, Input.BEGIN, OTHER_OPERATOR, "plant-1"),
    ],
)
async def test_the_capacity_towards_this_order_decides_who_may_sign(
    office: Office, state: State, given: Input, by: SigningKey, peer: str
) -> None:
    chain = await office.at(state)
    decision = await office.say(peer, up(chain.event(given, by=by)))
    the_refusal(decision, peer, peer, RefusalCode.UNAUTHORISED)


async def test_an_event_of_an_order_that_nobody_drafted_is_refused(office: Office) -> None:
    confirm = Chain.at(State.READ_BACK).event(Input.CONFIRM)
    decision = await office.say("desk-1", up(confirm))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.UNKNOWN_ORDER)


@pytest.mark.parametrize(
    "item",
    [
        AskItem(to="", order="o-1", head=bytes(32)),
        RefusalItem(to="", order="o-1", event=bytes(32), code=RefusalCode.STALE, detail=""),
    ],
    ids=lambda item: item.kind,
)
async def test_what_only_a_superior_sends_is_noted_and_not_answered(office: Office, item: Item) -> None:
    await office.at(State.CONFIRMED)
    decision = await office.say("plant-1", item)
    assert decision.posts == []
    (note,) = decision.notes("security")
    assert note["subject"] == "plant-1"


# --- when, and in which session ---


async def test_an_event_from_the_future_is_refused_beyond_the_allowed_skew(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    early = chain.event(Input.CONFIRM, at_ms=NOW_MS + CLOCK_SKEW_MS + 1)
    the_refusal(await office.say("desk-1", up(early)), "desk-1", "desk-1", RefusalCode.CLOCK)
    just_allowed = chain.event(Input.CONFIRM, at_ms=NOW_MS + CLOCK_SKEW_MS)
    assert (await office.say("desk-1", up(just_allowed))).recorded == [Input.CONFIRM]


async def test_a_wish_that_is_too_old_was_decided_on_another_grid_and_is_refused(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    confirm = chain.event(Input.CONFIRM)
    office.clock.ms = NOW_MS + MAX_WISH_AGE_MS + 1
    the_refusal(await office.say("desk-1", up(confirm)), "desk-1", "desk-1", RefusalCode.CLOCK)
    just_young_enough = chain.event(Input.CONFIRM, at_ms=NOW_MS + 1)
    assert (await office.say("desk-1", up(just_young_enough))).recorded == [Input.CONFIRM]


@pytest.mark.parametrize("off_ms", [-86_400_000, 86_400_000])
async def test_a_delivery_is_nobodys_wish_and_taken_whatever_the_plants_clock_says(
    office: Office, off_ms: int
) -> None:
    chain = await office.at(State.ACCEPTED)
    office.clock.ms += 2 * 86_400_000
    deliver = chain.event(Input.DELIVER, at_ms=office.clock.ms + off_ms)
    assert (await office.say("plant-1", up(deliver))).recorded == [Input.DELIVER]


@pytest.mark.parametrize(
    ("state", "given", "peer"),
    [(State.READ_BACK, Input.CONFIRM, "desk-1"), (State.DELIVERED, Input.READ_BACK, "plant-1")],
)
async def test_a_wish_needs_a_session_of_this_person_on_this_node(
    office: Office, state: State, given: Input, peer: str
) -> None:
    chain = await office.at(state)
    elsewhere = {(bytes(16), "li", "plant-1"), (bytes(16), "wang", "desk-1"), (b"x" * 16, "li", "desk-1")}
    for sessions in (set(), elsewhere):
        office.people.sessions = sessions
        decision = await office.say(peer, up(chain.event(given)))
        the_refusal(decision, peer, peer, RefusalCode.SESSION)


async def test_a_session_without_a_number_is_no_session(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    decision = await office.say("desk-1", up(chain.event(Input.CONFIRM, session=b"")))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.SESSION)


async def test_a_wish_of_a_revoked_person_is_refused_whatever_time_it_names() -> None:
    with closing(Office(trust=AUTHORITY.trust(DISPATCHER))) as office:
        chain = Chain.at(State.READ_BACK)
        with_trust, office.node.station.trust = office.node.station.trust, AUTHORITY.trust()
        await office.node.load(chain.record)
        office.node.station.trust = with_trust
        backdated = chain.event(Input.CONFIRM, at_ms=NOW_MS - 60_000)
        decision = await office.say("desk-1", up(backdated))
        the_refusal(decision, "desk-1", "desk-1", RefusalCode.SIGNATURE)


# --- both factors ---


async def test_an_issue_without_a_grant_is_refused(office: Office) -> None:
    chain = await office.at(State.DRAFTED)
    decision = await office.say("desk-1", up(chain.event(Input.ISSUE)))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.FACTORS)


@pytest.mark.parametrize(
    ("given", "previous"),
    [(Input.REISSUE, None), (Input.ISSUE, b"p" * 32)],
)
async def test_a_grant_for_something_else_is_no_grant(
    office: Office, given: Input, previous: bytes | None
) -> None:
    chain = await office.at(State.DRAFTED)
    other = approval_digest("o-1", given, previous or chain.record.head)
    office.people.grants[bytes(16)] = ("li", "desk-1", other)
    decision = await office.say("desk-1", up(chain.event(Input.ISSUE)))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.FACTORS)


async def test_a_grant_that_was_given_on_another_node_is_no_grant(office: Office) -> None:
    chain = await office.at(State.DRAFTED)
    issue = chain.event(Input.ISSUE)
    office.people.grant(issue, node="desk-2")
    the_refusal(await office.say("desk-1", up(issue)), "desk-1", "desk-1", RefusalCode.FACTORS)


async def test_what_another_peer_is_refused_for_does_not_touch_the_grant_of_the_desk(office: Office) -> None:
    chain = await office.at(State.DRAFTED)
    issue = chain.event(Input.ISSUE)
    office.people.grant(issue)
    await office.policy.prepare("desk-1", up(issue))
    await office.policy.prepare("plant-1", up(issue))
    work = office.node.station.work()
    office.policy.on_item(work, "plant-1", up(issue))
    office.policy.on_item(work, "desk-1", up(issue))
    decision = await office.node.commit(work)
    assert decision.recorded == [Input.ISSUE, Input.ACCEPT]
    assert [(peer, item.code) for peer, item in decision.refusals] == [("plant-1", RefusalCode.UNAUTHORISED)]


async def test_a_reissue_needs_both_factors_again(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    reissue = chain.event(Input.REISSUE)
    the_refusal(await office.say("desk-1", up(reissue)), "desk-1", "desk-1", RefusalCode.FACTORS)
    office.people.grant(reissue)
    assert (await office.say("desk-1", up(reissue))).recorded == [Input.REISSUE, Input.ACCEPT]


async def test_no_other_event_uses_a_grant(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    await office.say("desk-1", up(chain.event(Input.CONFIRM)))
    assert office.people.used == []


# --- drafts are bounded ---


async def test_a_draft_that_would_wait_longer_than_the_rules_allow_is_refused() -> None:
    with closing(Office(rules=Rules(max_validity_ms=60_000))) as office:
        decision = await office.say("desk-1", up(write(None, Input.DRAFT)))
        the_refusal(decision, "desk-1", "desk-1", RefusalCode.LIMIT)


async def test_a_desk_has_at_most_so_many_drafts_and_another_desk_its_own() -> None:
    with closing(Office(rules=Rules(max_drafts=2))) as office:
        for name in ("o-1", "o-2"):
            await office.say("desk-1", up(write(None, Input.DRAFT, order=name)))
        third = up(write(None, Input.DRAFT, order="o-3"))
        the_refusal(await office.say("desk-1", third), "desk-1", "desk-1", RefusalCode.LIMIT)
        content = CONTENT.model_copy(update={"desk": "desk-2"})
        elsewhere = write(None, Input.DRAFT, order="o-4", by=OTHER_DISPATCHER, content=content)
        assert (await office.say("desk-2", up(elsewhere))).recorded == [Input.DRAFT]
        cancel = write(office.order("o-1"), Input.CANCEL)
        await office.say("desk-1", up(cancel))
        assert (await office.say("desk-1", third)).recorded == [Input.DRAFT]


# --- what spoke for an order may not hold any more when it is confirmed ---


async def test_nothing_is_confirmed_while_the_posture_is_held(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    office.postures["plant-1"] = Posture.HELD
    decision = await office.say("desk-1", up(chain.event(Input.CONFIRM)))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.POSTURE)
    assert office.order() == chain.record


@pytest.mark.parametrize("given", [Input.CANCEL, Input.REFUSE])
async def test_an_order_can_be_ended_whatever_the_posture_is(office: Office, given: Input) -> None:
    chain = await office.at(State.READ_BACK)
    office.postures["plant-1"] = Posture.HELD
    peer = "desk-1" if given is Input.CANCEL else "plant-1"
    assert (await office.say(peer, up(chain.event(given)))).recorded == [given]
