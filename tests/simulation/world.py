"""One run: build everything from the seed, let it be rough, let it calm down, and look at what is left."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from tests.simulation.cast import CENTER, HQ, SUB_CENTER, cast
from tests.simulation.dispatchers import Dispatcher
from tests.simulation.environment import Environment
from tests.simulation.equipment import Equipment
from tests.simulation.faults import Faults
from tests.simulation.hostile import Hostile
from tests.simulation.nodes import Node
from tests.simulation.operators import Operator
from tests.simulation.persons import Person
from tests.simulation.plan import Plan, plan
from tests.simulation.programs import ClientNode, DeskNode, PlantNode, ServerNode
from tests.simulation.supervisors import Supervisor
from tests.simulation.trace import Trace
from tests.support.memory_network import MemoryNetwork
from tests.support.virtual_loop import Seeded, run

_LATEST = 90 + 120  # s after the rough time: the longest validity, and the time to settle
_TIGHT = {
    "protocol.superior.MAX_UNACKNOWLEDGED": 2,
    "protocol.subordinate.MAX_ITEMS_PER_REPORT": 2,
    "protocol.seal.REKEY_AFTER": 4,
    "protocol.aio.station._CLOSED_KEPT": 3,
}
_FALSE_ALARMS = frozenset({"plant stands elsewhere"})  # in a run in which everybody is honest
_LOOK = 2.0  # s
_ATTACKS_APART = (0.5, 4.0)  # s


class World:
    """All nodes and people of one run."""

    def __init__(self, drawn: Plan, trace: Trace) -> None:
        network = MemoryNetwork(Seeded(f"{drawn.seed}/network"))
        self.env = Environment(drawn, trace, cast().trust(), network)
        self.equipment = Equipment()
        self.headquarters = ServerNode(self.env, HQ)
        self.centers = [ServerNode(self.env, name) for name in (CENTER, SUB_CENTER)[: 1 + bool(drawn.deep)]]
        self.desks = [DeskNode(self.env, name) for name in drawn.desks]
        self.plants = [PlantNode(self.env, n, drawn.superiors_of(n)[0]) for n in drawn.plants]
        self.clients: Sequence[ClientNode] = (*self.desks, *self.plants)
        nodes: tuple[Node, ...] = (self.headquarters, *self.centers, *self.clients)
        self.nodes: dict[str, Node] = {node.name: node for node in nodes}
        self.faults = Faults(self.env, self.nodes)
        self.hostile = Hostile(self.env, self.headquarters, self.centers, self.clients)
        self.people: list[Person] = [
            *(Dispatcher(desk, self.equipment, drawn.plants, drawn.orders) for desk in self.desks),
            *(Operator(plant, self.equipment) for plant in self.plants),
            *(Supervisor(desk, self.equipment) for desk in self.desks if drawn.is_heightened),
        ]

    async def live(self) -> None:
        """The whole run. What is found on the way stands in the trace's faults."""
        asyncio.get_running_loop().set_exception_handler(self._on_loop_error)
        for node in self.nodes.values():
            node.start()
        people = [asyncio.ensure_future(person.work()) for person in self.people]
        self.faults.begin()
        await self._be_rough()
        self.faults.end()
        self.env.trace.note("no more faults")
        for person in self.people:
            person.is_in_a_hurry = True
        await self._settle()
        for work in people:
            work.cancel()
        for ended in await asyncio.gather(*people, return_exceptions=True):
            if not isinstance(ended, asyncio.CancelledError):
                self.env.trace.fault(f"a person stopped working: {ended!r}")
        await self._settle()
        self.env.trace.faults.extend(self._unsettled())
        for node in self.nodes.values():
            node.crash()

    async def _be_rough(self) -> None:
        rng = Seeded(f"{self.env.plan.seed}/attacks")
        end = asyncio.get_running_loop().time() + self.env.plan.rough_for
        while (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(left, rng.uniform(*_ATTACKS_APART)))
            if self.env.plan.is_hostile:
                self.hostile.attack()

    async def _settle(self) -> None:
        end = self.env.plan.rough_for + _LATEST
        while asyncio.get_running_loop().time() < end:
            if not self._unsettled():
                return
            await asyncio.sleep(_LOOK)

    def _unsettled(self) -> list[str]:
        """What is still open or on its way."""
        open_orders = self.headquarters.disk.open_orders()
        found = [f"order {order} is still {state} at headquarters" for order, state in open_orders]
        for node in self.nodes.values():
            found += [f"{node.name} waits to send {c} to {peer}" for peer, c in node.disk.undelivered()]
            found += [f"{node.name} has no outcome for {order}" for order in node.disk.unanswered()]
        for server in (self.headquarters, *self.centers):
            found += [f"{server.name} has no link to {node}" for node in server.unconnected()]
        return found

    def _on_loop_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        self.env.trace.fault(f"{context.get('message')}: {context.get('exception')!r}")


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run."""

    world: World
    trace: Trace


def simulate(seed: int) -> Result:
    """Run a seed. Raises nothing that the nodes do: see `trace.faults`, and invariants.py for the rest."""
    drawn = plan(seed)
    trace = Trace(frozenset() if drawn.is_hostile else _FALSE_ALARMS)
    with trace.takes_logs(), _limits(tight=drawn.is_tight):
        world = run(_live(drawn, trace))
    return Result(world, trace)


@contextmanager
def _limits(*, tight: bool) -> Iterator[None]:
    with ExitStack() as stack:
        for where, value in _TIGHT.items() if tight else ():
            stack.enter_context(patch(where, value))
        yield


async def _live(drawn: Plan, trace: Trace) -> World:
    world = World(drawn, trace)
    await world.live()
    return world
