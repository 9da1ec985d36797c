"""Everybody comes back at once: `python -m tests.benchmarks.storm [--links N ...] [--json]`.

Headquarters (or a center) is the real program in a process of its own; the nodes are a responder's. Three
storms:

- *restart*: headquarters is killed and started again; it knows no TLS session any more;
- *cut*: all links end at once; headquarters and nodes know each other's TLS sessions;
- *center*: a center with all the plants below it is killed and started again.

While nobody is linked, desks issue orders; all must be delivered. Beside it: the dialling side's CPU of a
bare TLS handshake with the product's own contexts, full and resumed, measured in the same run, and of the
session's handshake (Hello, Welcome, keys) that the product adds.
"""

import argparse
import os
import ssl
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos_cipher import KeystreamCache
from protocol.handshake import Fresh, Grant, Local
from protocol.limits import Timers
from protocol.outbox import Inbox, Outbox
from protocol.session import HelloReceived
from protocol.subordinate import SubordinateSession
from protocol.superior import SuperiorSession
from tests.benchmarks.field import (
    CENTER,
    DEPLOYMENT,
    HQ,
    Address,
    Field,
    make_field,
    raise_descriptor_limit,
    tell,
)
from tests.benchmarks.report import Row, column, free_port, median, show
from tests.benchmarks.responders import Child, Responders

_HANDSHAKES = 100
_DESKS = 2


@dataclass(frozen=True, slots=True)
class Storm(Row):
    """One storm. CPU is that of the program that dials; `ratio`: over bare handshakes of the same kinds."""

    storm: str = column("storm")
    links: int = column("links", "d")
    up_s: float = column("all up after, s", ".1f")
    links_per_s: float = column("links/s", ".0f")
    stall_ms: float = column("longest stall, ms", ".0f")
    gc_ms: float = column("longest GC, ms", ".0f")
    cpu_us: float = column("CPU per link, µs", ".0f")
    full_us: float = column("bare TLS full, µs", ".0f")
    resumed_us: float = column("resumed, µs", ".0f")
    session_us: float = column("Hello, µs", ".0f")
    resumed: float = column("links resumed", ".0%")
    ratio: float = column("CPU / bare TLS", ".2f")
    attempts: float = column("tries per link", ".2f")
    delivered: str = column("orders delivered")
    last_order_s: float = column("last after, s", ".1f")


def _cpu(action: Callable[[], object]) -> float:
    began = time.thread_time()
    with suppress(ssl.SSLWantReadError):
        action()
    return time.thread_time() - began


class Handshakes:
    """The dialling side's CPU of bare handshakes, median µs."""

    def __init__(self, field: Field, superior: str, node: str) -> None:
        self._dialling = field.context(superior)
        self._waiting = field.context(node, ssl.PROTOCOL_TLS_SERVER)
        self._keys = field.signing_key(superior), field.signing_key(node)
        self.full: list[float] = []
        self.resumed: list[float] = []
        self.session: list[float] = []

    def measure(self) -> None:
        """Some of each kind; call it before and after a storm."""
        for _ in range(_HANDSHAKES):
            spent, known = self._tls(None)
            self.full.append(spent * 1e6)
            self.resumed.append(self._tls(known)[0] * 1e6)
            self.session.append(self._session() * 1e6)

    def _tls(self, known: ssl.SSLSession | None) -> tuple[float, ssl.SSLSession | None]:
        to_node, to_superior = ssl.MemoryBIO(), ssl.MemoryBIO()
        began = time.thread_time()
        dialling = self._dialling.wrap_bio(to_superior, to_node, server_side=False, session=known)
        spent = time.thread_time() - began
        waiting = self._waiting.wrap_bio(to_node, to_superior, server_side=True)
        for _ in range(2):
            spent += _cpu(dialling.do_handshake)
            _cpu(waiting.do_handshake)
        _cpu(lambda: waiting.write(b"tickets go with the first bytes"))
        spent += _cpu(lambda: dialling.read(4_096))
        assert dialling.session_reused is (known is not None)
        return spent, dialling.session

    def _session(self) -> float:
        """Hello and Welcome at the superior: two signatures' work and the agreement on keys."""
        above, below = (
            Local(key=key, deployment=DEPLOYMENT, boot=os.urandom(16), inner=KeystreamCache)
            for key in self._keys
        )
        began = time.thread_time()
        superior = SuperiorSession(
            above,
            below.key.certificate,
            term=1,
            timers=Timers(),
            outbox=Outbox(),
            inbox=Inbox(),
            fresh=Fresh.of(os.urandom(48)),
        )
        hello = superior.data_to_send()
        spent = time.thread_time() - began
        node = SubordinateSession(
            below, above.key.certificate, granted=Grant(), outbox=Outbox(), inbox=Inbox()
        )
        for event in node.receive(hello, 0.0):
            if isinstance(event, HelloReceived):
                node.welcome(event.hello, Fresh.of(os.urandom(48)), 0.0)
        welcome = node.data_to_send()
        return spent + _cpu(lambda: list(superior.receive(welcome, 0.0)))


class Scene:
    """The programs of one storm."""

    def __init__(self, field: Field, responders: Responders, superior: str, plants: list[str]) -> None:
        self._field = field
        self._responders = responders
        self._superior = superior
        self._plants = plants
        self._runs = 0
        self.handshakes = Handshakes(field, superior, plants[0])

    def storm(self, name: str, links: int, orders: int, strike: Callable[[], tuple[Child, int]]) -> Storm:
        """`strike` ends all links and gives the program that dials and how many sessions it has then had."""
        self.handshakes.measure()
        before = self._counts()
        self._runs += 1
        began = time.monotonic()
        child, sessions = strike()
        self._responders.tell(
            "orders",
            name=f"storm-{self._runs}",
            desks=_DESKS,
            each=orders,
            window=orders,
            plants=self._plants[:8],
            ends="deliver",
        )
        up = child.ask("await", sessions=sessions + links)
        told = self._responders.hear("orders")
        tell(f"{links} links: up after {up['at'] - began:.1f} s")
        self.handshakes.measure()
        return self._row(name, links, began, up, before, told)

    def _counts(self) -> dict[str, int]:
        total: dict[str, int] = {}
        for told in self._responders.ask("report"):
            for name, count in told["counts"].items():
                total[name] = total.get(name, 0) + count
        return total

    def _row(
        self,
        name: str,
        links: int,
        began: float,
        up: dict[str, Any],
        before: dict[str, int],
        told: list[dict[str, Any]],
    ) -> Storm:
        after = self._counts()
        resumed, full = (after.get(kind, 0) - before.get(kind, 0) for kind in ("resumed", "full"))
        share = resumed / max(resumed + full, 1)
        shakes = self.handshakes
        bare = share * median(shakes.resumed) + (1 - share) * median(shakes.full)
        cpu_us = up["cpu_s"] / links * 1e6
        return Storm(
            name,
            links,
            up["at"] - began,
            links / (up["at"] - began),
            up["stall_s"] * 1000,
            up["gc_s"] * 1000,
            cpu_us,
            median(shakes.full),
            median(shakes.resumed),
            median(shakes.session),
            share,
            cpu_us / bare,
            (resumed + full) / links,
            f"{sum(t['orders'] for t in told)} of {sum(t['orders'] + len(t['refused']) for t in told)}",
            max(t["delivered_last"] for t in told) - began,
        )


def _start(config: Path, *options: str) -> Child:
    child = Child("tests.benchmarks.programs", "server", str(config), *options)
    child.hear("start")
    return child


def under_headquarters(links: int, orders: int, options: list[str]) -> list[Storm]:
    """The storms *restart* and *cut*."""
    with tempfile.TemporaryDirectory() as folder:
        field = make_field(Path(folder), plants=links - _DESKS, desks=_DESKS, progress=True)
        with Responders(field) as responders:
            config = field.write_server(HQ, responders.addresses)
            scene = Scene(field, responders, HQ, [m.name for m in field.below(HQ) if m.role == "plant"])
            tell(f"{links} links: up for the first time")
            running = [_start(config)]
            running[0].ask("await", sessions=links)

            def restart() -> tuple[Child, int]:
                running.pop().kill()
                running.append(_start(config, *options))
                return running[0], 0

            def cut() -> tuple[Child, int]:
                sessions = running[0].ask("await", sessions=0)["sessions"]
                running[0].ask("reset")
                responders.ask("drop")
                return running[0], sessions

            try:
                tell(f"{links} links: headquarters is killed and started again")
                rows = [scene.storm("restart", links, orders, restart)]
                tell(f"{links} links: all are cut")
                rows.append(scene.storm("cut", links, orders, cut))
            finally:
                for child in running:
                    child.stop()
            return rows


def under_a_center(links: int, orders: int) -> Storm:
    """The storm *center*."""
    with tempfile.TemporaryDirectory() as folder:
        field = make_field(Path(folder), desks=_DESKS, region=links, progress=True)
        with Responders(field) as responders:
            own: dict[str, Address] = {CENTER: ("127.0.0.1", free_port())}
            config = field.write_server(CENTER, responders.addresses, listen=own[CENTER])
            scene = Scene(field, responders, CENTER, [m.name for m in field.below(CENTER)])
            running = [_start(config)]
            above = _start(field.write_server(HQ, responders.addresses | own))

            def restart() -> tuple[Child, int]:
                running.pop().kill()
                running.append(_start(config))
                return running[0], 0

            try:
                tell(f"{links} links under a center: up for the first time")
                running[0].ask("await", sessions=links)
                above.ask("await", sessions=_DESKS + 1)
                tell(f"{links} links under a center: it is killed and started again")
                return scene.storm("center", links, orders, restart)
            finally:
                for child in (*running, above):
                    child.stop()


def main() -> None:
    """Print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.storm", description=__doc__)
    parser.add_argument("--links", type=int, nargs="+", default=[500, 5_000])
    parser.add_argument("--orders", type=int, default=10, help="that each of two desks issues in the storm")
    parser.add_argument("--profile", type=Path, help="where to write headquarters' cProfile of the storms")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if min(options.links) <= _DESKS:
        parser.error(f"--links must be more than {_DESKS}")
    raise_descriptor_limit()
    profile = ["--profile", str(options.profile.absolute())] if options.profile else []
    rows: list[Storm] = []
    for links in options.links:
        rows += under_headquarters(links, options.orders, profile)
        rows.append(under_a_center(links, options.orders))
    notes = [
        "CPU: of the dialling program from its start (restart, after its imports) or from the cut until all "
        "links are up, orders included. Times are told to 0.1 s. Both ends share the machine's cores.",
        "CPU / bare TLS: over that many bare handshakes of the same kinds (full, resumed). Hello: what the "
        "product's own handshake adds at the least. People are a stand-in.",
    ]
    show("Storms", rows, notes, as_json=options.json)


if __name__ == "__main__":
    main()
