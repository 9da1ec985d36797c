"""The live risk board: an order to show that does not flap. A report; nothing here raises an alarm.

A shown order changes where p(new >= old) has been at least 0.75 at every update for a minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from situational.errors import BadSettingError, TimeWentBackwardsError
from situational.risk.assess import Assessment, FactorRisk, Group, group_of
from situational.risk.counters import Evidence
from situational.risk.errors import BadBoardError
from situational.risk.interval import Interval, possibility

Pair = tuple[str, str]  # (challenger, the one shown above it)


@dataclass(frozen=True, slots=True)
class Hysteresis:
    """Raises BadSettingError."""

    possibility: float = 0.75
    hold_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0.5 < self.possibility <= 1:  # at ½ and below both of a pair could challenge each other
            raise BadSettingError("possibility", self.possibility, "above 0.5 and at most 1")
        if not 0 <= self.hold_s <= 86_400:
            raise BadSettingError("hold_s", self.hold_s, "0 to 86,400 seconds")


@dataclass(frozen=True, slots=True)
class Shown:
    """An order, the most important first, and since when each challenge to it has held."""

    order: tuple[str, ...] = ()
    since: Mapping[Pair, float] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class BoardState:
    """Begin with `BoardState()`; the first update takes over the assessment's order."""

    hysteresis: Hysteresis = field(default_factory=Hysteresis)
    factors: Shown = field(default_factory=Shown)
    links: Shown = field(default_factory=Shown)
    updated_s: float | None = None


@dataclass(frozen=True, slots=True)
class BoardRow:
    """`place` is the shown one, 1 first; `risk.rank` the raw one; `evidence` is None for experts alone."""

    place: int
    risk: FactorRisk
    evidence: Evidence | None

    @property
    def group(self) -> Group:
        return group_of(self.place)


def update(state: BoardState, assessment: Assessment, now_s: float) -> BoardState:
    """The board after one more assessment; `now_s` monotonic.

    Raises TimeWentBackwardsError, BadBoardError.
    """
    if state.updated_s is not None and not now_s >= state.updated_s:
        raise TimeWentBackwardsError(state.updated_s, now_s)
    factors = {factor.code: factor.value for factor in assessment.factors}
    links = {link.code: link.value for link in assessment.links if link.rank is not None}
    return BoardState(
        hysteresis=state.hysteresis,
        factors=settle(state.factors, factors, now_s, state.hysteresis),
        links=settle(state.links, links, now_s, state.hysteresis),
        updated_s=now_s,
    )


def settle(shown: Shown, values: Mapping[str, Interval], now_s: float, hysteresis: Hysteresis) -> Shown:
    """`values` in their raw order, which an empty `shown` takes over."""
    if not shown.order:
        return Shown(tuple(values))
    if set(shown.order) != set(values):
        raise BadBoardError(shown.order, tuple(values))
    since = {
        pair: shown.since.get(pair, now_s)
        for pair in _challenges(shown.order, values, hysteresis.possibility)
    }
    due = [pair for pair, begun_s in since.items() if now_s - begun_s >= hysteresis.hold_s]
    order = _reordered(list(shown.order), due, values)
    place = {code: index for index, code in enumerate(order)}
    return Shown(tuple(order), {(up, down): t for (up, down), t in since.items() if place[up] > place[down]})


def rows(state: BoardState, assessment: Assessment, evidence: Mapping[str, Evidence]) -> tuple[BoardRow, ...]:
    """The board to show: every factor in the shown order, with its values of now."""
    return tuple(
        BoardRow(place, assessment.factor(code), evidence.get(code))
        for place, code in enumerate(state.factors.order, start=1)
    )


def _challenges(order: tuple[str, ...], values: Mapping[str, Interval], least: float) -> list[Pair]:
    return [
        (low, high)
        for index, high in enumerate(order)
        for low in order[index + 1 :]
        if possibility(values[low], values[high]) >= least
    ]


def _reordered(order: list[str], due: list[Pair], values: Mapping[str, Interval]) -> list[str]:
    """Where a challenge is due, the stretch between the two is sorted by middles.

    That agrees with p, which is at least ½ just when the middle is not below the other's.
    Swapping only neighbours would leave a clear winner stuck below an uncertain third between the two.
    """
    for challenger, holder in due:
        first, last = order.index(holder), order.index(challenger)
        if first < last:  # else an earlier stretch has settled it
            stretch = sorted(order[first : last + 1], key=lambda code: -values[code].middle)
            order[first : last + 1] = stretch
    return order
