"""dispatch_server/links/allowance.py: enough for people, too little for a flood."""

import pytest

from dispatch_server.links.allowance import Allowance
from protocol.errors import PeerFault, WireCode
from protocol.limits import MAX_REFUSALS


def test_as_many_refusals_as_allowed_are_forgiven_and_one_more_is_a_fault() -> None:
    allowance = Allowance(0.0)
    allowance.refuse(MAX_REFUSALS, 0.0)
    with pytest.raises(PeerFault) as caught:
        allowance.refuse(1, 0.0)
    assert caught.value.code is WireCode.LIMIT


def test_refusals_are_forgotten_within_a_minute() -> None:
    allowance = Allowance(0.0)
    allowance.refuse(MAX_REFUSALS, 0.0)
    allowance.refuse(MAX_REFUSALS, 60.0)
    with pytest.raises(PeerFault):
        allowance.refuse(MAX_REFUSALS // 2 + 1, 90.0)


def test_a_person_may_ask_sixty_times_at_once_and_twice_a_second_for_ever() -> None:
    allowance = Allowance(0.0)
    for _ in range(60):
        allowance.ask(0.0)
    for number in range(1, 200):
        allowance.ask(number / 2)
    with pytest.raises(PeerFault) as caught:
        allowance.ask(199 / 2)
    assert caught.value.code is WireCode.LIMIT
