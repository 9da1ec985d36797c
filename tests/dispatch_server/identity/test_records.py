import pytest

from dispatch_server.identity.errors import GrantRefused, SessionRefused
from dispatch_server.identity.records import Grant, Session
from tests.dispatch_server.identity.support import DIGEST_X, DIGEST_Y

SESSION = Session(b"s" * 16, "alice", "desk", started_ms=1_000, expires_ms=9_000)
ENDED = Session(b"s" * 16, "alice", "desk", started_ms=1_000, expires_ms=9_000, ended_ms=5_000)
GRANT = Grant(b"c" * 16, "alice", b"s" * 16, "desk", DIGEST_X, expires_ms=3_000)


@pytest.mark.parametrize("at_ms", [800, 1_000, 5_000, 8_999, 9_199])
def test_a_session_covers_its_time_give_or_take_the_skew(at_ms: int) -> None:
    SESSION.require_open("alice", "desk", at_ms, skew_ms=200)


@pytest.mark.parametrize(
    ("session", "person", "node", "at_ms", "reason"),
    [
        (SESSION, "bob", "desk", 5_000, "another person"),
        (SESSION, "alice", "plant", 5_000, "another node"),
        (SESSION, "alice", "desk", 799, "not started"),
        (SESSION, "alice", "desk", 9_200, "expired"),
        (ENDED, "alice", "desk", 5_200, "ended"),
        (Session(b"s" * 16, "alice", "desk", 1, 9_000, revoked=True), "alice", "desk", 5_000, "revoked"),
    ],
)
def test_a_session_covers_nothing_else(
    session: Session, person: str, node: str, at_ms: int, reason: str
) -> None:
    with pytest.raises(SessionRefused, match=reason):
        session.require_open(person, node, at_ms, skew_ms=200)


def test_a_session_that_was_ended_still_covers_what_was_signed_before() -> None:
    ENDED.require_open("alice", "desk", 4_999)
    with pytest.raises(SessionRefused, match="ended"):
        ENDED.require_open("alice", "desk", 5_000)


@pytest.mark.parametrize(
    ("person", "node", "digest", "reason"),
    [
        ("bob", "desk", DIGEST_X, "another person"),
        ("alice", "plant", DIGEST_X, "another node"),
        ("alice", "desk", DIGEST_Y, "another order"),
        ("alice", "desk", DIGEST_X[:-1], "another order"),
    ],
)
def test_a_grant_serves_only_its_person_node_and_order(
    person: str, node: str, digest: bytes, reason: str
) -> None:
    with pytest.raises(GrantRefused, match=reason):
        GRANT.require_for(person, node, digest)


def test_a_grant_expires_unused_and_dies_with_its_session() -> None:
    GRANT.require_unused(SESSION, 2_999)
    with pytest.raises(GrantRefused, match="expired"):
        GRANT.require_unused(SESSION, 3_000)
    with pytest.raises(GrantRefused, match="ended since the proof"):
        GRANT.require_unused(Session(b"s" * 16, "alice", "desk", 1_000, 9_000, ended_ms=2_000), 2_500)
