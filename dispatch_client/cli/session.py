"""dispatch-client login, logout, status."""

from typing import Annotated, Any

import typer

from dispatch_client.cli.connect import connect
from dispatch_client.cli.counters import counter_words
from dispatch_client.cli.postures import posture_text_of
from protocol.keys import Role
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption
from protocol.terminal.orders import heads
from protocol.terminal.person import secret
from protocol.terminal.program import command_group
from protocol.terminal.renewal import key_warnings
from protocol.terminal.screen import local_time, tell
from protocol.terminal.tables import ABNORMAL, cell, pairs, show
from protocol.texts import HEADS, LINK_STATES, ROLES, SENTENCES, Language, say

app = command_group()

FactorOption = Annotated[str, typer.Option("--factor", help="Kind of the second factor.")]


def ask_factors(language: Language, factor: str) -> dict[str, str]:
    """Both factors of the person in front: the password first, then the factor's response."""
    return {
        "password": secret(say(SENTENCES["password"], language)),
        "factor": factor,
        "response": secret(say(SENTENCES["factor"], language, factor=factor)),
    }


@app.command()
def login(
    person: Annotated[str, typer.Argument(help="Who logs in.")],
    config: ConfigOption,
    *,
    factor: FactorOption = "totp",
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Log in. Asks for the password and the second factor."""
    talk = connect(config, lang, as_json=as_json)
    result = talk.ask("login", person=person, **ask_factors(talk.language, factor))
    until = local_time(result["expires_ms"])
    words = say(SENTENCES["logged in"], talk.language, person=result["person"], until=until)
    talk.tell(result, lambda _: tell(words))


@app.command()
def logout(config: ConfigOption, *, as_json: JsonOption = False, lang: LanguageOption = None) -> None:
    """End the session of whoever is logged in here."""
    talk = connect(config, lang, as_json=as_json)
    result = talk.ask("logout")
    who = result["person"] or say(SENTENCES["nobody"], talk.language)
    talk.tell(result, lambda _: tell(say(SENTENCES["logged out"], talk.language, person=who)))


@app.command()
def status(config: ConfigOption, *, as_json: JsonOption = False, lang: LanguageOption = None) -> None:
    """Show this node, its link to the superior, who is logged in and what is open."""
    talk = connect(config, lang, as_json=as_json)
    talk.tell(talk.ask("status"), lambda result: _show_status(result, talk.language))


def _show_status(result: dict[str, Any], language: Language) -> None:
    linked = result["connected"]
    link = say(LINK_STATES["connected"] if linked else SENTENCES["not connected"], language)
    values = [
        cell(f"{result['superior']}: {link}", "" if linked else ABNORMAL),
        result["person"] or say(SENTENCES["nobody"], language),
        result["open_orders"],
        result["pending"],
        result["polls"],
        cell(result["refused_links"], ABNORMAL if result["refused_links"] else ""),
        result["ledger_entry"],
    ]
    keys = ("superior", "person", "open", "pending", "polls", "refused_links", "entry")
    postures = posture_text_of(result["postures"], language)
    title = f"{say(ROLES[Role(result['role'])], language)} {result['node']}"
    rows = [*zip(heads(language, *keys), values, strict=True)]
    rows += [
        (say(counter_words(name), language), cell(count, ABNORMAL))
        for name, count in result.get("counters", {}).items()
    ]
    if fenced := result.get("fenced"):
        when = local_time(fenced["at_ms"])
        term, granted = fenced["term"], fenced["granted"]
        key = "term taken" if term == granted else "term refused"
        text = say(SENTENCES[key], language, when=when, term=term, granted=granted)
        rows.append((say(HEADS["fenced"], language), cell(text, ABNORMAL)))
    if postures:
        rows.append((say(HEADS["posture"], language), cell(postures, ABNORMAL)))
    show(pairs(title, rows))
    for warning in key_warnings(result.get("keys"), language):
        show(cell(warning, ABNORMAL))
