"""All peers side by side: each measurement in a fresh process, rounds interleaved, medians."""

import os
import platform
import subprocess
import sys
from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tests.benchmarks.peers.responding import ROOT
from tests.benchmarks.peers.row import ROW, Load, Row, median_row, progress

Subject = tuple[str, str]  # module, variant
SUBJECTS: tuple[Subject, ...] = (
    ("raw", "c"),
    ("raw", "python"),
    ("raw_tls", "python"),
    ("grpc_aio", "unary"),
    ("grpc_aio", "stream"),
    ("aiohttp_tls", "keep-alive"),
    ("iec104", "read"),
    ("iec104", "read-tls"),
    ("iec104", "interrogation"),
)


def rows(
    links: int,
    seconds: float,
    *,
    rounds: int = 1,
    rhythm: bool = False,
    subjects: Sequence[Subject] = SUBJECTS,
) -> list[Row]:
    """One row per subject: `rounds` times all of them one after another, then each one's medians."""
    measured: list[list[Row]] = [[] for _ in subjects]
    for number in range(rounds):
        for subject, own in zip(subjects, measured, strict=True):
            progress(f"{' '.join(subject)}: {links} links, round {number + 1} of {rounds}")
            own.append(row(subject, links, seconds, rhythm=rhythm))
    return [median_row(own) for own in measured]


def row(subject: Subject, links: int, seconds: float, *, rhythm: bool) -> Row:
    """One subject in a process of its own; one that fails gives a row that says so."""
    name, variant = subject
    command = [sys.executable, "-m", f"tests.benchmarks.peers.{name}", "--variant", variant, "--json"]
    command += ["--links", str(links), "--seconds", str(seconds), *(["--rhythm"] if rhythm else [])]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, cwd=ROOT)
    if done.returncode:
        return Row(f"{name} {variant}", "", links, skipped=f"failed with exit code {done.returncode}")
    return ROW.validate_json(done.stdout)


def machine() -> str:
    """What it was measured on."""
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.machine()}"


def show(all_rows: Sequence[Row], console: Console) -> None:
    """A table; what was skipped says why."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("peer", "set-up"):
        table.add_column(name, no_wrap=True)
    for name in ("links", "KiB a link", "CPU µs", "polls/s", "busy", "p50 ms", "p99 ms", "stall ms"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in all_rows:
        table.add_row(*_cells(one.peer, one.setup or one.skipped, one, one.saturated))
        if one.rhythm:
            table.add_row(*_cells("", "  5 s rhythm", one, one.rhythm))
    console.print(table)


def _cells(peer: str, setup: str, one: Row, load: Load | None) -> list[str]:
    if load is None:
        return [peer, one.skipped or setup, str(one.links)]
    figures = (load.p50_ms, load.p99_ms, load.stall_ms)
    return [
        peer,
        setup,
        str(one.links),
        f"{one.rss_kib:.1f}",
        f"{load.cpu_us:.1f}",
        f"{load.polls / load.seconds:,.0f}",
        f"{load.busy:.2f}",
        *(f"{figure:.2f}" for figure in figures),
    ]
