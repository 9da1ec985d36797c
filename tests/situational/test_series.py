import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import (
    METRICS,
    BadSettingError,
    Metric,
    NodeSeries,
    Sample,
    SampleNotFiniteError,
    Series,
    TimeWentBackwardsError,
    TooManyNodesError,
)
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
