"""dispatch_server/ops/exposition.py, judged by Prometheus' own reader."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from dispatch_server.counters import Histogram
from dispatch_server.ops.exposition import Family, of_histogram, of_labels, render
from tests.dispatch_server.ops.support import samples_of


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), st.floats(allow_nan=False, allow_infinity=False)
    )
)
def test_any_label_and_number_comes_back_as_it_was(values: dict[str, float]) -> None:
    text = render([of_labels(Family("a", "gauge", "Tests."), "who", values)])
    told = {dict(sample.labels)["who"]: sample.value for sample in samples_of(text)}
    assert told == values


def test_a_family_says_what_it_is_and_of_what_kind() -> None:
    text = render([Family("dispatch_polls_total", "counter", "Polls.").add(3)]).decode()
    assert (
        text
        == "# HELP dispatch_polls_total Polls.\n# TYPE dispatch_polls_total counter\ndispatch_polls_total 3\n"
    )


def test_a_family_without_values_is_left_out() -> None:
    assert render([Family("a", "gauge", "Tests."), Family("b", "gauge", "Tests.").add(1)]).startswith(
        b"# HELP b"
    )


@given(st.lists(st.floats(0, 100)))
def test_a_histogram_s_buckets_count_what_lies_below_and_the_last_one_all(values: list[float]) -> None:
    histogram = Histogram((0.5, 1.0, 25.0))
    for value in values:
        histogram.observe(value)
    (family,) = text_string_to_metric_families(render([of_histogram("h", "Tests.", histogram)]).decode())
    buckets = {float(s.labels["le"]): s.value for s in family.samples if s.name == "h_bucket"}
    assert buckets == {end: sum(v <= end for v in values) for end in (0.5, 1.0, 25.0, math.inf)}
    others = {s.name: s.value for s in family.samples if s.name != "h_bucket"}
    assert others == {"h_sum": pytest.approx(sum(values)), "h_count": len(values)}
