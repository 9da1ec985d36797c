"""dispatch-server risk."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.text import Text

from dispatch_server.cli.connect import connect
from dispatch_server.cli.words import COUNTERS, HEADS, SENTENCES
from dispatch_server.config import load_server_settings
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption
from protocol.terminal.program import command_group
from protocol.terminal.tables import cell, show, table
from protocol.texts import Language, say
from situational import Language as TrendLanguage
from situational.risk import FACTORS, SOURCES
from situational.risk import Group as RiskGroup
from situational.risk.report import group_text

app = command_group()
View = Mapping[str, Any]


@app.command()
def risk(config: ConfigOption, *, as_json: JsonOption = False, lang: LanguageOption = None) -> None:
    """Show the live risk board: experts' intervals, moved by what this server counts. Never an alarm."""
    talk = connect(config, lang, as_json=as_json)
    has_experts = load_server_settings(config).risk.experts is not None
    talk.tell(talk.ask("risk"), lambda view: show(draw(view, talk.language, has_experts=has_experts)))


def draw(view: View, language: Language, *, has_experts: bool) -> Group | Text:
    """What `risk` answered, as a table without colour: a first place is no alarm, somebody always has it."""
    if not view["board"]:
        return cell(say(SENTENCES["no board yet" if has_experts else "no experts"], language))
    keys = ("place", "group", "code", "factor", "interval", "source")
    made = table("", [say(HEADS[key], language) for key in keys])
    trends = TrendLanguage(language.value)
    for row in view["board"]:
        lower, upper = row["value"]
        made.add_row(
            cell(row["place"]),
            cell(group_text(RiskGroup(row["group"]), trends)),
            cell(row["code"]),
            cell(FACTORS[row["code"]].name(trends)),
            cell(f"[{lower:.2f}, {upper:.2f}]"),
            cell(_source(row, language)),
        )
    title = view["assessment"].get("title")
    heads = [say(SENTENCES["report"], language), *([title] if title else [])]
    return Group(*(cell(head) for head in heads), made)


def _source(row: View, language: Language) -> str:
    evidence = row["evidence"]
    if row["code"] not in SOURCES or evidence is None:
        return say(SENTENCES["experts alone"], language)
    if not evidence["counts"]:
        return say(SENTENCES["nothing counted"], language)
    counts = [f"{say(COUNTERS[name], language)} {count:.0f}" for name, count in evidence["counts"].items()]
    share = evidence["weight"]
    return say(
        SENTENCES["counted"],
        language,
        experts=1 - share,
        share=share,
        counts=", ".join(counts),
        minutes=evidence["watched_s"] / 60,
    )
