"""dispatch_server/people.py: requests reach the identity room, and its answers leave in the wire's terms."""

from collections.abc import Iterator

import pytest

from dispatch_server.people import People
from protocol.errors import OrderRefused, RefusalCode
from protocol.lifecycle import Input, State
from protocol.orders import Issue
from protocol.requests import (
    AnyReply,
    BeginRequest,
    ChallengeReply,
    DoneReply,
    GrantReply,
    LogoutRequest,
    ProveRequest,
    Purpose,
    RefusedReply,
    SessionReply,
)
from tests.dispatch_server.identity.support import DIGEST_X, DIGEST_Y, EVENT_1, EVENT_2, PASSWORD, World
from tests.protocol.parties import Chain

NODE = "desk-1"


class Desk:
    """Alice at her desk, who asks by the wire's requests alone."""

    def __init__(self) -> None:
        self.world = World()
        self.world.add("alice")
        self.people = People(self.world.service)

    async def begin(
        self, purpose: Purpose, session: bytes, person: str = "alice", node: str = NODE
    ) -> AnyReply:
        request = BeginRequest(person=person, purpose=purpose, session=session, digest=DIGEST_X)
        return await self.people.answer(node, request)

    async def prove(
        self, challenge: bytes, *, password: str = PASSWORD, code: bytes | None = None
    ) -> AnyReply:
        response = self.world.fresh_code("alice") if code is None else code
        request = ProveRequest(challenge=challenge, password=password, factor="totp", response=response)
        return await self.people.answer(NODE, request)

    async def login(self) -> SessionReply:
        challenge = await self.begin(Purpose.LOGIN, b"")
        assert isinstance(challenge, ChallengeReply)
        session = await self.prove(challenge.challenge)
        assert isinstance(session, SessionReply)
        return session

    async def grant(self, session: bytes) -> GrantReply:
        challenge = await self.begin(Purpose.ISSUE, session)
        assert isinstance(challenge, ChallengeReply)
        grant = await self.prove(challenge.challenge)
        assert isinstance(grant, GrantReply)
        return grant


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.world.store.close()


def issue(challenge: bytes, signer: str = "alice") -> Issue:
    event = Chain.at(State.DRAFTED).event(Input.ISSUE).event
    assert isinstance(event, Issue)
    return event.model_copy(update={"challenge": challenge, "signer": signer})


async def test_a_challenge_names_the_factors_of_the_person_and_its_lifetime(desk: Desk) -> None:
    reply = await desk.begin(Purpose.LOGIN, b"")
    assert isinstance(reply, ChallengeReply)
    assert [factor.name for factor in reply.factors] == ["totp"]
    assert reply.expires_in_ms > 0


async def test_both_factors_open_a_session_for_this_node(desk: Desk) -> None:
    session = await desk.login()
    now = desk.world.clock.ms
    desk.people.check_session(session.session, "alice", NODE, now)
    assert session.expires_ms > now


async def test_both_factors_in_a_session_grant_exactly_this_digest(desk: Desk) -> None:
    grant = await desk.grant((await desk.login()).session)
    await desk.people.use_grant(issue(grant.challenge), NODE, DIGEST_X, EVENT_1)
    await desk.people.use_grant(issue(grant.challenge), NODE, DIGEST_X, EVENT_1)


@pytest.mark.parametrize(
    ("signer", "node", "digest", "event"),
    [
        ("alice", NODE, DIGEST_Y, EVENT_1),
        ("alice", "desk-2", DIGEST_X, EVENT_1),
        ("bob", NODE, DIGEST_X, EVENT_1),
        ("alice", NODE, DIGEST_X, EVENT_2),
    ],
)
async def test_a_grant_serves_nothing_else(
    desk: Desk, signer: str, node: str, digest: bytes, event: bytes
) -> None:
    grant = await desk.grant((await desk.login()).session)
    if event == EVENT_2:
        await desk.people.use_grant(issue(grant.challenge), NODE, DIGEST_X, EVENT_1)
    with pytest.raises(OrderRefused) as refusal:
        await desk.people.use_grant(issue(grant.challenge, signer), node, digest, event)
    assert refusal.value.code is RefusalCode.FACTORS


def decision(given: Input, challenge: bytes) -> Issue:
    event = Chain.at(State.AWAITING).event(given).event
    assert isinstance(event, Issue)
    return event.model_copy(update={"challenge": challenge, "signer": "alice"})


@pytest.mark.parametrize("given", [Input.APPROVE, Input.DECLINE])
async def test_both_factors_without_a_session_grant_a_decision_and_no_issue(desk: Desk, given: Input) -> None:
    challenge = await desk.begin(Purpose.APPROVE, b"")
    assert isinstance(challenge, ChallengeReply)
    grant = await desk.prove(challenge.challenge)
    assert isinstance(grant, GrantReply)
    with pytest.raises(OrderRefused) as refusal:
        await desk.people.use_grant(issue(grant.challenge), NODE, DIGEST_X, EVENT_1)
    assert refusal.value.code is RefusalCode.FACTORS
    await desk.people.use_grant(decision(given, grant.challenge), NODE, DIGEST_X, EVENT_1)


@pytest.mark.parametrize("given", [Input.APPROVE, Input.DECLINE])
async def test_a_grant_to_issue_decides_nothing(desk: Desk, given: Input) -> None:
    grant = await desk.grant((await desk.login()).session)
    with pytest.raises(OrderRefused) as refusal:
        await desk.people.use_grant(decision(given, grant.challenge), NODE, DIGEST_X, EVENT_1)
    assert refusal.value.code is RefusalCode.FACTORS


async def test_who_steps_up_does_so_outside_of_any_session(desk: Desk) -> None:
    session = (await desk.login()).session
    assert isinstance(await desk.begin(Purpose.APPROVE, session), RefusedReply)


async def test_a_challenge_that_nobody_answered_is_no_grant(desk: Desk) -> None:
    challenge = await desk.begin(Purpose.ISSUE, (await desk.login()).session)
    assert isinstance(challenge, ChallengeReply)
    with pytest.raises(OrderRefused) as refusal:
        await desk.people.use_grant(issue(challenge.challenge), NODE, DIGEST_X, EVENT_1)
    assert refusal.value.code is RefusalCode.FACTORS


async def test_what_is_not_accepted_is_told_in_one_constant_text(desk: Desk) -> None:
    """Nobody learns whether the person, the password or the factor was wrong."""
    replies = [await desk.prove(bytes(16))]
    for password, code in (("wrong password", None), (PASSWORD, b"000000"), ("wrong password", b"000000")):
        challenge = await desk.begin(Purpose.LOGIN, b"")
        assert isinstance(challenge, ChallengeReply)
        replies.append(await desk.prove(challenge.challenge, password=password, code=code))
    unknown = await desk.begin(Purpose.LOGIN, b"", person="mallory")
    assert isinstance(unknown, ChallengeReply)
    replies.append(await desk.prove(unknown.challenge))
    replies.append(await desk.begin(Purpose.ISSUE, b"s" * 16))
    assert {type(reply) for reply in replies} == {RefusedReply}
    assert len({reply.encode() for reply in replies}) == 1


async def test_a_node_that_failed_too_often_is_told_how_long_to_wait(desk: Desk) -> None:
    for _ in range(100):
        challenge = await desk.begin(Purpose.LOGIN, b"")
        if isinstance(challenge, RefusedReply):
            assert challenge.code == "not-accepted"
            assert challenge.retry_after_s > 0
            return
        assert isinstance(challenge, ChallengeReply)
        await desk.prove(challenge.challenge, password="wrong password")
    pytest.fail("the node was never told to wait")


async def test_logging_out_ends_the_session(desk: Desk) -> None:
    session = (await desk.login()).session
    reply = await desk.people.answer(NODE, LogoutRequest(person="alice", session=session))
    assert isinstance(reply, DoneReply)
    desk.world.clock.advance(60)
    with pytest.raises(OrderRefused) as refusal:
        desk.people.check_session(session, "alice", NODE, desk.world.clock.ms)
    assert refusal.value.code is RefusalCode.SESSION


@pytest.mark.parametrize(("person", "node"), [("bob", NODE), ("alice", "desk-2")])
async def test_nobody_logs_out_another(desk: Desk, person: str, node: str) -> None:
    session = (await desk.login()).session
    reply = await desk.people.answer(node, LogoutRequest(person=person, session=session))
    assert isinstance(reply, RefusedReply)
    assert reply.code == "session"
    desk.people.check_session(session, "alice", NODE, desk.world.clock.ms)


@pytest.mark.parametrize(("person", "node"), [("bob", NODE), ("alice", "desk-2")])
async def test_a_session_belongs_to_one_person_on_one_node(desk: Desk, person: str, node: str) -> None:
    session = (await desk.login()).session
    with pytest.raises(OrderRefused) as refusal:
        desk.people.check_session(session, person, node, desk.world.clock.ms)
    assert refusal.value.code is RefusalCode.SESSION


async def test_a_time_before_the_session_is_not_in_it(desk: Desk) -> None:
    before = desk.world.clock.ms - 3_600_000
    session = (await desk.login()).session
    with pytest.raises(OrderRefused):
        desk.people.check_session(session, "alice", NODE, before)
