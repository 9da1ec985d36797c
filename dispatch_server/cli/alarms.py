"""dispatch-server alarms: the list, and what a person does with one of them."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dispatch_server.cli.connect import connect
from dispatch_server.cli.words import ALARM_LEVELS, HAZARD_CODES, HEADS, KINDS, SENTENCES, WINDOWS
from protocol.aio.node import wall_ms
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption, name
from protocol.terminal.program import command_group
from protocol.terminal.screen import local_time, tell
from protocol.terminal.tables import ABNORMAL, NOTABLE, cell, show, table, watch
from protocol.terminal.talk import Talk
from protocol.texts import Language, say
from situational import METRICS, Letter, Level, letter_text, metric_text
from situational import Language as TrendLanguage
from situational.alarms import Band, State, action_text, band_text, state_text
from situational.alarms.states import ACTIVE, ASIDE, WANTS_ACKNOWLEDGEMENT

app = command_group()
View = Mapping[str, Any]
_EVERY = 1.0  # s
_ASIDE = "dim"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000


class Action(StrEnum):
    """What a person may do with an alarm."""

    ACKNOWLEDGE = "acknowledge"
    SHELVE = "shelve"
    UNSHELVE = "unshelve"
    SUPPRESS = "suppress"
    UNSUPPRESS = "unsuppress"
    REMOVE = "remove"
    RETURN = "return"


def duration(value: str) -> float:
    """Seconds of a text like 30m or 2h. Raises typer.BadParameter."""
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", value)
    if not found or not int(found[1]):
        raise typer.BadParameter("a time is a number and s, m, h or d: 30m, 2h")
    return int(found[1]) * _UNITS[found[2]]


ActionArgument = Annotated[Action | None, typer.Argument(help="Without it: the list.")]
NodeArgument = Annotated[str | None, typer.Argument(metavar="NODE", help="As the list shows it.")]
KindArgument = Annotated[str | None, typer.Argument(metavar="KIND", help="As the list shows it.")]
PersonOption = Annotated[str | None, typer.Option(parser=name, help="Who does it; the ledger keeps it.")]
ReasonOption = Annotated[str, typer.Option(help="Why: needed for shelve, suppress and remove.")]
ForOption = Annotated[
    float | None,
    typer.Option("--for", parser=duration, metavar="TIME", help="How long to shelve it: 30m, 2h."),
]


@app.command()
def alarms(
    config: ConfigOption,
    action: ActionArgument = None,
    node: NodeArgument = None,
    kind: KindArgument = None,
    *,
    person: PersonOption = None,
    reason: ReasonOption = "",
    for_s: ForOption = None,
    keep_watching: Annotated[bool, typer.Option("--watch", help="Keep showing until Ctrl-C.")] = False,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """List the alarms, what wants acknowledgement first; or do something with one of them.

    What is shelved comes back by itself, what is suppressed or removed from service does not.
    """
    talk = connect(config, lang, as_json=as_json)
    if action is not None:
        if keep_watching:
            raise typer.BadParameter("--watch belongs to the list, not to what is done with an alarm")
        if node is None or kind is None or person is None:
            raise typer.BadParameter("say NODE and KIND as the list shows them, and --person")
        if (action is Action.SHELVE) is not (for_s is not None):
            raise typer.BadParameter("shelve, and nothing else, needs --for: how long")
        facts = {"node": node, "kind": kind, "action": action.value, "person": person}
        _act(talk, facts | {"reason": reason, "for_s": for_s})
    elif person or reason or for_s:
        raise typer.BadParameter("--person, --reason and --for belong to what is done with an alarm")
    elif keep_watching and not as_json:
        watch(lambda: draw(talk.ask("alarms"), talk.language, wall_ms()), _EVERY)
    else:
        talk.tell(talk.ask("alarms"), lambda view: show(draw(view, talk.language, wall_ms())))


def _act(talk: Talk, facts: dict[str, Any]) -> None:
    view = talk.ask("alarm", **facts)
    key = facts["node"], facts["kind"]
    states = {(row["node"], row["kind"]): State(row["state"]) for row in view["alarms"]}
    language = talk.language
    values = {"node": key[0], "kind": key[1]}
    if state := states.get(key):
        values["state"] = state_text(state, _trends(language))
    sentence = SENTENCES["became" if state else "gone"]
    talk.tell(view, lambda _: tell(say(sentence, language, **values)))


def draw(view: View, language: Language, now_ms: int) -> Group:
    """What `alarms` answered, as tables. Colour marks what is abnormal, grey what was set aside."""
    rows = view["alarms"]
    parts: list[RenderableType] = [_banner(rows, language)]
    if view["no_room_for"]:
        sentence = say(SENTENCES["no room"], language, count=view["no_room_for"])
        parts.append(cell(sentence, ABNORMAL))
    if rows:
        parts.append(_list(rows, language, now_ms))
        parts += _to_do(rows, language)
    return Group(*parts, _rates(view["rate"], language))


def _banner(rows: Iterable[View], language: Language) -> Text:
    states = [State(row["state"]) for row in rows]
    if not states:
        return cell(say(SENTENCES["no alarms"], language))
    wanting = sum(state in WANTS_ACKNOWLEDGEMENT for state in states)
    sentence = say(
        SENTENCES["alarms"],
        language,
        all=len(states),
        count=wanting,
        acknowledged=states.count(State.ACKNOWLEDGED),
        aside=sum(state in ASIDE for state in states),
    )
    return cell(sentence, ABNORMAL if wanting else "")


def _list(rows: Iterable[View], language: Language, now_ms: int) -> Table:
    keys = ("age", "node", "kind", "what", "level", "state", "who")
    made = table("", _heads(language, *keys))
    for row in rows:
        state, level = State(row["state"]), Level[row["level"].upper()]
        grey = _ASIDE if state in ASIDE else ""
        marked = grey or (_severity(level) if state in ACTIVE else "")
        began_ms = row["since_ms"] if row["began_ms"] is None else row["began_ms"]
        made.add_row(
            cell(age(now_ms - began_ms), grey),
            cell(row["node"], grey),
            cell(row["kind"], grey),
            cell(_what(row, language), grey),
            cell(say(ALARM_LEVELS[level], language), marked),
            cell(state_text(state, _trends(language)), marked if state in WANTS_ACKNOWLEDGEMENT else grey),
            cell(_who(row), grey),
        )
    return made


def _severity(level: Level) -> str:
    return ABNORMAL if level >= Level.HIGH else NOTABLE if level >= Level.MEDIUM else ""


def _what(row: View, language: Language) -> str:
    kind = row["kind"]
    words = say(KINDS[kind], language) if kind in KINDS else kind
    detail = _hazard(row, language) if kind == "hazard" else row["detail"]
    return _joined(language, words, detail)


def _hazard(row: View, language: Language) -> str:
    """Of which metric, and what it does; `detail` is the metric, or "all", and its letter."""
    about, _, sign = row["detail"].partition(" ")
    trends = _trends(language)
    if sign not in {letter.value for letter in Letter}:
        return str(row["detail"])
    does = say(HAZARD_CODES[row["code"]], language) if row["code"] in HAZARD_CODES else ""
    metrics = {metric.value: metric_text(metric, trends) for metric in METRICS}
    return _joined(language, metrics.get(about, ""), does or letter_text(Letter(sign), trends))


def _joined(language: Language, *parts: str) -> str:
    return ("：" if language is Language.ZH else ": ").join(part for part in parts if part)


def _who(row: View) -> str:
    if row["set_aside_by"] is None:
        return str(row["acknowledged_by"] or "")
    until = "" if row["until_ms"] is None else f" → {local_time(row['until_ms'])}"
    return f"{row['set_aside_by']}: {row['reason']}{until}"


def _to_do(rows: Iterable[View], language: Language) -> list[Text]:
    """What each level asks of the operator, for the levels that are in service now."""
    levels = {Level[row["level"].upper()] for row in rows if State(row["state"]) in ACTIVE - ASIDE}
    return [
        cell(_joined(language, say(ALARM_LEVELS[level], language), action_text(level, _trends(language))))
        for level in sorted(levels, reverse=True)
    ]


def _rates(rate: Mapping[str, View], language: Language) -> Table:
    keys = ("window", "calls", "average", "peak", "band")
    made = table(say(SENTENCES["rate"], language), _heads(language, *keys))
    for window, figures in rate.items():
        band = Band(figures["band"])
        style = {Band.OVER_DEMANDING: NOTABLE, Band.UNACCEPTABLE: ABNORMAL}.get(band, "")
        made.add_row(
            cell(say(WINDOWS[window], language) if window in WINDOWS else window),
            cell(figures["count"]),
            cell(f"{figures['per_10_min']:.1f}", style),
            cell(f"{figures['peak']:g}", style),
            cell(band_text(band, _trends(language)), style),
        )
    return made


def age(ms: int) -> str:
    """How long something lasts, short; a clock that was set back shows nothing negative."""
    ms = max(0, ms)
    days, hours, minutes = ms // _DAY_MS, ms % _DAY_MS // _HOUR_MS, ms % _HOUR_MS // _MINUTE_MS
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{ms // 1000} s"


def _heads(language: Language, *keys: str) -> list[str]:
    return [say(HEADS[key], language) for key in keys]


def _trends(language: Language) -> TrendLanguage:
    return TrendLanguage(language.value)
