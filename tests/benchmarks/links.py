"""What a poll costs: `python -m tests.benchmarks.links`.

Headquarters' own links (TLS 1.3 on both sides, Hello and Welcome, real polls and reports, validated) beside
plain sockets, which are the limit, and beside other people's transports. Each subject is measured in a fresh
process that polls; the nodes are in other processes. `--measure` is that process for our own.

saturated: every link asks again as soon as it was answered (its node holds each poll for 10 ms).
rhythm: the product's default timers: a poll is held 4.8 s and followed by the next one.
"""

import argparse
import asyncio
import dataclasses
import gc
import json
import logging
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
from rich.console import Console
from typing_extensions import override

from chaos_cipher import KeystreamCache
from dispatch_server.awareness.guard import GuardSettings
from dispatch_server.config import LinkSettings
from dispatch_server.counters import quantile
from dispatch_server.links.diallers import MAX_HANDSHAKES, open_dialler
from dispatch_server.links.link import Dial
from dispatch_server.links.ports import LinkState
from dispatch_server.orders.checks import Rules
from dispatch_server.server import Ports, Server
from protocol.aio.loop import run
from protocol.aio.node import open_station
from protocol.aio.station import Station
from protocol.limits import Timers
from protocol.messages import Sample
from tests.benchmarks.everybody import Everybody
from tests.benchmarks.field import DEPLOYMENT, HQ, Field, make_field, raise_descriptor_limit
from tests.benchmarks.peers.responding import ROOT
from tests.benchmarks.peers.row import ROW, Load, Row, median_row, progress, resident
from tests.benchmarks.peers.run import SUBJECTS, machine, row, show
from tests.benchmarks.responders import Responders

_PER_RESPONDER = 9_500
_PROBE_S = 0.005
_SETTLE_S = 6.0  # until each link has been polled under its present timers
LINKS, WHOLE = "our links", "our whole server"
SATURATED = Timers(poll_interval_ms=5_000, hold_ms=10)
RHYTHM = Timers()


class LinksOnly(Server):
    """Headquarters whose awareness looks away: what is left is the links."""

    @override
    def on_report(self, node: str, samples: tuple[Sample, ...]) -> None:
        """Nothing."""


class Bench:
    """One server and its links in this process."""

    def __init__(self, field: Field, addresses: dict[str, Any], *, whole: bool) -> None:
        self.field = field
        self.settings = field.links(HQ, addresses)
        self.whole = whole

    async def measure(self, seconds: float, *, rhythm: bool) -> Row:
        """Dial all, let them settle, measure."""
        journal, key = self.field.folder / "journal.db", self.field.signing_key(HQ)
        station = open_station(journal, key, self.field.trust, DEPLOYMENT, KeystreamCache)
        await station.grant_term()
        before = resident()
        server = self._server(station)
        parts = asyncio.gather(*server.parts())
        count = len(self.settings)
        try:
            await _all_up(server)
            await asyncio.sleep(_SETTLE_S)
            rss = (resident() - before) / 1024 / count
            gc.freeze()
            in_rhythm = await load(server, max(seconds, 10.0)) if rhythm else None
            for link in server.links:
                link.timers = SATURATED
            for link in server.links:
                if link._conversation:
                    link._conversation._session._timers = SATURATED
            await asyncio.sleep(_SETTLE_S)
            saturated = await load(server, seconds)
        finally:
            parts.cancel()
            await asyncio.gather(parts, return_exceptions=True)
            await station.close()
        name = WHOLE if self.whole else LINKS
        return Row(name, "mutual TLS 1.3, validated", count, rss, saturated, in_rhythm)

    def _server(self, station: Station) -> Server:
        dialler = open_dialler(self.field.context(HQ))

        def dial(link: LinkSettings) -> Dial:
            return lambda: dialler.dial(link.node, link.host, link.port)

        async def read_host() -> Sample:
            return Sample(
                node=HQ,
                at_ms=station.wall_ms(),
                logged_in_nodes=1.0,
                network_flow=None,
                external_connections=None,
                memory_used=None,
            )

        ports = Ports(
            dial,
            random.randbytes,
            random.random,
            read_host,
            clock=time.monotonic,
            has_room=lambda: dialler.handshaking < MAX_HANDSHAKES,
        )
        kind = Server if self.whole else LinksOnly
        return kind(
            station,
            Everybody(),
            ports,
            links=self.settings,
            superior=None,
            timers=RHYTHM,
            rules=Rules(),
            telemetry_interval=5.0,
            guard=GuardSettings(),
        )


async def _all_up(server: Server) -> None:
    began, cpu = time.monotonic(), time.process_time()
    while any(link.status.state is not LinkState.CONNECTED for link in server.links):  # noqa: ASYNC110 - see load
        await asyncio.sleep(0.1)
    sessions = sum(link.status.sessions for link in server.links)
    took, spent = time.monotonic() - began, time.process_time() - cpu
    progress(f"{len(server.links)} links up after {took:.1f} s, {spent:.1f} s CPU, {sessions} sessions")


async def load(server: Server, seconds: float) -> Load:
    """What the polls of the next seconds cost this process."""
    loop = asyncio.get_running_loop()
    stalls = [0.0]

    async def probe() -> None:
        while True:
            due = time.perf_counter() + _PROBE_S
            await asyncio.sleep(_PROBE_S)
            stalls.append(time.perf_counter() - due)

    watching = loop.create_task(probe())
    trips = server.counters.histogram("poll_round_trip")
    before = list(trips.counts)
    polls, cpu, began = _polls(server), time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    polls, cpu, took = _polls(server) - polls, time.process_time() - cpu, time.perf_counter() - began
    watching.cancel()
    counts = [after - earlier for after, earlier in zip(trips.counts, before, strict=True)]
    p50, p99 = (quantile(trips.bounds, counts, share) or 0.0 for share in (0.5, 0.99))
    return Load(polls, took, cpu / max(1, polls) * 1e6, cpu / took, p50 * 1e3, p99 * 1e3, max(stalls) * 1e3)


def _polls(server: Server) -> int:
    return sum(link.status.polls for link in server.links)


def measure(links: int, seconds: float, *, rhythm: bool, whole: bool) -> Row:
    """In this process, which should be a fresh one."""
    raise_descriptor_limit()
    quiet = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=quiet, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with tempfile.TemporaryDirectory() as folder:
        field = make_field(Path(folder), plants=links, progress=True)
        with Responders(field, 1 + links // _PER_RESPONDER) as responders:
            return run(Bench(field, responders.addresses, whole=whole).measure(seconds, rhythm=rhythm))


def measure_apart(links: int, seconds: float, *, rhythm: bool, whole: bool) -> Row:
    """In a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.links", "--measure", "--links", str(links)]
    command += ["--seconds", str(seconds), *(["--rhythm"] if rhythm else []), *(["--whole"] if whole else [])]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, cwd=ROOT)
    name = WHOLE if whole else LINKS
    if done.returncode:
        return Row(name, "", links, skipped=f"failed with exit code {done.returncode}")
    return ROW.validate_json(done.stdout)


def compare(links: int, options: argparse.Namespace) -> list[Row]:
    """Ours and everybody else's, one after another, `rounds` times; each one's medians."""
    ours = [False, True] if options.whole else [False]
    own: list[list[Row]] = [[] for _ in ours]
    others: list[list[Row]] = [[] for _ in SUBJECTS]
    for number in range(options.rounds):
        progress(f"{links} links, round {number + 1} of {options.rounds}")
        for whole, found in zip(ours, own, strict=True):
            found.append(measure_apart(links, options.seconds, rhythm=options.rhythm, whole=whole))
        if links <= options.peers_up_to:
            for subject, found in zip(SUBJECTS, others, strict=True):
                found.append(row(subject, links, options.seconds, rhythm=False))
    return [median_row(found) for found in (*own, *others) if found]


def ratios(rows: Sequence[Row]) -> dict[str, float]:
    """CPU per saturated poll of everybody else, as a multiple of ours; below 1 are the limits."""
    ours = next((one.saturated for one in rows if one.peer == LINKS), None)
    if ours is None:
        return {}
    return {
        f"{one.peer}, {one.setup}, {one.links} links": one.saturated.cpu_us / ours.cpu_us
        for one in rows
        if one.saturated and one.peer not in {LINKS, WHOLE}
    }


def main() -> None:
    """Print the table, or the one row of `--measure`."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.links")
    parser.add_argument("--links", type=int, nargs="+", default=[500, 5_000])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--peers-up-to", type=int, default=5_000, help="links up to which others are measured"
    )
    parser.add_argument("--rhythm", action="store_true", help="also in the product's own rhythm")
    parser.add_argument("--whole", action="store_true", help="also the whole server, with its awareness")
    parser.add_argument("--measure", action="store_true", help="be the process that polls")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.measure:
        one = measure(options.links[0], options.seconds, rhythm=options.rhythm, whole=options.whole)
        print(json.dumps(dataclasses.asdict(one)))
        return
    found = {count: compare(count, options) for count in options.links}
    rows = [one for each in found.values() for one in each]
    beside = {name: ratio for each in found.values() for name, ratio in ratios(each).items()}
    if options.json:
        rows_json = [dataclasses.asdict(one) for one in rows]
        print(json.dumps({"machine": machine(), "rows": rows_json, "times ours": beside}, indent=2))
        return
    console = Console()
    console.print(machine())
    show(rows, console)
    for name, ratio in beside.items():
        console.print(f"{name}: {ratio:.2f} x our CPU per saturated poll")


if __name__ == "__main__":
    main()
