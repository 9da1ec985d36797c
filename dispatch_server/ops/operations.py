"""Everything with which people watch one running server, put together."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

from dispatch_server.config import MetricsSettings
from dispatch_server.ops.endpoint import Endpoint
from dispatch_server.ops.exposition import Family, render
from dispatch_server.ops.lag import LoopLag
from dispatch_server.ops.machine import Machine
from dispatch_server.ops.metrics import EachLink, Moment, down_links, families
from dispatch_server.ops.recent import Recent
from dispatch_server.ops.survey import Surveyor
from dispatch_server.ops.watchdog import Watchdog
from dispatch_server.server import Server
from protocol.aio.node import every

_SLICE: Final = 500  # links whose series are written before the loop has its turn again
_LOOK_EVERY: Final = 1.0  # s


class Operations:
    """Watches a server. `without`: what it could not be given when it started, and why."""

    def __init__(
        self,
        server: Server,
        settings: MetricsSettings | None = None,
        journal: Path | None = None,
        *,
        without: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.server = server
        self.lag = LoopLag(server.counters, clock)
        self.recent = Recent(server.counters)
        self.surveyor = Surveyor(server)
        self.endpoint: Endpoint | None = None
        self.started_s = clock()
        self._settings = settings or MetricsSettings()
        if self._settings.port is not None:
            given = self._settings.host, self._settings.port
            self.endpoint = Endpoint(*given, self.render, server.counters)
        self._machine = Machine(journal) if journal else None
        self._without = dict(without or {})

    def parts(self) -> list[Coroutine[Any, Any, None]]:
        """What has to run beside the server; not under a virtual clock."""
        parts = [self._measure(), every(_LOOK_EVERY, self._look)]
        return [*parts, self.endpoint.serve()] if self.endpoint else parts

    @property
    def impaired(self) -> dict[str, str]:
        """What this server goes on without, and why."""
        now = {
            "curves": self.server.awareness.recording_failed,
            "metrics": self.endpoint.failing if self.endpoint else "",
        }
        return self._without | {what: why for what, why in now.items() if why}

    async def render(self) -> bytes:
        """The metrics of this moment, as text."""
        moment = Moment(
            server=self.server,
            survey=await self.surveyor.survey(),
            lag=self.lag,
            usage=await self._machine.usage() if self._machine else None,
            impaired=self.impaired,
            now_s=self.lag.clock(),
            started_s=self.started_s,
        )
        parts = [render(families(moment))]
        for family in await self._of_links(moment):
            parts.append(render([family]))
            await asyncio.sleep(0)  # with a series for each link this is work
        return b"".join(parts)

    async def _of_links(self, moment: Moment) -> list[Family]:
        if self._settings.links == "none":
            return []
        if self._settings.links == "down":
            return list(down_links(moment))
        each = EachLink(self.server)
        for place, link in enumerate(self.server.links, 1):
            each.add(link)
            if place % _SLICE == 0:
                await asyncio.sleep(0)
        return [*down_links(moment), *each.families()]

    async def _look(self) -> None:
        self.recent.take(self.lag.clock())

    async def _measure(self) -> None:
        watchdog = Watchdog(lambda: self.lag.beat)
        self.lag.start()
        watchdog.start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.lag.stop()
            watchdog.stop()
            if self._machine:
                self._machine.close()
