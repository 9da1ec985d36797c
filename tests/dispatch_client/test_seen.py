"""A person confirms and issues what was shown, not what came after it."""

from collections.abc import Mapping
from typing import Any, cast

import pytest
from pydantic import ValidationError
from typing_extensions import override

from dispatch_client.client import Outcome, OutcomeKind
from dispatch_client.commands import Commands, ConfirmArguments, _desk_table, _require_seen
from dispatch_client.desk import Desk
from protocol.compose import draft
from protocol.errors import OrderRefused, RefusalCode
from protocol.keys import Role
from protocol.orders import Content, OrderType, Step, Ticket
from protocol.record import OrderRecord, apply
from tests.support.pki import DEPLOYMENT, NOW_MS, TestAuthority


class DeskAt(Desk):
    """A desk that knows one order and confirms without a headquarters."""

    def __init__(self, record: OrderRecord) -> None:
        self.record = record
        self.confirmed: list[str] = []

    @override
    def order(self, order: str) -> OrderRecord:
        return self.record

    @override
    async def confirm(self, order: str, patience: float) -> Outcome:
        self.confirmed.append(order)
        return Outcome(OutcomeKind.TAKEN, order, self.record.head)


def desk() -> DeskAt:
    key = TestAuthority().key(Role.DISPATCHER, "wang", "desk-1")
    ticket = Ticket(number="1", title="Open 5012", steps=(Step(device="5012", action="open"),))
    content = Content(
        type=OrderType.DIRECT_OPERATION, desk="desk-1", plant="plant-a", ticket=ticket, valid_until_ms=NOW_MS
    )
    verified = draft("t-1", content, key, deployment=DEPLOYMENT, at_ms=NOW_MS - 1, session=bytes(16))
    return DeskAt(apply(None, verified))


async def confirm(at: DeskAt, arguments: Mapping[str, Any]) -> Any:
    return await _desk_table(cast("Commands", None), at)["confirm"](arguments)


async def test_what_was_shown_is_confirmed() -> None:
    at = desk()
    assert (await confirm(at, {"order": "t-1", "seen": at.record.head.hex()}))["outcome"] == "taken"
    assert at.confirmed == ["t-1"]


async def test_an_order_that_moved_on_since_it_was_shown_is_not_confirmed() -> None:
    at = desk()
    with pytest.raises(OrderRefused, match="moved on") as caught:
        await confirm(at, {"order": "t-1", "seen": "00" * 32})
    assert caught.value.code is RefusalCode.STALE
    assert at.confirmed == []


def test_a_program_that_shows_nothing_may_leave_it_out() -> None:
    _require_seen(desk(), "t-1", "")


@pytest.mark.parametrize("seen", ["0", "zz" * 32, "00" * 33, "AB" * 32])
def test_what_was_seen_is_the_hash_of_an_event(seen: str) -> None:
    with pytest.raises(ValidationError):
        ConfirmArguments.model_validate({"order": "t-1", "seen": seen})
