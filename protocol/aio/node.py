"""Opening a station on a real machine: keys, trust, journal, clocks; and stopping in good order."""

import asyncio
import os
import signal
import ssl
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from protocol.aio.keyring import Keyring, content
from protocol.aio.listener import Listener
from protocol.aio.station import Station
from protocol.aio.tls import listen
from protocol.errors import ConfigurationRefused
from protocol.handshake import Local
from protocol.journal.file import JournalFile
from protocol.journal.writer import ThreadedWriter
from protocol.keys import Role, SigningKey, TrustStore
from protocol.seal import InnerCipherFactory
from protocol.settings import KeySettings, ListenSettings, resolve


def wall_ms() -> int:
    """The wall clock in ms since the epoch: for records only."""
    return time.time_ns() // 1_000_000


def precise_wall_ms() -> float:
    """The wall clock in ms with fractions: for people who watch."""
    return time.time_ns() / 1_000_000


def load_keys(keys: KeySettings, base: Path, node: str, role: Role) -> tuple[SigningKey, TrustStore]:
    """This node's key and whom it trusts. Raises ConfigurationRefused, KeyRefused."""
    ring = Keyring(keys, base, node, role, wall_ms)
    return ring.key, ring.trust


def load_trust(keys: KeySettings, base: Path) -> TrustStore:
    """Whom this node trusts. Raises ConfigurationRefused, KeyRefused."""
    revocations = content(resolve(base, keys.revocations)) if keys.revocations else None
    return TrustStore.from_pem(content(resolve(base, keys.authority)), revocations)


def open_station(
    journal: Path,
    key: SigningKey,
    trust: TrustStore,
    deployment: str,
    inner: InnerCipherFactory,
    *,
    on_group: Callable[[int], None] = lambda _batches: None,
    keyring: Keyring | None = None,
) -> Station:
    """The station of this process. Needs a running loop. Raises JournalError.

    `on_group` is told how many batches became durable together. `keyring`: its renewals reach the station.
    """
    journal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = JournalFile.open(journal, key)
    loaded = file.load()
    local = Local(key=key, deployment=deployment, boot=os.urandom(16), inner=inner)
    writer = ThreadedWriter(file)
    writer.on_group = on_group
    station = Station(local, trust, writer, loaded, wall_ms)
    station.free_disk = lambda: file.free_disk
    if keyring:
        keyring.on_renewed.append(lambda: _renew(keyring.key, station, file))
    return station


def _renew(key: SigningKey, station: Station, file: JournalFile) -> None:
    """Sessions that are open keep the key with which they began."""
    station.local = replace(station.local, key=key)
    file.renew(key)


async def open_door(
    stack: AsyncExitStack, keyring: Keyring, settings: ListenSettings, listener: Listener
) -> int:
    """Listen for the superior until `stack` ends; gives the port. Raises ConfigurationRefused, KeyRefused."""
    side = ssl.PROTOCOL_TLS_SERVER
    try:
        door, port = await listen(
            settings.host, settings.port, keyring.context(side), listener.accept, listener.refuse
        )
    except OSError as error:
        raise ConfigurationRefused(
            "listen", f"cannot listen on port {settings.port} ({error.strerror})", "Is it running already?"
        ) from None

    def renew() -> None:
        door.context = keyring.context(side)

    keyring.on_renewed.append(renew)
    stack.push_async_callback(listener.stop)
    stack.callback(door.close)
    return port()


async def run_until_stopped(*parts: Coroutine[Any, Any, Any]) -> None:
    """Run all parts until SIGTERM or SIGINT, or until one fails; then end them all. Re-raises the failure."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in parts]
            await stop.wait()
            for task in tasks:
                task.cancel()
    except BaseExceptionGroup as failures:
        raise _first(failures) from None


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    first = failures.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def every(seconds: float, action: Callable[[], Coroutine[Any, Any, None]]) -> Coroutine[Any, Any, None]:
    """Do something again and again; the time of the action does not add up."""

    async def repeat() -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await action()
            due = max(due + seconds, loop.time())
            await asyncio.sleep(due - loop.time())

    return repeat()
