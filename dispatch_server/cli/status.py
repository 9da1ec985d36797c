"""dispatch-server status."""

from typing import Annotated, Any

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from dispatch_server.cli.connect import connect
from protocol.keys import Role
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption
from protocol.terminal.orders import heads
from protocol.terminal.program import command_group
from protocol.terminal.tables import ABNORMAL, NOTABLE, cell, pairs, show, table, watch
from protocol.texts import HEADS, LINK_STATES, ROLES, SENTENCES, Language, say
from situational import METRICS, Level, Posture
from situational.texts import Language as TrendLanguage
from situational.texts import level_text, metric_text, posture_text

app = command_group()
_EVERY = 1.0  # s
_CALM = frozenset({Level.NORMAL, Level.LIFTING})


@app.command()
def status(
    config: ConfigOption,
    *,
    keep_watching: Annotated[bool, typer.Option("--watch", help="Keep showing until Ctrl-C.")] = False,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Show links, nodes with their letters, hazards, posture. Colour marks only what is abnormal."""
    talk = connect(config, lang, as_json=as_json)
    if keep_watching and not as_json:
        watch(lambda: draw(talk.ask("status"), talk.language), _EVERY)
    else:
        talk.tell(talk.ask("status"), lambda result: show(draw(result, talk.language)))


def draw(result: dict[str, Any], language: Language) -> Group:
    """What `status` answered, as tables."""
    return Group(_itself(result, language), _links(result, language), _nodes(result, language))


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
    return pairs(f"{say(ROLES[Role(result['role'])], language)} {result['node']}", rows)


def _links(result: dict[str, Any], language: Language) -> Table:
    keys = ("superior", "node", "role", "state", "polls", "sessions", "faults", "outbox", "error")
    made = table(say(SENTENCES["links"], language), heads(language, *keys))
    for link in result["links"]:
        linked = link["state"] == "connected"
        made.add_row(
            cell(link["superior"]),
            cell(link["node"]),
            cell(say(ROLES[Role(link["role"])], language)),
            cell(say(LINK_STATES[link["state"]], language), "" if linked else ABNORMAL),
            cell(link["polls"]),
            cell(link["sessions"]),
            cell(link["faults"], ABNORMAL if link["faults"] else ""),
            cell(link["waiting"]),
            cell(link["last_error"], "" if linked else ABNORMAL),
        )
    return made


def _nodes(result: dict[str, Any], language: Language) -> Table:
    metrics = [metric_text(metric, TrendLanguage(language.value)) for metric in METRICS]
    columns = [*heads(language, "node"), *metrics, *heads(language, "hazard", "posture")]
    made = table(say(SENTENCES["nodes"], language), columns)
    for node, view in sorted(result["nodes"].items()):
        letters = [cell(view["letters"].get(metric.value, "").replace("none", "—")) for metric in METRICS]
        made.add_row(
            cell(node), *letters, _hazard(view["hazard"], language), _posture(view["posture"], language)
        )
    return made


def _hazard(name: str | None, language: Language) -> Text:
    if name is None:
        return cell(say(SENTENCES["not judged"], language))
    level = Level[name.upper()]
    style = "" if level in _CALM else NOTABLE if level < Level.HIGH else ABNORMAL
    return cell(level_text(level, TrendLanguage(language.value)), style)


def _posture(name: str, language: Language) -> Text:
    posture = Posture[name.upper()]
    style = {Posture.NORMAL: "", Posture.HEIGHTENED: NOTABLE}.get(posture, ABNORMAL)
    return cell(posture_text(posture, TrendLanguage(language.value)), style)
