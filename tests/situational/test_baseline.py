import math
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational.baseline import (
    HOURS,
    SIZE,
    Baseline,
    BaselineDamagedError,
    BaselineError,
    BaselineVersionError,
    ClockWentBackwardsError,
)
from situational.errors import BadSettingError, SampleNotFiniteError
from situational.large import Basis, Check, LargeVerdict, Limits
from tests.situational.support import autoregressive, unhurried

DAY, HOUR, MINUTE = 86_400, 3_600, 60
MIDNIGHT = 1_700_006_400 - 1_700_006_400 % DAY
EAST_8 = 28_800.0
LIMITS = Limits(floor=5.0)


class Node:
    """A node at UTC+8 whose metric is told minute by minute."""

    def __init__(self, *, step_s: int = 20) -> None:
        self.baseline = Baseline()
        self.now = float(MIDNIGHT)
        self.offset = EAST_8
        self.step_s = step_s

    def live(self, values: list[float], *, in_hazard: bool = False) -> None:
        """One value per minute."""
        for value in values:
            for _ in range(MINUTE // self.step_s):
                self.baseline.update(value, self.now, utc_offset_s=self.offset, in_hazard=in_hazard)
                self.now += self.step_s

    def judge(self, rise: float, level: float) -> LargeVerdict:
        return self.baseline.is_large(rise, level, self.now, LIMITS, utc_offset_s=self.offset)


def a_day(*, step_at: int | None = None, base: float = 100.0, to: float = 180.0) -> list[float]:
    """Minutes of a day at `base`; from a step on, eight hours at `to`."""
    values = np.full(DAY // MINUTE, base)
    if step_at is not None:
        values[step_at : step_at + 8 * 60] = to
    return values.tolist()


def test_less_than_a_day_of_history_falls_back_to_growth_relative_to_the_level() -> None:
    node = Node()
    node.live(a_day()[: 22 * 60])
    assert node.judge(60.0, 160.0).basis is Basis.COLD_START
    assert node.judge(60.0, 160.0).large
    assert not node.judge(40.0, 140.0).large
    node.live(a_day()[: 3 * 60])
    assert node.judge(60.0, 160.0).basis is Basis.HISTORY


def test_a_step_that_comes_every_day_at_shift_change_falls_silent() -> None:
    node, verdicts = Node(step_s=60), []
    for _ in range(4):
        node.live(a_day(step_at=480)[:484])
        verdicts.append(node.judge(80.0, 180.0).large)
        node.live(a_day(step_at=480)[484:])
    assert verdicts == [True, False, False, False]


def test_the_same_step_at_another_hour_is_spared_only_by_the_last_day_s_growth() -> None:
    node = Node(step_s=60)
    for _ in range(4):
        node.live(a_day(step_at=480))
    node.live(a_day()[: 3 * 60])
    verdict = node.judge(80.0, 180.0)
    assert not verdict.large
    assert [reason.check for reason in verdict.reasons if not reason.over] == [Check.GROWTH_IN_LAST_DAY]
    assert node.judge(200.0, 300.0).large


def test_a_shift_change_that_comes_some_minutes_early_or_late_is_still_known() -> None:
    node = Node(step_s=60)
    for late in (0, -25, 40):
        node.live(a_day(step_at=480 + late))
    node.live(a_day(step_at=430)[:434])
    assert not node.judge(80.0, 180.0).large


def test_an_attack_teaches_nothing_not_even_by_its_first_minutes_before_it_was_seen() -> None:
    quiet, attacked = Node(step_s=60), Node(step_s=60)
    for node in (quiet, attacked):
        node.live(a_day() * 2)
    surge = [100.0 * 2 ** (minute / 1.5) for minute in range(40)]
    attacked.live(surge[:8])
    attacked.live(surge[8:], in_hazard=True)
    quiet.live([100.0] * 8)
    quiet.live([100.0] * 32, in_hazard=True)
    for node in (quiet, attacked):
        node.live([100.0] * 60)
    assert attacked.baseline.to_bytes() == quiet.baseline.to_bytes()


def test_a_single_spike_teaches_nothing() -> None:
    spiked, quiet = Node(), Node()
    day = a_day()
    quiet.live(day)
    day[700] = 1e9
    spiked.live(day)
    assert spiked.baseline.to_bytes() == quiet.baseline.to_bytes()


def test_a_gap_is_no_growth() -> None:
    node, still = Node(step_s=60), Node(step_s=60)
    node.live([100.0] * 60)
    still.live([100.0] * 60)
    node.now += 5 * HOUR
    still.now += 5 * HOUR
    node.live([400.0] * 60 * 25)
    still.live([400.0] * 60 * 25)
    assert not any(
        reason.limit > 10 for reason in node.judge(50.0, 600.0).reasons if "growth" in reason.check.value
    )
    assert node.judge(50.0, 600.0).large


def test_what_is_older_than_fourteen_days_is_forgotten() -> None:
    node = Node(step_s=60)
    node.live(a_day(base=1000.0))
    node.now += 12 * DAY
    node.live(a_day(base=100.0) * 2)
    assert node.judge(60.0, 160.0).large
    assert node.judge(60.0, 160.0).days == 2


def test_after_a_stop_of_weeks_it_begins_cold() -> None:
    node = Node(step_s=60)
    node.live(a_day() * 2)
    node.now += HOURS * HOUR
    node.live([100.0] * 30)
    assert node.judge(60.0, 160.0).basis is Basis.COLD_START


@pytest.mark.parametrize("shift_s", [-HOUR, HOUR])
def test_when_summer_time_begins_or_ends_shift_changes_keep_their_wall_clock_hour(shift_s: int) -> None:
    node = Node(step_s=60)
    for _ in range(3):
        node.live(a_day(step_at=480))
    node.offset += shift_s
    for _ in range(3):
        node.live(a_day(step_at=480 - shift_s // MINUTE)[: 484 - shift_s // MINUTE])
        assert not node.judge(80.0, 180.0).large
        node.live(a_day(step_at=480 - shift_s // MINUTE)[484 - shift_s // MINUTE :])


def test_wall_clock_going_backwards_is_refused_until_the_baseline_is_rewound() -> None:
    node = Node(step_s=60)
    node.live(a_day() * 2)
    kept = node.baseline.to_bytes()
    ahead = node.now + 5 * DAY
    node.baseline.update(9e9, ahead, utc_offset_s=EAST_8)
    with pytest.raises(ClockWentBackwardsError) as caught:
        node.baseline.update(100.0, node.now, utc_offset_s=EAST_8)
    assert (caught.value.last_s, caught.value.got_s) == (ahead, node.now)
    node.baseline.rewind(node.now, utc_offset_s=EAST_8)
    node.live(a_day())
    assert node.judge(60.0, 160.0).days == 3
    assert len(kept) == SIZE


def test_rewinding_forgets_exactly_the_hours_that_have_not_come_yet() -> None:
    node, short = Node(step_s=60), Node(step_s=60)
    short.live(a_day() + [100.0] * 30)
    node.live(a_day() * 2)
    node.baseline.rewind(short.now, utc_offset_s=EAST_8)
    for one in (node, short):
        one.now = short.now + HOUR
        one.live([100.0] * 30)
    assert node.judge(60.0, 160.0) == short.judge(60.0, 160.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_refused_and_changes_nothing(bad: float) -> None:
    node = Node()
    node.live([100.0] * 30)
    before = node.baseline.to_bytes()
    with pytest.raises(SampleNotFiniteError):
        node.baseline.update(bad, node.now, utc_offset_s=EAST_8)
    with pytest.raises(SampleNotFiniteError):
        node.judge(bad, 100.0)
    with pytest.raises(SampleNotFiniteError):
        node.judge(1.0, bad)
    assert node.baseline.to_bytes() == before


@pytest.mark.parametrize("bad", [math.nan, -1.0, math.inf, 1e15])
def test_a_time_that_is_none_is_refused(bad: float) -> None:
    with pytest.raises(SampleNotFiniteError):
        Baseline().update(1.0, bad, utc_offset_s=0.0)
    with pytest.raises(SampleNotFiniteError):
        Baseline().is_large(1.0, 1.0, bad, LIMITS, utc_offset_s=0.0)
    with pytest.raises(BadSettingError):
        Baseline().rewind(bad, utc_offset_s=0.0)


@pytest.mark.parametrize("offset", [-12 * HOUR - 1, 14 * HOUR + 1, math.nan])
def test_an_offset_that_no_place_on_earth_has_is_refused(offset: float) -> None:
    with pytest.raises(BadSettingError):
        Baseline().update(1.0, 1.0, utc_offset_s=offset)


STEPS = st.lists(
    st.tuples(
        st.floats(-1e308, 1e308), st.integers(0, 30 * DAY) | st.just(20), st.integers(-12, 14), st.booleans()
    ),
    max_size=40,
)


def lived(steps: list[tuple[float, int, int, bool]]) -> tuple[Baseline, float]:
    baseline, now = Baseline(), 0.0
    for value, step, offset, in_hazard in steps:
        for second in range(0, 20 * MINUTE, 30):
            at = now + second
            baseline.update(value, at, utc_offset_s=offset * HOUR, in_hazard=in_hazard)
        now += 20 * MINUTE + step
    return baseline, now


@unhurried
@given(STEPS)
def test_a_baseline_survives_a_restart_whatever_it_lived_through(
    steps: list[tuple[float, int, int, bool]],
) -> None:
    baseline, now = lived(steps)
    data = baseline.to_bytes()
    restored = Baseline.from_bytes(data)
    assert len(data) == SIZE
    assert restored.to_bytes() == data
    for level in (1.0, 1e6, 1e300):
        verdict = baseline.is_large(level / 2, level, now, LIMITS, utc_offset_s=0.0)
        assert restored.is_large(level / 2, level, now, LIMITS, utc_offset_s=0.0) == verdict


@unhurried
@given(STEPS, st.integers(0, 100 * DAY), st.integers(-12, 14))
def test_a_rewound_baseline_can_be_kept_too(
    steps: list[tuple[float, int, int, bool]], back_to: int, offset: int
) -> None:
    baseline, _ = lived(steps)
    baseline.rewind(float(back_to), utc_offset_s=offset * HOUR)
    assert Baseline.from_bytes(baseline.to_bytes()).to_bytes() == baseline.to_bytes()


@pytest.mark.parametrize("level", [1e-9, 0.3, 7.0, 123_456.789, 1e12])
def test_a_level_is_kept_to_half_a_percent_whatever_its_scale(level: float) -> None:
    node = Node(step_s=60)
    node.live([level] * 25 * 60)
    limits = Limits(floor=level / 10)
    verdict = node.baseline.is_large(level, 2 * level, node.now, limits, utc_offset_s=EAST_8)
    limit = next(reason.limit for reason in verdict.reasons if reason.check is Check.LEVEL_AT_THIS_HOUR)
    assert limit == pytest.approx(1.25 * level, rel=0.005)


GOOD = lived([(100.0, 0, 8, False)])[0].to_bytes()
HEADER = struct.Struct("<4sHqdI")


def rebuilt(*, newest: int = 8, last_s: float = 1170.0, version: int = 1, cells: bytes = b"") -> bytes:
    cells = cells or GOOD[HEADER.size :]
    return HEADER.pack(b"GBSL", version, newest, last_s, zlib.crc32(cells)) + cells


def cells_with(level: int, growth: int) -> bytes:
    return struct.pack("<HH", level, growth) + GOOD[HEADER.size + 4 :]


def test_the_builder_of_damaged_baselines_builds_a_good_one() -> None:
    assert rebuilt() == GOOD


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\0",
        b"X" + GOOD[1:],
        GOOD[:-1] + bytes([GOOD[-1] ^ 1]),
        rebuilt(newest=500),
        rebuilt(newest=-500),
        rebuilt(last_s=-5.0),
        rebuilt(last_s=math.nan),
        rebuilt(last_s=math.inf),
        rebuilt(newest=0, last_s=-math.inf),
        rebuilt(cells=cells_with(0x7FC0, 0)),
        rebuilt(cells=cells_with(0x3F80, 0x7FC0)),
        rebuilt(cells=cells_with(0x7F80, 0)),
        rebuilt(cells=cells_with(0x3F80, 0xBF80)),
    ],
)
def test_bytes_that_are_no_baseline_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(BaselineDamagedError):
        Baseline.from_bytes(data)


def test_a_later_version_is_told_apart_from_a_damaged_one() -> None:
    with pytest.raises(BaselineVersionError) as caught:
        Baseline.from_bytes(rebuilt(version=2))
    assert caught.value.version == 2


@unhurried
@given(
    st.binary(max_size=40) | st.binary(min_size=SIZE - 4, max_size=SIZE - 4).map(lambda tail: b"GBSL" + tail)
)
def test_rubbish_never_becomes_a_baseline(data: bytes) -> None:
    with pytest.raises(BaselineError):
        Baseline.from_bytes(data)


def quiet_days(rng: np.random.Generator, days: int) -> list[list[float]]:
    """Four metrics every 20 s: daily load, shift changes that jitter, days that differ, correlated noise."""
    ticks = np.arange(days * 4320)
    hour, day = ticks % 4320 / 180.0, ticks // 4320
    shift = 8.0 + rng.normal(0.0, 0.1, days)[day]
    busy = 1.0 + 0.4 * np.sin((hour - 9.0) / 12.0 * np.pi) + 0.5 * ((hour > shift) & (hour < shift + 9.0))
    busy *= np.exp(rng.normal(0.0, 0.08, days))[day]
    noise = autoregressive(rng, rows=4, n=len(ticks), phi=0.8) * math.sqrt(1.0 - 0.8**2)
    levels, spread = np.array([[12.0], [2e5], [40.0], [2e9]]), np.array([[0.1], [0.15], [0.1], [0.03]])
    values: list[list[float]] = (levels * busy * np.exp(spread * noise)).tolist()
    return values


FOUR = (Limits(floor=4.0), Limits(floor=10e3), Limits(floor=10.0), Limits(floor=64e6))


def large_at_once(four: list[list[float]]) -> list[int]:
    """Per minute, how many of the four are large by a straight line through the last five."""
    baselines, counts = [Baseline() for _ in four], []
    u = np.arange(15) - 7.0
    for tick in range(15, len(four[0])):
        at = MIDNIGHT + 20.0 * tick
        for baseline, values in zip(baselines, four, strict=True):
            baseline.update(values[tick], at, utc_offset_s=0.0)
        if tick % 3 == 0:
            verdicts = []
            for baseline, values, limits in zip(baselines, four, FOUR, strict=True):
                window = np.array(values[tick - 14 : tick + 1])
                rise = float(u @ window / (u @ u)) * 14.0
                level = float(window.mean()) + rise / 2.0
                verdicts.append(baseline.is_large(rise, level, at, limits, utc_offset_s=0.0).large)
            counts.append(sum(verdicts))
    return counts


def test_a_storm_by_night_is_large_in_all_four_metrics_within_four_minutes() -> None:
    four = np.array(quiet_days(np.random.default_rng(2), 3))
    onset = 2 * 4320 + 3 * 180
    four[:, onset : onset + 18] *= 2.0 ** (np.arange(18) / 4.5)
    counts = large_at_once(four[:, : onset + 18].tolist())
    begun = (onset - 15) // 3
    assert max(counts[1440:begun]) < 2
    assert 4 in counts[begun : begun + 5]


@pytest.mark.long
def test_a_quiet_month_of_load_and_shift_changes_is_never_large_in_two_metrics_after_a_day() -> None:
    for seed in range(2):
        counts = large_at_once(quiet_days(np.random.default_rng(seed), 30))
        assert max(counts[1440:]) < 2
