"""Metrics as text, in the form that Prometheus reads (exposition format 0.0.4)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Final, Literal

from dispatch_server.counters import Histogram

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(slots=True)
class Family:
    """One metric: its name, what it is, and its values by labels."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    lines: list[str] = field(default_factory=list)

    def add(self, value: float, suffix: str = "", **labels: str) -> "Family":
        """One more value; gives the family itself."""
        self.lines.append(f"{self.name}{suffix}{_labels(labels)} {_number(value)}")
        return self


def of_labels(family: Family, label: str, values: Mapping[str, float]) -> Family:
    """A value for each name of one label."""
    for name, value in values.items():
        family.add(value, **{label: name})
    return family


def of_histogram(name: str, told: str, histogram: Histogram) -> Family:
    """A histogram: each bucket counts those below it too, the last one counts all."""
    family = Family(name, "histogram", told)
    reached = list(accumulate(histogram.counts))
    for bound, count in zip((*map(_number, histogram.bounds), "+Inf"), reached, strict=True):
        family.add(count, "_bucket", le=bound)
    return family.add(histogram.total, "_sum").add(reached[-1], "_count")


def render(families: Iterable[Family]) -> bytes:
    """The whole text. A family without values is left out."""
    parts = [
        line
        for family in families
        if family.lines
        for line in (
            f"# HELP {family.name} {family.help}",
            f"# TYPE {family.name} {family.kind}",
            *family.lines,
        )
    ]
    return "".join(f"{line}\n" for line in parts).encode()


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items()) + "}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
