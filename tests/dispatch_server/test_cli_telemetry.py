import csv
import io
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from dispatch_server.__main__ import app
from dispatch_server.awareness.store import TelemetryStore
from dispatch_server.cli import telemetry
from dispatch_server.cli.telemetry import moment, summarised, within
from situational import METRICS, Chunk
from situational.chunk import decode, encode
from tests.dispatch_server.support import HQ, write_config
from tests.support.terminal import Told, run

START = datetime(2026, 3, 1, tzinfo=UTC)
START_MS = int(START.timestamp() * 1000)
WITH_STORE = HQ + '[telemetry]\nstore = "telemetry.db"\n'


def chunk(node: str = "plant-a", metric: str = "network_flow", *, first: int = 0, samples: int = 12) -> Chunk:
    """Samples every 5 s from `first` seconds after START; each value is its number of seconds."""
    seconds = [first + 5 * i for i in range(samples)]
    at_ms = [START_MS + 1000 * s for s in seconds]
    return Chunk(node, metric, at_ms[0], at_ms[-1], samples, encode(at_ms, [float(s) for s in seconds]))


def kept(folder: Path, *chunks: Chunk) -> Path:
    """A configuration whose store keeps these chunks."""
    store = TelemetryStore(folder / "telemetry.db")
    store.add(chunks, {}, drop_before_ms=0)
    store.close()
    return write_config(folder, WITH_STORE)


def export(config: Path, *options: object) -> Told:
    return run(app, "telemetry", "export", "--config", config, *options)


def samples(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def iso(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def test_everything_goes_to_standard_output_as_csv(tmp_path: Path) -> None:
    chunks = [chunk(node, metric.value) for node in ("plant-a", "plant-b") for metric in METRICS]
    config = kept(tmp_path, *chunks)
    told = export(config)
    assert (told.exit_code, told.err) == (0, "")
    assert told.out.splitlines()[0] == "time,node,metric,value"
    rows = samples(told.out)
    assert len(rows) == 2 * 4 * 12
    assert {row["node"] for row in rows} == {"plant-a", "plant-b"}
    assert rows[1] == {"time": "2026-03-01T00:00:05.000Z", "node": "plant-a"} | {
        "metric": "external_connections",
        "value": "5.0",
    }


def test_one_node_alone_can_be_had(tmp_path: Path) -> None:
    config = kept(tmp_path, chunk("plant-a"), chunk("plant-b"))
    assert {row["node"] for row in samples(export(config, "--node", "plant-b").out)} == {"plant-b"}


@pytest.mark.parametrize(
    ("since", "until", "wanted"),
    [
        (0, 60, list(range(0, 60, 5))),
        (7, 20, [10, 15]),
        (10, 11, [10]),
        (55, 65, [55, 60]),
        (None, 10, [0, 5]),
        (110, None, [110, 115]),
        (11, 14, []),
        (1000, None, []),
    ],
)
def test_a_time_span_cuts_through_chunks_and_leaves_its_end_out(
    tmp_path: Path, since: int | None, until: int | None, wanted: list[int]
) -> None:
    config = kept(tmp_path, chunk(), chunk(first=60))
    options = [] if since is None else ["--since", iso(since)]
    options += [] if until is None else ["--until", iso(until)]
    told = export(config, *options)
    assert [float(row["value"]) for row in samples(told.out)] == wanted
    assert ("nothing is kept" in told.err) is (not wanted)


@given(
    st.integers(-20, 200).map(lambda s: START_MS + 500 * s),
    st.integers(-20, 200).map(lambda s: START_MS + 500 * s),
)
def test_what_is_within_a_span_are_exactly_its_samples(since_ms: int, until_ms: int) -> None:
    whole = chunk()
    at_ms, values = decode(whole.data)
    expected = [(t, v) for t, v in zip(at_ms, values, strict=True) if since_ms <= t < until_ms]
    found = [
        pair for part in within(whole, since_ms, until_ms) for pair in zip(*decode(part.data), strict=True)
    ]
    assert found == expected


def test_a_file_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    config, out = kept(tmp_path, chunk()), tmp_path / "curves.csv"
    told = export(config, "--out", out)
    assert (told.exit_code, told.out) == (0, "")
    assert len(samples(out.read_text("utf-8"))) == 12
    assert out.stat().st_mode & 0o777 == 0o600


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    config, out = kept(tmp_path, chunk()), tmp_path / "journal.db"
    out.write_bytes(b"precious")
    told = export(config, "--out", out)
    assert told.exit_code == 1
    assert told.err == f"{out}: it is there already: name another file\n"
    assert out.read_bytes() == b"precious"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    out = tmp_path / "none" / "curves.csv"
    told = export(kept(tmp_path, chunk()), "--out", out)
    assert (told.exit_code, told.err) == (1, f"{out}: No such file or directory\n")


def test_a_full_disk_leaves_no_half_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> tuple[int, int]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(telemetry, "_export", full)
    out = tmp_path / "curves.csv"
    told = export(kept(tmp_path, chunk()), "--out", out)
    assert told.exit_code == 1
    assert told.err == f"{out}: No space left on device: nothing is left of the export\n"
    assert not out.exists()


def test_it_can_be_read_while_the_server_writes(tmp_path: Path) -> None:
    config = kept(tmp_path, chunk())
    running = TelemetryStore(tmp_path / "telemetry.db")
    running.add([chunk(first=60)], {}, drop_before_ms=0)
    running._sql.execute("BEGIN IMMEDIATE")
    running._sql.execute("DELETE FROM chunks")
    assert len(samples(export(config).out)) == 24
    running._sql.execute("ROLLBACK")
    running.close()


def test_reading_changes_nothing(tmp_path: Path) -> None:
    config = kept(tmp_path, chunk())
    before = (tmp_path / "telemetry.db").read_bytes()
    export(config)
    run(app, "telemetry", "summary", "--config", config)
    assert (tmp_path / "telemetry.db").read_bytes() == before


def test_without_a_store_it_says_which_setting_is_missing(tmp_path: Path) -> None:
    for command in ("export", "summary"):
        told = run(app, "telemetry", command, "--config", write_config(tmp_path))
        assert told.exit_code == 1
        assert "no curves are kept: name a file as store in [telemetry]" in told.err


def test_a_store_that_is_not_there_yet_is_not_made(tmp_path: Path) -> None:
    told = export(write_config(tmp_path, WITH_STORE))
    assert told.exit_code == 1
    assert "nothing is kept yet" in told.err
    assert not (tmp_path / "telemetry.db").exists()


def test_another_program_s_file_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "telemetry.db") as other:
        other.execute("CREATE TABLE precious (x)")
    other.close()
    told = export(write_config(tmp_path, WITH_STORE))
    assert told.exit_code == 1
    assert "it is another program's file" in told.err


def test_a_file_that_is_no_store_is_refused_in_one_line(tmp_path: Path) -> None:
    for content in (b"", b"no database at all, but long enough to look like one" * 100):
        (tmp_path / "telemetry.db").write_bytes(content)
        told = export(write_config(tmp_path, WITH_STORE))
        assert told.exit_code == 1
        assert told.err.count("\n") == 1
        assert "telemetry.db" in told.err


def test_a_damaged_chunk_is_named_and_left_out_and_the_rest_is_there(tmp_path: Path) -> None:
    config = kept(tmp_path, chunk(), chunk(first=60), chunk(first=120))
    with sqlite3.connect(tmp_path / "telemetry.db") as store:
        whole = chunk(first=60)
        broken = whole.data[:-1] + bytes([whole.data[-1] ^ 1])
        store.execute("UPDATE chunks SET data = ? WHERE first_ms = ?", (broken, whole.first_ms))
    store.close()
    for options in ((), ("--since", iso(62), "--until", iso(200))):
        told = export(config, *options)
        assert told.exit_code == 1
        assert "plant-a network_flow, " in told.err
        assert "damaged history chunk" in told.err
        assert "1 damaged parts were left out" in told.err
        values = {float(row["value"]) for row in samples(told.out)}
        assert values == set(range(120, 180, 5)) | (set() if options else set(range(0, 60, 5)))


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "08:00", "1969-12-31T00:00Z", "0001-01-01", "2026-03-01T25:00"]
)
def test_a_time_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    for option in ("--since", "--until"):
        told = export(kept(tmp_path, chunk()), option, text)
        assert told.exit_code == 2
        assert "is no time: write 2026-03-01T08:00" in " ".join(told.err.split())


def test_a_time_without_zone_is_local_and_one_with_zone_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert moment("2026-03-01T00:00Z") == START_MS
    assert moment("2026-03-01T08:00+08:00") == START_MS
    local = datetime(2026, 3, 1, 8).astimezone()
    assert moment("2026-03-01T08:00") == int(local.timestamp() * 1000)
    with pytest.raises(typer.BadParameter):
        moment("9999-12-31T23:59:59.9999-12:00")


def test_a_span_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    told = export(kept(tmp_path, chunk()), "--since", iso(60), "--until", iso(60))
    assert told.exit_code == 2
    assert "--since must be before --until" in told.err


def test_the_summary_tells_each_curve_with_its_span_samples_and_bytes(tmp_path: Path) -> None:
    first, second, other = chunk(), chunk(first=60, samples=3), chunk("plant-b", "memory_used")
    config = kept(tmp_path, first, second, other)
    told = run(app, "telemetry", "summary", "--config", config, "--json")
    size = len(first.data) + len(second.data)
    assert told.json == [
        {"node": "plant-a", "metric": "network_flow", "from_ms": START_MS, "to_ms": START_MS + 70_000}
        | {"samples": 15, "bytes": size},
        {"node": "plant-b", "metric": "memory_used", "from_ms": START_MS, "to_ms": START_MS + 55_000}
        | {"samples": 12, "bytes": len(other.data)},
    ]
    out = run(app, "telemetry", "summary", "--config", config, "--lang", "zh").out
    assert "网络流量" in out
    assert str(size) in out


def test_the_summary_of_nothing_says_so(tmp_path: Path) -> None:
    config = kept(tmp_path)
    assert run(app, "telemetry", "summary", "--config", config).out == "nothing is kept yet\n"
    assert run(app, "telemetry", "summary", "--config", config, "--json").json == []


def test_a_summary_counts_what_is_damaged_without_reading_it() -> None:
    (row,) = summarised([Chunk("n", "m", 5, 9, 3, b"nonsense")])
    assert (row.from_ms, row.to_ms, row.samples, row.bytes) == (5, 9, 3, 8)
