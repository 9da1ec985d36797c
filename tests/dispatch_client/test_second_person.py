"""dispatch_client: a second person decides at a desk where somebody else is logged in."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dispatch_client import commands as commands_module
from dispatch_client import login as login_module
from dispatch_client.desk import Desk
from dispatch_client.plant import Plant
from protocol.aio.control import CommandFailed
from protocol.errors import OrderRefused, RefusalCode
from protocol.keys import Role, SigningKey
from protocol.lifecycle import SECOND_PERSON, Input, State
from protocol.orders import Issue
from protocol.record import apply
from protocol.requests import BeginRequest, ChallengeReply, DoneReply, GrantReply, Purpose
from tests.dispatch_client.rooms import SESSION_ENDS_MS, Room
from tests.dispatch_client.test_commands import Desktop
from tests.protocol.parties import (
    AUTHORITY,
    DISPATCHER,
    OTHER_SUPERVISOR,
    SUPERVISOR,
    VALID_UNTIL_MS,
    Chain,
)

PASSWORD = "correct horse battery"
CHALLENGE = ChallengeReply(challenge=b"c" * 16, expires_in_ms=60_000, factors=())
GRANT = GrantReply(challenge=b"c" * 16, expires_ms=SESSION_ENDS_MS)
ZHAO: dict[str, Any] = {
    "order": "o-1",
    "person": "zhao",
    "password": PASSWORD,
    "response": "123456",
    "reason": "too risky",
}
DECISIONS = sorted(given.value for given in SECOND_PERSON)


class Keys(dict[str, SigningKey]):
    """The key files of this machine."""

    def unlock(self, person: str, password: str, folder: Path) -> SigningKey:
        assert folder == Path("people")
        return self[person]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Keys:
    monkeypatch.setattr(commands_module, "_PATIENCE", 0.0)
    keys = Keys(li=DISPATCHER, zhao=SUPERVISOR, gao=OTHER_SUPERVISOR)
    monkeypatch.setattr(login_module, "unlock_key", keys.unlock)
    return keys


@pytest.fixture
async def waiting(desk: Room[Desk], keys: Keys) -> Desktop:
    """A desk at which li has issued o-1, which waits."""
    await desk.at(State.AWAITING)
    return Desktop(desk)


async def refused(act: Callable[[], Awaitable[object]], code: RefusalCode) -> str:
    with pytest.raises(OrderRefused) as refusal:
        await act()
    assert refusal.value.code is code
    return refusal.value.detail


@pytest.mark.parametrize("command", DECISIONS)
async def test_a_decision_is_proved_for_exactly_this_order_and_signed_with_the_own_key(
    waiting: Desktop, command: str
) -> None:
    digest = waiting.room.client.approval("o-1", Input(command))
    waiting.superior.will_say(CHALLENGE, GRANT)
    told = await waiting(command, **ZHAO)
    begin = waiting.superior.asked[0]
    assert begin == BeginRequest(person="zhao", purpose=Purpose.APPROVE, session=b"", digest=digest)
    sent = waiting.room.sent(waiting.room.node.decision())
    assert sent.signer == SUPERVISOR.certificate
    assert isinstance(sent.event, Issue)
    assert (sent.event.input, sent.event.challenge, sent.event.session) == (Input(command), b"c" * 16, b"")
    assert sent.event.reason == "too risky"
    assert told == {"outcome": "pending", "order": "o-1", "event": sent.hash.hex()}


@pytest.mark.parametrize("command", DECISIONS)
@pytest.mark.parametrize("logged_in", [True, False])
async def test_the_login_at_the_desk_stays_as_it_is(waiting: Desktop, command: str, logged_in: bool) -> None:
    if not logged_in:
        waiting.room.client.login = None
    before = waiting.room.client.login
    waiting.superior.will_say(CHALLENGE, GRANT)
    await waiting(command, **ZHAO)
    assert waiting.room.client.login is before


@pytest.mark.parametrize("command", DECISIONS)
@pytest.mark.parametrize(
    ("person", "code"), [("li", "wrong-role"), ("gao", "wrong-role"), ("zheng", "wrong-key")]
)
async def test_who_is_no_supervisor_of_this_desk_sends_no_secret(
    waiting: Desktop, keys: Keys, command: str, person: str, code: str
) -> None:
    keys["zheng"] = SUPERVISOR
    with pytest.raises(CommandFailed) as failure:
        await waiting(command, **ZHAO | {"person": person})
    assert failure.value.code == code
    assert waiting.superior.asked == []


@pytest.mark.parametrize("command", DECISIONS)
async def test_who_issued_sends_no_secret_to_approve_it_under_another_certificate(
    waiting: Desktop, keys: Keys, command: str
) -> None:
    keys["li"] = AUTHORITY.key(Role.SUPERVISOR, "li", "desk-1")
    why = await refused(lambda: waiting(command, **ZHAO | {"person": "li"}), RefusalCode.UNAUTHORISED)
    assert "another person" in why
    assert waiting.superior.asked == []


async def test_a_decline_without_a_reason_costs_no_factor(waiting: Desktop) -> None:
    why = await refused(lambda: waiting("decline", **ZHAO | {"reason": " "}), RefusalCode.ILLEGAL)
    assert "why" in why
    assert waiting.superior.asked == []


@pytest.mark.parametrize("command", DECISIONS)
async def test_what_moved_on_since_it_was_shown_is_not_decided(waiting: Desktop, command: str) -> None:
    await refused(lambda: waiting(command, seen="0" * 64, **ZHAO), RefusalCode.STALE)
    assert waiting.superior.asked == []


@pytest.mark.parametrize("command", DECISIONS)
@pytest.mark.parametrize("state", [State.DRAFTED, State.READ_BACK, State.CLOSED])
async def test_what_does_not_wait_for_it_is_not_decided(
    desk: Room[Desk], keys: Keys, command: str, state: State
) -> None:
    await desk.at(state)
    desktop = Desktop(desk)
    await refused(lambda: desktop(command, **ZHAO), RefusalCode.ILLEGAL)
    assert desktop.superior.asked == []


async def test_what_is_over_is_not_approved(waiting: Desktop) -> None:
    waiting.room.clock.ms = VALID_UNTIL_MS
    await refused(lambda: waiting("approve", **ZHAO), RefusalCode.EXPIRED)
    assert waiting.superior.asked == []


@pytest.mark.parametrize("command", DECISIONS)
async def test_without_a_grant_nothing_is_signed(waiting: Desktop, command: str) -> None:
    waiting.superior.will_say(CHALLENGE, DoneReply())
    with pytest.raises(CommandFailed):
        await waiting(command, **ZHAO)
    assert waiting.room.node.decision().batches == ()


async def test_while_a_cancellation_is_on_its_way_nothing_is_approved(waiting: Desktop) -> None:
    await waiting("cancel", order="o-1")
    waiting.superior.will_say(CHALLENGE, GRANT)
    await refused(lambda: waiting("approve", **ZHAO), RefusalCode.STALE)


# --- what people are told of it ---


async def under_way(desktop: Desktop, command: str, **arguments: Any) -> "asyncio.Task[Any]":
    """A command that waits for headquarters."""
    desktop.superior.will_say(CHALLENGE, GRANT)
    task = asyncio.create_task(desktop(command, **arguments))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not task.done()
    return task


@pytest.fixture
def patient(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands_module, "_PATIENCE", 30.0)


async def what_follows(desktop: Desktop, chain: Chain, *inputs: Input) -> None:
    """Headquarters takes what the desk sent, and goes on."""
    sent = desktop.room.sent(desktop.room.node.decision())
    grown = Chain(apply(chain.record, sent))
    events = [sent, *(grown.add(given) for given in inputs)]
    await desktop.room.say(*map(desktop.room.down, events))


@pytest.mark.parametrize(("command", "state"), [("issue", State.DRAFTED), ("reissue", State.READ_BACK)])
async def test_who_issues_is_told_at_once_that_it_waits_for_a_second_person(
    desk: Room[Desk], patient: None, command: str, state: State
) -> None:
    chain = await desk.at(state)
    desktop = Desktop(desk)
    task = await under_way(desktop, command, order="o-1", password=PASSWORD, response="123456")
    await what_follows(desktop, chain, Input.ASK_APPROVAL)
    told = await task
    assert (told["outcome"], told["state"]) == ("taken", "awaiting-approval")


async def test_who_issues_is_told_that_it_was_accepted(desk: Room[Desk], patient: None) -> None:
    chain = await desk.at(State.DRAFTED)
    desktop = Desktop(desk)
    task = await under_way(desktop, "issue", order="o-1", password=PASSWORD, response="123456")
    await what_follows(desktop, chain, Input.ACCEPT)
    assert (await task)["state"] == "accepted"


async def test_who_issues_what_is_declined_at_once_is_told_by_whom_and_why(
    desk: Room[Desk], patient: None
) -> None:
    chain = await desk.at(State.DRAFTED)
    desktop = Desktop(desk)
    task = await under_way(desktop, "issue", order="o-1", password=PASSWORD, response="123456")
    await what_follows(desktop, chain, Input.ASK_APPROVAL, Input.DECLINE)
    with pytest.raises(CommandFailed, match="'zhao' rejected it: too risky"):
        await task


async def test_who_approves_is_told_that_it_was_accepted(waiting: Desktop, patient: None) -> None:
    task = await under_way(waiting, "approve", **ZHAO)
    await what_follows(waiting, Chain.at(State.AWAITING), Input.ACCEPT)
    assert (await task)["state"] == "accepted"


async def test_who_approves_what_is_held_by_now_is_told_so(waiting: Desktop, patient: None) -> None:
    task = await under_way(waiting, "approve", **ZHAO)
    await what_follows(waiting, Chain.at(State.AWAITING), Input.REJECT)
    with pytest.raises(CommandFailed, match="headquarters rejected it: because"):
        await task


async def test_who_declines_is_told_that_it_was_taken(waiting: Desktop, patient: None) -> None:
    task = await under_way(waiting, "decline", **ZHAO)
    await what_follows(waiting, Chain.at(State.AWAITING))
    assert (await task)["outcome"] == "taken"


# --- at the plant ---


async def test_a_plant_does_not_take_an_acceptance_that_nobody_approved(plant: Room[Plant]) -> None:
    """A headquarters that skips its own question is found by the plant, by the table alone."""
    chain = Chain.along(Input.ISSUE, Input.ASK_APPROVAL)
    skipped = chain.event(Input.ACCEPT)
    decision = await plant.say(*(plant.down(event) for event in (*chain.record.events, skipped)))
    assert decision.recorded == [Input.DRAFT, Input.ISSUE, Input.ASK_APPROVAL]
    (note,) = decision.notes("security")
    assert note["code"] == RefusalCode.ILLEGAL
    assert plant.client.order("o-1").state is State.AWAITING


@pytest.mark.parametrize("by", [DISPATCHER, OTHER_SUPERVISOR, AUTHORITY.key(Role.SUPERVISOR, "li", "desk-1")])
async def test_a_plant_does_not_take_an_approval_of_the_wrong_person(
    plant: Room[Plant], by: SigningKey
) -> None:
    chain = Chain.along(Input.ISSUE, Input.ASK_APPROVAL)
    wrong = chain.event(Input.APPROVE, by=by)
    decision = await plant.say(*(plant.down(event) for event in (*chain.record.events, wrong)))
    assert Input.APPROVE not in decision.recorded
    (note,) = decision.notes("security")
    assert note["code"] == RefusalCode.UNAUTHORISED


async def test_a_plant_takes_an_approved_order_and_says_that_it_has_it(plant: Room[Plant]) -> None:
    chain = Chain.along(Input.ISSUE, Input.ASK_APPROVAL, Input.APPROVE, Input.ACCEPT)
    decision = await plant.say(*map(plant.down, chain.record.events))
    assert decision.recorded[-1] is Input.ACCEPT
    assert plant.sent(decision).event.input is Input.DELIVER
