import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch_server.identity.challenges import Purpose
from dispatch_server.identity.errors import AuthenticationRefused, GrantRefused
from dispatch_server.identity.policy import IdentityPolicy
from dispatch_server.identity.proofs import GrantIssued, SessionOpened
from tests.dispatch_server.identity.support import (
    DIGEST_X,
    DIGEST_Y,
    EVENT_1,
    EVENT_2,
    NODE,
    PASSWORD,
    World,
)

T = TypeVar("T")


async def refused_login(world: World, **changes: object) -> AuthenticationRefused:
    person = str(changes.get("person", "alice"))
    password = str(changes.get("password", PASSWORD))
    node = str(changes.get("node", NODE))
    with pytest.raises(AuthenticationRefused) as caught:
        await world.login(person, node=node, password=password, code=b"000000")
    return caught.value


async def test_a_login_and_an_issue_with_both_factors_each(world: World) -> None:
    opened = await world.login("alice")
    assert (opened.person, opened.role) == ("alice", "dispatcher")
    world.service.check_session(opened.session_id, "alice", NODE, world.clock.ms)
    granted = await world.grant(opened)
    assert granted == GrantIssued(
        granted.challenge_id, "alice", opened.session_id, DIGEST_X, world.clock.ms + 120_000
    )
    await world.service.use_grant(granted.challenge_id, "alice", NODE, DIGEST_X, EVENT_1)
    await world.service.use_grant(granted.challenge_id, "alice", NODE, DIGEST_X, EVENT_1)


async def test_a_challenge_tells_how_to_answer_and_for_how_long(world: World) -> None:
    issued = await world.service.begin(NODE, "alice", Purpose.LOGIN, None, DIGEST_X)
    assert len(issued.id) == 16
    assert issued.expires_in_ms == 60_000
    assert issued.factors == {"totp": b""}


async def test_a_stranger_a_wrong_password_and_a_wrong_code_get_the_same_answer(world: World) -> None:
    begun = [
        await world.service.begin(NODE, person, Purpose.LOGIN, None, DIGEST_X)
        for person in ("alice", "mallory")
    ]
    assert begun[0].factors == begun[1].factors
    answers = [
        await refused_login(world),
        await refused_login(world, password="wrong password"),
        await refused_login(world, person="mallory"),
    ]
    assert {(str(answer), answer.args, answer.retry_after_s) for answer in answers} == {
        (str(answers[0]), (None,), None)
    }
    assert len({record.reasons for record in world.audit if record.action == "prove"}) == 3


async def test_the_answer_carries_no_detail_of_the_cause(world: World) -> None:
    answer = await refused_login(world)
    assert answer.__cause__ is None
    assert answer.__suppress_context__


async def test_a_used_challenge_is_refused_whatever_came_of_it(world: World) -> None:
    for password in (PASSWORD, "wrong password"):
        issued = await world.service.begin(NODE, "alice", Purpose.LOGIN, None, DIGEST_X)
        code = world.fresh_code("alice")
        try:
            await world.service.prove(NODE, issued.id, password, "totp", code)
        except AuthenticationRefused:
            assert password != PASSWORD
        with pytest.raises(AuthenticationRefused):
            await world.service.prove(NODE, issued.id, PASSWORD, "totp", world.fresh_code("alice"))
        assert world.last_reasons() == ("no such challenge is waiting: unknown, used or expired",)


async def test_an_answer_after_a_minute_is_refused(world: World) -> None:
    issued = await world.service.begin(NODE, "alice", Purpose.LOGIN, None, DIGEST_X)
    world.clock.advance(60)
    with pytest.raises(AuthenticationRefused):
        await world.service.prove(NODE, issued.id, PASSWORD, "totp", world.code("alice"))
    assert world.last_reasons() == ("challenge expired",)


async def test_an_answer_from_another_node_is_refused(world: World) -> None:
    issued = await world.service.begin(NODE, "alice", Purpose.LOGIN, None, DIGEST_X)
    with pytest.raises(AuthenticationRefused):
        await world.service.prove("plant-7", issued.id, PASSWORD, "totp", world.code("alice"))
    assert "another node" in world.last_reasons()[0]


@pytest.mark.parametrize(
    ("person", "purpose", "session", "digest"),
    [
        ("Alice!", Purpose.LOGIN, None, DIGEST_X),
        ("alice", Purpose.LOGIN, b"s" * 16, DIGEST_X),
        ("alice", Purpose.LOGIN, None, b"short"),
        ("alice", Purpose.APPROVE, b"s" * 16, DIGEST_X),
        ("alice", Purpose.ISSUE, None, DIGEST_X),
        ("alice", Purpose.ISSUE, b"s" * 16, DIGEST_X),
    ],
)
async def test_a_malformed_beginning_or_an_issue_without_a_session_is_refused(
    world: World, person: str, purpose: Purpose, session: bytes | None, digest: bytes
) -> None:
    with pytest.raises(AuthenticationRefused):
        await world.service.begin(NODE, person, purpose, session, digest)
    assert not world.audit[-1].accepted


async def test_an_issue_in_the_session_of_another_person_or_node_is_refused(world: World) -> None:
    opened = await world.login("alice")
    for node, person in ((NODE, "bob"), ("plant-7", "alice")):
        with pytest.raises(AuthenticationRefused):
            await world.service.begin(node, person, Purpose.ISSUE, opened.session_id, DIGEST_X)
        assert "session belongs to another" in world.last_reasons()[0]


async def test_an_issue_is_refused_when_the_session_ends_before_the_proof(world: World) -> None:
    opened = await world.login("alice")
    issued = await world.service.begin(NODE, "alice", Purpose.ISSUE, opened.session_id, DIGEST_X)
    code = world.fresh_code("alice")
    await world.service.logout(opened.session_id, "alice", NODE)
    with pytest.raises(AuthenticationRefused):
        await world.service.prove(NODE, issued.id, PASSWORD, "totp", code)
    assert world.last_reasons() == ("session was ended",)


async def test_the_code_of_the_login_does_not_serve_for_an_issue(world: World) -> None:
    opened = await world.login("alice")
    with pytest.raises(AuthenticationRefused):
        await world.grant(opened, code=world.code("alice"))
    await world.grant(opened)


async def test_a_proof_for_one_order_never_serves_another(world: World) -> None:
    opened = await world.login("alice")
    for_x = await world.grant(opened, DIGEST_X)
    for_y = await world.grant(opened, DIGEST_Y)
    with pytest.raises(GrantRefused, match="another order"):
        await world.service.use_grant(for_x.challenge_id, "alice", NODE, DIGEST_Y, EVENT_1)
    assert world.last_reasons() == ("grant is for another order",)
    with pytest.raises(GrantRefused, match="another order"):
        await world.service.use_grant(for_y.challenge_id, "alice", NODE, DIGEST_X, EVENT_1)
    await world.service.use_grant(for_x.challenge_id, "alice", NODE, DIGEST_X, EVENT_1)


async def test_a_login_gives_no_grant(world: World) -> None:
    issued = await world.service.begin(NODE, "alice", Purpose.LOGIN, None, DIGEST_X)
    opened = await world.service.prove(NODE, issued.id, PASSWORD, "totp", world.fresh_code("alice"))
    assert isinstance(opened, SessionOpened)
    with pytest.raises(GrantRefused, match="no such grant"):
        await world.service.use_grant(issued.id, "alice", NODE, DIGEST_X, EVENT_1)


async def approve(
    world: World, *, node: str = NODE, password: str = PASSWORD, digest: bytes = DIGEST_X
) -> GrantIssued:
    issued = await world.service.begin(node, "bob", Purpose.APPROVE, None, digest)
    granted = await world.service.prove(node, issued.id, password, "totp", world.fresh_code("bob"))
    assert isinstance(granted, GrantIssued)
    return granted


async def test_a_second_person_steps_up_to_a_node_and_its_own_session_goes_on(world: World) -> None:
    opened = await world.login("alice")
    granted = await approve(world)
    assert (granted.person, granted.session_id) == ("bob", None)
    for _ in range(2):
        await world.service.use_grant(
            granted.challenge_id, "bob", NODE, DIGEST_X, EVENT_1, purpose=Purpose.APPROVE
        )
    world.service.check_session(opened.session_id, "alice", NODE, world.clock.ms)
    assert [record.purpose for record in world.audit[-4:]] == ["approve"] * 4


@pytest.mark.parametrize(
    ("person", "node", "digest", "event", "purpose"),
    [
        ("alice", NODE, DIGEST_X, EVENT_1, Purpose.APPROVE),
        ("bob", "plant-7", DIGEST_X, EVENT_1, Purpose.APPROVE),
        ("bob", NODE, DIGEST_Y, EVENT_1, Purpose.APPROVE),
        ("bob", NODE, DIGEST_X, EVENT_2, Purpose.APPROVE),
        ("bob", NODE, DIGEST_X, EVENT_1, Purpose.ISSUE),
    ],
)
async def test_a_proof_to_approve_serves_nothing_else(
    world: World, person: str, node: str, digest: bytes, event: bytes, purpose: Purpose
) -> None:
    challenge = (await approve(world)).challenge_id
    if event == EVENT_2:
        await world.service.use_grant(challenge, "bob", NODE, DIGEST_X, EVENT_1, purpose=Purpose.APPROVE)
    with pytest.raises(GrantRefused):
        await world.service.use_grant(challenge, person, node, digest, event, purpose=purpose)


async def test_a_proof_to_approve_is_over_after_two_minutes(world: World) -> None:
    challenge = (await approve(world)).challenge_id
    world.clock.advance(120)
    with pytest.raises(GrantRefused, match="expired"):
        await world.service.use_grant(challenge, "bob", NODE, DIGEST_X, EVENT_1, purpose=Purpose.APPROVE)


async def test_a_challenge_to_approve_is_used_up_by_its_first_answer(world: World) -> None:
    issued = await world.service.begin(NODE, "bob", Purpose.APPROVE, None, DIGEST_X)
    for password in ("wrong password", PASSWORD):
        with pytest.raises(AuthenticationRefused):
            await world.service.prove(NODE, issued.id, password, "totp", world.fresh_code("bob"))
    assert world.last_reasons() == ("no such challenge is waiting: unknown, used or expired",)


async def test_guesses_at_approving_lock_the_person_and_throttle_the_node_as_everywhere(
    world: World,
) -> None:
    for _ in range(5):
        with pytest.raises(AuthenticationRefused):
            await approve(world, password="wrong password")
    with pytest.raises(AuthenticationRefused):
        await approve(world)
    assert "person locked" in world.last_reasons()[0]
    for _ in range(10):
        await refused_login(world, person="mallory")
    with pytest.raises(AuthenticationRefused) as caught:
        await world.service.begin(NODE, "bob", Purpose.APPROVE, None, DIGEST_X)
    assert caught.value.retry_after_s


async def test_who_may_not_act_on_a_node_approves_nothing_there() -> None:
    world = World(may_use=lambda person, node: (person, node) != ("bob", NODE))
    world.add("bob")
    with pytest.raises(AuthenticationRefused):
        await approve(world)
    assert world.last_reasons() == ("person may not act on this node",)
    await approve(world, node="desk-2")
    world.store.close()


async def test_a_second_event_never_gets_a_used_grant(world: World) -> None:
    granted = await world.grant(await world.login("alice"))
    await world.service.use_grant(granted.challenge_id, "alice", NODE, DIGEST_X, EVENT_1)
    with pytest.raises(GrantRefused, match="another event"):
        await world.service.use_grant(granted.challenge_id, "alice", NODE, DIGEST_X, EVENT_2)


async def test_a_grant_expires_only_before_its_first_use(world: World) -> None:
    opened = await world.login("alice")
    used, unused = await world.grant(opened), await world.grant(opened, DIGEST_Y)
    await world.service.use_grant(used.challenge_id, "alice", NODE, DIGEST_X, EVENT_1)
    world.clock.advance(120)
    await world.service.use_grant(used.challenge_id, "alice", NODE, DIGEST_X, EVENT_1)
    with pytest.raises(GrantRefused, match="expired"):
        await world.service.use_grant(unused.challenge_id, "alice", NODE, DIGEST_Y, EVENT_2)


class Gate:
    """A run_blocking that holds every piece of work until it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, work: Callable[[], T], /) -> T:
        await self.open.wait()
        return work()


async def test_of_two_proofs_at_once_with_one_challenge_one_fails() -> None:
    gate = Gate()
    world = World(run_blocking=gate)
    world.add("alice")
    issued = await world.service.begin(NODE, "alice", Purpose.LOGIN, None, DIGEST_X)
    code = world.code("alice")
    gate.open.clear()
    both = [
        asyncio.create_task(world.service.prove(NODE, issued.id, PASSWORD, "totp", code)) for _ in range(2)
    ]
    await asyncio.sleep(0)
    gate.open.set()
    outcomes = await asyncio.gather(*both, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [SessionOpened, AuthenticationRefused]
    world.store.close()


async def test_in_real_threads_one_code_serves_one_of_many_challenges(tmp_path: Path) -> None:
    world = World(tmp_path / "identity.db", run_blocking=asyncio.to_thread)
    world.add("alice")
    begun = [await world.service.begin(NODE, "alice", Purpose.LOGIN, None, DIGEST_X) for _ in range(4)]
    code = world.code("alice")
    outcomes = await asyncio.gather(
        *(world.service.prove(NODE, issued.id, PASSWORD, "totp", code) for issued in begun),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, SessionOpened) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, AuthenticationRefused) for outcome in outcomes) == 3
    world.store.close()


async def test_argon2_and_sqlite_never_run_on_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "identity.db", run_blocking=asyncio.to_thread)
    world.add("alice")
    threads: set[int] = set()
    original = world.store._db._transaction

    def watched(begin: str) -> object:
        threads.add(threading.get_ident())
        return original(begin)

    monkeypatch.setattr(world.store._db, "_transaction", watched)
    opened = await world.login("alice")
    granted = await world.grant(opened)
    await world.service.use_grant(granted.challenge_id, "alice", NODE, DIGEST_X, EVENT_1)
    await world.service.logout(opened.session_id, "alice", NODE)
    assert threads
    assert threading.get_ident() not in threads
    world.store.close()


async def test_only_so_many_proofs_are_judged_at_once() -> None:
    running, most = 0, 0

    async def watched(work: Callable[[], T], /) -> T:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return work()

    world = World(run_blocking=watched, policy=IdentityPolicy(proofs_at_once=2))
    world.add("alice")
    begun = [await world.service.begin(NODE, "alice", Purpose.LOGIN, None, DIGEST_X) for _ in range(6)]
    most = 0
    await asyncio.gather(
        *(world.service.prove(NODE, issued.id, "wrong password", "totp", b"000000") for issued in begun),
        return_exceptions=True,
    )
    assert most == 2
    world.store.close()


async def test_hanging_up_in_the_middle_neither_saves_the_attempt_nor_hides_it() -> None:
    gate = Gate()
    world = World(run_blocking=gate)
    world.add("alice")
    issued = await world.service.begin(NODE, "alice", Purpose.LOGIN, None, DIGEST_X)
    gate.open.clear()
    proof = asyncio.create_task(world.service.prove(NODE, issued.id, PASSWORD, "totp", world.code("alice")))
    await asyncio.sleep(0)
    proof.cancel()
    with pytest.raises(asyncio.CancelledError):
        await proof
    gate.open.set()
    assert world.last_reasons() == ("cut off before it was decided",)
    assert world.audit[-1].challenge == issued.id
    with pytest.raises(AuthenticationRefused):
        await world.service.prove(NODE, issued.id, PASSWORD, "totp", world.code("alice"))
    world.store.close()


async def test_a_locked_person_gets_the_same_answer_and_waits_out_the_lock(world: World) -> None:
    answers = {str(await refused_login(world)) for _ in range(5)}
    with pytest.raises(AuthenticationRefused) as caught:
        await world.login("alice", code=world.code("alice"))
    assert answers == {str(caught.value)}
    assert world.last_reasons() == ("person locked for 60 s",)
    world.clock.advance(60)
    await world.login("alice")


async def test_a_lock_survives_a_restart(world: World) -> None:
    for _ in range(5):
        await refused_login(world)
    world.service = world.restart()
    with pytest.raises(AuthenticationRefused):
        await world.login("alice", code=world.code("alice"))
    assert world.last_reasons() == ("person locked for 60 s",)


async def test_one_node_cannot_lock_out_everybody_and_is_told_when_to_try_again(world: World) -> None:
    victims = [f"person-{number}" for number in range(5)]
    for victim in victims:
        world.add(victim)
    for victim in victims:
        for _ in range(5):
            await refused_login(world, person=victim, node="plant-7")
    failures = {person.person: person.lockout.failures for person in world.store.persons()}
    assert [failures[victim] for victim in victims] == [5, 5, 0, 0, 0]
    with pytest.raises(AuthenticationRefused) as caught:
        await world.service.begin("plant-7", "alice", Purpose.LOGIN, None, DIGEST_X)
    assert caught.value.retry_after_s == 60
    await world.login("alice", node=NODE)
    world.clock.advance(60)
    await world.service.begin("plant-7", "alice", Purpose.LOGIN, None, DIGEST_X)


async def test_a_throttled_node_cannot_answer_the_challenges_that_it_already_has(world: World) -> None:
    issued = await world.service.begin("plant-7", "bob", Purpose.LOGIN, None, DIGEST_X)
    for _ in range(10):
        await refused_login(world, node="plant-7")
    with pytest.raises(AuthenticationRefused) as caught:
        await world.service.prove("plant-7", issued.id, PASSWORD, "totp", world.code("bob"))
    assert caught.value.retry_after_s == 60
    assert {person.person: person.attempts for person in world.store.persons()}["bob"] == 0


async def test_right_proofs_never_throttle_a_node(world: World) -> None:
    opened = [await world.login("alice") for _ in range(40)]
    assert len({session.session_id for session in opened}) == 40


async def test_a_person_from_elsewhere_is_refused_and_not_locked() -> None:
    world = World(may_use=lambda person, node: node == NODE)
    world.add("alice")
    for _ in range(6):
        await refused_login(world, node="plant-7")
    assert "person may not act on this node" in world.last_reasons()
    await world.login("alice")
    world.store.close()


step = st.tuples(
    st.sampled_from(["alice", "bob", "mallory"]), st.booleans(), st.booleans(), st.integers(0, 100)
)


@settings(max_examples=40, deadline=None)
@given(st.lists(step, max_size=25))
def test_whatever_is_tried_only_both_right_factors_of_an_unlocked_person_open_a_session(
    steps: list[tuple[str, bool, bool, int]],
) -> None:
    asyncio.run(_try_everything(steps))


async def _try_everything(steps: list[tuple[str, bool, bool, int]]) -> None:
    world = World(policy=IdentityPolicy(node_burst=1000))
    world.add("alice")
    world.add("bob")
    in_a_row = {"alice": 0, "bob": 0}
    for person, right_password, right_code, wait_s in steps:
        world.clock.advance(31 + wait_s)
        code = world.code(person) if person in world.tokens else b"000000"
        if not right_code:
            code = b"no code"
        state = {known.person: known.lockout for known in world.store.persons()}.get(person)
        unlocked = state is not None and world.clock.ms >= state.locked_until_ms
        try:
            await world.login(person, password=PASSWORD if right_password else "wrong password", code=code)
        except AuthenticationRefused:
            assert not (unlocked and right_password and right_code)
            in_a_row[person] = in_a_row.get(person, 0) + unlocked
        else:
            assert unlocked
            assert right_password
            assert right_code
            in_a_row[person] = 0
    assert {person.person: person.lockout.failures for person in world.store.persons()} == {
        person: in_a_row[person] for person in ("alice", "bob")
    }
    world.store.close()
