"""Where everything stands: one pass over all links, orders and nodes, in slices between which the loop turns.

Twenty thousand links are some 40 ms of work, no slice of it more than some 5. A pass is good for a moment:
however many ask, it is made once.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from dispatch_server.links.link import Link
from dispatch_server.links.ports import LinkState
from dispatch_server.server import Server
from protocol.lifecycle import State
from situational import Level, Posture

_SLICE: Final = 500
_GOOD_FOR: Final = 0.25  # s
T = TypeVar("T")


@dataclass(slots=True)
class Survey:
    """What one pass found. `abnormal` are the links that are down, then those that had faults."""

    links: Counter[LinkState] = field(default_factory=Counter)
    down: list[Link] = field(default_factory=list)
    faulty: list[Link] = field(default_factory=list)
    waiting: int = 0
    waiting_most: int = 0
    orders: Counter[State] = field(default_factory=Counter)
    open_orders: int = 0
    nodes: int = 0
    endangered: list[str] = field(default_factory=list)
    quiet: list[str] = field(default_factory=list)
    postures: Counter[Posture] = field(default_factory=Counter)

    @property
    def abnormal(self) -> Sequence[Link]:
        """What people look at first."""
        return [*self.down, *self.faulty]


class Surveyor:
    """Makes surveys of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._door = asyncio.Lock()
        self._made: Survey | None = None
        self._made_at = 0.0

    async def survey(self) -> Survey:
        """A survey that is not older than a quarter of a second."""
        async with self._door:
            now = asyncio.get_running_loop().time()
            if self._made is None or now - self._made_at >= _GOOD_FOR:
                self._made, self._made_at = await self._make(), now
            return self._made

    async def _make(self) -> Survey:
        made = Survey()
        async for links in _slices(self._server.links):
            self._count_links(made, links)
        async for records in _slices(list(self._server.station.orders.values())):
            made.orders.update(record.state for record in records)
            made.open_orders += sum(record.is_open for record in records)
        await self._look_at_nodes(made)
        return made

    def _count_links(self, made: Survey, links: Sequence[Link]) -> None:
        outbox = self._server.station.outbox
        for link in links:
            status = link.status
            made.links[status.state] += 1
            if status.state is not LinkState.CONNECTED:
                made.down.append(link)
            elif status.faults:
                made.faulty.append(link)
            if waiting := len(outbox(link.node)):
                made.waiting += waiting
                made.waiting_most = max(made.waiting_most, waiting)

    async def _look_at_nodes(self, made: Survey) -> None:
        awareness = self._server.awareness
        hazards, stances = awareness.hazards(), awareness.stances()
        await asyncio.sleep(0)
        names = [*hazards, *(node for node in stances if node not in hazards)]
        made.nodes = len(names)
        async for some in _slices(names):
            for node in some:
                posture = stances[node].posture if node in stances else Posture.NORMAL
                made.postures[posture] += 1
                hazard = hazards.get(node)
                is_quiet = posture is Posture.NORMAL and (hazard is None or hazard.level is Level.NORMAL)
                (made.quiet if is_quiet else made.endangered).append(node)


async def _slices(things: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    for first in range(0, len(things), _SLICE):
        yield things[first : first + _SLICE]
        await asyncio.sleep(0)
