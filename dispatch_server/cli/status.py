"""dispatch-server status."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dispatch_server.cli import words
from dispatch_server.cli.connect import connect
from dispatch_server.cli.status_links import links_of, sums_of
from protocol.aio.control import CommandFailed
from protocol.keys import Role
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption
from protocol.terminal.orders import heads
from protocol.terminal.program import command_group
from protocol.terminal.renewal import key_warnings
from protocol.terminal.tables import ABNORMAL, NOTABLE, cell, pairs, show, table, watch
from protocol.terminal.talk import Talk
from protocol.texts import HEADS, LINK_STATES, ROLES, SENTENCES, Language, say
from situational import (
    METRICS,
    Hazard,
    Letter,
    Level,
    Metric,
    Posture,
    Reason,
    ReasonCode,
    hazard_text,
    metric_text,
    posture_text,
    reason_text,
)
from situational import Language as TrendLanguage

app = command_group()
_EVERY = 1.0  # s
_PAGE = 500  # rows of one answer
_CALM = frozenset({Level.NORMAL, Level.LIFTING})
_NOT_KNOWN = "dim"
_NAMED = 5  # nodes in one line; the table has them all
_SAYS_NOTHING = frozenset({ReasonCode.STEADY, ReasonCode.CANNOT_TELL})


@app.command()
def status(
    config: ConfigOption,
    *,
    keep_watching: Annotated[bool, typer.Option("--watch", help="Keep showing until Ctrl-C.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every link and node, however many.")] = False,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Show links, nodes with their letters, hazards, posture. Colour marks only what is abnormal."""
    talk = connect(config, lang, as_json=as_json)
    if keep_watching and not as_json:
        talk.ask("status")  # a server that is not there now ends this command; one that stops later does not
        watch(lambda: _draw_or_tell(talk, everything=everything), _EVERY)
    else:
        result = _asked(talk, everything=everything)
        talk.tell(result, lambda result: show(draw(result, talk.language)))


def _asked(talk: Talk, *, everything: bool) -> dict[str, Any]:
    """The status; of a large server with all rows if these are wanted."""
    result: dict[str, Any] = talk.ask("status")
    if everything and len(result["links"]) < result["total"]["links"]:
        result["links"] = list(_rows(talk, "links"))
    if everything and len(result["nodes"]) < result["total"]["nodes"]:
        result["nodes"] = {row.pop("node"): row for row in _rows(talk, "nodes")}
    return result


def _rows(talk: Talk, of: str) -> Iterator[dict[str, Any]]:
    first = 0
    while page := talk.ask("rows", of=of, first=first, limit=_PAGE):
        yield from page
        first += len(page)


def _draw_or_tell(talk: Talk, *, everything: bool) -> RenderableType:
    try:
        return draw(_asked(talk, everything=everything), talk.language)
    except CommandFailed as failure:  # the server restarts, perhaps: who watches wants to see it come back
        return cell(say(words.SENTENCES["not there"], talk.language, why=failure), ABNORMAL)


def draw(result: dict[str, Any], language: Language) -> Group:
    """What `status` answered, as tables."""
    nodes = sorted(result["nodes"].items())
    hazards = {node: hazard for node, view in nodes if (hazard := _hazard_of(view))}
    parts: list[RenderableType] = [*_banner(result["alarms"], language), _itself(result, language)]
    parts += [cell(warning, ABNORMAL) for warning in key_warnings(result.get("keys"), language)]
    parts += [*links_of(result, language), *_nodes(result, hazards, language)]
    return Group(*parts, *_reasons(hazards, language), *_postures(result, language))


def _banner(alarms: dict[str, int], language: Language) -> list[Text]:
    """A line while an alarm wants acknowledgement; `alarms` are the counts, the first one in all states."""
    wanting = alarms.get("unacknowledged in all", 0)
    if not wanting:
        return []
    every = sum(alarms.values()) - wanting
    return [cell(say(words.SENTENCES["unacknowledged"], language, count=wanting, all=every), ABNORMAL)]


def _itself(result: dict[str, Any], language: Language) -> Table:
    rows = [(say(SENTENCES["term"], language), cell(result["term"]))]
    if superior := result["superior"]:
        linked = superior["connected"]
        words = say(LINK_STATES["connected"] if linked else SENTENCES["not connected"], language)
        text = cell(f"{superior['name']}: {words}", "" if linked else ABNORMAL)
        rows.append((say(HEADS["superior"], language), text))
    values = (
        _posture(result["posture"], language),
        cell(result["open_orders"]),
        cell(result["ledger_entry"]),
    )
    rows += zip(heads(language, "posture", "open", "entry"), values, strict=True)
    rows += sums_of(result, language)
    return pairs(f"{say(ROLES[Role(result['role'])], language)} {result['node']}", rows)


def _nodes(
    result: dict[str, Any], hazards: dict[str, Hazard], language: Language
) -> Iterator[RenderableType]:
    metrics = [metric_text(metric, TrendLanguage(language.value)) for metric in METRICS]
    columns = [*heads(language, "node"), *metrics, *heads(language, "hazard", "posture")]
    made = table(say(SENTENCES["nodes"], language), columns)
    has_brackets = False
    for node, view in sorted(result["nodes"].items()):
        letters = [_letter(view, metric) for metric in METRICS]
        has_brackets |= any(letter.startswith("(") for letter in letters)
        hazard, posture = _hazard(hazards.get(node), language), _posture(view["posture"], language)
        made.add_row(cell(node), *map(cell, letters), hazard, posture)
    yield made
    if has_brackets:
        yield cell(say(words.SENTENCES["brackets"], language))
    if more := result["total"]["nodes"] - len(result["nodes"]):
        yield cell(say(words.SENTENCES["more nodes"], language, count=more))


def _letter(view: dict[str, Any], metric: Metric) -> str:
    """The shape of the whole window; in brackets what it is judged by when that shape is none."""
    shape = str(view["letters"].get(metric.value, ""))
    if shape != Letter.NONE.value:
        return shape
    judged = (reason["letter"] for reason in view["reasons"] if reason["metric"] == metric.value)
    letter = next((letter for letter in judged if letter != Letter.NONE.value), None)
    return f"({letter})" if letter else "—"


def _hazard_of(view: dict[str, Any]) -> Hazard | None:
    if view["hazard"] is None:
        return None
    reasons = (
        Reason(
            ReasonCode(reason["code"]),
            Metric(reason["metric"]) if reason["metric"] else None,
            Letter(reason["letter"]),
            reason["growth"],
        )
        for reason in view["reasons"]
    )
    return Hazard(Level[view["hazard"].upper()], Letter(view["leading"]), view["judged"], tuple(reasons))


def _hazard(hazard: Hazard | None, language: Language) -> Text:
    if hazard is None:
        return cell(say(SENTENCES["not judged"], language), _NOT_KNOWN)
    if hazard.level in _CALM:
        style = "" if hazard.judged else _NOT_KNOWN
    else:
        style = NOTABLE if hazard.level < Level.HIGH else ABNORMAL
    return cell(hazard_text(hazard, TrendLanguage(language.value)), style)


def _reasons(hazards: dict[str, Hazard], language: Language) -> list[Table]:
    """Why a node is not simply normal, in words; nothing at all while every node is."""
    shown = {node: h for node, h in hazards.items() if h.level is not Level.NORMAL or h.is_safe_again}
    if not shown:
        return []
    columns = [say(words.HEADS[key], language) for key in ("node", "reasons")]
    made = table(say(words.SENTENCES["reasons"], language), columns)
    trends = TrendLanguage(language.value)
    for node, hazard in shown.items():
        telling = [reason for reason in hazard.reasons if reason.code not in _SAYS_NOTHING]
        made.add_row(cell(node), Text("\n").join(cell(reason_text(reason, trends)) for reason in telling))
    return [made]


def _postures(result: dict[str, Any], language: Language) -> list[Text]:
    """What the postures that hold mean for dispatching, the strongest first."""
    nodes: dict[Posture, list[str]] = {}
    for node, view in sorted(result["nodes"].items()):
        nodes.setdefault(Posture[view["posture"].upper()], []).append(node)
    lines = [
        say(
            words.SENTENCES["postures"],
            language,
            posture=posture_text(posture, TrendLanguage(language.value)),
            nodes=_some(nodes[posture]),
            means=say(words.POSTURE_MEANS[posture], language),
        )
        for posture in sorted(nodes, reverse=True)
        if posture is not Posture.NORMAL
    ]
    if lines and Role(result["role"]) is Role.CENTER:
        lines.append(say(words.SENTENCES["center"], language))
    return [cell(line) for line in lines]


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" +{more}" if more > 0 else "")


def _posture(name: str, language: Language) -> Text:
    posture = Posture[name.upper()]
    style = {Posture.NORMAL: "", Posture.HEIGHTENED: NOTABLE}.get(posture, ABNORMAL)
    return cell(posture_text(posture, TrendLanguage(language.value)), style)
