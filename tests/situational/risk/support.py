"""Panels and counters made up for the tests; the published numbers of P2."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import settings
from hypothesis import strategies as st

from situational.risk import COUNTERS, FACTORS, Interval, Opinion, Panel

unhurried = settings(deadline=None, max_examples=30)  # no test here may depend on the machine's speed

PUBLISHED_LINKS = {
    "C1": Interval(42.471, 52.934),
    "C2": Interval(31.636, 38.802),
    "C3": Interval(24.773, 31.647),
    "C4": Interval(32.286, 41.684),
}
PUBLISHED_RHO = {"C1": 0.375, "C2": 0.241, "C3": 0.125, "C4": 0.259}
# The same from the published bounds in exact fractions; C2 is 0.24104998…
EXACT_RHO = {"C1": 0.37500, "C2": 0.24105, "C3": 0.12507, "C4": 0.25888}
PUBLISHED_FACTORS = (
    *("C32", "C12", "C31", "C22", "C11", "C21"),  # major
    *("C43", "C42", "C23", "C41"),  # general
    *("C54", "C33", "C34", "C53", "C52", "C55", "C35", "C24", "C51"),  # low
)


@st.composite
def intervals(draw: st.DrawFn, least: float = 0.0, most: float = 100.0) -> Interval:
    bounds = st.floats(least, most, allow_subnormal=False)
    return Interval(*sorted((draw(bounds), draw(bounds))))


@st.composite
def panels(draw: st.DrawFn) -> Panel:
    """Two or three experts; their bounds are whole numbers, so that ties are common."""
    bounds = st.tuples(st.integers(0, 10), st.integers(0, 10)).map(sorted)
    cell = bounds.map(lambda pair: Interval(float(pair[0]), float(pair[1])))
    size = draw(st.integers(2, 3))
    opinion = st.builds(Opinion, cell, cell)
    rows = {code: tuple(draw(opinion) for _ in range(size)) for code in FACTORS}
    return Panel(tuple(f"E{i}" for i in range(size)), (1 / size,) * size, rows)


def panel_of(values: Mapping[str, float], experts: int = 2) -> Panel:
    """All experts agree on points: severity 10, probability value / 10; 0 where nothing is given."""
    rows = {code: (Opinion(point(values.get(code, 0.0) / 10), point(10.0)),) * experts for code in FACTORS}
    return Panel(tuple(f"E{i}" for i in range(experts)), (1 / experts,) * experts, rows)


def point(value: float) -> Interval:
    return Interval(value, value)


def document(experts: int = 2) -> dict[str, object]:
    """What a file holds; each call makes new lists and tables, so that tests can spoil a cell."""
    return {
        "title": "made up",
        "experts": [
            {
                "name": f"E{number}",
                "factors": {
                    code: {"probability": [index % 5, index % 5 + 2.5], "severity": [number, 6]}
                    for index, code in enumerate(FACTORS)
                },
            }
            for number in range(1, experts + 1)
        ],
    }


def counters(**values: float) -> dict[str, float]:
    """All counters the board knows, 0 where nothing is given."""
    return dict.fromkeys(COUNTERS, 0.0) | values
