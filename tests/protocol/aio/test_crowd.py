"""Who may stand at the door: however a flood comes, a superior that is quick is not pushed out by it."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.aio.crowd import Crowd, DoorLimits, TurnedAway, Why, source_of
from protocol.errors import WireCode

LIMITS = DoorLimits(in_all=6, per_source=3, rate=2.0, burst=5.0, sources=4)
HOME, FLOOD = "10.0.0.1", "192.0.2.1"


def crowd(limits: DoorLimits = LIMITS) -> Crowd[str]:
    return Crowd(limits)


def test_of_too_many_from_one_address_its_own_oldest_goes() -> None:
    here = crowd()
    assert here.arrive("superior", HOME) is None
    for number in range(LIMITS.per_source):
        assert here.arrive(f"f-{number}", FLOOD) is None
    for number in range(20):
        gone = here.arrive(f"f-{number + LIMITS.per_source}", FLOOD)
        assert gone is not None
        assert (gone[0], gone[1].why, gone[1].code) == (f"f-{number}", Why.SOURCE, WireCode.LIMIT)
        assert FLOOD in str(gone[1])
    assert len(here) == 1 + LIMITS.per_source


def test_when_all_places_are_taken_the_fullest_address_gives_one_up() -> None:
    here = crowd()
    here.arrive("superior", HOME)
    for number in range(5):
        here.arrive(f"f-{number}", f"192.0.2.{number // 2}")
    gone = here.arrive("another", "198.51.100.1")
    assert gone is not None
    assert (gone[0], gone[1].why) == ("f-0", Why.CROWD)
    assert len(here) == LIMITS.in_all


def test_a_flood_from_many_addresses_pushes_out_the_oldest_but_never_the_address_of_the_superior() -> None:
    here = crowd()
    here.know(HOME)
    here.arrive("superior", HOME)
    gone = [here.arrive(f"f-{number}", f"192.0.2.{number}") for number in range(50)]
    assert [one[0] for one in gone if one] == [f"f-{number}" for number in range(45)]


def test_the_places_of_a_superior_that_come_from_its_own_address_are_not_endless() -> None:
    here = crowd()
    here.know(HOME)
    for number in range(50):
        here.arrive(f"f-{number}", HOME)
    assert len(here) == LIMITS.per_source


def test_one_address_may_come_so_often_and_no_more() -> None:
    here = crowd()
    for _ in range(5):
        here.charge(FLOOD, 0.0)
    with pytest.raises(TurnedAway, match="more than 2 times a second") as caught:
        here.charge(FLOOD, 0.4)
    assert caught.value.why is Why.RATE
    here.charge(HOME, 0.4)
    here.charge(FLOOD, 0.5)
    with pytest.raises(TurnedAway):
        here.charge(FLOOD, 0.5)


def test_the_address_of_the_superior_may_come_as_often_as_it_likes() -> None:
    here = crowd()
    here.know(HOME)
    for _ in range(50):
        here.charge(HOME, 0.0)


def test_the_memory_of_addresses_is_bounded_and_forgets_the_oldest() -> None:
    here = crowd()
    for number in range(1_000):
        here.charge(f"192.0.{number // 256}.{number % 256}", 0.0)
    assert len(here._tokens) == LIMITS.sources


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
    ],
)
def test_an_ipv6_network_is_one_address(host: str, source: str) -> None:
    assert source_of(host) == source


Step = tuple[bool, int, int]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.integers(0, 30)), max_size=100))
def test_whoever_comes_and_goes_the_limits_hold_and_nobody_is_forgotten(steps: list[Step]) -> None:
    here, present = crowd(), dict[str, str]()
    for number, (comes, source, who) in enumerate(steps):
        if comes:
            name = f"{number}"
            gone = here.arrive(name, f"192.0.2.{source}")
            if gone:
                del present[gone[0]]
            present[name] = f"192.0.2.{source}"
        elif present:
            name = list(present)[who % len(present)]
            here.leave(name)
            here.leave(name)  # again does nothing
            del present[name]
        counts = Counter(present.values())
        assert len(here) == len(present) <= LIMITS.in_all
        assert max(counts.values(), default=0) <= LIMITS.per_source
        assert {source: len(some) for source, some in here._here.items()} == counts
