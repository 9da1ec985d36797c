"""Rows of a benchmark as a table or as JSON, with the machine's shape."""

import json
import os
import platform
import socket
import ssl
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Row:
    """The base of a benchmark's rows: each field is made by `column`."""


def column(head: str, form: str = "") -> Any:
    """A field of a Row with its heading and how its value is written."""
    return field(metadata={"head": head, "form": form})


def show(title: str, rows: Sequence[Row], notes: Sequence[str], *, as_json: bool) -> None:
    """Print all rows, all of one kind, and what is to be known of them."""
    if as_json:
        told = {"machine": machine(), "notes": list(notes), "rows": [asdict(row) for row in rows]}
        print(json.dumps(told, indent=2, ensure_ascii=False))
        return
    table = Table(title=title, title_justify="left")
    for place in fields(rows[0]):
        table.add_column(place.metadata["head"], justify="right" if place.metadata["form"] else "left")
    for row in rows:
        table.add_row(*(_written(getattr(row, f.name), f.metadata["form"]) for f in fields(row)))
    console = Console(width=None if os.isatty(1) else 180)
    console.print(table)
    for note in (*notes, machine()):
        console.print(note)


def _written(value: Any, form: str) -> str:
    return "-" if value is None else format(value, form)


def machine() -> str:
    """Its cores, memory, kernel and libraries."""
    model = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        platform.machine(),
    )
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores ({model}), {memory:.0f} GB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION.rsplit(' ', 3)[0]}"
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").splitlines()
    except OSError:
        return []


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all do not exceed (nearest rank); 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)] if ordered else 0.0


def median(values: Sequence[float]) -> float:
    """0 of nothing."""
    return statistics.median(values) if values else 0.0


def free_port() -> int:
    """A port at which nobody listens now."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port
