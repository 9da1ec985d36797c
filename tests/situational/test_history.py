import csv
import io
import math
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational.chunk import MAX_SAMPLES, ChunkDamagedError, SampleOutOfOrderError, SampleTimeError, decode
from situational.errors import BadSettingError, SampleNotFiniteError
from situational.history import Chunk, Chunker, expired, export_csv
from tests.situational.support import unhurried

NOW = 1_700_000_000_000
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SERIES = st.tuples(st.sampled_from(["plant-1", "plant-2"]), st.sampled_from(["memory_used", "network_flow"]))


def gathered(chunks: list[Chunk]) -> dict[tuple[str, str], list[tuple[int, float]]]:
    rows: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for chunk in chunks:
        at_ms, values = decode(chunk.data)
        assert (chunk.first_ms, chunk.last_ms, chunk.count) == (at_ms[0], at_ms[-1], len(at_ms))
        rows.setdefault((chunk.node, chunk.metric), []).extend(
            zip(at_ms.tolist(), values.tolist(), strict=True)
        )
    return rows


@unhurried
@given(
    st.lists(st.tuples(SERIES, st.integers(0, 900_000), FINITE), max_size=60),
    st.floats(1.0, 4000.0),
    st.integers(1, 20),
)
def test_every_sample_comes_back_once_in_order_whatever_the_spans(
    steps: list[tuple[tuple[str, str], int, float]], span_s: float, max_samples: int
) -> None:
    chunker = Chunker(span_s=span_s, max_samples=max_samples)
    clock, chunks = NOW, list[Chunk]()
    given_in: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for key, step, value in steps:
        clock += step
        given_in.setdefault(key, []).append((clock, value))
        finished = chunker.append(*key, clock, value)
        chunks += [finished] if finished else []
    chunks += chunker.flush()
    assert gathered(chunks) == given_in
    assert all(chunk.count <= max_samples for chunk in chunks)
    assert all(chunk.last_ms - chunk.first_ms < span_s * 1000 + 1 for chunk in chunks)
    assert chunker.flush() == []


def test_an_hour_at_five_seconds_makes_chunks_of_a_span_each() -> None:
    chunker = Chunker(span_s=600.0)
    finished = [chunker.append("plant-1", "m", NOW + 5000 * i, float(i)) for i in range(720)]
    counts = [chunk.count for chunk in finished if chunk]
    assert counts[1:] == [120] * (len(counts) - 1)
    assert sum(counts) + sum(chunk.count for chunk in chunker.flush()) == 720


def test_the_spans_of_many_series_do_not_end_at_the_same_moment() -> None:
    chunker = Chunker(span_s=600.0)
    ended: dict[int, int] = {}
    for at in range(NOW, NOW + 600_000, 5000):
        for node in range(100):
            if chunker.append(f"plant-{node}", "m", at, 0.0):
                ended[at] = ended.get(at, 0) + 1
    assert max(ended.values()) < 10


def test_one_node_can_be_flushed_alone() -> None:
    chunker = Chunker()
    chunker.append("a", "m", NOW, 1.0)
    chunker.append("b", "m", NOW, 2.0)
    assert [chunk.node for chunk in chunker.flush("a")] == ["a"]
    assert [chunk.node for chunk in chunker.flush()] == ["b"]


@pytest.mark.parametrize(
    ("at_ms", "value", "error"),
    [
        (NOW - 1, 1.0, SampleOutOfOrderError),
        (-1, 1.0, SampleTimeError),
        (2**60, 1.0, SampleTimeError),
        (NOW + 1, math.nan, SampleNotFiniteError),
        (NOW + 1, math.inf, SampleNotFiniteError),
    ],
)
def test_a_refused_sample_leaves_nothing_behind(at_ms: int, value: float, error: type[Exception]) -> None:
    chunker = Chunker()
    chunker.append("a", "m", NOW, 1.0)
    with pytest.raises(error):
        chunker.append("a", "m", at_ms, value)
    assert gathered(chunker.flush()) == {("a", "m"): [(NOW, 1.0)]}


@pytest.mark.parametrize("span_s", [0.0, -1.0, math.nan, math.inf, 1e9])
def test_a_span_that_makes_no_sense_is_refused(span_s: float) -> None:
    with pytest.raises(BadSettingError):
        Chunker(span_s=span_s)


@pytest.mark.parametrize("max_samples", [0, MAX_SAMPLES + 1])
def test_a_chunk_size_beyond_what_can_be_read_back_is_refused(max_samples: int) -> None:
    with pytest.raises(BadSettingError):
        Chunker(max_samples=max_samples)


@unhurried
@given(st.lists(st.tuples(st.integers(0, 10**7), FINITE), min_size=1, max_size=20), st.text(max_size=12))
def test_an_export_can_be_read_back_to_the_same_floats_and_milliseconds(
    steps: list[tuple[int, float]], node: str
) -> None:
    node = node.replace("\r", "").replace("\0", "")
    chunker, clock, rows = Chunker(max_samples=7), NOW, []
    chunks: list[Chunk] = []
    for step, value in steps:
        clock += step
        rows.append((clock, value))
        finished = chunker.append(node, "m", clock, value)
        chunks += [finished] if finished else []
    text = "".join(export_csv([*chunks, *chunker.flush()]))
    table = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [(row["node"], row["metric"]) for row in table] == [(node, "m")] * len(rows)
    got = [(round(datetime.fromisoformat(row["time"]).timestamp() * 1000), row["value"]) for row in table]
    assert got == [(ms, repr(value)) for ms, value in rows]


def test_an_export_is_made_line_by_line_and_a_damaged_chunk_ends_it_by_name() -> None:
    chunker = Chunker()
    chunker.append("a", "m", NOW, 1.0)
    good = chunker.flush()[0]
    lines = export_csv([good, Chunk("b", "m", NOW, NOW, 1, b"nothing")])
    assert next(lines) == "time,node,metric,value\n"
    assert next(lines) == "2023-11-14T22:13:20.000Z,a,m,1.0\n"
    with pytest.raises(ChunkDamagedError):
        next(lines)


@unhurried
@given(st.dictionaries(st.integers(), st.integers(0, NOW), max_size=30), st.floats(0.001, 1e9))
def test_exactly_the_chunks_whose_last_sample_is_older_than_kept_are_expired(
    ends: dict[int, int], keep_s: float
) -> None:
    gone = expired(ends, now_ms=NOW, keep_s=keep_s)
    assert set(gone) == {key for key, last in ends.items() if NOW - last > keep_s * 1000}


def test_a_chunk_from_a_clock_that_is_ahead_is_kept() -> None:
    assert expired({1: NOW + 10**9}, now_ms=NOW, keep_s=1.0) == ()


@pytest.mark.parametrize("keep_s", [0.0, -5.0, math.nan])
def test_keeping_for_no_time_is_refused(keep_s: float) -> None:
    with pytest.raises(BadSettingError):
        expired({}, now_ms=NOW, keep_s=keep_s)


def test_a_chunk_keeps_half_a_second_of_jitter_and_large_counters_exactly() -> None:
    rng = np.random.default_rng(4)
    chunker = Chunker()
    rows = [(NOW + 5000 * i + int(rng.integers(0, 500)), 2.0**52 + i) for i in range(50)]
    finished = [chunker.append("a", "m", at, value) for at, value in rows]
    chunks = [chunk for chunk in finished if chunk] + chunker.flush()
    assert gathered(chunks) == {("a", "m"): rows}
