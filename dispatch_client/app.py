"""The composition root of a desk or plant: everything is made and wired here, and only here."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from chaos_cipher import KeystreamCache
from dispatch_client.client import Client
from dispatch_client.commands import Commands
from dispatch_client.config import ClientSettings
from dispatch_client.desk import Desk
from dispatch_client.login import Authenticator
from dispatch_client.plant import Plant
from dispatch_client.reload import recheck, unchanged
from protocol.aio.control import ControlServer
from protocol.aio.host import HostReader
from protocol.aio.keyring import Keyring
from protocol.aio.listener import Listener
from protocol.aio.logs import configure_logs
from protocol.aio.node import (
    every,
    open_door,
    open_station,
    precise_wall_ms,
    run_until_stopped,
    wall_ms,
)
from protocol.aio.reloading import Reloader
from protocol.keys import Role
from protocol.settings import load_settings, resolve
from protocol.timeline import Timeline

_TICK = 0.25  # s
_log = structlog.get_logger("client")


def run(path: Path) -> Coroutine[Any, Any, None]:
    """Run a desk or plant until it is told to stop. Raises DispatchError."""
    return _run(load_settings(path, ClientSettings), path.absolute())


async def _run(settings: ClientSettings, path: Path) -> None:
    base = path.parent
    configure_logs(settings.node, settings.log.format, settings.log.level)
    role = Role(settings.role)
    keyring = Keyring(settings.keys, base, settings.node, role, wall_ms)
    async with AsyncExitStack() as stack:
        journal = resolve(base, settings.journal)
        station = open_station(
            journal, keyring.key, keyring.trust, settings.deployment, KeystreamCache, keyring=keyring
        )
        stack.push_async_callback(station.close)
        timeline = Timeline(precise_wall_ms)
        station.watch_orders(timeline.on_order)
        kind: type[Client] = Desk if role is Role.DESK else Plant
        client = kind(station, settings.listen.superior, timeline.on_signed)
        listener = Listener(station, settings.listen.superior, client, os.urandom)
        if isinstance(client, Plant):
            client.superior_ms = listener.superior_ms
        port = await open_door(stack, keyring, settings.listen, listener)
        authenticator = Authenticator(listener, resolve(base, settings.people), asyncio.to_thread)
        commands = Commands(client, listener, authenticator, timeline)
        reloader = Reloader(
            station,
            keyring,
            partial(unchanged, path, settings),
            partial(recheck, client, listener, authenticator),
        )
        control = ControlServer(resolve(base, settings.control), reloader.extend(commands.table))
        await control.start()
        stack.push_async_callback(control.stop)
        _log.info("started", role=settings.role, superior=listener.superior, port=port)
        await run_until_stopped(
            _failure(station.failed),
            reloader.run(),
            every(settings.telemetry_interval_s, _telemetry(settings.node, listener)),
            every(_TICK, _tick(client)),
        )
        _log.info("stopping")


async def _failure(failed: "asyncio.Future[None]") -> None:
    await failed


def _telemetry(node: str, listener: Listener) -> Callable[[], Coroutine[Any, Any, None]]:
    reader = HostReader(node)

    async def take() -> None:
        now = asyncio.get_running_loop().time()
        listener.sample(await asyncio.to_thread(reader.read, now, wall_ms()))

    return take


def _tick(client: Client) -> Callable[[], Coroutine[Any, Any, None]]:
    async def tick() -> None:
        work = client.on_tick()
        if work:
            await client.station.commit(work)

    return tick
