import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import (
    METRICS,
    BadSettingError,
    Letter,
    Metric,
    NodeSeries,
    Sample,
    SampleNotFiniteError,
    Series,
    TimeWentBackwardsError,
    TooManyNodesError,
    classify_windows,
)
from situational.series import Scale
from tests.situational.support import unhurried

NOT_FINITE = [math.nan, math.inf, -math.inf]


def test_the_four_metrics_are_those_of_the_paper() -> None:
    assert [metric.value for metric in METRICS] == [
        "logged_in_nodes",
        "network_flow",
        "external_connections",
        "memory_used",
    ]


@unhurried
@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.floats(0, 1e9), st.floats(-1e12, 1e12)), max_size=40),
)
def test_a_series_is_the_tail_of_what_was_appended(capacity: int, samples: list[tuple[float, float]]) -> None:
    samples.sort(key=lambda sample: sample[0])
    series = Series(capacity=capacity)
    for time_s, value in samples:
        series.append(time_s, value)
    window = series.window()
    assert list(zip(window.t.tolist(), window.y.tolist(), strict=True)) == samples[-capacity:]
    assert len(series) == min(capacity, len(samples))


def test_a_window_is_a_copy() -> None:
    series = Series(capacity=3)
    series.append(1.0, 2.0)
    series.window().y[0] = 99.0
    assert series.window().y.tolist() == [2.0]


@pytest.mark.parametrize("bad", NOT_FINITE)
def test_a_value_that_is_not_finite_is_refused_and_leaves_the_series_as_it_was(bad: float) -> None:
    series = Series(capacity=3)
    series.append(1.0, 2.0)
    with pytest.raises(SampleNotFiniteError) as caught:
        series.append(2.0, bad)
    assert caught.value.time_s == 2.0
    assert series.window().y.tolist() == [2.0]


@pytest.mark.parametrize("bad", NOT_FINITE)
def test_a_time_that_is_not_finite_is_refused(bad: float) -> None:
    with pytest.raises(SampleNotFiniteError):
        Series(capacity=3).append(bad, 1.0)


def test_time_going_backwards_is_refused_and_leaves_the_series_as_it_was() -> None:
    series = Series(capacity=3)
    series.append(10.0, 1.0)
    with pytest.raises(TimeWentBackwardsError) as caught:
        series.append(9.999, 2.0)
    assert (caught.value.last_s, caught.value.got_s) == (10.0, 9.999)
    series.append(10.0, 3.0)
    assert series.window().y.tolist() == [1.0, 3.0]


def test_a_series_needs_room_for_a_sample() -> None:
    with pytest.raises(BadSettingError):
        Series(capacity=0)


def test_a_table_needs_room_for_a_node() -> None:
    with pytest.raises(BadSettingError):
        NodeSeries(max_nodes=0)


def test_a_sample_may_leave_out_metrics_that_were_not_measured() -> None:
    table = NodeSeries(max_nodes=1, capacity=5)
    table.record("plant-1", Sample(1.0, {Metric.MEMORY_USED: 7.0}))
    table.record("plant-1", Sample(2.0, dict.fromkeys(METRICS, 8.0)))
    windows = table.windows()
    assert windows["plant-1", Metric.MEMORY_USED].y.tolist() == [7.0, 8.0]
    assert windows["plant-1", Metric.NETWORK_FLOW].t.tolist() == [2.0]
    assert len(windows) == len(METRICS)


@pytest.mark.parametrize("metric", METRICS)
def test_a_refused_sample_leaves_nothing_behind_in_any_metric(metric: Metric) -> None:
    table = NodeSeries(max_nodes=1, capacity=5)
    table.record("plant-1", Sample(1.0, dict.fromkeys(METRICS, 1.0)))
    with pytest.raises(SampleNotFiniteError):
        table.record("plant-1", Sample(2.0, {**dict.fromkeys(METRICS, 2.0), metric: math.nan}))
    assert all(window.y.tolist() == [1.0] for window in table.windows().values())


def test_a_refused_first_sample_does_not_take_up_a_node() -> None:
    table = NodeSeries(max_nodes=1)
    with pytest.raises(SampleNotFiniteError):
        table.record("plant-1", Sample(1.0, {Metric.NETWORK_FLOW: math.inf}))
    assert "plant-1" not in table


def test_no_more_nodes_are_kept_than_planned_until_one_is_forgotten() -> None:
    table = NodeSeries(max_nodes=2)
    sample = Sample(1.0, {Metric.NETWORK_FLOW: 1.0})
    table.record("a", sample)
    table.record("b", sample)
    with pytest.raises(TooManyNodesError) as caught:
        table.record("c", sample)
    assert (caught.value.node, caught.value.limit) == ("c", 2)
    table.record("a", Sample(2.0, {Metric.NETWORK_FLOW: 1.0}))
    table.forget("a")
    table.forget("never seen")
    table.record("c", sample)
    assert len(table) == 2


def test_an_empty_series_gives_empty_arrays() -> None:
    window = Series(capacity=3).window()
    assert window.t.shape == window.y.shape == (0,)
    assert window.y.dtype == np.float64


def filled(
    polls: int, *, period_s: float = 5.0, start_s: float = 0.0, table: NodeSeries | None = None
) -> NodeSeries:
    """One node whose metrics count the polls, 1,000 apart from each other."""
    table = table or NodeSeries(max_nodes=3)
    for poll in range(polls):
        values = {metric: 1000.0 * i + poll for i, metric in enumerate(METRICS)}
        table.record("a", Sample(start_s + poll * period_s, values))
    return table


@pytest.mark.parametrize(
    ("scale", "samples", "apart_s"),
    [
        (Scale.EARLY, 24, 5.0),
        (Scale.DECIDING, 60, 5.0),
        (Scale.HALF_HOUR, 60, 30.0),
        (Scale.FIVE_HOURS, 60, 300.0),
    ],
)
def test_each_scale_has_its_samples_and_its_distance(scale: Scale, samples: int, apart_s: float) -> None:
    table = filled(61 * 60 + 1)
    for metric in METRICS:
        window = table.windows(scale)["a", metric]
        assert len(window.t) == samples
        assert np.diff(window.t) == pytest.approx(np.full(samples - 1, apart_s))


def test_a_coarse_sample_is_the_mean_of_its_polls_at_the_middle_of_its_time() -> None:
    window = filled(13).windows(Scale.HALF_HOUR)["a", METRICS[1]]
    assert window.t.tolist() == [15.0, 45.0]
    assert window.y.tolist() == [1000.0 + 2.5, 1000.0 + 8.5]


def test_a_mean_is_of_what_was_measured() -> None:
    table = NodeSeries(max_nodes=1)
    for poll in range(7):
        measured = {METRICS[0]: 1.0} if poll % 2 else {METRICS[0]: 3.0, METRICS[1]: float(poll)}
        table.record("a", Sample(5.0 * poll, measured))
    windows = table.windows(Scale.HALF_HOUR)
    assert windows["a", METRICS[0]].y.tolist() == [2.0]
    assert windows["a", METRICS[1]].y.tolist() == [2.0]
    assert windows["a", METRICS[2]].y.tolist() == []


@pytest.mark.parametrize("scale", Scale)
def test_a_node_silent_for_more_than_three_samples_has_no_window(scale: Scale) -> None:
    table = filled(61 * 60 + 1)
    last_s = 61 * 60 * 5.0
    limit_s = 3 * 5.0 * scale.polls
    assert table.windows(scale, now_s=last_s + limit_s)["a", METRICS[0]].y.size > 0
    assert table.windows(scale, now_s=last_s + limit_s + 0.1)["a", METRICS[0]].y.size == 0
    stale = classify_windows(table.windows(scale, now_s=last_s + limit_s + 0.1))
    assert {trend.shape for trend in stale.values()} == {Letter.NONE}


def test_a_late_poll_of_one_node_does_not_make_another_stale() -> None:
    table = filled(20)
    table.record("b", Sample(1000.0, dict.fromkeys(METRICS, 1.0)))
    windows = table.windows(now_s=1000.0)
    assert windows["a", METRICS[0]].y.size == 0
    assert windows["b", METRICS[0]].y.tolist() == [1.0]


def test_what_a_node_told_before_it_was_away_is_no_part_of_its_window() -> None:
    table = filled(60)
    filled(20, start_s=5000.0, table=table)
    assert table.windows()["a", METRICS[0]].t[0] == 5000.0


def test_a_row_freed_by_one_node_shows_nothing_to_the_next() -> None:
    table = filled(61 * 60)
    table.forget("a")
    table.record("b", Sample(20_000.0, dict.fromkeys(METRICS, 9.0)))
    for scale in Scale:
        assert all(window.y.tolist() in ([9.0], []) for window in table.windows(scale).values())


@unhurried
@given(st.integers(1, 40), st.integers(1, 130), st.integers(1, 70))
def test_a_matrix_holds_the_windows_with_gaps_as_nan(nodes: int, polls: int, capacity: int) -> None:
    table = NodeSeries(max_nodes=nodes, capacity=capacity)
    for poll in range(polls):
        for number in range(nodes):
            if (poll + number) % 5:
                table.record(f"n{number}", Sample(5.0 * poll, {METRICS[0]: float(100 * number + poll)}))
    keys, t, y = table.matrix()
    assert t.shape == y.shape == (len(keys), min(capacity, 60))
    for key, times, values in zip(keys, t, y, strict=True):
        node, metric = key
        there = np.isfinite(values)
        asked = [poll for poll in range(polls) if (poll + int(node[1:])) % 5] if metric is METRICS[0] else []
        kept = asked[-min(capacity, 60) :]
        assert times[there].tolist() == [5.0 * poll for poll in kept]
        assert values[there].tolist() == [100.0 * int(node[1:]) + poll for poll in kept]


def test_twenty_thousand_nodes_take_no_more_than_two_hundred_megabytes() -> None:
    assert NodeSeries(max_nodes=20_000).bytes_per_node * 20_000 <= 200e6


@pytest.mark.parametrize("period_s", [0.0, -5.0, math.inf, math.nan])
def test_a_period_that_never_passes_is_refused(period_s: float) -> None:
    with pytest.raises(BadSettingError):
        NodeSeries(max_nodes=1, period_s=period_s)


def test_windows_need_room_for_a_sample() -> None:
    with pytest.raises(BadSettingError):
        NodeSeries(max_nodes=1, capacity=0)
