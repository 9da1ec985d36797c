import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from situational import BadSettingError, TimeWentBackwardsError
from situational.risk import SOURCES, CounterError, CounterWindow, Interval, assess, observe, wilson
from tests.situational.risk.support import counters, panel_of, unhurried

PANEL = panel_of(dict.fromkeys(SOURCES, 50.0))  # probability 5, severity 10


def watched(*looks: tuple[float, dict[str, float]], span_s: float = 3600.0) -> CounterWindow:
    window = CounterWindow(span_s=span_s)
    for now_s, values in looks:
        window = window.push(values, now_s)
    return window


# The interval


@pytest.mark.parametrize(
    ("events", "trials", "lower", "upper"),
    [(0, 10, 0.0, 0.2775), (1, 10, 0.0179, 0.4042), (5, 10, 0.2366, 0.7634), (10, 10, 0.7225, 1.0)],
)
def test_wilson_gives_the_textbook_intervals(
    events: float, trials: float, lower: float, upper: float
) -> None:
    got = wilson(events, trials)
    assert (got.lower, got.upper) == pytest.approx((lower, upper), abs=1e-4)


@unhurried
@given(st.floats(0, 1), st.floats(1e-3, 1e12))
def test_wilson_holds_the_rate_and_stays_between_nought_and_one(share: float, trials: float) -> None:
    got = wilson(share * trials, trials)
    assert 0 <= got.lower <= share * (1 + 1e-9)
    assert share * (1 - 1e-9) <= got.upper <= 1


def test_without_trials_nothing_is_known() -> None:
    assert wilson(0, 0) == Interval(0, 1)


# Combination


def test_without_exposure_the_experts_decide() -> None:
    for window in (CounterWindow(), watched((0, counters()), (60, counters()))):
        observed = observe(PANEL, window)
        assert observed.panel == PANEL
        assert {evidence.weight for evidence in observed.evidence.values()} == {0.0}


def test_every_observable_factor_moves_with_its_counters_and_no_other_factor_does() -> None:
    for code, source in SOURCES.items():
        now = counters(**{source.exposure: 1e9})
        now |= dict.fromkeys(source.events, 1e9)
        moved = observe(PANEL, watched((0, counters()), (60, now))).panel
        assert moved.opinions[code][0].probability.lower == pytest.approx(10, abs=0.01)
        assert moved.opinions[code][0].severity == PANEL.opinions[code][0].severity
        same_exposure = {c for c, s in SOURCES.items() if s.exposure == source.exposure}
        for other in set(PANEL.opinions) - same_exposure:
            assert moved.opinions[other] == PANEL.opinions[other]


def test_the_probability_is_the_rate_on_the_experts_scale() -> None:
    window = watched((0, counters()), (60, counters(polls=1e9, poll_overruns=1e7)))
    evidence = observe(PANEL, window).evidence["C23"]
    assert evidence.rate.middle == pytest.approx(0.01, rel=0.01)
    assert evidence.probability.middle == pytest.approx(10 * 0.01 / 0.05, rel=0.01)
    assert evidence.weight == pytest.approx(1, abs=0.01)


@unhurried
@given(st.floats(0, 1), st.floats(10, 1e9), st.floats(1, 100))
def test_at_the_same_rate_the_weight_grows_with_exposure(share: float, polls: float, more: float) -> None:
    weights = [
        observe(PANEL, watched((0, counters()), (60, counters(polls=n, poll_overruns=share * n))))
        .evidence["C23"]
        .weight
        for n in (polls, more * polls)
    ]
    assert 0 <= weights[0] <= weights[1] + 1e-9 <= 1 + 1e-9


def test_the_combination_is_the_documented_average() -> None:
    observed = observe(PANEL, watched((0, counters()), (60, counters(polls=1000, poll_overruns=10))))
    evidence = observed.evidence["C23"]
    w, counted = evidence.weight, evidence.probability
    assert w == pytest.approx(1 - (counted.upper - counted.lower) / 10)
    assert 0.5 < w < 0.9
    for opinion in observed.panel.opinions["C23"]:
        assert opinion.probability.lower == pytest.approx((1 - w) * 5 + w * counted.lower)
        assert opinion.probability.upper == pytest.approx((1 - w) * 5 + w * counted.upper)


def test_one_tampered_message_among_few_moves_its_factor_to_the_top() -> None:
    quiet = watched((0, counters()), (60, counters(sealed_received=100)))
    struck = watched((0, counters()), (60, counters(sealed_received=100, seal_failed=1)))
    assert observe(PANEL, quiet).panel.opinions["C32"] == PANEL.opinions["C32"]
    assert assess(observe(PANEL, struck).panel).factors[0].code == "C32"


def test_a_minute_of_an_outage_is_one_event() -> None:
    window = watched((0, counters()), (60, counters(link_s=36_000, link_down_s=600)))
    evidence = observe(PANEL, window).evidence["C21"]
    assert (evidence.events, evidence.trials) == (10.0, 600.0)


def test_more_events_than_trials_count_as_all() -> None:
    window = watched((0, counters()), (60, counters(factor_checks=5, factor_failed=5, lockouts=2)))
    evidence = observe(PANEL, window).evidence["C41"]
    assert (evidence.events, evidence.trials) == (5.0, 5.0)


def test_the_evidence_names_its_counters_with_their_increases_and_its_time() -> None:
    window = watched(
        (100, counters(handshakes=50, handshake_refused=3)),
        (130, counters(handshakes=60, handshake_refused=4)),
        (400, counters(handshakes=90, handshake_refused=4)),
    )
    evidence = observe(PANEL, window).evidence["C12"]
    assert evidence.counts == (("handshake_refused", 1.0), ("handshakes", 40.0))
    assert evidence.watched_s == 300


# The window


def test_what_lies_further_back_than_the_window_is_forgotten() -> None:
    looks = [(60.0 * i, counters(polls=100.0 * i, poll_overruns=min(i, 5))) for i in range(100)]
    window = watched(*looks, span_s=600)
    evidence = observe(PANEL, window).evidence["C23"]
    assert evidence.counts == (("poll_overruns", 0.0), ("polls", 1000.0))
    assert evidence.watched_s == 600


@settings(unhurried, max_examples=20)
@given(st.lists(st.floats(0, 50), min_size=15, max_size=40))
def test_memory_is_bounded_however_often_the_window_is_fed(steps: list[float]) -> None:
    window, now_s = CounterWindow(span_s=300, bucket_s=60), 0.0
    for step in steps:
        now_s += step
        window = window.push(counters(polls=now_s), now_s)
        assert len(window.buckets) <= 11  # two neighbours are together longer than a bucket
    counted, watched_s = window.counts("C23") or ((0.0, 0.0), 0.0)
    assert counted[-1] == pytest.approx(watched_s)
    assert min(300, now_s - steps[0]) - 1e-9 <= watched_s <= 300 + 60 + 50


def test_a_counter_that_begins_anew_counts_from_nought() -> None:
    window = watched((0, counters(polls=1000)), (60, counters(polls=30)), (120, counters(polls=50)))
    assert observe(PANEL, window).evidence["C23"].counts[-1] == ("polls", 50.0)


def test_a_missing_counter_does_not_read_as_no_event() -> None:
    partial = counters(polls=1e6)
    del partial["poll_overruns"]
    window = watched((0, partial), (60, {name: 2 * value for name, value in partial.items()}))
    evidence = observe(PANEL, window).evidence["C23"]
    assert (evidence.counts, evidence.weight) == ((), 0.0)


def test_time_without_a_counter_is_not_watched_time() -> None:
    partial = counters(polls=500)
    del partial["poll_overruns"]
    whole = [counters(polls=100.0 * i) for i in range(3)]
    window = watched((0, whole[0]), (100, whole[1]), (200, partial), (300, whole[2]), (400, whole[2]))
    counted, watched_s = window.counts("C23") or ((), math.nan)
    assert (counted, watched_s) == ((0.0, 100.0), 200.0)


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, True])
def test_what_is_no_counter_is_refused_by_name(value: float) -> None:
    with pytest.raises(CounterError, match="counter polls = "):
        CounterWindow().push(counters(polls=value), 0)


def test_names_that_no_factor_uses_are_left_out() -> None:
    assert "memory" not in CounterWindow().push({"memory": -1.0, "polls": 3}, 0).last


@pytest.mark.parametrize("now_s", [9.0, math.nan])
def test_time_never_goes_backwards(now_s: float) -> None:
    with pytest.raises(TimeWentBackwardsError):
        watched((10, counters())).push(counters(), now_s)


@pytest.mark.parametrize(
    ("span_s", "bucket_s"), [(10, 60), (1e6, 1), (60, 0), (math.nan, 60), (60, math.nan), (math.inf, 60)]
)
def test_a_window_of_no_size_is_refused(span_s: float, bucket_s: float) -> None:
    with pytest.raises(BadSettingError):
        CounterWindow(span_s=span_s, bucket_s=bucket_s)
