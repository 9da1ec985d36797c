"""The experts' intervals: from text or plain data into a checked panel. README.md describes every key."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from situational.risk.errors import BadCellError, BadShapeError, UnreadableError
from situational.risk.factors import FACTORS
from situational.risk.interval import Interval, check_weights

SCALE = 10.0
MAX_EXPERTS = 100
MAX_BYTES = 1 << 20
MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class Opinion:
    """One expert on one factor; both on the scale 0 … 10."""

    probability: Interval
    severity: Interval

    @property
    def value(self) -> Interval:
        return self.probability * self.severity


@dataclass(frozen=True, slots=True)
class Panel:
    """`opinions[code][i]` is expert i's; all nineteen factors. Raises BadWeightsError, BadShapeError."""

    experts: tuple[str, ...]
    weights: tuple[float, ...]
    opinions: Mapping[str, tuple[Opinion, ...]]
    title: str = ""

    def __post_init__(self) -> None:
        check_weights(self.weights, len(self.experts))
        if set(self.opinions) != set(FACTORS):
            raise BadShapeError("factors", ", ".join(self.opinions), ", ".join(FACTORS))
        for code, row in self.opinions.items():
            if len(row) != len(self.experts):
                raise BadShapeError(code, f"{len(row)} opinions", f"{len(self.experts)}, one per expert")


def parse_json(text: str | bytes) -> Panel:
    """Raises UnreadableError, BadCellError."""
    try:
        data = json.loads(_decoded(text, "JSON"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise UnreadableError("JSON", _brief(error)) from error
    return panel_from(data)


def parse_toml(text: str | bytes) -> Panel:
    """Raises UnreadableError, BadCellError."""
    try:
        data = tomllib.loads(_decoded(text, "TOML"))
    except (ValueError, RecursionError) as error:
        raise UnreadableError("TOML", _brief(error)) from error
    return panel_from(data)


def panel_from(data: object) -> Panel:
    """From the parsed file. Raises BadCellError, which names the cell."""
    top = _table(data, "the file", required={"experts"}, allowed={"title", "experts"})
    title = _text(top["title"], "title") if "title" in top else ""
    listed = top["experts"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_EXPERTS:
        raise BadCellError("experts", f"needs a list of 1 to {MAX_EXPERTS} experts")
    names: list[str] = []
    weights: list[float | None] = []
    opinions: dict[str, list[Opinion]] = {code: [] for code in FACTORS}
    for number, entry in enumerate(listed, start=1):
        at = f"experts[{number}]"
        keys = {"name", "factors"}
        expert = _table(entry, at, required=keys, allowed=keys | {"weight"})
        name = _text(expert["name"], f"{at} / name")
        if name in names:
            raise BadCellError(f"{at} / name", f"{name!r} is also the name of another expert")
        names.append(name)
        at = f'{at} "{name}"'
        weights.append(_number(expert["weight"], f"{at} / weight", 1.0) if "weight" in expert else None)
        factors = _table(expert["factors"], at, required=set(FACTORS), allowed=set(FACTORS))
        for code in FACTORS:
            opinions[code].append(_opinion(factors[code], f"{at} / {code}"))
    rows = {code: tuple(row) for code, row in opinions.items()}
    return Panel(tuple(names), _weights(weights), rows, title)


def _weights(given: Sequence[float | None]) -> tuple[float, ...]:
    """Equal when nobody has one (P2: 0.2 each of five)."""
    present = [weight for weight in given if weight is not None]
    if not present:
        return tuple(1 / len(given) for _ in given)
    if len(present) < len(given):
        raise BadCellError(f"experts[{given.index(None) + 1}] / weight", "missing: give all a weight or none")
    if abs(sum(present) - 1) > 1e-6:
        raise BadCellError("experts / weight", f"the weights have the sum {sum(present):g}, not 1")
    return tuple(weight / sum(present) for weight in present)


def _opinion(value: object, at: str) -> Opinion:
    keys = {"probability", "severity"}
    table = _table(value, at, required=keys, allowed=keys)
    return Opinion(
        probability=_interval(table["probability"], f"{at} / probability"),
        severity=_interval(table["severity"], f"{at} / severity"),
    )


def _interval(value: object, at: str) -> Interval:
    if not isinstance(value, list) or len(value) != 2:
        raise BadCellError(at, "needs two numbers, [lower, upper]")
    lower, upper = _number(value[0], f"{at} / lower", SCALE), _number(value[1], f"{at} / upper", SCALE)
    if lower > upper:
        raise BadCellError(at, f"the lower bound {lower:g} is above the upper bound {upper:g}")
    return Interval(lower, upper)


def _number(value: object, at: str, most: float) -> float:
    # bool is an int in Python; NaN fails the comparison; huge ints are compared before they become floats
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise BadCellError(at, f"{_shown(value)} is not a number from 0 to {most:g}")
    return float(value)


def _text(value: object, at: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT or not value.isprintable():
        raise BadCellError(at, f"{_shown(value)} is not a printable text of 1 to {MAX_TEXT} characters")
    return value


def _table(value: object, at: str, *, required: set[str], allowed: set[str]) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise BadCellError(at, f"needs a table of keys, not {_shown(value)}")
    for key in value:
        if key not in allowed:
            raise BadCellError(f"{at} / {_shown(key)}", f"unknown; known are {', '.join(sorted(allowed))}")
    for key in sorted(required - value.keys()):
        raise BadCellError(f"{at} / {key}", "is missing")
    return value


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except (
        ValueError,
        RecursionError,
    ):  # TOML's hexadecimal integers can have thousands of digits
        return "a value too large to show"
    return text if len(text) <= 40 else text[:37] + "..."


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {_shown(twice)} stands twice in one table")
    return table


def _decoded(text: str | bytes, form: str) -> str:
    if len(text) > MAX_BYTES:
        raise UnreadableError(form, f"longer than {MAX_BYTES:,} bytes")
    return text.decode("utf-8") if isinstance(text, bytes) else text


def _brief(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)
