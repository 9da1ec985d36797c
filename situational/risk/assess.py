"""P2's risk assessment: a panel of experts' intervals -> ranked factors in three groups, ranked links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from situational.risk.entropy import Entropy, entropy_weights
from situational.risk.factors import LINKS, Link
from situational.risk.interval import Interval, ranking_vector, ranks, weighted_average
from situational.risk.panel import Panel

# P2: the first six of the nineteen are major risks, the seventh to the tenth general ones.
LAST_MAJOR = 6
LAST_GENERAL = 10


class Group(Enum):
    MAJOR = "major"
    GENERAL = "general"
    LOW = "low"


def group_of(rank: int) -> Group:
    """By rank (1 = most important), not by ρ: P2 publishes no bounds on ρ."""
    if rank <= LAST_MAJOR:
        return Group.MAJOR
    return Group.GENERAL if rank <= LAST_GENERAL else Group.LOW


@dataclass(frozen=True, slots=True)
class FactorRisk:
    """`value` is the experts' weighted mean of probability x severity, 0 … 100; `weight` that in its link."""

    code: str
    link: str
    value: Interval
    weight: float
    rho: float
    rank: int

    @property
    def group(self) -> Group:
        return group_of(self.rank)


@dataclass(frozen=True, slots=True)
class LinkRisk:
    """`rho` and `rank` are None for the factors common to all links, which P2 does not rank as a link."""

    code: str
    value: Interval
    rho: float | None
    rank: int | None


@dataclass(frozen=True, slots=True)
class Assessment:
    """Factors by rank; links by rank, the common one last. Equals share a rank and stand in P2's order."""

    entropy: Entropy
    factors: tuple[FactorRisk, ...]
    links: tuple[LinkRisk, ...]
    title: str = ""

    def factor(self, code: str) -> FactorRisk:
        return next(factor for factor in self.factors if factor.code == code)

    def link(self, code: str) -> LinkRisk:
        return next(link for link in self.links if link.code == code)


def assess(panel: Panel, entropy: Entropy = Entropy.IMPROVED) -> Assessment:
    """P2's steps 2 to 6."""
    values = {
        code: weighted_average([opinion.value for opinion in row], panel.weights)
        for code, row in panel.opinions.items()
    }
    weights = {link.code: _weights(panel, link, entropy) for link in LINKS}
    links = {
        link.code: weighted_average([values[f.code] for f in link.factors], list(weights[link.code].values()))
        for link in LINKS
    }
    return Assessment(entropy, _factors(values, weights), rank_links(links), panel.title)


def rank_links(values: Mapping[str, Interval]) -> tuple[LinkRisk, ...]:
    """P2's step 6 from the links' values; links that are common to all are listed, not ranked."""
    common = {link.code for link in LINKS if link.common}
    codes = [code for code in values if code not in common]
    rho = ranking_vector([values[code] for code in codes])
    ranked = [
        LinkRisk(code, values[code], float(share), rank)
        for code, share, rank in zip(codes, rho, ranks(rho), strict=True)
    ]
    unranked = [LinkRisk(code, values[code], None, None) for code in values if code in common]
    return (*sorted(ranked, key=lambda link: link.rank or 0), *unranked)


def _weights(panel: Panel, link: Link, entropy: Entropy) -> dict[str, float]:
    rows: list[Sequence[Interval]] = [
        [panel.opinions[factor.code][expert].value for factor in link.factors]
        for expert in range(len(panel.experts))
    ]
    weights = entropy_weights(rows, entropy).tolist()
    return {factor.code: weight for factor, weight in zip(link.factors, weights, strict=True)}


def _factors(
    values: Mapping[str, Interval], weights: Mapping[str, Mapping[str, float]]
) -> tuple[FactorRisk, ...]:
    order = [(link.code, factor.code) for link in LINKS for factor in link.factors]
    rho = ranking_vector([values[code] for _, code in order])
    factors = [
        FactorRisk(code, link, values[code], weights[link][code], float(share), rank)
        for (link, code), share, rank in zip(order, rho, ranks(rho), strict=True)
    ]
    return tuple(sorted(factors, key=lambda factor: factor.rank))
