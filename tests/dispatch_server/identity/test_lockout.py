import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch_server.identity.errors import NodeThrottled, PersonLocked
from dispatch_server.identity.lockout import (
    LockoutPolicy,
    LockoutState,
    NodeLimiter,
    charged,
    require_unlocked,
)
from tests.dispatch_server.identity.support import unhurried

POLICY = LockoutPolicy()


def fail(state: LockoutState, times: int, now_ms: int) -> LockoutState:
    """Fail `times` times, each as soon as the lock before has ended."""
    for _ in range(times):
        state = charged(state, max(now_ms, state.locked_until_ms), POLICY)
    return state


def test_four_failures_in_a_row_do_not_lock() -> None:
    require_unlocked(fail(LockoutState(), 4, 1000), 1000)


@pytest.mark.parametrize(
    ("failures", "seconds"),
    [(5, 60), (6, 120), (7, 240), (8, 480), (9, 900), (10, 900), (30, 900), (99, 900)],
)
def test_locks_double_from_a_minute_to_a_quarter_of_an_hour(failures: int, seconds: int) -> None:
    before = fail(LockoutState(), failures - 1, 1000)
    now_ms = max(1000, before.locked_until_ms)
    state = charged(before, now_ms, POLICY)
    with pytest.raises(PersonLocked) as caught:
        require_unlocked(state, now_ms)
    assert caught.value.retry_after_s == seconds
    with pytest.raises(PersonLocked) as caught:
        require_unlocked(state, now_ms + seconds * 1000 - 1)
    assert caught.value.retry_after_s == 1
    require_unlocked(state, now_ms + seconds * 1000)


def test_the_hundredth_failure_locks_until_somebody_unlocks() -> None:
    state = fail(LockoutState(), 100, 1000)
    with pytest.raises(PersonLocked, match="administrator") as caught:
        require_unlocked(state, 10**15)
    assert caught.value.retry_after_s is None
    assert charged(state, 10**15, POLICY) == state


def test_attempts_during_a_lock_neither_count_nor_prolong_it() -> None:
    state = fail(LockoutState(), 5, 1000)
    assert charged(state, state.locked_until_ms - 1, POLICY) == state


@unhurried
@given(st.lists(st.tuples(st.integers(0, 1_000_000), st.booleans()), max_size=150))
def test_no_sequence_of_attempts_gets_more_guesses_than_the_locks_allow(
    tries: list[tuple[int, bool]],
) -> None:
    state, now_ms, in_a_row = LockoutState(), 0, 0
    for wait_ms, right in tries:
        now_ms += wait_ms
        before, state = state, charged(state, now_ms, POLICY)
        try:
            require_unlocked(before, now_ms)
        except PersonLocked:
            assert in_a_row >= POLICY.threshold
            assert state == before
            continue
        in_a_row = 0 if right else in_a_row + 1
        state = LockoutState() if right else state
        assert state.failures == in_a_row
        assert (state.locked_until_ms > now_ms) == (in_a_row >= POLICY.threshold)
        assert in_a_row < 100 or state.locked_until_ms > 2**61


def test_a_node_may_fail_its_burst_and_then_once_per_refill() -> None:
    limiter = NodeLimiter(burst=3, refill_s=60.0)
    for _ in range(3):
        limiter.charge("plant", 0.0)
    with pytest.raises(NodeThrottled, match="plant") as caught:
        limiter.charge("plant", 0.0)
    assert caught.value.retry_after_s == 60
    with pytest.raises(NodeThrottled) as caught:
        limiter.require_open("plant", 59.5)
    assert caught.value.retry_after_s == 1
    limiter.charge("plant", 60.0)
    with pytest.raises(NodeThrottled):
        limiter.charge("plant", 60.0)


def test_one_node_does_not_use_up_the_attempts_of_another() -> None:
    limiter = NodeLimiter(burst=1, refill_s=60.0)
    limiter.charge("plant", 0.0)
    limiter.charge("desk", 0.0)
    with pytest.raises(NodeThrottled):
        limiter.require_open("plant", 0.0)


def test_an_accepted_attempt_costs_a_node_nothing_and_leaves_nothing_in_memory() -> None:
    limiter = NodeLimiter(burst=1, refill_s=60.0)
    for now in range(10):
        limiter.charge("desk", float(now))
        limiter.refund("desk", float(now))
    assert len(limiter) == 0
    limiter.refund("desk", 10.0)
    limiter.charge("desk", 10.0)
    with pytest.raises(NodeThrottled):
        limiter.charge("desk", 10.0)


@unhurried
@given(st.lists(st.tuples(st.floats(0.0, 200.0), st.booleans()), max_size=80))
def test_in_any_span_of_time_failures_are_bounded(tries: list[tuple[float, bool]]) -> None:
    limiter, now, failures = NodeLimiter(burst=4, refill_s=60.0), 0.0, list[float]()
    for wait, right in tries:
        now += wait
        try:
            limiter.charge("plant", now)
        except NodeThrottled:
            continue
        if right:
            limiter.refund("plant", now)
        else:
            failures.append(now)
    for first, start in enumerate(failures):
        for last in range(first, len(failures)):
            assert last - first + 1 <= 4 + (failures[last] - start) / 60.0 + 1e-6
