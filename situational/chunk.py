"""The bytes of a history chunk: samples of one metric of one node, lossless, and back.

Magic, version, how values are coded, count, CRC-32 of all else; then one zlib stream. In it stand the times
in milliseconds as differences of differences, and the values as differences: of whole numbers where all are,
of the float64 bit patterns otherwise. Differences are zigzag-coded 64-bit numbers, laid out byte plane by
byte plane, so that the empty high bytes are runs of zeros.
"""

from __future__ import annotations

import math
import struct
import zlib
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from situational.errors import BadSettingError, SampleNotFiniteError, SituationalError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

MAX_SAMPLES = 65_536  # in a chunk
MAX_BYTES = 1_200_000  # of a chunk: more than MAX_SAMPLES incompressible ones take
MAX_MS = 253_402_300_799_999  # the last millisecond of the year 9999, the last that datetime can name

_HEADER = struct.Struct("<2sBBII")
_MAGIC, _VERSION = b"TC", 1
_WORD = 8
_EXACT = 2.0**53


class Coding(IntEnum):
    BITS = 0  # differences of the float64 bit patterns
    WHOLE = 1  # differences of whole numbers


class ChunkError(SituationalError):
    """Bytes that are no chunk of history."""


class ChunkVersionError(ChunkError):
    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version

    @override
    def __str__(self) -> str:
        return (
            f"history chunk of version {self.version}, this program reads {_VERSION}: export it with its own"
        )


class ChunkDamagedError(ChunkError):
    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    @override
    def __str__(self) -> str:
        return f"damaged history chunk: {self.what}; restore it from a copy or leave it out"


class ChunkTooLargeError(ChunkError):
    def __init__(self, size: int, limit: int, unit: str) -> None:
        super().__init__(size, limit, unit)
        self.size = size
        self.limit = limit
        self.unit = unit

    @override
    def __str__(self) -> str:
        return f"history chunk of {self.size} {self.unit}, at most {self.limit} are allowed"


class SampleOutOfOrderError(SituationalError):
    def __init__(self, last_ms: int, got_ms: int) -> None:
        super().__init__(last_ms, got_ms)
        self.last_ms = last_ms
        self.got_ms = got_ms

    @override
    def __str__(self) -> str:
        return f"sample at {self.got_ms} ms is older than the last one at {self.last_ms} ms: drop it"


class SampleTimeError(SituationalError):
    def __init__(self, at_ms: int) -> None:
        super().__init__(at_ms)
        self.at_ms = at_ms

    @override
    def __str__(self) -> str:
        return f"{self.at_ms} is no time in milliseconds since 1970: check the clock"


class Samples(NamedTuple):
    """Both of shape (n,): milliseconds since 1970, never falling, and finite values."""

    at_ms: IntArray
    values: FloatArray


def encode(at_ms: npt.ArrayLike, values: npt.ArrayLike) -> bytes:
    """Raise ChunkTooLargeError, SampleTimeError, SampleOutOfOrderError, SampleNotFiniteError."""
    times, floats = np.asarray(at_ms, dtype=np.int64), np.asarray(values, dtype=np.float64)
    if times.ndim != 1 or times.shape != floats.shape or not len(times):
        raise BadSettingError("samples", len(times), "as many times as values, one at least")
    if len(times) > MAX_SAMPLES:
        raise ChunkTooLargeError(len(times), MAX_SAMPLES, "samples")
    _check_samples(times, floats)
    coding = Coding.WHOLE if _are_whole(floats) else Coding.BITS
    numbers = floats.astype(np.int64) if coding is Coding.WHOLE else floats.view(np.int64)
    steps = np.diff(times, prepend=np.int64(0))
    body = _planes(np.diff(steps, prepend=np.int64(0))) + _planes(np.diff(numbers, prepend=np.int64(0)))
    packed = zlib.compress(body, 6)
    checksum = _checksum(coding, len(times), packed)
    return _HEADER.pack(_MAGIC, _VERSION, coding, len(times), checksum) + packed


def decode(data: bytes) -> Samples:
    """Raise ChunkTooLargeError, ChunkVersionError, ChunkDamagedError."""
    if len(data) > MAX_BYTES:
        raise ChunkTooLargeError(len(data), MAX_BYTES, "bytes")
    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        raise ChunkDamagedError("it does not begin like one")
    _, version, coding, count, checksum = _HEADER.unpack_from(data)
    if version != _VERSION:
        raise ChunkVersionError(version)
    if count > MAX_SAMPLES:
        raise ChunkTooLargeError(count, MAX_SAMPLES, "samples")
    if not count or coding not in tuple(Coding):
        raise ChunkDamagedError("its header makes no sense")
    packed = data[_HEADER.size :]
    if _checksum(coding, count, packed) != checksum:
        raise ChunkDamagedError("its checksum does not hold")
    body = _inflated(packed, 2 * _WORD * count)
    times = np.cumsum(np.cumsum(_from_planes(body[: _WORD * count])))
    numbers = np.cumsum(_from_planes(body[_WORD * count :]))
    values = numbers.astype(np.float64) if coding == Coding.WHOLE else numbers.view(np.float64)
    try:
        _check_samples(times, values)
    except SituationalError as error:
        raise ChunkDamagedError(str(error)) from error
    return Samples(times, values)


def _checksum(coding: int, count: int, packed: bytes) -> int:
    return zlib.crc32(packed, zlib.crc32(struct.pack("<BI", coding, count)))


def check_sample(at_ms: int, value: float) -> None:
    """Raise SampleTimeError, SampleNotFiniteError."""
    if not 0 <= at_ms <= MAX_MS:
        raise SampleTimeError(at_ms)
    if not math.isfinite(value):
        raise SampleNotFiniteError(at_ms / 1000.0, value)


def _check_samples(times: IntArray, values: FloatArray) -> None:
    """Raise what is wrong with the first bad sample."""
    bad = (times < 0) | (times > MAX_MS) | ~np.isfinite(values)
    if bad.any():
        first = int(bad.argmax())
        check_sample(int(times[first]), float(values[first]))
    back = np.flatnonzero(np.diff(times) < 0)
    if len(back):
        raise SampleOutOfOrderError(int(times[back[0]]), int(times[back[0] + 1]))


def _are_whole(values: FloatArray) -> bool:
    """Whether int64 holds them all exactly; it does not know minus zero."""
    minus_zero = np.signbit(values) & (values == 0.0)
    return bool(np.all((np.abs(values) <= _EXACT) & (values == np.rint(values)) & ~minus_zero))


def _planes(numbers: IntArray) -> bytes:
    """Zigzag-coded (small numbers of either sign become small), then the lowest bytes of all, and so on."""
    zigzag = ((numbers << 1) ^ (numbers >> 63)).astype("<i8")
    return zigzag.view(np.uint8).reshape(len(numbers), _WORD).T.tobytes()


def _from_planes(planes: bytes) -> IntArray:
    columns = np.frombuffer(planes, np.uint8).reshape(_WORD, -1).T
    zigzag = np.ascontiguousarray(columns).view("<u8")[:, 0].astype(np.uint64)
    numbers: IntArray = (zigzag >> np.uint64(1)).astype(np.int64) ^ -(zigzag & np.uint64(1)).astype(np.int64)
    return numbers


def _inflated(data: bytes, size: int) -> bytes:
    """Exactly `size` bytes from exactly all of data; never more memory than that."""
    inflate = zlib.decompressobj()
    try:
        body = inflate.decompress(data, size + 1)
    except zlib.error as error:
        raise ChunkDamagedError(str(error)) from error
    if len(body) != size or not inflate.eof or inflate.unused_data:
        raise ChunkDamagedError("it holds more or less than its header says")
    return body
