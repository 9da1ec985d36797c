"""What administrators at this machine may ask of the running server, as commands of the control socket."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from dispatch_server.awareness.alarms import ACTIONS
from dispatch_server.ops.operations import Operations
from dispatch_server.ops.status import link_row, node_view, status
from dispatch_server.server import Server
from protocol.aio.control import CommandFailed, Handler
from protocol.models import Name
from protocol.orders import OrderId
from protocol.settings import Settings
from protocol.timeline import Timeline
from protocol.views import order_row, order_view
from situational.alarms import AlarmError, AlarmKey, ShelfTimeError


class ShowArguments(Settings):
    """Which order."""

    order: OrderId


class RowsArguments(Settings):
    """Which rows of what `status` gives only in part."""

    of: Literal["links", "nodes"]
    first: Annotated[int, Field(ge=0)] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 500


class ListArguments(Settings):
    """How many orders."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class ReleaseArguments(Settings):
    """Who takes the responsibility."""

    person: Name


AlarmKind = Literal["hazard", "seal", "signature", "identity", "link", "fenced", "order-unknown"]


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

    def __init__(self, server: Server, timeline: Timeline, operations: Operations | None = None) -> None:
        self._server = server
        self._timeline = timeline
        self._operations = operations or Operations(server)

    @property
    def table(self) -> Mapping[str, Handler]:
        """Command name -> handler."""
        return {
            "status": self._status,
            "rows": self._rows,
            "list": self._list,
            "show": self._show,
            "release-posture": self._release_posture,
            "alarms": self._alarms,
            "alarm": self._alarm,
            "risk": self._risk,
        }

    async def _status(self, _: Mapping[str, Any]) -> dict[str, Any]:
        return await status(self._operations)

    async def _rows(self, raw: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Some of the links in the configuration's order; or of the nodes by name, each with its name."""
        given = RowsArguments.model_validate(raw)
        operations = self._operations
        if given.of == "links":
            links = self._server.links[given.first : given.first + given.limit]
            return [link_row(operations, link) for link in links]
        nodes = self._server.awareness.nodes[given.first : given.first + given.limit]
        return [{"node": node} | node_view(operations, node) for node in nodes]

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
