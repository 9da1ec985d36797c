"""dispatch_server/links/backoff.py: waiting grows, differs from link to link, and is longest after faults."""

from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from dispatch_server.links.backoff import Backoff

_LARGEST = 0.999_999


def delays(count: int, *, fault: bool, uniform: float = _LARGEST) -> list[float]:
    """What one link waits after so many failures in a row."""
    backoff = Backoff(lambda: uniform)
    return [backoff.next_delay(fault=fault) for _ in range(count)]


@pytest.mark.parametrize("fault", [False, True])
def test_each_wait_is_twice_the_one_before_until_the_longest(fault: bool) -> None:
    waits = delays(20, fault=fault)
    longest = waits[-1]
    for one, next_one in pairwise(waits):
        assert next_one == pytest.approx(min(2 * one, longest))
    assert longest == pytest.approx(120.0 if fault else 30.0, rel=1e-5)


def test_the_first_wait_is_a_fraction_of_a_second() -> None:
    assert delays(1, fault=False)[0] == pytest.approx(0.2, rel=1e-5)


def test_after_a_fault_every_wait_is_longer_than_after_a_loss() -> None:
    pairs = zip(delays(20, fault=True, uniform=0.0), delays(20, fault=False), strict=True)
    assert all(fault > loss for fault, loss in pairs)


@given(
    uniform=st.floats(min_value=0, max_value=1, exclude_max=True),
    history=st.lists(st.booleans(), max_size=40),
    fault=st.booleans(),
)
def test_jitter_takes_away_at_most_half_and_adds_nothing(
    uniform: float, history: list[bool], fault: bool
) -> None:
    drawn, least = Backoff(lambda: uniform), Backoff(lambda: 0.0)
    for past in history:
        drawn.next_delay(fault=past)
        least.next_delay(fault=past)
    floor = least.next_delay(fault=fault)
    assert floor <= drawn.next_delay(fault=fault) <= 2 * floor


def test_a_longer_longest_wait_is_kept_for_faults_too() -> None:
    backoff = Backoff(lambda: _LARGEST, longest=300.0)
    assert max(backoff.next_delay(fault=True) for _ in range(20)) == pytest.approx(300.0, rel=1e-5)


def test_a_session_that_opens_forgets_the_losses() -> None:
    backoff = Backoff(lambda: _LARGEST)
    first = backoff.next_delay(fault=False)
    for _ in range(5):
        backoff.next_delay(fault=False)
    backoff.succeeded()
    assert backoff.next_delay(fault=False) == first


def test_a_session_that_opens_forgets_no_fault() -> None:
    backoff = Backoff(lambda: _LARGEST)
    first = backoff.next_delay(fault=True)
    backoff.succeeded()
    assert backoff.next_delay(fault=True) == pytest.approx(2 * first)


def test_a_session_that_was_healthy_for_long_is_forgiven_everything() -> None:
    backoff = Backoff(lambda: _LARGEST)
    first = [backoff.next_delay(fault=fault) for fault in (False, True)]
    backoff.forgive()
    assert [backoff.next_delay(fault=fault) for fault in (False, True)] == first
