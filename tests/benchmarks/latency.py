"""How long news takes between people: `python -m tests.benchmarks.latency [--links N ...] [--json]`.

Real programs, each in its own process with its own durable SQLite journal: headquarters, a center, a desk,
one plant under headquarters and one under the center; N idle links beside them at headquarters. Measured is
the time

- from the moment when the dispatcher issues (before the signature) until the plant shows the accepted order,
- from the moment when the operator reads back until the desk shows it,

"shows" being `Station.watch_orders`: the change is durable there. Once with held polls, one order after the
other; once with `hold_ms = 0` (the plain polling of P1), orders side by side. People think before they sign:
some 30 ms, and with plain polling for up to a poll interval, so that they meet every moment of it. A stand-in
answers for people: no Argon2, both factors are always there.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.limits import Timers
from tests.benchmarks.field import CENTER, HQ, Address, Field, make_field, raise_descriptor_limit, tell
from tests.benchmarks.report import Row, column, free_port, quantile, show
from tests.benchmarks.responders import Child, Responders

DESK, PLANT, FAR = "desk-1", "plant-1", "far-1"
_THOUGHT_S = 0.06  # at most, when polls are held
_WAYS = {"HQ": PLANT, "HQ + center": FAR}


@dataclass(frozen=True, slots=True)
class Latency(Row):
    """One way and direction. Times in ms."""

    way: str = column("way")
    links: int = column("idle links", "d")
    hold_ms: int = column("hold_ms", "d")
    news: str = column("news")
    orders: int = column("n", "d")
    p50_ms: float = column("p50, ms", ".1f")
    p99_ms: float = column("p99, ms", ".1f")
    hq_durable_p50_ms: float = column("HQ durable p50", ".1f")
    hq_durable_p99_ms: float = column("p99, ms", ".1f")
    hq_commit_p50_ms: float = column("HQ commit p50", ".2f")
    hq_commit_p99_ms: float = column("p99, ms", ".2f")
    ends_commit_p50_ms: float = column("desk, plant commit p50", ".2f")
    ends_commit_p99_ms: float = column("p99, ms", ".2f")
    hq_stall_ms: float = column("HQ longest stall, ms", ".0f")
    hq_gc_ms: float = column("GC, ms", ".0f")


@dataclass(frozen=True, slots=True)
class Times:
    """Of one plant's orders, in s of the shared monotonic clock."""

    issued: dict[str, float]
    shown_at_plant: dict[str, float]
    read_back: dict[str, float]
    shown_at_desk: dict[str, float]

    def news(self) -> Iterator[tuple[str, list[float]]]:
        """Both directions."""
        yield "issue → plant", _between(self.issued, self.shown_at_plant)
        yield "read-back → desk", _between(self.read_back, self.shown_at_desk)


def _between(first: dict[str, float], then: dict[str, float]) -> list[float]:
    return [(then[order] - at) * 1000 for order, at in first.items()]


class Stage:
    """All programs of one measurement, linked to one another."""

    def __init__(self, stack: ExitStack, field: Field, idle: int, timers: Timers) -> None:
        responders = stack.enter_context(Responders(field, without=[DESK, PLANT, FAR]))
        own: dict[str, Address] = {name: ("127.0.0.1", free_port()) for name in (DESK, PLANT, FAR, CENTER)}
        people = {DESK: "dispatcher-1", PLANT: "operator-plant-1", FAR: "operator-far-1"}
        self.children: dict[str, Child] = {}
        for name, person in people.items():
            config = field.write_client(name, own[name])
            self._start(stack, name, "client", str(config), "--person", person)
        center = field.write_server(CENTER, own, timers=timers, listen=own[CENTER])
        self._start(stack, CENTER, "server", str(center))
        config = field.write_server(HQ, responders.addresses | own, timers=timers)
        self._start(stack, HQ, "server", str(config))
        for server, sessions in ((CENTER, 1), (HQ, idle + 3)):
            self.children[server].ask("await", sessions=sessions)

    def _start(self, stack: ExitStack, name: str, *command: str) -> None:
        child = stack.enter_context(Child("tests.benchmarks.programs", *command))
        child.hear("start")
        self.children[name] = child

    def run(self, plant: str, orders: Sequence[str], think_s: float, *, together: bool) -> Times:
        """Issue orders to a plant. Gives when each was issued, shown, read back and shown."""
        self.children[plant].ask("think", think_s=think_s)
        desk = self.children[DESK].ask(
            "issue", plant=plant, orders=list(orders), think_s=think_s, together=together
        )
        there = self.children[plant].ask("times")
        wanted = set(orders)
        return Times(
            *(
                {order: at for order, at in times.items() if order in wanted}
                for times in (desk["issued"], there["shown"], there["signed"], desk["shown"])
            )
        )

    def reset(self) -> None:
        """Begin the counting anew everywhere."""
        for child in self.children.values():
            child.ask("reset")


def measure(idle: int, hold_ms: int, orders: int, interval_ms: int) -> list[Latency]:
    """Both ways with so many idle links beside."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        field = make_field(Path(folder), plants=idle + 1, desks=1, region=1, progress=True)
        tell(f"{idle} idle links, hold_ms = {hold_ms}: linking up")
        stage = Stage(stack, field, idle, Timers(interval_ms, hold_ms))
        think_s = _THOUGHT_S if hold_ms else interval_ms / 1000
        rows = []
        for way, plant in _WAYS.items():
            tell(f"{idle} idle links, hold_ms = {hold_ms}: {way}")
            stage.run(plant, [f"warm-{plant}-{n}" for n in range(3)], think_s, together=True)
            stage.reset()
            times = stage.run(plant, [f"o-{plant}-{n}" for n in range(orders)], think_s, together=not hold_ms)
            rows += _rows(way, idle, hold_ms, times, stage, plant)
        return rows


def _rows(way: str, idle: int, hold_ms: int, times: Times, stage: Stage, plant: str) -> list[Latency]:
    hq: dict[str, Any] = stage.children[HQ].ask("report")
    ends = [s for name in (DESK, plant) for s in stage.children[name].ask("report")["write_s"]]
    return [
        Latency(
            way,
            idle,
            hold_ms,
            news,
            len(taken),
            quantile(taken, 0.5),
            quantile(taken, 0.99),
            quantile(hq["commit_s"], 0.5) * 1000,
            quantile(hq["commit_s"], 0.99) * 1000,
            quantile(hq["write_s"], 0.5) * 1000,
            quantile(hq["write_s"], 0.99) * 1000,
            quantile(ends, 0.5) * 1000,
            quantile(ends, 0.99) * 1000,
            hq["stall_s"] * 1000,
            hq["gc_s"] * 1000,
        )
        for news, taken in times.news()
    ]


def main() -> None:
    """Print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.latency", description=__doc__)
    parser.add_argument("--links", type=int, nargs="+", default=[500, 5_000], help="idle links beside")
    parser.add_argument("--orders", type=int, default=200, help="with held polls")
    parser.add_argument("--plain-orders", type=int, default=40, help="with hold_ms = 0; 0 leaves it out")
    parser.add_argument("--interval-ms", type=int, default=5_000, help="the poll interval")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    raise_descriptor_limit()
    rows: list[Latency] = []
    for idle in options.links:
        hold_ms = options.interval_ms * 24 // 25
        rows += measure(idle, hold_ms, options.orders, options.interval_ms)
        if options.plain_orders:
            rows += measure(idle, 0, options.plain_orders, options.interval_ms)
    notes = [
        f"Poll interval {options.interval_ms} ms. Commit: one transaction on the journal's thread, fsync "
        "included. Durable: from a decision until the loop knows (`Station.on_committed`, 1 ms steps).",
        "People are a stand-in: nobody waits for Argon2 or a second factor. All share the machine's cores.",
    ]
    show("News between people", rows, notes, as_json=options.json)


if __name__ == "__main__":
    main()
