"""An assessment, a comparison of entropies and the live board, as text tables and as plain data for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from unicodedata import east_asian_width

from situational.risk.assess import Assessment, Group, LinkRisk, assess
from situational.risk.board import BoardRow
from situational.risk.counters import Evidence
from situational.risk.entropy import Entropy
from situational.risk.factors import FACTORS, LINKS, Link
from situational.risk.interval import Interval
from situational.risk.panel import Panel
from situational.texts import Language

GROUPS: Mapping[Group, tuple[str, str]] = {
    Group.MAJOR: ("重大风险", "major"),
    Group.GENERAL: ("一般风险", "general"),
    Group.LOW: ("低风险", "low"),
}
ENTROPIES: Mapping[Entropy, tuple[str, str]] = {
    Entropy.IMPROVED: ("改进熵值法", "improved entropy"),
    Entropy.LOWER: ("传统熵值法（仅下限）", "traditional, lower bound"),
    Entropy.UPPER: ("传统熵值法（仅上限）", "traditional, upper bound"),
}
_HEADS: Mapping[str, tuple[str, str]] = {
    "rank": ("排序", "rank"),
    "group": ("等级", "group"),
    "code": ("编号", "code"),
    "factor": ("风险因素", "factor"),
    "link": ("环节", "link"),
    "value": ("风险值", "value"),
    "rho": ("ρ", "rho"),
    "weight": ("权重", "weight"),
    "raw": ("实时排序", "raw rank"),
    "source": ("依据", "source"),
}
_EXPERTS = ("专家", "experts")
_LINKS: Mapping[str, Link] = {link.code: link for link in LINKS}
Row = Sequence[str]


def group_text(group: Group, language: Language) -> str:
    return _pick(GROUPS[group], language)


def table(assessment: Assessment, language: Language) -> str:
    """The factors by rank, then the links."""
    factors = [
        (
            str(f.rank),
            group_text(f.group, language),
            f.code,
            FACTORS[f.code].name(language),
            _interval(f.value),
            f"{f.rho:.4f}",
            f"{f.weight:.3f}",
        )
        for f in assessment.factors
    ]
    heads = _heads(language, "rank", "group", "code", "factor", "value", "rho", "weight")
    title = [assessment.title] if assessment.title else []
    text = [*title, _pick(ENTROPIES[assessment.entropy], language), "", _aligned([heads, *factors])]
    return "\n".join([*text, "", links_table(assessment, language)]) + "\n"


def links_table(assessment: Assessment, language: Language) -> str:
    links = [
        (_rank(link), link.code, _LINKS[link.code].name(language), _interval(link.value), _rho(link))
        for link in assessment.links
    ]
    return _aligned([_heads(language, "rank", "code", "link", "value", "rho"), *links])


def data(assessment: Assessment) -> dict[str, object]:
    """Plain data for JSON; intervals are [lower, upper]."""
    return {
        "title": assessment.title,
        "entropy": assessment.entropy.value,
        "factors": [
            {
                "code": f.code,
                "link": f.link,
                "zh": FACTORS[f.code].zh,
                "en": FACTORS[f.code].en,
                "value": [f.value.lower, f.value.upper],
                "weight": f.weight,
                "rho": f.rho,
                "rank": f.rank,
                "group": f.group.value,
            }
            for f in assessment.factors
        ],
        "links": [
            {
                "code": link.code,
                "zh": _LINKS[link.code].zh,
                "en": _LINKS[link.code].en,
                "value": [link.value.lower, link.value.upper],
                "rho": link.rho,
                "rank": link.rank,
            }
            for link in assessment.links
        ],
    }


def compare(panel: Panel) -> dict[Entropy, Assessment]:
    """The same panel with the improved and with both traditional entropies; only links can differ."""
    return {entropy: assess(panel, entropy) for entropy in Entropy}


def compare_table(compared: Mapping[Entropy, Assessment], language: Language) -> str:
    """Each factor's weight in its link under every entropy, then each link's value, ρ and rank."""
    names = [_pick(ENTROPIES[entropy], language) for entropy in compared]
    weights = [
        (
            code,
            factor.name(language),
            *(f"{assessment.factor(code).weight:.3f}" for assessment in compared.values()),
        )
        for code, factor in FACTORS.items()
    ]
    links = [
        (code, link.name(language), *(_link_cell(a.link(code)) for a in compared.values()))
        for code, link in _LINKS.items()
    ]
    first = _aligned([(*_heads(language, "code", "factor"), *names), *weights])
    second = _aligned([(*_heads(language, "code", "link"), *names), *links])
    return f"{_pick(_HEADS['weight'], language)}\n{first}\n\n{second}\n"


def board_table(rows: Sequence[BoardRow], language: Language) -> str:
    """The live board in its shown order, each factor with what its probability rests on."""
    cells = [
        (
            str(row.place),
            str(row.risk.rank),
            group_text(row.group, language),
            row.risk.code,
            FACTORS[row.risk.code].name(language),
            _interval(row.risk.value),
            _source(row.evidence, language),
        )
        for row in rows
    ]
    heads = _heads(language, "rank", "raw", "group", "code", "factor", "value", "source")
    return _aligned([heads, *cells]) + "\n"


def board_data(rows: Sequence[BoardRow]) -> list[dict[str, object]]:
    """Plain data for JSON, with the whole provenance."""
    return [
        {
            "place": row.place,
            "raw_rank": row.risk.rank,
            "group": row.group.value,
            "code": row.risk.code,
            "value": [row.risk.value.lower, row.risk.value.upper],
            "rho": row.risk.rho,
            "evidence": _evidence(row.evidence) if row.evidence else None,
        }
        for row in rows
    ]


def _evidence(evidence: Evidence) -> dict[str, object]:
    return {
        "counts": dict(evidence.counts),
        "watched_s": evidence.watched_s,
        "events": evidence.events,
        "trials": evidence.trials,
        "rate": [evidence.rate.lower, evidence.rate.upper],
        "probability": [evidence.probability.lower, evidence.probability.upper],
        "weight": evidence.weight,
    }


def _source(evidence: Evidence | None, language: Language) -> str:
    experts = _pick(_EXPERTS, language)
    if evidence is None or not evidence.counts:
        return experts
    counts = ", ".join(f"{name} {count:g}" for name, count in evidence.counts)
    return f"{experts} {1 - evidence.weight:.0%}, {counts} / {evidence.watched_s:.0f} s"


def _link_cell(link: LinkRisk) -> str:
    return f"{_interval(link.value)} {_rho(link)} {_rank(link)}"


def _rank(link: LinkRisk) -> str:
    return "—" if link.rank is None else str(link.rank)


def _rho(link: LinkRisk) -> str:
    return "—" if link.rho is None else f"{link.rho:.4f}"


def _interval(interval: Interval) -> str:
    return f"[{interval.lower:.3f}, {interval.upper:.3f}]"


def _heads(language: Language, *names: str) -> Row:
    return [_pick(_HEADS[name], language) for name in names]


def _pick(texts: tuple[str, str], language: Language) -> str:
    return texts[0] if language is Language.ZH else texts[1]


def _aligned(cells: Sequence[Row]) -> str:
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    lines = [
        "  ".join(cell + " " * (w - _width(cell)) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join(lines)


def _width(text: str) -> int:
    """Columns in a terminal: a Chinese character takes two."""
    return sum(2 if east_asian_width(sign) in {"W", "F"} else 1 for sign in text)
