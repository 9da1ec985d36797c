import math
from collections.abc import Iterator

import numpy as np
import pytest

from situational import (
    DEFAULT_LIMITS,
    METRICS,
    BadSettingError,
    Baseline,
    BaselineError,
    Hazard,
    Letter,
    Level,
    Metric,
    ReasonCode,
    Sample,
    TimeWentBackwardsError,
    TooManyNodesError,
    Watch,
)
from situational.letters import FloatArray
from situational.watch import CELL_BYTES

USUAL = np.array([20.0, 2e6, 80.0, 4e9])
WALL = 1_700_006_400.0
HOUR = 720  # polls


def readings(rng: np.random.Generator, factors: FloatArray) -> FloatArray:
    """Of the four metrics, shape (ticks, 4), about USUAL; logins and connections are whole numbers."""
    y = USUAL * factors[:, None] * rng.normal(1.0, 0.03, (len(factors), 4))
    y[:, [0, 2]] = np.round(y[:, [0, 2]])
    return y


def sample(now: float, values: FloatArray) -> Sample:
    return Sample(now, dict(zip(METRICS, values.tolist(), strict=True)))


def lived(
    watch: Watch, y: FloatArray, *, first: int = 0, node: str = "plant-1", wall: float = WALL
) -> Iterator[Hazard]:
    """A poll every five seconds, judged at once."""
    for tick, values in enumerate(y, start=first):
        now = 5.0 * tick
        watch.record(node, sample(now, values))
        yield watch.tick(now, wall + now, 0.0)[node]


def known(size: float, hours: int, *, job: float = 1.0) -> bytes:
    """A baseline of so many quiet hours before WALL; every day half an hour's job at another hour."""
    rng, baseline = np.random.default_rng(0), Baseline()
    for minute in range(60 * hours):
        at = WALL - 3600.0 * hours + 60.0 * minute
        busy = job if at % 86_400.0 // 1800.0 == 25.0 else 1.0
        baseline.update(busy * size * float(rng.normal(1.0, 0.01)), at, utc_offset_s=0.0)
    return baseline.to_bytes()


QUIET, SURGE, PEAK = np.ones(90), 2.0 ** (np.arange(60) / 18.0), 2.0 ** (60 / 18.0)
STORM = np.concatenate([QUIET, SURGE, PEAK * SURGE[0] / SURGE, np.ones(240)])


def test_a_storm_is_major_once_then_lifts_then_is_over() -> None:
    told = list(lived(Watch(max_nodes=1), readings(np.random.default_rng(1), STORM)))
    levels = [hazard.level for hazard in told]
    assert max(levels[: len(QUIET)]) is Level.NORMAL
    first = levels.index(Level.MAJOR)
    assert (first - len(QUIET)) * 5.0 <= 300.0
    lifting = levels.index(Level.LIFTING)
    assert (lifting - len(QUIET) - len(SURGE)) * 5.0 <= 60.0
    assert set(levels[first:lifting]) == {Level.MAJOR}
    assert Level.MAJOR not in levels[lifting:]
    assert told[lifting].leading in {Letter.E, Letter.F, Letter.G}
    assert any(hazard.is_safe_again for hazard in told[lifting:])
    assert levels[-1] is Level.NORMAL


def test_passes_of_any_size_and_many_nodes_tell_of_each_node_what_it_is_told_alone() -> None:
    y = readings(np.random.default_rng(1), STORM[60:160])
    shifted = np.roll(y, 17, axis=0)
    alone = [list(lived(Watch(max_nodes=1), own)) for own in (y, shifted, y)]
    watch, together = Watch(max_nodes=3), []
    for tick, values in enumerate(zip(y, shifted, y, strict=True)):
        told: dict[str, Hazard] = {}
        for i, own in enumerate(values):
            watch.record(f"n{i}", sample(5.0 * tick, own))
        while (asked := watch.snapshot(5.0 * tick, WALL + 5.0 * tick, 0.0, most=2)) is not None:
            told.update(watch.adopt(watch.judge(asked)))
        together.append(told)
    for i, own_told in enumerate(alone):
        assert [told[f"n{i}"].level for told in together] == [hazard.level for hazard in own_told]


def test_samples_recorded_while_judging_goes_on_wait_for_the_next_pass() -> None:
    watch, y = Watch(max_nodes=1), readings(np.random.default_rng(2), np.ones(3))
    watch.record("a", sample(0.0, y[0]))
    asked = watch.snapshot(0.0, WALL, 0.0)
    assert asked is not None
    watch.record("a", sample(5.0, y[1]))
    judged = watch.judge(asked)
    assert np.isfinite(asked.y[0, 0]).sum() == 1
    watch.adopt(judged)
    again = watch.snapshot(5.0, WALL + 5.0, 0.0)
    assert again is not None
    assert np.isfinite(again.y[0, 0]).sum() == 2
    assert watch.snapshot(5.0, WALL + 5.0, 0.0) is None


def test_what_was_judged_of_a_node_that_is_forgotten_or_reset_meanwhile_is_thrown_away() -> None:
    watch = Watch(max_nodes=2)
    told = list(lived(watch, readings(np.random.default_rng(1), STORM[:150])))
    assert told[-1].level is Level.MAJOR
    watch.record("plant-1", sample(5.0 * 150, USUAL))
    asked = watch.snapshot(5.0 * 150, WALL, 0.0)
    assert asked is not None
    watch.reset("plant-1")
    watch.record("plant-1", sample(5.0 * 151, USUAL))
    assert watch.adopt(watch.judge(asked)) == {}
    assert watch.hazard("plant-1") is None


def test_a_row_given_up_by_one_node_tells_the_next_nothing() -> None:
    watch = Watch(max_nodes=1)
    list(lived(watch, readings(np.random.default_rng(1), STORM[:150])))
    watch.forget("plant-1")
    (first, *_) = lived(watch, readings(np.random.default_rng(2), QUIET), first=200, node="b")
    assert (first.level, first.judged) == (Level.NORMAL, 0)


def test_a_node_that_falls_silent_is_judged_once_more_as_not_known_and_its_danger_holds() -> None:
    watch = Watch(max_nodes=1)
    told = list(lived(watch, readings(np.random.default_rng(1), STORM[:150])))
    assert told[-1].level is Level.MAJOR
    last = 5.0 * 149
    assert watch.tick(last + 15.0, WALL + last + 15.0, 0.0) == {}
    silent = watch.tick(last + 15.1, WALL + last + 15.1, 0.0)["plant-1"]
    assert (silent.level, silent.judged) == (Level.MAJOR, 0)
    assert silent.reasons[0].code is ReasonCode.DANGER_HOLDS
    assert set(watch.letters("plant-1").values()) == {Letter.NONE}
    assert watch.tick(last + 100.0, WALL + last + 100.0, 0.0) == {}


def test_a_metric_that_is_not_measured_is_not_judged_and_stops_nothing() -> None:
    watch, told = Watch(max_nodes=1), Hazard(Level.NORMAL, Letter.NONE, 0, ())
    rng = np.random.default_rng(3)
    for tick in range(60):
        values = {Metric.MEMORY_USED: 4e9 * float(rng.normal(1.0, 0.01))}
        watch.record("a", Sample(5.0 * tick, values))
        told = watch.tick(5.0 * tick, WALL + 5.0 * tick, 0.0)["a"]
    assert told.judged == 1
    assert watch.letters("a")[Metric.MEMORY_USED] is Letter.A


def restored(*, hours: int = 30) -> Watch:
    watch = Watch(max_nodes=1)
    for metric, size in zip(METRICS, USUAL.tolist(), strict=True):
        watch.restore("plant-1", metric, known(size, hours))
    return watch


def test_growth_that_is_usual_by_what_was_learned_before_a_restart_is_not_large() -> None:
    factors = np.concatenate([np.ones(60), 1.0 + 0.2 * (np.expm1(np.arange(60) / 20.0) / np.expm1(3.0))])
    y = readings(np.random.default_rng(4), factors)
    assert max(hazard.level for hazard in lived(restored(), y)) is Level.NORMAL


def test_a_storm_on_a_node_with_history_has_an_early_word_before_it_is_major() -> None:
    told = list(lived(restored(), readings(np.random.default_rng(1), STORM[:150])))
    levels = [hazard.level for hazard in told]
    early = next(i for i, hazard in enumerate(told) if hazard.level is Level.ADVISORY)
    assert any(reason.code is ReasonCode.GROWTH_EARLY for reason in told[early].reasons)
    danger = next(i for i, level in enumerate(levels) if level >= Level.MEDIUM)
    assert early < danger < levels.index(Level.MAJOR)


def test_a_job_that_one_metric_has_every_day_does_not_hide_an_attack_on_all_four() -> None:
    watch, alone = restored(hours=76), restored(hours=76)
    for one in (watch, alone):
        one.restore("plant-1", Metric.NETWORK_FLOW, known(2e6, 76, job=8.0))
    y = readings(np.random.default_rng(1), STORM[:150])
    assert Level.MAJOR in [hazard.level for hazard in lived(watch, y)]
    y[:, [0, 2, 3]] = readings(np.random.default_rng(2), np.ones(150))[:, [0, 2, 3]]
    assert max(hazard.level for hazard in lived(alone, y)) < Level.MEDIUM


def test_a_slow_leak_of_memory_is_an_advisory_that_names_it() -> None:
    y = readings(np.random.default_rng(5), np.ones(HOUR))
    y[:, 3] *= 1.0 + 0.4 * np.arange(len(y)) / HOUR
    told = list(lived(restored(hours=76), y))
    assert max(hazard.level for hazard in told) is Level.ADVISORY
    named = {(r.code, r.metric) for hazard in told for r in hazard.reasons if hazard.level is Level.ADVISORY}
    assert (ReasonCode.GROWTH_SLOW, Metric.MEMORY_USED) in named


def test_baselines_are_given_when_they_changed_and_only_then() -> None:
    watch = Watch(max_nodes=1)
    rng = np.random.default_rng(6)
    list(lived(watch, readings(rng, np.ones(10 * 12))))
    assert watch.baselines().keys() <= {("plant-1", metric) for metric in METRICS}
    list(lived(watch, readings(rng, np.ones(20 * 12)), first=10 * 12))
    first = watch.baselines(most=3)
    assert len(first) == 3
    assert first.keys() | watch.baselines().keys() == {("plant-1", metric) for metric in METRICS}
    assert watch.baselines() == {}
    list(lived(watch, np.tile(USUAL / 2.0, (7, 1)), first=30 * 12))
    assert watch.baselines() == {}


def highest_levels(watch: Watch) -> list[float]:
    """The highest level learned of each metric, as a share of the usual one."""
    highest = []
    for (_, metric), data in sorted(watch.baselines().items()):
        upper = np.frombuffer(data[-CELL_BYTES:], "<u2").astype("<u4") << 16
        level = float(np.nanmax(upper.view("<f4")[::2]))
        highest.append(level / float(USUAL[METRICS.index(metric)]))
    return highest


def test_a_danger_teaches_nothing_nor_do_the_minutes_before_it_was_seen() -> None:
    storm = np.concatenate([np.ones(20 * 12), 2.0 ** (np.arange(15 * 12) / 18.0)])
    watch, y = Watch(max_nodes=1), readings(np.random.default_rng(1), storm)
    assert list(lived(watch, y))[-1].level is Level.MAJOR
    assert len(highest := highest_levels(watch)) == len(METRICS)
    assert max(highest) < 1.1


def test_a_wall_clock_that_was_wrong_stops_no_judging_and_learning_goes_on_after_it() -> None:
    watch, y = Watch(max_nodes=1), readings(np.random.default_rng(7), np.ones(30 * 12))
    list(lived(watch, y, wall=WALL + 30 * 86_400.0))
    watch.baselines()
    list(lived(watch, y, first=len(y), wall=WALL))
    assert len(watch.baselines()) == len(METRICS)


def test_a_sample_that_a_series_refuses_changes_nothing() -> None:
    watch = Watch(max_nodes=1)
    watch.record("a", sample(10.0, USUAL))
    watch.tick(10.0, WALL, 0.0)
    with pytest.raises(TimeWentBackwardsError):
        watch.record("a", sample(5.0, USUAL))
    with pytest.raises(TooManyNodesError):
        watch.record("b", sample(10.0, USUAL))
    assert "b" not in watch
    assert watch.snapshot(10.0, WALL, 0.0) is None


def test_damaged_baselines_are_refused_and_nothing_is_kept_of_them() -> None:
    watch = Watch(max_nodes=1)
    with pytest.raises(BaselineError):
        watch.restore("a", Metric.MEMORY_USED, b"nonsense")
    list(lived(watch, readings(np.random.default_rng(8), np.ones(20)), node="a"))


def test_of_a_node_that_is_not_known_nothing_is_told() -> None:
    watch = Watch(max_nodes=1)
    assert (watch.hazard("a"), watch.letters("a"), watch.hazards()) == (None, {}, {})
    watch.forget("a")
    assert watch.tick(0.0, WALL, 0.0) == {}


def test_limits_that_leave_out_a_metric_are_refused() -> None:
    limits = dict(DEFAULT_LIMITS)
    del limits[Metric.MEMORY_USED]
    with pytest.raises(BadSettingError) as caught:
        Watch(max_nodes=1, limits=limits)
    assert math.isnan(caught.value.value)
