"""Sessions as the service keeps them: what they cover, how they end, restarts."""

import asyncio
from pathlib import Path

import pytest

from dispatch_server.identity.challenges import Purpose
from dispatch_server.identity.errors import AuthenticationRefused, GrantRefused, SessionRefused
from tests.dispatch_server.identity.support import (
    DIGEST_X,
    DIGEST_Y,
    EVENT_1,
    EVENT_2,
    NODE,
    PASSWORD,
    World,
)


async def test_a_session_covers_its_person_node_and_time_only(world: World) -> None:
    opened = await world.login("alice")
    check, session = world.service.check_session, opened.session_id
    start = world.clock.ms
    world.clock.advance(100)
    check(session, "alice", NODE, start - 2_000)
    check(session, "alice", NODE, world.clock.ms + 2_000)
    for person, node, at_ms, reason in (
        ("bob", NODE, start, "another person"),
        ("alice", "plant-7", start, "another node"),
        ("alice", NODE, start - 2_001, "not started"),
        ("alice", NODE, world.clock.ms + 2_001, "future"),
    ):
        with pytest.raises(SessionRefused, match=reason):
            check(session, person, node, at_ms)
        assert world.audit[-1].action == "check-session"
        assert reason in world.last_reasons()[0]
    with pytest.raises(SessionRefused, match="no such session"):
        check(b"x" * 16, "alice", NODE, start)
    world.clock.advance(13 * 3600)
    check(session, "alice", NODE, opened.expires_ms - 1)
    with pytest.raises(SessionRefused, match="expired"):
        check(session, "alice", NODE, opened.expires_ms + 2_000)


async def test_after_logout_only_what_was_signed_before_is_covered(world: World) -> None:
    opened = await world.login("alice")
    signed_ms = world.clock.ms + 1_000
    world.clock.advance(10)
    await world.service.logout(opened.session_id, "alice", NODE)
    world.clock.advance(10)
    world.service.check_session(opened.session_id, "alice", NODE, signed_ms)
    with pytest.raises(SessionRefused, match="ended"):
        world.service.check_session(opened.session_id, "alice", NODE, world.clock.ms)
    with pytest.raises(AuthenticationRefused):
        await world.service.begin(NODE, "alice", Purpose.ISSUE, opened.session_id, DIGEST_X)


async def test_nobody_logs_out_somebody_else(world: World) -> None:
    opened = await world.login("alice")
    with pytest.raises(SessionRefused, match="another person"):
        await world.service.logout(opened.session_id, "bob", NODE)
    world.service.check_session(opened.session_id, "alice", NODE, world.clock.ms)


async def test_sessions_and_used_grants_survive_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path / "identity.db")
    world.add("alice")
    opened = await world.login("alice")
    granted = await world.grant(opened)
    await world.service.use_grant(granted.challenge_id, "alice", NODE, DIGEST_X, EVENT_1)
    world.service = world.restart()
    with pytest.raises(SessionRefused, match="no such session"):
        world.service.check_session(opened.session_id, "alice", NODE, world.clock.ms)
    await world.service.refresh()
    world.service.check_session(opened.session_id, "alice", NODE, world.clock.ms)
    with pytest.raises(GrantRefused, match="another event"):
        await world.service.use_grant(granted.challenge_id, "alice", NODE, DIGEST_X, EVENT_2)
    world.store.close()


async def test_an_unanswered_challenge_does_not_survive_a_restart(world: World) -> None:
    issued = await world.service.begin(NODE, "alice", Purpose.LOGIN, None, DIGEST_X)
    world.service = world.restart()
    with pytest.raises(AuthenticationRefused):
        await world.service.prove(NODE, issued.id, PASSWORD, "totp", world.code("alice"))


async def test_disabling_by_another_process_is_seen_at_once_at_the_key_points_and_soon_everywhere(
    tmp_path: Path,
) -> None:
    world = World(tmp_path / "identity.db")
    world.add("alice")
    opened = await world.login("alice")
    granted = await world.grant(opened)
    other = World(tmp_path / "identity.db")
    other.admin.disable("alice")
    other.store.close()
    with pytest.raises(AuthenticationRefused):
        await world.service.begin(NODE, "alice", Purpose.ISSUE, opened.session_id, DIGEST_Y)
    with pytest.raises(GrantRefused, match="revoked"):
        await world.service.use_grant(granted.challenge_id, "alice", NODE, DIGEST_X, EVENT_1)
    task = asyncio.create_task(world.service.keep_fresh(every_s=0.0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(SessionRefused, match="revoked"):
        world.service.check_session(opened.session_id, "alice", NODE, world.clock.ms)
    world.store.close()


async def test_sessions_are_forgotten_a_week_after_they_expired(world: World) -> None:
    opened = await world.login("alice")
    world.clock.advance(12 * 3600 + 7 * 24 * 3600)
    await world.login("bob")
    with pytest.raises(SessionRefused, match="no such session"):
        world.service.check_session(opened.session_id, "alice", NODE, opened.expires_ms - 1)


async def test_who_is_revoked_loses_the_sessions_from_before_for_good_and_may_come_back(world: World) -> None:
    """A new session is opened with a new key; what was opened with the stolen one covers nothing any more."""
    old, other = await world.login("alice"), await world.login("bob")
    granted = await world.grant(old)
    world.clock.advance(10)
    revoked_ms = world.clock.ms
    world.clock.advance(10)
    new = await world.login("alice", node="plant-7")
    await world.service.revoke_sessions("alice", revoked_ms)
    assert (world.audit[-1].action, world.audit[-1].person, world.audit[-1].accepted) == (
        "end-sessions",
        "alice",
        True,
    )
    with pytest.raises(SessionRefused, match="revoked"):
        world.service.check_session(old.session_id, "alice", NODE, revoked_ms - 1_000)
    with pytest.raises(GrantRefused):
        await world.service.use_grant(granted.challenge_id, "alice", NODE, DIGEST_X, EVENT_1)
    world.service.check_session(new.session_id, "alice", "plant-7", world.clock.ms)
    world.service.check_session(other.session_id, "bob", NODE, world.clock.ms)
    told = len(world.audit)
    await world.service.revoke_sessions("alice", revoked_ms)  # it is looked at each minute
    await world.service.revoke_sessions("nobody", revoked_ms)
    assert len(world.audit) == told
