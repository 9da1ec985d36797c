"""What administrators at this machine may ask of the running server, as commands of the control socket."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from dispatch_server.server import Server
from protocol.aio.control import CommandFailed, Handler
from protocol.models import Name
from protocol.orders import OrderId
from protocol.settings import Settings
from protocol.timeline import Timeline
from protocol.views import order_row, order_view


class ShowArguments(Settings):
    """Which order."""

    order: OrderId


class ListArguments(Settings):
    """How many orders."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class ReleaseArguments(Settings):
    """Who takes the responsibility."""

    person: Name


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
            "nodes": {
                node: {
                    "letters": view.letters,
                    "hazard": view.hazard.level.name.lower() if view.hazard else None,
                    "posture": view.posture.name.lower(),
                }
                for node, view in server.awareness.nodes.items()
            },
            "open_orders": sum(record.is_open for record in station.orders.values()),
            "ledger_entry": station.ledger_head.entry,
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
        self._server.awareness.release(ReleaseArguments.model_validate(raw).person)
        return {"posture": self._server.awareness.posture.name.lower()}
