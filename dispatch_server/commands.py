"""What administrators at this machine may ask of the running server, as commands of the control socket."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from dispatch_server.awareness.alarms import ACTIONS
from dispatch_server.server import Server
from protocol.aio.control import CommandFailed, Handler
from protocol.models import Name
from protocol.orders import OrderId
from protocol.settings import Settings
from protocol.timeline import Timeline
from protocol.views import order_row, order_view
from situational import Letter, Reason
from situational.alarms import AlarmError, AlarmKey, ShelfTimeError


class ShowArguments(Settings):
    """Which order."""

    order: OrderId


class ListArguments(Settings):
    """How many orders."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class ReleaseArguments(Settings):
    """Who takes the responsibility."""

    person: Name


AlarmKind = Literal["hazard", "seal", "signature", "identity", "link", "order-unknown"]


class AlarmArguments(Settings):
    """What a person does with an alarm. `for_s`: how long it is shelved."""

    node: Annotated[str, Field(min_length=1, max_length=128)]
    kind: AlarmKind
    action: Literal["acknowledge", "shelve", "unshelve", "suppress", "unsuppress", "remove", "return"]
    person: Name
    reason: Annotated[str, Field(max_length=500)] = ""
    for_s: Annotated[float, Field(gt=0, le=7 * 24 * 3600)] | None = None


class Commands:
    """The handlers; `table` is what the control socket serves."""

    def __init__(self, server: Server, timeline: Timeline) -> None:
        self._server = server
        self._timeline = timeline

    @property
    def table(self) -> Mapping[str, Handler]:
        """Command name -> handler."""
        return {
            "status": self._status,
            "list": self._list,
            "show": self._show,
            "release-posture": self._release_posture,
            "alarms": self._alarms,
            "alarm": self._alarm,
            "risk": self._risk,
        }

    async def _status(self, _: Mapping[str, Any]) -> dict[str, Any]:
        server, station = self._server, self._server.station
        listener = server.listener
        return {
            "node": station.local.name,
            "role": station.local.key.certificate.role.value,
            "term": station.granted_term,
            "posture": server.awareness.posture.name.lower(),
            "superior": {"name": listener.superior, "connected": listener.is_connected} if listener else None,
            "links": [
                {
                    "superior": station.local.name,
                    "node": link.status.node,
                    "role": link.status.role.value,
                    "state": link.status.state.value,
                    "polls": link.status.polls,
                    "sessions": link.status.sessions,
                    "faults": link.status.faults,
                    "last_error": link.status.last_error,
                    "waiting": len(station.outbox(link.node)),
                }
                for link in server.links
            ],
            "nodes": {node: self._node(node) for node in server.awareness.nodes},
            "alarms": server.guard.alarms.counts(),
            "open_orders": sum(record.is_open for record in station.orders.values()),
            "ledger_entry": station.ledger_head.entry,
        }

    def _node(self, node: str) -> dict[str, Any]:
        awareness = self._server.awareness
        hazard = awareness.hazard(node)
        return {
            "letters": awareness.letters(node),
            "hazard": hazard.level.name.lower() if hazard else None,
            "judged": hazard.judged if hazard else 0,
            "leading": hazard.leading.value if hazard else Letter.NONE.value,
            "reasons": [_reason(reason) for reason in hazard.reasons] if hazard else [],
            "posture": awareness.posture_of([node]).name.lower(),
        }

    async def _list(self, raw: Mapping[str, Any]) -> list[dict[str, Any]]:
        station = self._server.station
        rows = await station.latest_orders(ListArguments.model_validate(raw).limit)
        found = [await station.find(row.order) for row in rows]
        return [order_row(record) for record in found if record]

    async def _show(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        record = await self._server.station.find(ShowArguments.model_validate(raw).order)
        await self._server.station.settled()
        if record is None:
            raise CommandFailed("unknown-order", "there is no such order here: list the orders")
        return order_view(record, self._timeline)

    async def _release_posture(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        person = ReleaseArguments.model_validate(raw).person
        self._server.awareness.release(person, asyncio.get_running_loop().time())
        await self._server.station.settled()
        return {"posture": self._server.awareness.posture.name.lower()}

    async def _alarms(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return self._server.guard.alarms.view()

    async def _alarm(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        given = AlarmArguments.model_validate(raw)
        known = self._server.known_nodes
        if given.node not in known:  # a slip must not set aside an alarm that can never come
            raise CommandFailed(
                "unknown-node", f"there is no node '{given.node}' here: {', '.join(sorted(known))}"
            )
        until_ms = None if given.for_s is None else self._server.station.wall_ms() + int(given.for_s * 1000)
        try:
            self._server.guard.alarms.act(
                AlarmKey(given.node, given.kind),
                ACTIONS[given.action],
                person=given.person,
                reason=given.reason or None,
                until_ms=until_ms,
            )
        except ShelfTimeError as error:
            hours = error.longest_ms / 3_600_000
            raise CommandFailed("refused", f"a shelf needs an end, at most {hours:g} h from now") from None
        except AlarmError as error:
            raise CommandFailed("refused", str(error)) from None
        await self._server.station.settled()
        return self._server.guard.alarms.view()

    async def _risk(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return self._server.guard.risk.view()


def _reason(reason: Reason) -> dict[str, Any]:
    return {
        "code": reason.code.value,
        "metric": reason.metric.value if reason.metric else None,
        "letter": reason.letter.value,
        "growth": reason.growth,
    }
