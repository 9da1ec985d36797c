"""The composition root of headquarters and of a regional center on a real machine."""

import asyncio
import os
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from chaos_cipher import KeystreamCache
from dispatch_server.awareness.guard import GuardSettings
from dispatch_server.awareness.store import TelemetryStore
from dispatch_server.commands import Commands
from dispatch_server.config import LinkSettings, ServerSettings, load_server_settings, playbook_of
from dispatch_server.counters import Counters
from dispatch_server.identity.audit import AuditRecord
from dispatch_server.identity.factors import FactorRegistry
from dispatch_server.identity.passwords import Argon2Parameters
from dispatch_server.identity.policy import IdentityPolicy
from dispatch_server.identity.sealing import read_key_file
from dispatch_server.identity.service import IdentityService
from dispatch_server.identity.store import IdentityStore
from dispatch_server.identity.totp import TotpFactor
from dispatch_server.links.channel import Channel
from dispatch_server.links.diallers import MAX_HANDSHAKES, open_dialler
from dispatch_server.links.link import Dial
from dispatch_server.ops.memory import Sessions
from dispatch_server.ops.operations import Operations
from dispatch_server.orders.checks import Rules
from dispatch_server.people import People
from dispatch_server.reload import Addresses, Certified, recheck
from dispatch_server.server import Ports, Server
from protocol.aio.control import ControlServer
from protocol.aio.host import HostReader
from protocol.aio.keyring import Keyring
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
from protocol.aio.station import Station
from protocol.errors import ConfigurationRefused
from protocol.keys import Role
from protocol.limits import CLOCK_SKEW_MS, Timers
from protocol.messages import Sample
from protocol.settings import resolve
from protocol.timeline import Timeline
from situational import Level, SituationalError
from situational.alarms import BoardSettings, Delays
from situational.risk import Panel, parse_json, parse_toml

T = TypeVar("T")
_log = structlog.get_logger("server")


def run(path: Path) -> Coroutine[Any, Any, None]:
    """Run a server until it is told to stop. Raises DispatchError, StoreRefused."""
    settings = load_server_settings(path)
    return _run(settings, path.absolute())


async def _run(settings: ServerSettings, path: Path) -> None:
    base = path.parent
    configure_logs(settings.node, settings.log.format, settings.log.level)
    keyring = Keyring(settings.keys, base, settings.node, Role(settings.role), wall_ms)
    if settings.keys.revocations is None:
        _log.warning("no revocation list is configured: a stolen key cannot be taken out of service")
    async with AsyncExitStack() as stack:
        store = open_identity(settings, base)
        stack.callback(store.close)
        journal = resolve(base, settings.journal)
        counters = Counters()
        station = open_station(
            journal,
            keyring.key,
            keyring.trust,
            settings.deployment,
            KeystreamCache,
            on_group=counters.histogram("commit_group").observe,
            keyring=keyring,
        )
        stack.push_async_callback(station.close)
        timeline = Timeline(precise_wall_ms)
        station.watch_orders(timeline.on_order)
        await station.grant_term()
        service = identity_service(store, station, counters)
        await service.refresh()
        ports = _ports(settings, keyring, service)
        without: dict[str, str] = {}
        server = _server(
            settings, base, station, service=service, ports=ports, counters=counters, without=without
        )
        stack.push_async_callback(server.close)
        operations = Operations(server, settings.metrics, journal, without=without)
        if server.listener and settings.listen:
            port = await open_door(stack, keyring, settings.listen, server.listener)
            _log.info("listening", superior=server.listener.superior, port=port)
        addresses = Addresses(path, settings, server.links, ports.dial)
        certified: list[Certified] = [*server.links]
        if server.listener:
            certified.append(server.listener)
        look = partial(recheck, certified, station.trust, service)
        reloader = Reloader(station, keyring, addresses.read, look, counters.add)
        control = ControlServer(
            resolve(base, settings.control),
            reloader.extend(Commands(server, timeline, operations).table),
            lambda ok: counters.add_command(ok=ok),
        )
        await control.start()
        stack.push_async_callback(control.stop)
        _log.info("started", role=settings.role, term=station.granted_term, links=len(server.links))
        sessions = Sessions(counters.histogram("handshake"), len(server.links))
        await run_until_stopped(
            service.keep_fresh(),
            reloader.run(),
            every(1.0, sessions.settle),
            *server.parts(),
            *operations.parts(),
        )
        _log.info("stopping")


def _server(
    settings: ServerSettings,
    base: Path,
    station: Station,
    *,
    service: IdentityService,
    ports: Ports,
    counters: Counters,
    without: dict[str, str],
) -> Server:
    """`without` takes what awareness goes on without, and why."""
    return Server(
        station,
        People(service),
        ports,
        links=settings.links,
        superior=settings.listen.superior if settings.listen else None,
        timers=Timers(settings.timers.poll_interval_ms, settings.timers.hold_ms),
        rules=_rules(settings),
        telemetry_interval=settings.telemetry_interval_s,
        guard=_guard(
            settings,
            _or_without(lambda: experts(settings, base), counters, partial(without.__setitem__, "experts")),
        ),
        telemetry=_or_without(
            lambda: telemetry_store(settings, base), counters, partial(without.__setitem__, "curves")
        ),
        counters=counters,
    )


def _ports(settings: ServerSettings, keyring: Keyring, service: IdentityService) -> Ports:
    dialler = open_dialler(keyring.context(ssl.PROTOCOL_TLS_CLIENT))
    keyring.on_renewed.append(lambda: dialler.renew(keyring.context(ssl.PROTOCOL_TLS_CLIENT)))
    reader = HostReader(settings.node)

    def dial_link(link: LinkSettings) -> Dial:
        async def dial_once() -> Channel:
            return await dialler.dial(link.node, link.host, link.port)

        return dial_once

    async def read_host() -> Sample:
        now = asyncio.get_running_loop().time()
        sample = await asyncio.to_thread(reader.read, now, wall_ms())
        # Who works on the nodes is what this server knows; the machine's own users say nothing of that.
        return sample.model_copy(update={"logged_in_nodes": float(service.nodes_in_use())})

    return Ports(
        dial=dial_link,
        random=os.urandom,
        uniform=random.SystemRandom().random,
        read_host=read_host,
        utc_offset_s=lambda: float(time.localtime().tm_gmtoff),
        clock=time.monotonic,
        has_room=lambda: dialler.handshaking < MAX_HANDSHAKES,
    )


def telemetry_store(settings: ServerSettings, base: Path) -> TelemetryStore | None:
    """Where curves are kept, if anywhere. Raises ConfigurationRefused."""
    path = settings.telemetry.store
    return None if path is None else TelemetryStore(resolve(base, path))


def _or_without(
    read: Callable[[], T | None], counters: Counters, tell: Callable[[str], None] = lambda _why: None
) -> T | None:
    """Orders must go on when what awareness keeps on disk cannot be used; `check-config` refuses it."""
    try:
        return read()
    except ConfigurationRefused as error:
        counters.add("storage_faults")
        tell(str(error))
        _log.error("awareness goes on without it", why=str(error))
        return None


def _guard(settings: ServerSettings, panel: Panel | None) -> GuardSettings:
    alarms = settings.alarms
    return GuardSettings(
        playbook=playbook_of(settings.playbook),
        alarms=BoardSettings(
            delays=Delays(int(alarms.on_delay_s * 1000), int(alarms.off_delay_s * 1000)),
            max_shelf_ms=int(alarms.max_shelf_s * 1000),
        ),
        alarm_from=Level[alarms.from_level.upper()],
        operators=alarms.operators,
        keep_days=settings.telemetry.keep_days,
        period_s=settings.telemetry_interval_s,
        link_down_after_s=settings.orders.lost_after_s,
        experts=panel,
    )


def experts(settings: ServerSettings, base: Path) -> Panel | None:
    """What the experts said of the risks, if a file is named. Raises ConfigurationRefused."""
    if settings.risk.experts is None:
        return None
    path = resolve(base, settings.risk.experts)
    parse = parse_json if path.suffix == ".json" else parse_toml
    try:
        return parse(path.read_bytes())
    except (OSError, SituationalError) as error:
        raise ConfigurationRefused(f"risk.experts: {path}", str(error), "Mend that cell or file") from None


def _rules(settings: ServerSettings) -> Rules:
    given = settings.orders
    return Rules(
        answer_within_ms=int(given.answer_within_s * 1000),
        lost_after_ms=int(given.lost_after_s * 1000),
        max_validity_ms=int(given.max_validity_s * 1000),
        restricted_types=frozenset(given.restricted_types),
    )


def open_identity(settings: ServerSettings, base: Path) -> IdentityStore:
    """The identity store of a server. Raises StoreRefused."""
    key = read_key_file(resolve(base, settings.identity.key))
    return IdentityStore(resolve(base, settings.identity.store), key, os.urandom)


def identity_service(store: IdentityStore, station: Station, counters: Counters) -> IdentityService:
    """Who may log in, with every decision in the ledger and counted."""

    def audit(record: AuditRecord) -> None:
        if record.action == "prove":
            counters.add("factor_checks")
            counters.add("factor_failed", not record.accepted)
            counters.add("lockouts", any("lock" in reason for reason in record.reasons))
        work = station.work()
        work.note(
            "identity",
            record.person or record.node,
            action=record.action,
            node=record.node,
            purpose=record.purpose,
            factor=record.factor,
            accepted=record.accepted,
            session=record.session.hex() if record.session else "",
            challenge=record.challenge.hex() if record.challenge else "",
            digest=record.digest.hex() if record.digest else "",
            reasons="; ".join(record.reasons),
        )
        station.commit(work)

    # Threads of their own: names that do not resolve and slow disks must not hold up a login.
    threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="identity")

    def run_blocking(work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(threads, work)

    return IdentityService(
        store,
        FactorRegistry([TotpFactor()]),
        Argon2Parameters(),
        wall_ms=wall_ms,
        monotonic=time.monotonic,
        random_bytes=os.urandom,
        run_blocking=run_blocking,
        audit=audit,
        policy=IdentityPolicy(clock_skew_ms=CLOCK_SKEW_MS),
        may_use=store.may_use,
    )
