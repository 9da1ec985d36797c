"""Durable orders per second through headquarters: `python -m tests.benchmarks.throughput [--json]`.

Headquarters is the real program with its real journal; desks and plants are a responder's, with real links
and real signatures. A desk has `--window` orders under way; each is drafted and issued (signed beforehand,
sent together), accepted, and delivered: the plant's signature is back at the desk. *delivered* stops there
and leaves the orders open, as a grid does; *cancelled* ends each one, so that headquarters has few open ones.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from protocol.lifecycle import Input
from tests.benchmarks.field import HQ, make_field, raise_descriptor_limit, tell
from tests.benchmarks.report import Row, column, median, quantile, show
from tests.benchmarks.responders import Child, Responders

_EVENTS = {Input.DELIVER: 4, Input.CANCEL: 5}  # draft, issue, accept, deliver, cancel
_PLANTS = 64


@dataclass(frozen=True, slots=True)
class Throughput(Row):
    """So many desks at once. `group`: decisions that share one commit."""

    ends: str = column("to")
    desks: int = column("desks", "d")
    window: int = column("window", "d")
    orders: int = column("orders", "d")
    refused: int = column("refused", "d")
    orders_per_s: float = column("orders/s", ".0f")
    events_per_s: float = column("events/s", ".0f")
    p50_ms: float = column("p50, ms", ".1f")
    p99_ms: float = column("p99, ms", ".1f")
    cpu_us: float = column("HQ CPU per order, µs", ".0f")
    busy: float = column("HQ busy", ".0%")
    ends_us: float = column("desks, plants CPU, µs", ".0f")
    commits: float = column("commits per order", ".2f")
    group: float = column("group, mean", ".1f")
    group_max: int = column("max", "d")
    write_p50_ms: float = column("commit p50, ms", ".2f")
    write_p99_ms: float = column("p99, ms", ".2f")


def measure(
    hq: Child, responders: Responders, name: str, desks: int, orders: int, window: int, ends: Input
) -> Throughput:
    """One run of `orders` orders in all."""
    each = max(orders // desks, 1)
    before = responders.ask("report")[0]["cpu_s"]
    hq.ask("reset")
    (told,) = responders.ask(
        "orders",
        name=name,
        desks=desks,
        each=each,
        window=window,
        plants=[f"plant-{n + 1}" for n in range(_PLANTS)],
        ends=ends.value,
    )
    cost: dict[str, Any] = hq.ask("report")
    seconds, done = told["seconds"], max(told["orders"], 1)
    latency = [s * 1000 for s in told["latency_s"]]
    return Throughput(
        "delivered" if ends is Input.DELIVER else "cancelled",
        desks,
        window,
        told["orders"],
        each * desks - told["orders"],
        told["orders"] / seconds,
        _EVENTS[ends] * told["orders"] / seconds,
        quantile(latency, 0.5),
        quantile(latency, 0.99),
        cost["cpu_s"] / done * 1e6,
        cost["cpu_s"] / seconds,
        (responders.ask("report")[0]["cpu_s"] - before) / done * 1e6,
        len(cost["groups"]) / done,
        sum(cost["groups"]) / max(len(cost["groups"]), 1),
        max(cost["groups"], default=0),
        quantile(cost["write_s"], 0.5) * 1000,
        quantile(cost["write_s"], 0.99) * 1000,
    )


def _median(rows: Sequence[Throughput]) -> Throughput:
    """Field by field; what names the run is the same in all."""
    middle: dict[str, Any] = {}
    for place in fields(Throughput):
        found = [getattr(row, place.name) for row in rows]
        middle[place.name] = median(found) if isinstance(found[0], float) else found[0]
    return Throughput(**middle)


def main() -> None:
    """Print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.throughput", description=__doc__)
    parser.add_argument("--desks", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--orders", type=int, default=512, help="of one run, over all desks")
    parser.add_argument("--window", type=int, default=1, help="orders that one desk has under way")
    parser.add_argument("--links", type=int, default=0, help="idle links beside")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", type=Path, help="where to write headquarters' cProfile")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    raise_descriptor_limit()
    profile = ["--profile", str(options.profile.absolute())] if options.profile else []
    kinds = [(desks, ends) for ends in (Input.CANCEL, Input.DELIVER) for desks in options.desks]
    found: dict[tuple[int, Input], list[Throughput]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as folder:
        nodes = _PLANTS + options.links
        field = make_field(Path(folder), plants=nodes, desks=max(options.desks), progress=True)
        with Responders(field) as responders:
            config = str(field.write_server(HQ, responders.addresses))
            with Child("tests.benchmarks.programs", "server", config, *profile) as hq:
                hq.hear("start")
                hq.ask("await", sessions=nodes + max(options.desks))
                for number in range(options.rounds):
                    for desks, ends in kinds:
                        tell(f"round {number + 1} of {options.rounds}: {desks} desks, to '{ends.value}'")
                        name = f"r{number}-{ends.value}-{desks}"
                        row = measure(hq, responders, name, desks, options.orders, options.window, ends)
                        found[desks, ends].append(row)
    notes = [
        f"{_PLANTS} plants, {options.links} idle links; medians of {options.rounds} interleaved rounds. p50, "
        "p99: issued at the desk until the plant's delivery is back there. Both ends share the cores.",
        "People are a stand-in. Orders that are 'delivered' stay open, those of earlier rounds too.",
    ]
    show("Orders through headquarters", [_median(found[kind]) for kind in kinds], notes, as_json=options.json)


if __name__ == "__main__":
    main()
