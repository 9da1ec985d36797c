"""The command line that every peer's module has."""

import argparse
import asyncio
import dataclasses
import importlib
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.benchmarks.peers.polling import Ask
from tests.benchmarks.peers.row import Row, all_descriptors

T = TypeVar("T")
LOOPS = ("uvloop", "asyncio")


@dataclass(frozen=True, slots=True)
class Peer:
    """`needs`: modules that must be there; `respond` runs in the other process, on arguments of its own."""

    name: str
    needs: tuple[str, ...]
    variants: tuple[str, ...]
    measure: Callable[[Ask], Row]
    respond: Callable[[Sequence[str]], None]


def load(name: str) -> Any:
    """A module of the extra `bench`; the one border where its types are not known. Raises ImportError."""
    return importlib.import_module(name)


def available(name: str) -> bool:
    """Whether the module can be imported here."""
    try:
        load(name)
    except ImportError:
        return False
    return True


def run(loop: str, main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` on the loop of that name."""
    factory = load("uvloop").new_event_loop if loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)


def best_loop() -> str:
    """uvloop where it is installed."""
    return "uvloop" if available("uvloop") else "asyncio"


def measure(peer: Peer, ask: Ask) -> Row:
    """In this process, which should be a fresh one. A row without figures when a package is missing."""
    needs = (*peer.needs, "uvloop") if ask.loop == "uvloop" else peer.needs
    missing = [name for name in needs if not available(name)]
    if missing:
        return Row(
            f"{peer.name} {ask.variant}", ask.loop, ask.links, skipped=f"not installed: {', '.join(missing)}"
        )
    all_descriptors()
    return peer.measure(ask)


def main(peer: Peer, arguments: Sequence[str] | None = None) -> None:
    """Measure and print one row, or be the responder."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.benchmarks.peers.{peer.name}")
    parser.add_argument("--links", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--variant", choices=peer.variants, default=peer.variants[0])
    parser.add_argument("--loop", choices=LOOPS, default=best_loop())
    parser.add_argument("--rhythm", action="store_true", help="also each link once in 5 s")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--respond", nargs=argparse.REMAINDER, help="be the other process")
    options = parser.parse_args(arguments)
    if options.respond is not None:
        all_descriptors()
        peer.respond(options.respond)
        return
    if options.links < 1 or options.seconds <= 0:
        parser.error("--links and --seconds must be above 0")
    row = measure(peer, Ask(options.links, options.seconds, options.variant, options.loop, options.rhythm))
    if options.json:
        print(json.dumps(dataclasses.asdict(row)))
        return
    for field in dataclasses.fields(row):
        print(f"{field.name:10} {getattr(row, field.name)}")
