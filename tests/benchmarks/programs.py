"""The product's real programs under measurement: `python -m tests.benchmarks.programs server|client CONFIG`.

They start as `dispatch-server run` and `dispatch-client run` do, from a configuration file, with their real
links, journals and control sockets, and a `Probe` inside. Two things are not as in the product: **a
stand-in answers for all people** (everybody is logged in, every challenge was answered with both factors:
Argon2 is not what is measured), and no key file is unlocked at a desk.
"""

import argparse
import asyncio
import cProfile
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dispatch_client.app
import dispatch_client.cli.run
import dispatch_client.commands
import dispatch_server.app
import dispatch_server.cli.run
from dispatch_client.client import Client, Login
from dispatch_client.desk import Desk
from dispatch_client.plant import Plant
from dispatch_server.server import Server
from protocol.lifecycle import Input, State
from protocol.orders import OrderType, Step, Ticket
from protocol.record import OrderRecord
from tests.benchmarks.actors import SESSION
from tests.benchmarks.everybody import Everybody
from tests.benchmarks.field import Field, raise_descriptor_limit
from tests.benchmarks.probe import JournalWatch, Probe

_PATIENCE = 120.0  # s


class ServerCommands:
    """What a server under measurement can be asked."""

    def __init__(self, server: Server, probe: Probe) -> None:
        self._server = server
        self._probe = probe
        self._cut_at: float | None = None
        self.table: dict[str, Callable[..., Any]] = {"links": self.links, "await": self.await_links}

    def links(self) -> dict[str, Any]:
        """How many links are up."""
        return {"up": self._up(), "of": len(self._server.links)}

    def _up(self) -> int:
        return sum(link.status.state == "connected" for link in self._server.links)

    def await_links(self, sessions: int) -> None:
        """Answer when all links are up and have had `sessions` sessions in all."""
        total = sum(link.status.sessions for link in self._server.links)
        if self._up() == len(self._server.links) and total >= sessions:
            self._probe.say("await", at=time.monotonic(), sessions=total, **self._probe.report())
        else:
            asyncio.get_running_loop().call_later(0.1, self.await_links, sessions)


class DeskCommands:
    """A dispatcher who drafts, issues and, once it was read back, cancels."""

    def __init__(self, desk: Desk, probe: Probe) -> None:
        self._desk = desk
        self._probe = probe
        self._issued: dict[str, float] = {}
        self._shown: dict[str, float] = {}
        self._read_back: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.table: dict[str, Callable[..., Any]] = {"issue": self._begin}
        desk.station.watch_orders(self._on_order)

    def _on_order(self, record: OrderRecord) -> None:
        if record.state is State.READ_BACK and record.order in self._read_back:
            self._shown.setdefault(record.order, time.monotonic())
            self._read_back[record.order].set()

    def _begin(self, plant: str, orders: list[str], think_s: float, together: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._run(plant, orders, think_s, together))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, plant: str, orders: list[str], think_s: float, together: bool) -> None:
        """One order after the other, or all side by side."""
        if together:
            async with asyncio.TaskGroup() as group:
                for order in orders:
                    group.create_task(self._order(plant, order, think_s))
        else:
            for order in orders:
                await self._order(plant, order, think_s)
        self._probe.say("issue", issued=self._issued, shown=self._shown)

    async def _order(self, plant: str, order: str, think_s: float) -> None:
        self._read_back[order] = asyncio.Event()
        ticket = Ticket(number=order, title="停电", steps=(Step(device=order, action="断开"),))
        await self._desk.draft(
            order,
            order_type=OrderType.PERMITTED_OPERATION,
            plant=plant,
            ticket=ticket,
            valid_until_ms=self._desk.now_ms() + 3_600_000,
            patience=_PATIENCE,
        )
        await _think(think_s)
        self._issued[order] = time.monotonic()
        await self._desk.issue(order, Input.ISSUE, os.urandom(16), "", _PATIENCE)
        async with asyncio.timeout(_PATIENCE):
            await self._read_back[order].wait()
        await self._desk.cancel(order, "measured", _PATIENCE)


class PlantCommands:
    """An operator who reads each delivered order back at once."""

    def __init__(self, plant: Plant, probe: Probe) -> None:
        self._plant = plant
        self._think_s = 0.0
        self._shown: dict[str, float] = {}
        self._signed: dict[str, float] = {}
        self._delivered: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.table: dict[str, Callable[..., Any]] = {"times": self._times, "think": self._think}
        plant.station.watch_orders(self._on_order)

    def _think(self, think_s: float) -> dict[str, Any]:
        self._think_s = think_s
        return {}

    def _times(self) -> dict[str, Any]:
        return {"shown": self._shown, "signed": self._signed}

    def _on_order(self, record: OrderRecord) -> None:
        if any(event.event.input is Input.ACCEPT for event in record.events):
            self._shown.setdefault(record.order, time.monotonic())
        if record.state is State.DELIVERED and record.order not in self._delivered:
            self._delivered.add(record.order)
            task = asyncio.get_running_loop().create_task(self._read_back(record.order))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _read_back(self, order: str) -> None:
        await _think(self._think_s)
        self._signed[order] = time.monotonic()
        await self._plant.read_back(order, "断开", _PATIENCE)


async def _think(at_most_s: float) -> None:
    """People sign at any moment of a poll interval."""
    await asyncio.sleep(random.uniform(at_most_s / 4, at_most_s))


@contextmanager
def probed_server(journal: JournalWatch) -> Iterator[None]:
    """Inside the block a server that starts has a probe, and asks `Everybody`."""

    class Probed(Server):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            probe = Probe(journal)
            probe.attach(self.station, ServerCommands(self, probe).table)

    with (
        journal.watching(),
        patch.object(dispatch_server.app, "Server", Probed),
        patch.object(dispatch_server.app, "People", lambda *_args, **_kwargs: Everybody()),
    ):
        yield


@contextmanager
def probed_client(journal: JournalWatch, login: Login) -> Iterator[None]:
    """Inside the block a client that starts has a probe, and somebody is logged in at it."""

    class Probed(dispatch_client.commands.Commands):
        def __init__(self, client: Client, *args: Any, **kwargs: Any) -> None:
            super().__init__(client, *args, **kwargs)
            client.login = login
            probe = Probe(journal)
            table = (
                DeskCommands(client, probe).table
                if isinstance(client, Desk)
                else PlantCommands(client, probe).table
                if isinstance(client, Plant)
                else {}
            )
            probe.attach(client.station, table)

    with journal.watching(), patch.object(dispatch_client.app, "Commands", Probed):
        yield


@contextmanager
def profiled(path: Path | None) -> Iterator[None]:
    """Profile the block, if a file is named."""
    if path is None:
        yield
        return
    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(path)


def main() -> None:
    """Run a program until it is told to stop."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.programs", description=__doc__)
    parser.add_argument("kind", choices=["server", "client"])
    parser.add_argument("config", type=Path)
    parser.add_argument("--person", default="", help="who works at this client")
    parser.add_argument("--profile", type=Path, help="write a cProfile of the loop's thread there")
    options = parser.parse_args()
    raise_descriptor_limit()
    with profiled(options.profile):
        _run(options)


def _run(options: argparse.Namespace) -> None:
    journal = JournalWatch()
    if options.kind == "server":
        with probed_server(journal):
            dispatch_server.cli.run.run(options.config)
        return
    key = Field.load(options.config.parent.parent).signing_key(options.person)
    with probed_client(journal, Login(key, SESSION, key.certificate.not_after_ms)):
        dispatch_client.cli.run.run(options.config)


if __name__ == "__main__":
    main()
