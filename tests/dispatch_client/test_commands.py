"""dispatch_client/commands.py: what people may ask of a desk or plant, and clear words when they may not."""

import asyncio
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dispatch_client import commands as commands_module
from dispatch_client import login as login_module
from dispatch_client.client import Client
from dispatch_client.commands import Commands, DecisionArguments, IssueArguments, LoginArguments
from dispatch_client.desk import Desk
from dispatch_client.login import Authenticator
from dispatch_client.plant import Plant
from protocol.aio.control import CommandFailed
from protocol.errors import LinkLost, OrderRefused, RefusalCode, WireCode
from protocol.keys import SigningKey
from protocol.lifecycle import Input, State
from protocol.orders import Draft, Issue
from protocol.record import apply
from protocol.requests import BeginRequest, ChallengeReply, DoneReply, GrantReply, LogoutRequest, SessionReply
from protocol.timeline import Timeline
from tests.dispatch_client.rooms import (
    SESSION,
    SESSION_ENDS_MS,
    Room,
    ScriptedSuperior,
    desk_room,
)
from tests.protocol.parties import DISPATCHER, VALID_UNTIL_MS, Chain, write
from tests.support.pki import NOW_MS

PASSWORD = "correct horse battery"
FACTORS = {"password": PASSWORD, "response": "123456"}
CHALLENGE = ChallengeReply(challenge=b"c" * 16, expires_in_ms=60_000, factors=())
DRAFT: dict[str, Any] = {
    "order": "o-1",
    "type": "permitted-operation",
    "plant": "plant-1",
    "number": "2026-17",
    "title": "线路停电",
    "steps": [["断路器 201", "断开"]],
    "valid_for_s": 600,
}


class Desktop:
    """A desk or plant with its command table."""

    def __init__(self, room: Room[Any]) -> None:
        self.room = room
        self.superior = ScriptedSuperior(room)
        timeline = Timeline(lambda: NOW_MS + 0.5)
        room.node.station.watch_orders(timeline.on_order)
        authenticator = Authenticator(self.superior, Path("people"), run_blocking)
        client: Client = room.client
        self.table = Commands(client, self.superior, authenticator, timeline).table

    async def __call__(self, command: str, /, **arguments: Any) -> Any:
        return await self.table[command](arguments)

    def close(self) -> None:
        self.room.close()


async def run_blocking(work: Callable[[], SigningKey]) -> SigningKey:
    return work()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands_module, "_PATIENCE", 0.0)
    monkeypatch.setattr(login_module, "unlock_key", lambda *_: DISPATCHER)


@pytest.fixture
def at_desk(desk: Room[Desk]) -> Desktop:
    return Desktop(desk)


@pytest.fixture
def at_plant(plant: Room[Plant]) -> Desktop:
    return Desktop(plant)


# --- who may do what ---


def test_a_desk_orders_and_a_plant_carries_out(at_desk: Desktop, at_plant: Desktop) -> None:
    common = {"status", "login", "logout", "list", "show", "wait"}
    desk_only = {"draft", "issue", "reissue", "approve", "decline", "confirm", "cancel", "settle"}
    plant_only = {"read-back", "begin", "complete", "fail", "refuse"}
    assert at_desk.table.keys() == common | desk_only
    assert at_plant.table.keys() == common | plant_only


# --- looking ---


async def test_the_orders_that_changed_last_come_first(at_desk: Desktop) -> None:
    for name in ("o-1", "o-2", "o-3"):
        await at_desk.room.node.load(apply(None, write(None, Input.DRAFT, order=name)))
    assert [row["order"] for row in await at_desk("list")] == ["o-3", "o-2", "o-1"]
    assert [row["order"] for row in await at_desk("list", limit=1)] == ["o-3"]


async def test_an_order_that_is_over_is_listed_and_shown_from_the_journal() -> None:
    with closing(desk_room()) as room:
        await room.at(State.CLOSED)
        room.restart()
        desk = Desktop(room)
        assert [row["state"] for row in await desk("list")] == ["closed"]
        assert (await desk("show", order="o-1"))["state"] == "closed"


async def test_an_order_is_shown_with_its_steps_and_events(at_desk: Desktop) -> None:
    chain = await at_desk.room.at(State.READ_BACK)
    shown = await at_desk("show", order="o-1")
    assert shown["steps"] == [{"device": "断路器 201", "action": "断开"}]
    assert [event["input"] for event in shown["events"]] == [
        event.event.input.value for event in chain.record.events
    ]
    assert shown["events"][-1]["text"] == "断开 201"
    assert shown["events"][-1]["seen_ms"] == NOW_MS + 0.5


async def test_an_order_that_is_not_there_cannot_be_shown(at_desk: Desktop) -> None:
    with pytest.raises(CommandFailed) as failure:
        await at_desk("show", order="o-9")
    assert failure.value.code == "unknown-order"
    assert "list" in failure.value.message


async def test_the_status_tells_who_is_here_and_what_is_on_its_way(at_desk: Desktop) -> None:
    await at_desk.room.at(State.READ_BACK)
    await at_desk("confirm", order="o-1")
    status = await at_desk("status")
    assert (status["node"], status["role"], status["superior"]) == ("desk-1", "desk", "hq")
    assert (status["person"], status["pending"], status["open_orders"]) == ("li", 1, 1)
    assert status["connected"] is False
    assert status["ledger_entry"] == at_desk.room.node.station.ledger_head.entry


# --- waiting ---


async def test_who_waits_for_a_state_is_told_when_it_comes(at_desk: Desktop) -> None:
    chain = await at_desk.room.at(State.READ_BACK)
    waiting = asyncio.create_task(at_desk("wait", order="o-1", states=["executing", "cancelled"]))
    await at_desk.room.say(at_desk.room.down(chain.add(Input.CONFIRM)))
    assert not waiting.done()
    await at_desk.room.say(at_desk.room.down(chain.add(Input.BEGIN)))
    assert (await waiting)["state"] == "executing"


async def test_who_waits_for_a_state_that_is_there_does_not_wait(at_desk: Desktop) -> None:
    await at_desk.room.at(State.CLOSED)
    assert (await at_desk("wait", order="o-1", states=["closed"]))["order"] == "o-1"


async def test_who_waits_for_an_order_that_does_not_exist_yet_gets_it_when_it_does(at_desk: Desktop) -> None:
    waiting = asyncio.create_task(at_desk("wait", order="o-1", states=["drafted"]))
    await at_desk.room.say(at_desk.room.down(Chain().record.events[0]))
    assert (await waiting)["state"] == "drafted"


async def test_who_waits_too_long_is_told_what_did_not_happen(at_desk: Desktop) -> None:
    await at_desk.room.at(State.READ_BACK)
    with pytest.raises(CommandFailed, match="'o-1' did not become executing or closed") as failure:
        await at_desk("wait", order="o-1", states=["executing", "closed"], timeout_s=0.01)
    assert failure.value.code == "no-answer"


# --- what cannot be read ---


@pytest.mark.parametrize(
    ("command", "arguments", "field"),
    [
        ("show", {}, "order"),
        ("show", {"order": "O 1"}, "order"),
        ("show", {"order": "o-1", "more": 1}, "more"),
        ("list", {"limit": 0}, "limit"),
        ("list", {"limit": "many"}, "limit"),
        ("wait", {"order": "o-1", "states": []}, "states"),
        ("wait", {"order": "o-1", "states": ["exekuting"]}, "states"),
        ("wait", {"order": "o-1", "states": ["closed"], "timeout_s": 0}, "timeout_s"),
        ("login", {"person": "li", "password": "", "response": "1"}, "password"),
        ("issue", {"order": "o-1"} | FACTORS | {"factor": "no such!"}, "factor"),
        ("issue", {"order": "o-1"} | FACTORS | {"reason": "x" * 501}, "reason"),
        ("issue", {"order": "o-1"} | FACTORS | {"seen": "abc"}, "seen"),
        ("approve", {"order": "o-1"} | FACTORS, "person"),
        ("approve", {"order": "o-1", "person": "Zhao!"} | FACTORS, "person"),
        ("approve", {"order": "o-1", "person": "zhao", "seen": "ab"} | FACTORS, "seen"),
        ("decline", {"order": "o-1", "person": "zhao", "password": ""}, "password"),
        ("confirm", {"order": "o-1", "seen": "Z" * 64}, "seen"),
        ("cancel", {"order": "o-1", "text": "x" * 501}, "text"),
        ("draft", DRAFT | {"type": "wish"}, "type"),
        ("draft", DRAFT | {"steps": []}, "steps"),
        ("draft", DRAFT | {"steps": [["断路器 201"]]}, "steps"),
        ("draft", DRAFT | {"steps": [["", "断开"]]}, "steps"),
        ("draft", DRAFT | {"valid_for_s": 0}, "valid_for_s"),
        ("draft", DRAFT | {"plant": "Plant 1"}, "plant"),
    ],
)
async def test_an_argument_that_cannot_be_is_named(
    at_desk: Desktop, command: str, arguments: dict[str, Any], field: str
) -> None:
    with pytest.raises(ValidationError) as error:
        await at_desk(command, **arguments)
    assert field in {str(part) for found in error.value.errors() for part in found["loc"]}
    assert at_desk.room.node.decision().batches == ()
    assert at_desk.superior.asked == []


@pytest.mark.parametrize(
    "printed",
    [
        repr(LoginArguments.model_validate({"person": "li"} | FACTORS)),
        repr(IssueArguments.model_validate({"order": "o-1"} | FACTORS)),
        repr(DecisionArguments.model_validate({"order": "o-1", "person": "zhao"} | FACTORS)),
    ],
)
def test_no_secret_stands_in_a_command_that_is_printed(printed: str) -> None:
    assert PASSWORD not in printed
    assert FACTORS["response"] not in printed


# --- logging in and out ---


async def test_a_person_logs_in_and_out(at_desk: Desktop) -> None:
    at_desk.room.client.login = None
    at_desk.superior.will_say(CHALLENGE, SessionReply(session=SESSION, expires_ms=SESSION_ENDS_MS))
    assert (await at_desk("login", person="li", **FACTORS))["person"] == "li"
    assert at_desk.room.client.person().session == SESSION
    at_desk.superior.will_say(DoneReply())
    assert await at_desk("logout") == {"person": "li"}
    assert at_desk.room.client.login is None


async def test_a_login_that_is_refused_leaves_nobody_logged_in_who_was_not(at_desk: Desktop) -> None:
    at_desk.room.client.login = None
    at_desk.superior.will_say(LinkLost(WireCode.LOST, "not connected"))
    with pytest.raises(LinkLost):
        await at_desk("login", person="li", **FACTORS)
    assert at_desk.room.client.login is None


async def test_who_logs_in_after_another_ends_the_others_session(at_desk: Desktop) -> None:
    session = SessionReply(session=b"n" * 16, expires_ms=SESSION_ENDS_MS)
    at_desk.superior.will_say(CHALLENGE, session, DoneReply())
    await at_desk("login", person="li", **FACTORS)
    assert at_desk.room.client.person().session == b"n" * 16
    assert at_desk.superior.asked[-1] == LogoutRequest(person="li", session=SESSION)


async def test_who_logs_out_is_logged_out_here_even_without_a_link(at_desk: Desktop) -> None:
    at_desk.superior.will_say(LinkLost(WireCode.LOST, "not connected"))
    with pytest.raises(LinkLost):
        await at_desk("logout")
    assert at_desk.room.client.login is None


async def test_logging_out_where_nobody_is_asks_nobody(at_desk: Desktop) -> None:
    at_desk.room.client.login = None
    assert await at_desk("logout") == {"person": None}
    assert at_desk.superior.asked == []


# --- acting at the desk ---


async def test_a_draft_is_valid_from_now_for_as_long_as_was_said(at_desk: Desktop) -> None:
    assert (await at_desk("draft", **DRAFT))["outcome"] == "pending"
    event = at_desk.room.sent(at_desk.room.node.decision()).event
    assert isinstance(event, Draft)
    assert event.content.valid_until_ms == NOW_MS + 600_000
    assert (event.content.desk, event.content.plant) == ("desk-1", "plant-1")
    assert event.content.ticket.steps[0].device == "断路器 201"


async def test_a_name_of_an_order_that_is_over_is_not_used_again() -> None:
    with closing(desk_room()) as room:
        await room.at(State.CLOSED)
        room.restart()
        with pytest.raises(OrderRefused, match="another id") as refusal:
            await Desktop(room)("draft", **DRAFT)
        assert refusal.value.code is RefusalCode.ILLEGAL


@pytest.mark.parametrize(("command", "state"), [("issue", State.DRAFTED), ("reissue", State.READ_BACK)])
async def test_an_issue_is_approved_for_exactly_this_order_first(
    at_desk: Desktop, command: str, state: State
) -> None:
    await at_desk.room.at(state)
    digest = at_desk.room.client.approval("o-1", Input(command))
    at_desk.superior.will_say(CHALLENGE, GrantReply(challenge=b"c" * 16, expires_ms=SESSION_ENDS_MS))
    await at_desk(command, order="o-1", **FACTORS)
    begin = at_desk.superior.asked[0]
    assert isinstance(begin, BeginRequest)
    assert begin.digest == digest
    event = at_desk.room.sent(at_desk.room.node.decision()).event
    assert isinstance(event, Issue)
    assert (event.input, event.challenge) == (Input(command), b"c" * 16)


async def test_without_an_approval_nothing_is_issued(at_desk: Desktop) -> None:
    await at_desk.room.at(State.DRAFTED)
    at_desk.superior.will_say(CHALLENGE, DoneReply())
    with pytest.raises(CommandFailed):
        await at_desk("issue", order="o-1", **FACTORS)
    assert at_desk.room.node.decision().batches == ()


async def test_nobody_is_asked_for_factors_without_a_session(at_desk: Desktop) -> None:
    await at_desk.room.at(State.DRAFTED)
    at_desk.room.client.login = None
    with pytest.raises(OrderRefused) as refusal:
        await at_desk("issue", order="o-1", **FACTORS)
    assert refusal.value.code is RefusalCode.SESSION
    assert at_desk.superior.asked == []


async def test_an_order_that_moved_on_since_it_was_shown_is_not_issued(at_desk: Desktop) -> None:
    await at_desk.room.at(State.DRAFTED)
    with pytest.raises(OrderRefused) as refusal:
        await at_desk("issue", order="o-1", seen="0" * 64, **FACTORS)
    assert refusal.value.code is RefusalCode.STALE
    assert at_desk.superior.asked == []


@pytest.mark.parametrize(
    ("command", "state", "given"),
    [
        ("confirm", State.READ_BACK, Input.CONFIRM),
        ("cancel", State.DELIVERED, Input.CANCEL),
        ("cancel", State.CONFIRMED, Input.RECALL),
        ("settle", State.FAILED, Input.SETTLE),
    ],
)
async def test_each_command_of_a_desk_is_one_event(
    at_desk: Desktop, command: str, state: State, given: Input
) -> None:
    await at_desk.room.at(state)
    outcome = await at_desk(command, order="o-1")
    event = at_desk.room.sent(at_desk.room.node.decision())
    assert event.event.input is given
    assert outcome == {"outcome": "pending", "order": "o-1", "event": event.hash.hex()}


async def test_a_refusal_is_told_with_its_reason(at_desk: Desktop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands_module, "_PATIENCE", 30.0)
    await at_desk.room.at(State.READ_BACK)
    confirming = asyncio.create_task(at_desk("confirm", order="o-1"))
    for _ in range(5):
        await asyncio.sleep(0)
    event = at_desk.room.sent(at_desk.room.node.decision())
    await at_desk.room.say(at_desk.room.refusal(event.hash, RefusalCode.POSTURE, "use the telephone"))
    with pytest.raises(CommandFailed, match="use the telephone") as failure:
        await confirming
    assert failure.value.code == "refused"


# --- acting at the plant ---


@pytest.mark.parametrize(
    ("command", "state", "given", "outcome"),
    [
        ("read-back", State.DELIVERED, Input.READ_BACK, "pending"),
        ("refuse", State.DELIVERED, Input.REFUSE, "pending"),
        ("refuse", State.CONFIRMED, Input.REFUSE, "taken"),
        ("begin", State.CONFIRMED, Input.BEGIN, "taken"),
        ("complete", State.EXECUTING, Input.COMPLETE, "taken"),
        ("fail", State.EXECUTING, Input.FAIL, "taken"),
    ],
)
async def test_each_command_of_a_plant_is_one_event(
    at_plant: Desktop, command: str, state: State, given: Input, outcome: str
) -> None:
    await at_plant.room.at(state)
    told = await at_plant(command, order="o-1", **({} if command == "begin" else {"text": "断开 201"}))
    event = at_plant.room.sent(at_plant.room.node.decision())
    assert event.event.input is given
    assert told == {"outcome": outcome, "order": "o-1", "event": event.hash.hex()}


async def test_what_is_too_late_to_begin_is_refused_in_words(at_plant: Desktop) -> None:
    await at_plant.room.at(State.CONFIRMED)
    at_plant.room.clock.ms = VALID_UNTIL_MS
    with pytest.raises(OrderRefused, match="after the order's validity"):
        await at_plant("begin", order="o-1")
