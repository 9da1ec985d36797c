"""The checks of an order before it is accepted (调度操作指令校验). Pure: facts in, objection out."""

from collections.abc import Iterable
from dataclasses import dataclass

from protocol.orders import OrderType
from protocol.record import OrderRecord
from situational import Posture


@dataclass(frozen=True, slots=True)
class Rules:
    """How headquarters decides on orders. Times in ms."""

    answer_within_ms: int = 120_000
    lost_after_ms: int = 15_000
    max_validity_ms: int = 24 * 3_600_000
    max_drafts: int = 200
    restricted_types: frozenset[OrderType] = frozenset({OrderType.OUTAGE_NOTICE, OrderType.MAINTENANCE_WORK})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a check has to know besides the order itself."""

    now_ms: int
    posture: Posture
    plant_is_known: bool
    plant_is_crowded: bool
    others: Iterable[OrderRecord]
    plant_is_fenced: bool = False


def objection(record: OrderRecord, rules: Rules, around: Surroundings) -> str | None:
    """Why an issued order must be rejected, in words for the dispatcher; None when nothing does."""
    content = record.content
    if not around.plant_is_known:
        return f"plant '{content.plant}' is not reachable from this headquarters: check the name"
    if content.valid_until_ms <= around.now_ms:
        return "its validity is over: draft it again"
    if content.valid_until_ms > around.now_ms + rules.max_validity_ms:
        return f"its validity is longer than {rules.max_validity_ms // 3_600_000} h: shorten it"
    if around.plant_is_fenced:
        return f"another server commands the way to '{content.plant}': issue there, or end that server first"
    if around.plant_is_crowded:
        return f"too much waits for '{content.plant}' already: restore its link first"
    return _posture_objection(record, rules, around.posture) or _lock_objection(record, around.others)


def needs_second_person(record: OrderRecord, posture: Posture) -> bool:
    """Whether an issued order, to which nothing is objected, must wait for a second person's approval."""
    return posture >= Posture.HEIGHTENED and not record.is_approved


def _posture_objection(record: OrderRecord, rules: Rules, posture: Posture) -> str | None:
    if posture is Posture.HELD:
        return "network issuing is held by the security posture: use the telephone"
    if posture is Posture.RESTRICTED and record.content.type not in rules.restricted_types:
        return f"the security posture is restricted: '{record.content.type.value}' is not allowed now"
    return None


def _lock_objection(record: OrderRecord, others: Iterable[OrderRecord]) -> str | None:
    """One piece of equipment is under one order at a time."""
    devices = {step.device for step in record.content.ticket.steps}
    for other in others:
        if other.order == record.order or other.content.plant != record.content.plant:
            continue
        if shared := devices & {step.device for step in other.content.ticket.steps}:
            return f"'{min(shared)}' is under order {other.order} already"
    return None
