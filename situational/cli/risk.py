"""`situational risk FILE`: P2's risk assessment of an experts' file."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from situational.risk.assess import Assessment, assess
from situational.risk.chart import chart
from situational.risk.entropy import Entropy
from situational.risk.errors import InputError, RiskError, UnreadableError
from situational.risk.panel import MAX_BYTES, Panel, parse_json, parse_toml
from situational.risk.report import compare, compare_table, data, table
from situational.texts import Language

HELP: str = "rank the risk factors from experts' intervals (JSON or TOML)"

_COMPARE = "compare"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", type=Path, help="the experts' intervals, .json or .toml")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--language", choices=[language.value for language in Language], default="en")
    parser.add_argument("--chart", metavar="F.png", type=Path, help="also draw the ranked factors as a PNG")
    parser.add_argument(
        "--entropy",
        choices=[*(entropy.value for entropy in Entropy), _COMPARE],
        default=Entropy.IMPROVED.value,
        help="weights from both bounds (improved), from one alone, or all three side by side",
    )


def run(args: argparse.Namespace) -> int:
    """0, or 1 with a message on standard error when a file cannot be used."""
    try:
        panel = _read(args.file)
        text, shown = _report(panel, args.entropy, Language(args.language), as_json=args.json)
        if args.chart is not None:
            args.chart.write_bytes(chart(shown, Language(args.language)))
    except InputError as error:
        sys.stderr.write(f"{args.file}: {error}\n")
        return 1
    except (RiskError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(text)
    return 0


def _read(path: Path) -> Panel:
    parsers = {".json": parse_json, ".toml": parse_toml}
    parse = parsers.get(path.suffix.lower())
    if parse is None:
        raise UnreadableError("JSON or TOML", "its name must end in .json or .toml")
    with path.open("rb") as file:
        return parse(file.read(MAX_BYTES + 1))  # one byte too many is enough to refuse it


def _report(panel: Panel, entropy: str, language: Language, *, as_json: bool) -> tuple[str, Assessment]:
    """The text to print and the assessment to draw."""
    if entropy != _COMPARE:
        shown = assess(panel, Entropy(entropy))
        return (_json(data(shown)) if as_json else table(shown, language)), shown
    compared = compare(panel)
    text = (
        _json({entropy.value: data(one) for entropy, one in compared.items()})
        if as_json
        else compare_table(compared, language)
    )
    return text, compared[Entropy.IMPROVED]


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
