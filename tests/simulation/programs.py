"""The real programs, wired as their app.py does it, on the machines of nodes.py."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from typing_extensions import override

from dispatch_client.client import Client
from dispatch_client.desk import Desk
from dispatch_client.login import Authenticator
from dispatch_client.plant import Plant
from dispatch_server.config import LinkSettings
from dispatch_server.links.channel import Channel, StreamChannel
from dispatch_server.links.link import Dial
from dispatch_server.links.ports import LinkState
from dispatch_server.orders.admission import Admission
from dispatch_server.server import Ports, Server
from protocol.aio.listener import Listener
from protocol.aio.node import every
from protocol.keys import SigningKey
from protocol.messages import Sample
from protocol.record import OrderRecord
from situational import Posture
from tests.simulation.cast import HQ
from tests.simulation.environment import Environment
from tests.simulation.nodes import Node, NodeDown, ProvenStream
from tests.simulation.people import CODE, SimulatedPeople, Store, password_of

_CLIENT_TICK = 1.0  # s
_TELEMETRY = 2.5  # s, of clients: twice as often as the shortest time after which a plant is lost
_SERVER_TELEMETRY = 20.0  # s


class ServerNode(Node):
    """Headquarters or the center."""

    def __init__(self, env: Environment, name: str) -> None:
        super().__init__(env, name)
        self.people = Store()
        self.server: Server | None = None

    @override
    def crash(self) -> None:
        super().crash()
        self.server = None

    @override
    async def _run(self) -> None:
        station = await self._open_station()
        await station.grant_term()
        plan = self.env.plan
        server = self.server = Server(
            station,
            SimulatedPeople(self.people, self.rng, self.wall_ms, plan.session_ms),
            Ports(self._dial_of, self.rng.randbytes, self.rng.random, self._read_host),
            links=plan.links_of(self.name),
            superior=next(iter(plan.superiors_of(self.name)), None),
            timers=plan.timers,
            rules=plan.rules,
            telemetry_interval=_SERVER_TELEMETRY,
        )
        if server._headquarters:
            _watch_posture(server._headquarters._admission, self.env)
        if server.listener:
            self._serve(server.listener)
        await run_all(server.parts())

    def unconnected(self) -> list[str]:
        """The subordinates to which no link is open now."""
        links = self.server.links if self.server else []
        return [link.node for link in links if link.status.state is not LinkState.CONNECTED]

    def _dial_of(self, link: LinkSettings) -> Dial:
        async def dial() -> Channel:
            return StreamChannel(ProvenStream(await self.env.network.dial(self.name, link.host)))

        return dial

    async def _read_host(self) -> Sample:
        return self.sample()


class ClientNode(Node):
    """A desk or a plant. `client` and `listener` are those of its present life."""

    def __init__(self, env: Environment, name: str, superior: str, kind: type[Client]) -> None:
        super().__init__(env, name)
        self.superior = superior
        self._kind = kind
        self.client: Client | None = None
        self.listener: Listener | None = None

    @override
    def crash(self) -> None:
        super().crash()
        self.client = self.listener = None

    @override
    async def _run(self) -> None:
        station = await self._open_station()
        client = self.client = self._kind(station, self.superior)
        listener = self.listener = Listener(station, self.superior, client, self.rng.randbytes)
        if isinstance(client, Plant):
            client.superior_ms = listener.superior_ms
        self._serve(listener)

        async def tick() -> None:
            work = client.on_tick()
            if work:
                await station.commit(work)

        async def telemetry() -> None:
            listener.sample(self.sample())

        await run_all([_until(station.failed), every(_TELEMETRY, telemetry), every(_CLIENT_TICK, tick)])

    def running(self) -> Client:
        """The program of its present life. Raises NodeDown."""
        if not self.is_up or self.client is None:
            raise NodeDown(self.name)
        return self.client

    def authenticator(self, person: SigningKey) -> Authenticator:
        """Speaks with the superior about this person. Raises NodeDown."""
        if not self.is_up or self.listener is None:
            raise NodeDown(self.name)

        async def unlock(_: Callable[[], SigningKey]) -> SigningKey:
            return person

        return Authenticator(self.listener, Path(), unlock)

    async def log_in(self, person: SigningKey, password: str | None = None) -> None:
        """Log a person in here. Raises NodeDown, CommandFailed, LinkLost."""
        name = person.certificate.name
        login = self.authenticator(person).login(name, password or password_of(name), "totp", CODE)
        held = await self.do(login)
        if self.client:
            self.client.login = held


class DeskNode(ClientNode):
    """A desk."""

    def __init__(self, env: Environment, name: str) -> None:
        super().__init__(env, name, HQ, Desk)

    @property
    def desk(self) -> Desk:
        """The running program. Raises NodeDown."""
        if not self.is_up or not isinstance(self.client, Desk):
            raise NodeDown(self.name)
        return self.client


class PlantNode(ClientNode):
    """A plant, under headquarters or under the center."""

    def __init__(self, env: Environment, name: str, superior: str) -> None:
        super().__init__(env, name, superior, Plant)

    @property
    def plant(self) -> Plant:
        """The running program. Raises NodeDown."""
        if not self.is_up or not isinstance(self.client, Plant):
            raise NodeDown(self.name)
        return self.client


def _watch_posture(admission: Admission, env: Environment) -> None:
    """Let the plan heighten the posture, and write down under which posture each order was judged."""
    of_the_nodes = admission._posture

    def posture(record: OrderRecord) -> Posture:
        env.judged[record.head] = max(of_the_nodes(record), env.posture())
        return env.judged[record.head]

    vars(admission)["_posture"] = posture


async def run_all(parts: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run a program's parts until it is cancelled."""
    async with asyncio.TaskGroup() as group:
        for part in parts:
            group.create_task(part)


async def _until(failed: Awaitable[None]) -> None:
    await failed
