"""Orders as plain JSON-able dictionaries, for screens, terminals and programs."""

from typing import Any

from protocol.lifecycle import OFF_CHAIN
from protocol.orders import ORDER_TYPE_ZH, Draft, Issue, ReadBack, Reasoned, VerifiedEvent
from protocol.record import OrderRecord
from protocol.timeline import Timeline


def order_row(record: OrderRecord) -> dict[str, Any]:
    """One line of a list of orders."""
    content = record.content
    return {
        "order": record.order,
        "type": content.type.value,
        "type_zh": ORDER_TYPE_ZH[content.type],
        "state": record.state.value,
        "custody": record.custody.value,
        "desk": content.desk,
        "plant": content.plant,
        "title": content.ticket.title,
        "valid_until_ms": content.valid_until_ms,
        "digest": record.content_hash.hex(),
    }


def order_view(record: OrderRecord, timeline: Timeline) -> dict[str, Any]:
    """A whole order with its events; `signed_ms` and `seen_ms` are this station's own times."""
    ticket = record.content.ticket
    return order_row(record) | {
        "ticket": ticket.number,
        "steps": [{"device": step.device, "action": step.action} for step in ticket.steps],
        "events": [_event_view(event, timeline) for event in record.events],
    }


def _event_view(verified: VerifiedEvent, timeline: Timeline) -> dict[str, Any]:
    event = verified.event
    return {
        "input": event.input.value,
        "on_chain": event.input not in OFF_CHAIN,
        "signer": event.signer,
        "role": verified.signer.role.value,
        "at_ms": event.at_ms,
        "signed_ms": timeline.signed_ms(verified.hash),
        "seen_ms": timeline.seen_ms(verified.hash),
        "hash": verified.hash.hex(),
        "text": _text(verified),
    }


def _text(verified: VerifiedEvent) -> str:
    match verified.event:
        case Draft(content=content):
            return content.ticket.title
        case ReadBack(words=words):
            return words
        case Reasoned(reason=reason) | Issue(reason=reason):
            return reason
        case _:
            return ""
