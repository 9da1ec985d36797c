"""dispatch-client order: drafting, issuing, cancelling and looking."""

import re
from contextlib import suppress
from typing import Annotated, Any

import typer

from dispatch_client.cli.connect import connect
from dispatch_client.cli.session import FactorOption, ask_factors
from protocol.aio.control import CommandFailed
from protocol.lifecycle import State
from protocol.orders import ORDER_TYPE_ZH, OrderType
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption, YesOption, name
from protocol.terminal.orders import head_of, order_in_full, order_table
from protocol.terminal.person import agreed
from protocol.terminal.program import Refused, command_group
from protocol.terminal.screen import tell
from protocol.terminal.tables import show
from protocol.terminal.talk import Talk
from protocol.texts import SENTENCES, say

app = command_group("Draft, issue, reissue, cancel, settle and look at orders.")

OrderArgument = Annotated[str, typer.Argument(metavar="ORDER_ID")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; others read it.")]


def _step(text: str) -> tuple[str, str]:
    parts = [part.strip() for part in re.split("[:：]", text, maxsplit=1)]
    if len(parts) != 2 or not all(parts):
        raise typer.BadParameter(f"a step is 'DEVICE: ACTION', not {text!r}")
    return parts[0], parts[1]


def _order_type(text: str) -> OrderType:
    by_name = {kind.value: kind for kind in OrderType} | {zh: kind for kind, zh in ORDER_TYPE_ZH.items()}
    if text not in by_name:
        raise typer.BadParameter(f"choose one of: {', '.join(by_name)}")
    return by_name[text]


@app.command()
def new(
    order: OrderArgument,
    config: ConfigOption,
    *,
    kind: Annotated[OrderType, typer.Option("--type", parser=_order_type, help="In English or Chinese.")],
    plant: Annotated[str, typer.Option(parser=name, help="The plant that carries it out.")],
    number: Annotated[str, typer.Option(help="Number of the operation ticket.")],
    title: Annotated[str, typer.Option(help="What it is about.")],
    step: Annotated[list[str], typer.Option(help="'DEVICE: ACTION'; once for each, in their order.")],
    valid_for: Annotated[int, typer.Option(help="Seconds until it expires.")] = 3600,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Draft an order. Nothing is issued by that."""
    steps = [_step(text) for text in step]
    connect(config, lang, as_json=as_json).act(
        "draft",
        order=order,
        type=kind.value,
        plant=plant,
        number=number,
        title=title,
        steps=steps,
        valid_for_s=valid_for,
    )


@app.command()
def issue(
    order: OrderArgument,
    config: ConfigOption,
    *,
    factor: FactorOption = "totp",
    yes: YesOption = False,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Issue a drafted order: shows it, asks, and only then asks for both factors."""
    talk = connect(config, lang, as_json=as_json)
    _issue(talk, "issue", order, factor, yes=yes)


@app.command()
def reissue(
    order: OrderArgument,
    config: ConfigOption,
    *,
    reason: ReasonOption = "",
    factor: FactorOption = "totp",
    yes: YesOption = False,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Issue again what was read back wrongly: shows it, asks, and only then asks for both factors."""
    talk = connect(config, lang, as_json=as_json)
    _issue(talk, "reissue", order, factor, yes=yes, reason=reason)


def _tell_if_awaiting(talk: Talk, order: str) -> None:
    """What was issued may have to wait for a second person: say what to do. In JSON `state` says it."""
    if talk.as_json:
        return
    with suppress(CommandFailed):  # it is issued, whatever becomes of this question
        if talk.ask("show", order=order)["state"] == State.AWAITING:
            tell(say(SENTENCES["awaiting"], talk.language, order=order))


def _issue(talk: Talk, command: str, order: str, factor: str, *, yes: bool, reason: str = "") -> None:
    view = talk.ask("show", order=order)
    show(order_in_full(view, talk.language), on_stderr=talk.as_json)
    if not agreed(say(SENTENCES["issue?"], talk.language), yes=yes):
        raise Refused(f"{order}: not issued, because you did not say yes")
    factors = ask_factors(talk.language, factor)
    talk.act(command, order=order, seen=head_of(view), reason=reason, **factors)
    _tell_if_awaiting(talk, order)


@app.command()
def cancel(
    order: OrderArgument,
    config: ConfigOption,
    *,
    reason: ReasonOption,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Cancel an order; once it is confirmed this asks the plant, which may have begun (a recall)."""
    connect(config, lang, as_json=as_json).act("cancel", order=order, text=reason)


@app.command()
def settle(
    order: OrderArgument,
    config: ConfigOption,
    *,
    reason: ReasonOption,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """End a failed order once it is clear what becomes of its equipment, which it holds until then."""
    connect(config, lang, as_json=as_json).act("settle", order=order, text=reason)


@app.command(name="show")
def show_order(
    order: OrderArgument, config: ConfigOption, *, as_json: JsonOption = False, lang: LanguageOption = None
) -> None:
    """Show an order in full with everything that happened to it."""
    talk = connect(config, lang, as_json=as_json)
    talk.tell(talk.ask("show", order=order), lambda view: show(order_in_full(view, talk.language)))


@app.command(name="list")
def list_orders(
    config: ConfigOption,
    *,
    limit: Annotated[int, typer.Option(help="How many, the latest first.")] = 50,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """List the latest orders of this node."""
    talk = connect(config, lang, as_json=as_json)

    def render(rows: list[dict[str, Any]]) -> None:
        show(order_table(rows, talk.language))

    talk.tell(talk.ask("list", limit=limit), render)
