import pytest

from dispatch_server.counters import Counters
from dispatch_server.ops.recent import Recent


def test_before_a_second_look_nothing_can_be_told() -> None:
    recent = Recent(Counters())
    assert recent.rate("polls") is None
    recent.take(5.0)
    assert recent.rate("polls") is None
    assert recent.quantile("commit", 0.99) is None


def test_a_rate_is_of_the_last_minute_alone() -> None:
    counters = Counters()
    recent = Recent(counters)
    for second in range(200):
        recent.take(float(second))
        counters.add("polls", 100 if second < 100 else 2)
    assert recent.rate("polls") == pytest.approx(2.0)
    assert len(recent._moments) <= 61


def test_a_quantile_is_of_the_last_minute_alone() -> None:
    counters = Counters()
    recent = Recent(counters)
    counters.histogram("commit").observe(9.0)
    recent.take(0.0)
    for _ in range(99):
        counters.histogram("commit").observe(0.004)
    recent.take(1.0)
    assert recent.quantile("commit", 0.99) == 0.005
    recent.take(100.0)
    recent.take(101.0)
    assert recent.quantile("commit", 0.99) is None
