from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch_server.identity.errors import SessionRefused
from dispatch_server.identity.records import Session
from dispatch_server.identity.session_cache import SessionCache
from tests.dispatch_server.identity.support import unhurried

SESSION = Session(b"s" * 16, "alice", "desk", started_ms=0, expires_ms=9_000, change=1)


def test_an_unknown_session_is_refused() -> None:
    with pytest.raises(SessionRefused, match="no such"):
        SessionCache().get(b"s" * 16)


@unhurried
@given(st.permutations(range(1, 7)))
def test_refreshes_that_overtake_each_other_leave_the_newest_row(order: list[int]) -> None:
    cache = SessionCache()
    for change in order:
        cache.apply([replace(SESSION, change=change, ended_ms=change)], forget_before_ms=0)
    assert cache.get(SESSION.id).ended_ms == 6
    assert cache.last_change == 6


def test_sessions_that_are_long_over_are_forgotten() -> None:
    cache = SessionCache()
    cache.apply([SESSION], forget_before_ms=0)
    cache.apply([replace(SESSION, id=b"t" * 16, expires_ms=20_000, change=2)], forget_before_ms=9_000)
    assert len(cache) == 1
    with pytest.raises(SessionRefused):
        cache.get(SESSION.id)


def test_a_node_is_in_use_while_a_session_on_it_is_open() -> None:
    cache = SessionCache()
    rows = [
        SESSION,
        replace(SESSION, id=b"t" * 16, change=2),
        replace(SESSION, id=b"u" * 16, node="desk-2", change=3, ended_ms=5),
        replace(SESSION, id=b"v" * 16, node="desk-3", change=4, expires_ms=100),
    ]
    cache.apply(rows, forget_before_ms=0)
    assert cache.nodes(50) == {"desk", "desk-3"}
    assert cache.nodes(8_999) == {"desk"}
    assert cache.nodes(9_000) == set()
