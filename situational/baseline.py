"""What is usual for one metric of one node, and whether growth is large against that.

Per wall-clock hour of the last 14 days two numbers are kept: the highest level and the highest growth over
five minutes, both robust, so that single spikes teach nothing. An hour is judged against the same hour, and
its neighbours, of the days before, and against the last 24 hours.

Minutes wait in quarantine before they count, so that the beginning of an attack is thrown away when the
hazard is seen. A slow enough attack still teaches; the ceiling stands against that.
"""

from __future__ import annotations

import math
import struct
import zlib
from array import array
from collections.abc import Sequence
from itertools import combinations
from statistics import median
from typing import Self

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from situational.errors import BadSettingError, SampleNotFiniteError, SituationalError
from situational.large import LargeVerdict, Limits, judge

FloatArray = npt.NDArray[np.float64]

DAYS = 14
HOURS = 24 * DAYS
WINDOW_MIN = 5  # growth is over this many minutes, as is the window that decides
QUARANTINE_MIN = 10
COLD_HOURS = 24  # hours known before history counts

_MINUTE_S, _HOUR_S = 60, 3600
_MAX_S = 253_402_300_800.0  # year 10000
_MIN_OFFSET_S, _MAX_OFFSET_S = -12 * _HOUR_S, 14 * _HOUR_S
_MAX_VALUE = 3e38  # of a float32

# Hours back, a row per comparison: the same hour of the days before with its neighbours; the last 24 hours.
_SAME_HOUR = np.array([[24 * day + near for near in (-1, 0, 1)] for day in range(1, DAYS)])
_LAST_DAY = np.arange(25)[:, None]

_EMPTY = np.uint16(0x7FC0)  # NaN
_HEADER = struct.Struct("<4sHqdI")
_MAGIC, _VERSION = b"GBSL", 1
SIZE = _HEADER.size + HOURS * 2 * 2


class BaselineError(SituationalError):
    """Bytes that are no baseline: forget them and learn anew."""


class BaselineVersionError(BaselineError):
    def __init__(self, version: int) -> None:
        super().__init__(version)
        self.version = version

    @override
    def __str__(self) -> str:
        return f"baseline of version {self.version}, this program reads {_VERSION}: forget it and learn anew"


class BaselineDamagedError(BaselineError):
    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    @override
    def __str__(self) -> str:
        return f"damaged baseline: {self.what}; forget it and learn anew"


class ClockWentBackwardsError(SituationalError):
    def __init__(self, last_s: float, got_s: float) -> None:
        super().__init__(last_s, got_s)
        self.last_s = last_s
        self.got_s = got_s

    @override
    def __str__(self) -> str:
        return (
            f"wall clock at {self.got_s} s is before the last sample's {self.last_s} s: "
            "drop samples until it has caught up or, when it had been wrong, rewind the baseline"
        )


class Baseline:
    """Bounded: under 3 KB per series. Wall-clock seconds since 1970 and the UTC offset are the caller's."""

    __slots__ = ("_cells", "_count", "_last_s", "_minute", "_minutes", "_newest", "_sum")

    def __init__(self) -> None:
        self._cells = np.full((HOURS, 2), _EMPTY)  # upper halves of float32: level, growth
        self._newest = 0  # local hours since 1970
        self._last_s = -math.inf
        self._minute, self._sum, self._count = -1, 0.0, 0
        self._minutes = array("d")  # minute, mean, hour; oldest first

    def update(self, value: float, at_s: float, *, utc_offset_s: float, in_hazard: bool = False) -> None:
        """Learn one sample; while the node is in a hazard nothing is, and what is in quarantine is dropped.

        Raises SampleNotFiniteError, BadSettingError, ClockWentBackwardsError; nothing has changed then.
        """
        if not (math.isfinite(value) and 0 <= at_s < _MAX_S):
            raise SampleNotFiniteError(at_s, value)
        hour = _local_hour(at_s, utc_offset_s)
        if at_s < self._last_s:
            raise ClockWentBackwardsError(self._last_s, at_s)
        self._last_s = at_s
        self._advance(hour)
        if in_hazard:
            self._forget_minutes()
            return
        minute = int(at_s // _MINUTE_S)
        if minute != self._minute:
            self._close_minute(utc_offset_s)
            self._minute = minute
        self._sum += min(max(value, -_MAX_VALUE), _MAX_VALUE)
        self._count += 1

    def is_large(
        self, rise: float, level_now: float, at_s: float, limits: Limits, *, utc_offset_s: float
    ) -> LargeVerdict:
        """Judge a rise over five minutes to `level_now`. Raises SampleNotFiniteError, BadSettingError."""
        if not (math.isfinite(rise) and math.isfinite(level_now) and 0 <= at_s < _MAX_S):
            raise SampleNotFiniteError(at_s, level_now if math.isfinite(rise) else rise)
        hour = _local_hour(at_s, utc_offset_s)
        days, hours = self._highs(hour - _SAME_HOUR), self._highs(hour - _LAST_DAY)
        cold = int(np.count_nonzero(self._cells[:, 0] != _EMPTY)) < COLD_HOURS
        return judge(rise, level_now, limits, days=days, hours=hours, cold=cold)

    def rewind(self, at_s: float, *, utc_offset_s: float) -> None:
        """After the wall clock had been ahead: forget the hours that have not come yet."""
        if not 0 <= at_s < _MAX_S:
            raise BadSettingError("at_s", at_s, "seconds since 1970")
        hour = _local_hour(at_s, utc_offset_s)
        if at_s >= self._last_s:
            return
        for later in range(max(hour, self._newest - HOURS) + 1, self._newest + 1):
            self._cells[later % HOURS] = _EMPTY
        self._newest = min(self._newest, hour)
        self._last_s = at_s
        self._forget_minutes()

    def to_bytes(self) -> bytes:
        """SIZE bytes; minutes in quarantine are left out."""
        cells = self._cells.astype("<u2").tobytes()
        return _HEADER.pack(_MAGIC, _VERSION, self._newest, self._last_s, zlib.crc32(cells)) + cells

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raise BaselineVersionError, BaselineDamagedError."""
        newest, last_s, cells = _parsed(data)
        baseline = cls()
        baseline._cells[:] = cells
        baseline._newest, baseline._last_s = newest, last_s
        return baseline

    def _forget_minutes(self) -> None:
        self._minute, self._sum, self._count = -1, 0.0, 0
        del self._minutes[:]

    def _advance(self, hour: int) -> None:
        for new in range(max(self._newest + 1, hour - HOURS + 1), hour + 1):
            self._cells[new % HOURS] = _EMPTY
        self._newest = max(self._newest, hour)

    def _close_minute(self, utc_offset_s: float) -> None:
        if self._count:
            hour = _local_hour(self._minute * _MINUTE_S, utc_offset_s)
            self._minutes.extend((self._minute, self._sum / self._count, hour))
        self._sum, self._count = 0.0, 0
        kept, size = self._minutes, 3 * WINDOW_MIN
        while len(kept) >= size and kept[size - 3] <= self._minute - QUARANTINE_MIN:
            self._learn(kept[0:size:3], kept[1:size:3], int(kept[size - 1]))
            del kept[:3]

    def _learn(self, minutes: Sequence[float], means: Sequence[float], hour: int) -> None:
        """Fold a window of minutes into its hour; one with gaps tells nothing of growth."""
        if minutes[-1] - minutes[0] > WINDOW_MIN or not self._newest - HOURS < hour <= self._newest:
            return
        points = zip(minutes, means, strict=True)
        slope = median((b - a) / (t - s) for (s, a), (t, b) in combinations(points, 2))
        learned = np.array([median(means), max(slope * WINDOW_MIN, 0.0)])
        cell = self._cells[hour % HOURS]
        cell[:] = _encoded(np.fmax(_decoded(cell), learned))

    def _highs(self, hours: npt.NDArray[np.int64]) -> list[tuple[float, float]]:
        """The highest level and growth of each row of hours of which anything is known."""
        known = _decoded(self._cells)[hours % HOURS]
        kept = (hours > self._newest - HOURS) & (hours <= self._newest)
        highest = np.fmax.reduce(np.where(kept[:, :, None], known, np.nan), axis=1)
        return [(level, growth) for level, growth in highest.tolist() if not math.isnan(level)]


def _local_hour(at_s: float, utc_offset_s: float) -> int:
    if not _MIN_OFFSET_S <= utc_offset_s <= _MAX_OFFSET_S:
        raise BadSettingError("utc_offset_s", utc_offset_s, "seconds between -12 and +14 hours")
    return int((at_s + utc_offset_s) // _HOUR_S)


def _encoded(values: FloatArray) -> npt.NDArray[np.uint16]:
    """The nearest of the numbers with 8 significant bits: 0.4 % is nothing against the margins."""
    bits = np.clip(values, -_MAX_VALUE, _MAX_VALUE).astype("<f4").view("<u4")
    codes: npt.NDArray[np.uint16] = ((bits + 0x8000) >> 16).astype(np.uint16)
    return codes


def _decoded(codes: npt.NDArray[np.uint16]) -> FloatArray:
    values: FloatArray = (codes.astype("<u4") << 16).view("<f4").astype(np.float64)
    return values


def _parsed(data: bytes) -> tuple[int, float, npt.NDArray[np.uint16]]:
    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        raise BaselineDamagedError("it does not begin like one")
    _, version, newest, last_s, checksum = _HEADER.unpack_from(data)
    if version != _VERSION:
        raise BaselineVersionError(version)
    if len(data) != SIZE:
        raise BaselineDamagedError(f"{len(data)} bytes long, not {SIZE}")
    if zlib.crc32(data[_HEADER.size :]) != checksum:
        raise BaselineDamagedError("its checksum does not hold")
    cells = np.frombuffer(data, "<u2", offset=_HEADER.size).reshape(HOURS, 2).astype(np.uint16)
    known = _decoded(cells)
    filled = np.isfinite(known).all(axis=1)
    if not (filled | (cells == _EMPTY).all(axis=1)).all() or (known[filled, 1] < 0).any():
        raise BaselineDamagedError("an hour is half known or shrinks")
    fresh = last_s == -math.inf and newest == 0 and not filled.any()
    if not fresh and not (0 <= last_s < _MAX_S and -13 <= newest - last_s / _HOUR_S <= 14):
        raise BaselineDamagedError("its time makes no sense")
    return newest, last_s, cells
