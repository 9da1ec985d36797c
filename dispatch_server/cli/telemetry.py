"""dispatch-server telemetry: the curves that are kept, read from their file also while the server runs."""

import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Annotated, TextIO

import typer

from dispatch_server.awareness.store import TelemetryStore
from dispatch_server.cli.words import HEADS, SENTENCES
from dispatch_server.config import load_server_settings
from protocol.settings import resolve
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption, language_of, name
from protocol.terminal.program import ExitCode, Refused, command_group
from protocol.terminal.screen import complain, local_time, tell, tell_json
from protocol.terminal.tables import cell, show, table
from protocol.texts import Language, say
from situational import METRICS, Chunk, ChunkError, export_csv, metric_text
from situational import Language as TrendLanguage
from situational.chunk import MAX_MS, decode, encode

app = command_group(
    "The curves that [telemetry] keeps; what is younger than some 20 minutes is not in it yet."
)

_STANDARD = "-"  # standard output


@dataclass(frozen=True, slots=True)
class _Asked:
    """Samples with since_ms <= time < until_ms (wall clock), of one node or of all."""

    node: str | None
    since_ms: int
    until_ms: int


def moment(value: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 time, local where it names no zone. Raises BadParameter."""
    try:
        ms = round(datetime.fromisoformat(value).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        ms = -1
    if not 0 <= ms <= MAX_MS:
        raise typer.BadParameter(f"'{value}' is no time: write 2026-03-01T08:00 (local) or 2026-03-01T00:00Z")
    return ms


@app.command()
def export(
    config: ConfigOption,
    *,
    node: Annotated[str | None, typer.Option(parser=name, help="Of this node alone.")] = None,
    since: Annotated[int | None, typer.Option(parser=moment, metavar="ISO", help="From then on.")] = None,
    until: Annotated[
        int | None, typer.Option(parser=moment, metavar="ISO", help="Until before then.")
    ] = None,
    out: Annotated[
        str, typer.Option(metavar="FILE.csv|-", help="A new file; - is standard output.")
    ] = _STANDARD,
) -> None:
    """Write samples as CSV: time (UTC), node, metric, value. What is damaged is told and left out: exit 1."""
    asked = _Asked(node, since or 0, MAX_MS + 1 if until is None else until)
    if asked.since_ms >= asked.until_ms:
        raise typer.BadParameter("--since must be before --until")
    with _store(config) as store, _written_to(out) as file:
        damaged, lines = _export(store, asked, file)
    if damaged:
        complain(f"{damaged} damaged parts were left out")
        raise typer.Exit(ExitCode.FAILED)
    if not lines:
        complain("nothing is kept of that node and time: see dispatch-server telemetry summary")


def _export(store: TelemetryStore, asked: _Asked, file: TextIO) -> tuple[int, int]:
    """How many parts were damaged, and how many samples were written."""
    file.writelines(export_csv(()))
    damaged = lines = 0
    for chunk in store.chunks(node=asked.node, since_ms=asked.since_ms, until_ms=asked.until_ms):
        try:
            _, *samples = export_csv(within(chunk, asked.since_ms, asked.until_ms))
        except ChunkError as error:
            span = f"{local_time(chunk.first_ms)} to {local_time(chunk.last_ms)}"
            complain(f"{chunk.node} {chunk.metric}, {span}: {error}")
            damaged += 1
            continue
        file.writelines(samples)
        lines += len(samples)
    return damaged, lines


def within(chunk: Chunk, since_ms: int, until_ms: int) -> list[Chunk]:
    """The part of a chunk with since_ms <= time < until_ms; nothing when there is none. Raises ChunkError."""
    if since_ms <= chunk.first_ms and chunk.last_ms < until_ms:
        return [chunk]
    at_ms, values = decode(chunk.data)
    wanted = (at_ms >= since_ms) & (at_ms < until_ms)
    if not wanted.any():
        return []
    return [replace(chunk, data=encode(at_ms[wanted], values[wanted]))]


@contextmanager
def _written_to(out: str) -> Iterator[TextIO]:
    """Standard output, or a new file that only its owner reads; one that fails is not left half."""
    if out == _STANDARD:
        yield sys.stdout
        return
    path = Path(out)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Refused(f"{path}: it is there already: name another file") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as error:
        path.unlink(missing_ok=True)
        raise Refused(f"{path}: {error.strerror}: nothing is left of the export") from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise


@contextmanager
def _store(config: Path) -> Iterator[TelemetryStore]:
    """Raises Refused, ConfigurationRefused."""
    named = load_server_settings(config).telemetry.store
    if named is None:
        raise Refused(f"{config}: no curves are kept: name a file as store in [telemetry], then restart")
    path = resolve(config.absolute().parent, named)
    if not path.exists():
        raise Refused(f"{path}: nothing is kept yet: the server makes it when it starts")
    store = TelemetryStore(path, read_only=True)
    try:
        yield store
    except sqlite3.Error as error:
        raise Refused(f"{path}: cannot be read ({error}): try a copy of it") from None
    finally:
        store.close()


@dataclass(frozen=True, slots=True)
class _Row:
    """What is kept of one metric of one node; bytes as stored."""

    node: str
    metric: str
    from_ms: int
    to_ms: int
    samples: int
    bytes: int


@app.command()
def summary(config: ConfigOption, *, as_json: JsonOption = False, lang: LanguageOption = None) -> None:
    """Tell of each node and metric: from when to when, how many samples, how many bytes."""
    language = language_of(lang)
    with _store(config) as store:
        rows = summarised(store.chunks(node=None, since_ms=0, until_ms=MAX_MS + 1))
    if as_json:
        tell_json([asdict(row) for row in rows])
    elif rows:
        _show(rows, language)
    else:
        tell(say(SENTENCES["nothing kept"], language))


def summarised(chunks: Iterable[Chunk]) -> list[_Row]:
    """One row per node and metric, of chunks in that order; only their headings are read, none is decoded."""
    rows: list[_Row] = []
    for (node, metric), same in groupby(chunks, lambda chunk: (chunk.node, chunk.metric)):
        first, last, samples, size = MAX_MS, 0, 0, 0
        for chunk in same:
            first, last = min(first, chunk.first_ms), max(last, chunk.last_ms)
            samples, size = samples + chunk.count, size + len(chunk.data)
        rows.append(_Row(node, metric, first, last, samples, size))
    return rows


def _show(rows: Iterable[_Row], language: Language) -> None:
    keys = ("node", "metric", "from", "to", "samples", "bytes")
    made = table("", [say(HEADS[key], language) for key in keys])
    names = {metric.value: metric_text(metric, TrendLanguage(language.value)) for metric in METRICS}
    for row in rows:
        metric = names.get(row.metric, row.metric)
        span = local_time(row.from_ms), local_time(row.to_ms)
        made.add_row(*(cell(value) for value in (row.node, metric, *span, row.samples, row.bytes)))
    show(made)
