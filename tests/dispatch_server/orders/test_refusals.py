"""dispatch_server/orders/headquarters.py: what does not verify, who is told, and that once is enough."""

import pytest

from protocol.errors import RefusalCode
from protocol.items import AnswerItem, AskItem, EventItem, Item
from protocol.lifecycle import Input, State
from protocol.limits import CLOCK_SKEW_MS
from tests.dispatch_server.orders.support import FAR_OPERATOR, FarChain, Office, the_refusal
from tests.protocol.parties import (
    AUTHORITY,
    CONTENT,
    DISPATCHER,
    OTHER_DISPATCHER,
    shortest_way,
    write,
)
from tests.support.pki import NOW, NOW_MS, TestAuthority
from tests.support.stations import up

# --- what does not verify ---


def tampered(item: EventItem) -> EventItem:
    """One bit of the signature is another."""
    return item.model_copy(update={"signature": item.signature[:-1] + bytes([item.signature[-1] ^ 1])})


async def test_a_tampered_event_is_noted_as_a_matter_of_security_and_refused(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    decision = await office.say("desk-1", tampered(up(chain.event(Input.CONFIRM))))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.SIGNATURE)
    assert decision.notes("security")


async def test_an_event_of_another_authority_is_refused(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    stranger = TestAuthority().key(DISPATCHER.certificate.role, "li", "desk-1")
    decision = await office.say("desk-1", up(chain.event(Input.CONFIRM, by=stranger)))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.SIGNATURE)


async def test_an_event_signed_after_the_certificate_ended_is_refused(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    short = AUTHORITY.key(DISPATCHER.certificate.role, "li", "desk-1", now=NOW, days=0.01)
    over = chain.event(Input.CONFIRM, by=short, at_ms=NOW_MS + 20 * 60_000)
    office.clock.advance(20 * 60)
    decision = await office.say("desk-1", up(over))
    the_refusal(decision, "desk-1", "desk-1", RefusalCode.SIGNATURE)


async def test_an_event_that_cannot_be_read_is_noted_and_there_is_nobody_to_tell(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    garbage = up(chain.event(Input.CONFIRM)).model_copy(update={"body": b"\x81\x00"})
    decision = await office.say("desk-1", garbage)
    assert decision.posts == []
    assert decision.notes("security")[0]["code"] == "malformed"


# --- the refusal goes to the station that the event came from ---


async def test_behind_a_center_the_refusal_goes_to_the_plant(office: Office) -> None:
    chain = FarChain.along(*shortest_way(State.READ_BACK)[1:])
    await office.node.load(chain.record)
    early = chain.event(Input.REFUSE, at_ms=NOW_MS + CLOCK_SKEW_MS + 1)
    decision = await office.say("center-1", up(early))
    the_refusal(decision, "center-1", "plant-3", RefusalCode.CLOCK)


async def test_behind_a_center_the_plant_is_told_also_of_what_does_not_verify(office: Office) -> None:
    chain = FarChain.along(*shortest_way(State.DELIVERED)[1:])
    await office.node.load(chain.record)
    decision = await office.say("center-1", tampered(up(chain.event(Input.READ_BACK))))
    the_refusal(decision, "center-1", "plant-3", RefusalCode.SIGNATURE)


async def test_a_session_of_an_operator_behind_a_center_is_the_centers_question(office: Office) -> None:
    chain = FarChain.along(*shortest_way(State.DELIVERED)[1:])
    await office.node.load(chain.record)
    office.people.sessions = set()
    decision = await office.say("center-1", up(chain.event(Input.READ_BACK, by=FAR_OPERATOR)))
    assert decision.recorded == [Input.READ_BACK]


# --- what a link counts against its peer ---


async def test_everything_that_a_peer_should_not_have_sent_is_counted_once(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    confirm = up(chain.event(Input.CONFIRM))
    wrong: list[Item] = [
        up(chain.event(Input.CONFIRM, previous=bytes(32))),
        tampered(confirm),
        confirm.model_copy(update={"body": b"\xff"}),
        AskItem(to="", order="o-1", head=bytes(32)),
        AnswerItem(to="", plant="plant-1", order="o-1", head=bytes(32), state=None),
    ]
    for number, item in enumerate(wrong):
        counted = await office.node.station.take("desk-1", [(number + 1, item.encode())], office.policy)
        assert counted == 1, item.kind
    last = len(wrong) + 1
    assert await office.node.station.take("desk-1", [(last, confirm.encode())], office.policy) == 0


# --- once is enough ---


@pytest.mark.parametrize(
    ("state", "given", "peer"),
    [
        (State.READ_BACK, Input.CONFIRM, "desk-1"),
        (State.DELIVERED, Input.READ_BACK, "plant-1"),
        (State.CONFIRMED, Input.BEGIN, "plant-1"),
        (State.CONFIRMED, Input.RECALL, "desk-1"),
    ],
)
async def test_an_event_that_comes_again_gives_nothing(
    office: Office, state: State, given: Input, peer: str
) -> None:
    chain = await office.at(state)
    item = up(chain.event(given))
    assert (await office.say(peer, item)).recorded == [given]
    again = await office.say(peer, item)
    assert (again.posts, again.recorded) == ([], [])
    assert not again.notes("refused") + again.notes("security")


async def test_an_item_under_a_cursor_that_was_taken_is_not_looked_at(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    item = up(chain.event(Input.CONFIRM))
    await office.say("desk-1", item)
    await office.node.station.take("desk-1", [(1, item.encode())], office.policy)
    assert office.node.decision().batches == ()


async def test_an_issue_that_comes_again_neither_uses_the_grant_for_another_nor_issues_twice(
    office: Office,
) -> None:
    chain = await office.at(State.DRAFTED)
    issue = chain.event(Input.ISSUE)
    office.people.grant(issue)
    assert (await office.say("desk-1", up(issue))).recorded == [Input.ISSUE, Input.ACCEPT]
    assert (await office.say("desk-1", up(issue))).posts == []
    assert set(office.people.used) == {issue.hash}


async def test_two_wishes_on_the_same_head_cannot_both_be(office: Office) -> None:
    chain = await office.at(State.READ_BACK)
    cancel, confirm = chain.event(Input.CANCEL), chain.event(Input.CONFIRM)
    decision = await office.say("desk-1", up(cancel), up(confirm))
    assert decision.recorded == [Input.CANCEL]
    assert [item.code for _, item in decision.refusals] == [RefusalCode.STALE]
    assert decision.refusals[0][1].event == confirm.hash


async def test_a_name_of_an_order_serves_once(office: Office) -> None:
    await office.at(State.DRAFTED)
    content = CONTENT.model_copy(update={"desk": "desk-2"})
    second = write(None, Input.DRAFT, by=OTHER_DISPATCHER, content=content)
    the_refusal(await office.say("desk-2", up(second)), "desk-2", "desk-2", RefusalCode.STALE)
