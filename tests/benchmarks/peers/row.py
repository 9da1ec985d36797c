"""What is measured of a poller process, and how several rounds of it become one row."""

import gc
import resource
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields

import psutil
from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Load:
    """Polls in a window of `seconds`; the CPU time is user and system of the poller process, all its threads.

    `busy`: CPU time per wall time; well under 1 means that the poller waited for its responder or for other
    programs of the machine. `p50_ms`, `p99_ms`: from the poll's start to the whole report in hand.
    `stall_ms`: saturated the longest time that the loop did not come round, in rhythm the latest start.
    """

    polls: float
    seconds: float
    cpu_us: float
    busy: float
    p50_ms: float
    p99_ms: float
    stall_ms: float


@dataclass(frozen=True, slots=True)
class Row:
    """One peer. `rss_kib`: resident memory of the poller per link; a reason in `skipped` means no figures."""

    peer: str
    setup: str
    links: int
    rss_kib: float = 0.0
    saturated: Load | None = None
    rhythm: Load | None = None
    skipped: str = ""


ROW = TypeAdapter(Row)


def load_of(taken: Sequence[float], *, seconds: float, cpu: float, stall: float) -> Load:
    """From the seconds that each poll took."""
    if len(taken) < 2:
        raise ValueError(f"{len(taken)} polls in {seconds:.1f} s: measure longer")
    cuts = statistics.quantiles(taken, n=100, method="inclusive")
    return Load(
        polls=len(taken),
        seconds=seconds,
        cpu_us=cpu / len(taken) * 1e6,
        busy=cpu / seconds,
        p50_ms=cuts[49] * 1e3,
        p99_ms=cuts[98] * 1e3,
        stall_ms=stall * 1e3,
    )


def median_load(loads: Sequence[Load]) -> Load | None:
    """Each figure's own median."""
    if not loads:
        return None
    names = [field.name for field in fields(Load)]
    return Load(**{name: statistics.median(getattr(load, name) for load in loads) for name in names})


def median_row(rounds: Sequence[Row]) -> Row:
    """One row of several rounds of the same peer; a round without figures takes them from the row."""
    for row in rounds:
        if row.skipped:
            return row
    first = rounds[0]
    return Row(
        first.peer,
        first.setup,
        first.links,
        rss_kib=statistics.median(row.rss_kib for row in rounds),
        saturated=median_load([row.saturated for row in rounds if row.saturated]),
        rhythm=median_load([row.rhythm for row in rounds if row.rhythm]),
    )


def resident() -> int:
    """Resident bytes of this process, rubbish collected first."""
    gc.collect()
    return int(psutil.Process().memory_info().rss)


def all_descriptors() -> None:
    """As many open files as this process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def progress(text: str) -> None:
    """For the person that waits; the figures go to the standard output."""
    print(text, file=sys.stderr, flush=True)
