"""configs/alerts.rules.yml: every metric and label that a rule names exists; every rule says what to do."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from dispatch_server.ops.operations import Operations
from tests.dispatch_server.house import center, headquarters
from tests.dispatch_server.ops.support import samples_of

CONFIGS = Path(__file__).parents[3] / "configs"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((CONFIGS / "alerts.rules.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
_FUNCTIONS = {"sum", "rate", "increase", "histogram_quantile", "and", "or"}
_ADDED = {"instance", "job"}  # labels that whoever scrapes adds
_OF_PROMETHEUS = {"up"}


def metrics_in(expression: str) -> dict[str, set[str]]:
    """Each metric that an expression names -> the labels that it asks of it."""
    bare = re.sub(
        r"\bby\s*\([^)]*\)|\[[^\]]*\]|\b[0-9][0-9.]*(e[0-9]+)?", "", re.sub(r'"[^"]*"', "", expression)
    )
    found: dict[str, set[str]] = {}
    for name, selector in re.findall(r"([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(\{[^}]*\})?", bare):
        if name not in _FUNCTIONS:
            found.setdefault(name, set()).update(re.findall(r"(\w+)\s*[=!]", selector))
    return found


def grouped_by(expression: str) -> set[str]:
    return {
        label.strip()
        for labels in re.findall(r"\bby\s*\(([^)]*)\)", expression)
        for label in labels.split(",")
    }


@pytest_asyncio.fixture
async def exported(tmp_path: Path) -> AsyncIterator[Mapping[str, set[str]]]:
    """Every metric that headquarters and a center export -> its labels."""
    found: dict[str, set[str]] = {}
    with closing(headquarters()) as hq, closing(center()) as south:
        for house in (hq, south):
            journal = tmp_path / "journal.db"
            operations = Operations(house.server, None, journal, without={"curves": "the disk is full"})
            for sample in samples_of(await operations.render()):
                found.setdefault(sample.name, set()).update(sample.labels)
        yield found


def check(expression: str, exported: Mapping[str, set[str]]) -> None:
    """Raises LookupError for a name that is not exported."""
    metrics = metrics_in(expression)
    known = set(_ADDED)
    for name, labels in metrics.items():
        if name not in _OF_PROMETHEUS:
            if name not in exported:
                raise LookupError(name)
            known |= exported[name]
            if labels - exported[name] - _ADDED:
                raise LookupError(labels)
    if grouped_by(expression) - known:
        raise LookupError(grouped_by(expression))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
async def test_every_metric_and_label_of_a_rule_is_exported(
    rule: dict[str, Any], exported: Mapping[str, set[str]]
) -> None:
    assert metrics_in(rule["expr"])
    check(rule["expr"], exported)


@pytest.mark.parametrize(
    "wrong",
    [
        "dispatch_link_donw_for_seconds > 60",
        "increase(dispatch_loop_stall_total[5m]) > 5",
        "rate(dispatch_commit_seconds[5m])",
        'sum by (instance) (dispatch_links{stat="connected"})',
        "sum by (instance, cod) (dispatch_order_refusals_total)",
        "up == 0 or dispatch_term_ == 1",
    ],
)
async def test_a_misspelt_metric_or_label_is_found(wrong: str, exported: Mapping[str, set[str]]) -> None:
    with pytest.raises(LookupError):
        check(wrong, exported)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_every_rule_says_what_it_means_how_grave_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert rule["annotations"].keys() == {"summary", "action"}
    assert len(rule["annotations"]["action"]) > 40
    used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    by = grouped_by(rule["expr"])
    assert used <= (by or {"instance", "peer", "role", "what"})


def test_each_rule_has_its_own_name_and_stands_in_the_readme_with_its_severity() -> None:
    names = {str(rule["alert"]): str(rule["labels"]["severity"]) for rule in RULES}
    assert len(names) == len(RULES)
    rows = re.findall(
        r"^\| `(Dispatch\w+)` \| (\w+) \|", (CONFIGS / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert dict(rows) == names


@pytest.mark.parametrize("code", ["identity", "certificate", "deployment", "version", "signature", "term"])
async def test_the_codes_that_rules_ask_for_exist(code: str) -> None:
    with closing(headquarters()) as house:
        assert code in house.server.counters.link_ends


async def test_the_values_that_rules_ask_for_exist() -> None:
    with closing(headquarters()) as house:
        samples = samples_of(await Operations(house.server).render())
    values = {(sample.name, label, value) for sample in samples for label, value in sample.labels.items()}
    for rule in RULES:
        for name, selector in re.findall(r"(dispatch_\w+)\{([^}]*)\}", rule["expr"]):
            for label, given in re.findall(r'(\w+)\s*!?=~?\s*"([^"]*)"', selector):
                for value in given.split("|"):
                    assert any(
                        n == name and lab == label and re.fullmatch(value, v) for n, lab, v in values
                    ), value
