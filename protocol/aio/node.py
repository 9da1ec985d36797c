"""Opening a station on a real machine: keys, trust, journal, clocks; and stopping in good order."""

import asyncio
import os
import signal
import ssl
import time
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from protocol.aio.listener import Listener
from protocol.aio.station import Station
from protocol.aio.tls import listen, tls_context
from protocol.errors import ConfigurationRefused
from protocol.handshake import Local
from protocol.journal.file import JournalFile
from protocol.journal.writer import ThreadedWriter
from protocol.keys import Role, SigningKey, TrustStore, load_signing_key
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
    trust = load_trust(keys, base)
    key = load_signing_key(_read_private(resolve(base, keys.key)), _read(resolve(base, keys.certificate)))
    held = trust.identify(key.certificate.der, wall_ms())
    if held.name != node or held.role is not role:
        raise ConfigurationRefused(
            str(keys.certificate),
            f"it names {held.role.value} '{held.name}', the configuration says {role.value} '{node}'",
            "Use this node's own certificate",
        )
    return key, trust


def load_trust(keys: KeySettings, base: Path) -> TrustStore:
    """Whom this node trusts. Raises ConfigurationRefused, KeyRefused."""
    revocations = _read(resolve(base, keys.revocations)) if keys.revocations else None
    return TrustStore.from_pem(_read(resolve(base, keys.authority)), revocations)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationRefused(
            str(path), f"cannot be read ({error.strerror})", "Check the path"
        ) from None


def _read_private(path: Path) -> bytes:
    data = _read(path)
    if path.stat().st_mode & 0o077:
        raise ConfigurationRefused(str(path), "others may read this private key", f"Run: chmod 600 {path}")
    return data


def open_station(
    journal: Path, key: SigningKey, trust: TrustStore, deployment: str, inner: InnerCipherFactory
) -> Station:
    """The station of this process. Needs a running loop. Raises JournalError."""
    journal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = JournalFile.open(journal, key)
    loaded = file.load()
    local = Local(key=key, deployment=deployment, boot=os.urandom(16), inner=inner)
    return Station(local, trust, ThreadedWriter(file), loaded, wall_ms)


async def open_door(
    stack: AsyncExitStack, keys: KeySettings, base: Path, settings: ListenSettings, listener: Listener
) -> int:
    """Listen for the superior until `stack` ends; gives the port. Raises ConfigurationRefused, KeyRefused."""
    context = node_context(ssl.PROTOCOL_TLS_SERVER, keys, base)
    try:
        server, port = await listen(settings.host, settings.port, context, listener.accept, listener.refuse)
    except OSError as error:
        raise ConfigurationRefused(
            "listen", f"cannot listen on port {settings.port} ({error.strerror})", "Is it running already?"
        ) from None
    stack.push_async_callback(listener.stop)
    stack.callback(server.close)
    return port()


def node_context(side: ssl._SSLMethod, keys: KeySettings, base: Path) -> ssl.SSLContext:
    """The TLS context of this node. Raises KeyRefused."""
    paths = (resolve(base, path) for path in (keys.authority, keys.certificate, keys.key))
    return tls_context(side, *paths)


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
