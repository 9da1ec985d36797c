"""The second opinion finds nothing wrong with right orders, and something with every wrong one."""

from collections.abc import Callable

import pytest

from protocol.lifecycle import TERMINAL, Input, State
from protocol.orders import SignedEvent, VerifiedEvent
from tests.protocol.parties import (
    AUTHORITY,
    HQ,
    OTHER_DISPATCHER,
    OTHER_OPERATOR,
    OTHER_PLANT,
    OTHER_SUPERVISOR,
    SUPERVISOR,
    VALID_UNTIL_MS,
    Chain,
    write,
)
from tests.simulation.audit import audit
from tests.support.pki import TestAuthority

_CERTIFICATE = AUTHORITY.authority.certificate


def _judge(signed: list[SignedEvent]) -> list[str]:
    return audit([event.encode() for event in signed], _CERTIFICATE)[1]


def _signed(chain: Chain) -> list[SignedEvent]:
    return [event.signed for event in chain.record.events]


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_an_order_that_came_to_its_end_by_the_table_is_right(state: State) -> None:
    assert _judge(_signed(Chain.at(state))) == []


@pytest.mark.parametrize("given", [Input.APPROVE, Input.DECLINE])
def test_an_order_that_a_second_person_decided_about_is_right(given: Input) -> None:
    chain = Chain.along(Input.ISSUE, Input.ASK_APPROVAL, given)
    onward = (Input.ACCEPT, Input.DELIVER, Input.READ_BACK, Input.REISSUE, Input.ASK_APPROVAL, Input.APPROVE)
    for following in onward if given is Input.APPROVE else ():
        chain.add(following)
    assert _judge(_signed(chain)) == []


def _confirmed_and(event: Callable[[Chain], VerifiedEvent]) -> list[SignedEvent]:
    chain = Chain.at(State.CONFIRMED)
    return [*_signed(chain), event(chain).signed]


def _asked_and(event: Callable[[Chain], VerifiedEvent]) -> list[SignedEvent]:
    chain = Chain.at(State.AWAITING)
    return [*_signed(chain), event(chain).signed]


def _unasked(given: Input) -> VerifiedEvent:
    return write(Chain.along(Input.ISSUE).record, given)


def _altered(event: SignedEvent) -> SignedEvent:
    return event.model_copy(update={"body": event.body.replace(b"test-grid", b"best-grid")})


def _begun_by_a_stranger(chain: Chain) -> VerifiedEvent:
    stranger = TestAuthority().key(OTHER_OPERATOR.certificate.role, "wang", "plant-1")
    return write(chain.record, Input.BEGIN, by=stranger)


def _begun_twice() -> list[SignedEvent]:
    chain = Chain.at(State.EXECUTING)
    return [*_signed(chain), write(chain.record, Input.BEGIN).signed]


def _unconfirmed() -> list[SignedEvent]:
    chain = Chain.at(State.READ_BACK)
    return [*_signed(chain), write(chain.record, Input.BEGIN, by=_OPERATOR).signed]


def _after_its_end() -> list[SignedEvent]:
    chain = Chain.at(State.CANCELLED)
    return [*_signed(chain), write(chain.record, Input.ISSUE, by=_DISPATCHER).signed]


def _another_read_back() -> list[SignedEvent]:
    chain = Chain.at(State.DELIVERED)
    return [*_signed(chain), write(chain.record, Input.READ_BACK, content_hash=bytes(32)).signed]


_OPERATOR = AUTHORITY.key(OTHER_OPERATOR.certificate.role, "wang", "plant-1")
_DISPATCHER = AUTHORITY.key(OTHER_DISPATCHER.certificate.role, "li", "desk-1")
_COLLEAGUE = AUTHORITY.key(OTHER_DISPATCHER.certificate.role, "zheng", "desk-1")
_BOTH_ROLES = AUTHORITY.key(SUPERVISOR.certificate.role, "li", "desk-1")
_WRONG = {
    "begun unconfirmed": (_unconfirmed, "begin right after read-back"),
    "begun twice": (_begun_twice, "it was begun twice"),
    "continued after its end": (_after_its_end, "after the end"),
    "read back as another order": (_another_read_back, "another order was read back"),
    "begun after its validity": (
        lambda: _confirmed_and(lambda c: write(c.record, Input.BEGIN, at_ms=VALID_UNTIL_MS)),
        "begin after its validity",
    ),
    "begun by an operator of another plant": (
        lambda: _confirmed_and(lambda c: write(c.record, Input.BEGIN, by=OTHER_OPERATOR)),
        "signed begin",
    ),
    "begun by a supervisor": (
        lambda: _confirmed_and(lambda c: write(c.record, Input.BEGIN, by=SUPERVISOR)),
        "signed begin",
    ),
    "expired by another plant": (
        lambda: _confirmed_and(lambda c: write(c.record, Input.EXPIRE, by=OTHER_PLANT)),
        "signed expire",
    ),
    "expired by headquarters after the confirmation": (
        lambda: _confirmed_and(lambda c: write(c.record, Input.EXPIRE, by=HQ)),
        "expired by hq after confirm",
    ),
    "expired within its validity": (
        lambda: _confirmed_and(lambda c: write(c.record, Input.EXPIRE, at_ms=VALID_UNTIL_MS - 1)),
        "expired within its validity",
    ),
    "accepted while a second person was asked": (
        lambda: _asked_and(lambda c: write(c.record, Input.ACCEPT, by=HQ)),
        "accept right after ask-approval",
    ),
    "approved by a dispatcher": (
        lambda: _asked_and(lambda c: write(c.record, Input.APPROVE, by=_COLLEAGUE)),
        "signed approve",
    ),
    "approved by a supervisor of another desk": (
        lambda: _asked_and(lambda c: write(c.record, Input.APPROVE, by=OTHER_SUPERVISOR)),
        "signed approve",
    ),
    "approved by its issuer": (
        lambda: _asked_and(lambda c: write(c.record, Input.APPROVE, by=_BOTH_ROLES)),
        "who issued it",
    ),
    "approved unasked": (
        lambda: [*_signed(Chain.along(Input.ISSUE)), _unasked(Input.APPROVE).signed],
        "approve right after issue",
    ),
    "approved after its validity": (
        lambda: _asked_and(lambda c: write(c.record, Input.APPROVE, at_ms=VALID_UNTIL_MS)),
        "approve after its validity",
    ),
    "declined without a reason": (
        lambda: _asked_and(lambda c: write(c.record, Input.DECLINE, reason=" ")),
        "declined without a reason",
    ),
    "signed under another authority": (
        lambda: _confirmed_and(_begun_by_a_stranger),
        "does not verify",
    ),
    "altered": (
        lambda: [*_signed(Chain.at(State.CONFIRMED))[:-1], _altered(_signed(Chain.at(State.CONFIRMED))[-1])],
        "does not verify",
    ),
    "with a gap": (
        lambda: _signed(Chain.at(State.EXECUTING))[:-2] + _signed(Chain.at(State.EXECUTING))[-1:],
        "does not continue",
    ),
    "without its draft": (lambda: _signed(Chain.at(State.CONFIRMED))[1:], "does not begin with a draft"),
}


@pytest.mark.parametrize("how", _WRONG)
def test_the_audit_finds_an_order_that_was(how: str) -> None:
    make, complaint = _WRONG[how]
    assert any(complaint in line for line in _judge(make()))
