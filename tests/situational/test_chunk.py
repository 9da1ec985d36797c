import math
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational.chunk import (
    MAX_BYTES,
    MAX_MS,
    MAX_SAMPLES,
    ChunkDamagedError,
    ChunkError,
    ChunkTooLargeError,
    ChunkVersionError,
    SampleOutOfOrderError,
    SampleTimeError,
    _planes,
    decode,
    encode,
)
from situational.errors import BadSettingError, SampleNotFiniteError
from tests.situational.support import unhurried

NOW = 1_700_000_000_000
HEADER = struct.Struct("<2sBBII")
FINITE = st.floats(allow_nan=False, allow_infinity=False)
WHOLE = st.integers(-(2**53), 2**53).map(float)
TIMES = st.integers(0, MAX_MS)


def samples_of(values: st.SearchStrategy[float]) -> st.SearchStrategy[list[tuple[int, float]]]:
    return st.lists(st.tuples(TIMES, values), min_size=1, max_size=60).map(sorted)


def bits(values: list[float]) -> list[bytes]:
    return [struct.pack("<d", value) for value in values]


@unhurried
@given(st.one_of(samples_of(FINITE), samples_of(WHOLE), samples_of(st.sampled_from([0.0, -0.0, 1.0]))))
def test_what_is_decoded_is_bit_for_bit_what_was_encoded(samples: list[tuple[int, float]]) -> None:
    times, values = [row[0] for row in samples], [row[1] for row in samples]
    got = decode(encode(times, values))
    assert got.at_ms.tolist() == times
    assert bits(got.values.tolist()) == bits(values)


def test_a_chunk_of_the_largest_size_passes_its_own_limits() -> None:
    rng = np.random.default_rng(0)
    times = np.sort(rng.integers(0, MAX_MS, MAX_SAMPLES))
    values = rng.integers(0, 2**62, MAX_SAMPLES).view(np.float64)
    data = encode(times, values)
    assert len(data) <= MAX_BYTES
    assert np.array_equal(decode(data).values, values)


def test_counts_polled_every_five_seconds_take_about_two_bytes_a_sample() -> None:
    rng = np.random.default_rng(1)
    times = NOW + 5000 * np.arange(720) + rng.integers(0, 20, 720)
    values = 40.0 + np.round(np.cumsum(rng.normal(0.0, 0.7, 720)))
    assert len(encode(times, values)) < 2.2 * 720


@pytest.mark.parametrize("count", [0, MAX_SAMPLES + 1])
def test_no_chunk_is_made_of_nothing_or_of_too_much(count: int) -> None:
    with pytest.raises((BadSettingError, ChunkTooLargeError)):
        encode(np.arange(count), np.zeros(count))


def test_times_and_values_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(BadSettingError):
        encode([1, 2], [1.0])


@pytest.mark.parametrize("bad", [-1, MAX_MS + 1])
def test_a_time_outside_the_calendar_is_refused_by_name(bad: int) -> None:
    with pytest.raises(SampleTimeError) as caught:
        encode([bad], [1.0])
    assert caught.value.at_ms == bad


def test_time_going_backwards_is_refused_with_both_times() -> None:
    with pytest.raises(SampleOutOfOrderError) as caught:
        encode([5, 7, 6], [0.0, 0.0, 0.0])
    assert (caught.value.last_ms, caught.value.got_ms) == (7, 6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(SampleNotFiniteError):
        encode([1, 2], [0.0, bad])


GOOD = encode([NOW, NOW + 5000, NOW + 10_000], [1.5, 2.5, 3.5])


def rebuilt(*, magic: bytes = b"TC", version: int = 1, coding: int = 0, count: int = 3, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(struct.pack("<BI", coding, count)))
    return HEADER.pack(magic, version, coding, count, checksum) + body


BODY = GOOD[HEADER.size :]
PLAIN = zlib.decompress(BODY)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[: HEADER.size - 1],
        GOOD[: HEADER.size],
        GOOD[:-1],
        GOOD + b"\0",
        rebuilt(magic=b"XX", body=BODY),
        rebuilt(coding=2, body=BODY),
        rebuilt(count=0, body=zlib.compress(b"")),
        rebuilt(count=2, body=BODY),
        rebuilt(count=4, body=BODY),
        rebuilt(body=PLAIN),
        rebuilt(body=zlib.compress(PLAIN + b"\0" * 1_000_000)),
        rebuilt(body=zlib.compress(b"\xff" * 48)),  # times before 1970
        rebuilt(body=zlib.compress(PLAIN[:24] + _planes(np.array([0x7FF8 << 48, 0, 0])))),  # not a number
    ],
)
def test_bytes_that_are_no_chunk_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(ChunkDamagedError):
        decode(data)


def test_a_chunk_of_a_later_version_is_told_apart_from_a_damaged_one() -> None:
    with pytest.raises(ChunkVersionError) as caught:
        decode(rebuilt(version=2, body=BODY))
    assert caught.value.version == 2


def test_limits_are_checked_before_anything_is_unpacked() -> None:
    with pytest.raises(ChunkTooLargeError):
        decode(rebuilt(count=MAX_SAMPLES + 1, body=BODY))
    with pytest.raises(ChunkTooLargeError) as caught:
        decode(GOOD + bytes(MAX_BYTES))
    assert caught.value.unit == "bytes"


@unhurried
@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_a_changed_byte_anywhere_is_refused(position: int, flip: int) -> None:
    altered = bytearray(GOOD)
    altered[position] ^= flip
    with pytest.raises(ChunkError):
        decode(bytes(altered))
