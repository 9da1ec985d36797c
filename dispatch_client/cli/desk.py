"""dispatch-client confirm, approve, decline: looking at an order and saying whether it may go on."""

from typing import Annotated

import typer

from dispatch_client.cli.connect import connect
from dispatch_client.cli.session import FactorOption, ask_factors
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption, YesOption, name
from protocol.terminal.orders import compare, head_of, order_in_full, side_by_side, words_of
from protocol.terminal.person import agreed
from protocol.terminal.program import Refused, command_group
from protocol.terminal.tables import show
from protocol.terminal.talk import Talk
from protocol.texts import SENTENCES, say

app = command_group()

OrderArgument = Annotated[str, typer.Argument(metavar="ORDER_ID")]
PersonOption = Annotated[
    str, typer.Option("--person", parser=name, help="The supervisor who decides; not who issued.")
]


@app.command()
def confirm(
    order: OrderArgument,
    config: ConfigOption,
    *,
    yes: YesOption = False,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Confirm an order that was read back: shows ticket and words side by side, and asks.

    --yes does not count where they differ.
    """
    talk = connect(config, lang, as_json=as_json)
    view = talk.ask("show", order=order)
    language = talk.language
    show(order_in_full(view, language), side_by_side(view, language), on_stderr=talk.as_json)
    same = all(equal for _, _, equal in compare(view["steps"], words_of(view)))
    question = SENTENCES["confirm?" if same else "confirm different?"]
    if not agreed(say(question, language), yes=yes and same):  # a difference needs a person's eyes
        raise Refused(f"{order}: not confirmed, because you did not say yes")
    talk.act("confirm", order=order, seen=head_of(view))


@app.command()
def approve(
    order: OrderArgument,
    config: ConfigOption,
    *,
    person: PersonOption,
    reason: Annotated[str, typer.Option("--reason", help="A remark; others read it.")] = "",
    factor: FactorOption = "totp",
    yes: YesOption = False,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Approve as second person what another issued: shows it, asks, and only then asks for both factors.

    The dispatcher who is logged in at this desk stays logged in.
    """
    talk = connect(config, lang, as_json=as_json)
    _decide(talk, "approve", order, person=person, reason=reason, factor=factor, yes=yes)


@app.command()
def decline(
    order: OrderArgument,
    config: ConfigOption,
    *,
    person: PersonOption,
    reason: Annotated[str, typer.Option("--reason", help="Why; the dispatcher reads it.")],
    factor: FactorOption = "totp",
    yes: YesOption = False,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Decline as second person what another issued; the order ends."""
    talk = connect(config, lang, as_json=as_json)
    _decide(talk, "decline", order, person=person, reason=reason, factor=factor, yes=yes)


def _decide(
    talk: Talk, command: str, order: str, *, person: str, reason: str, factor: str, yes: bool
) -> None:
    view = talk.ask("show", order=order)
    show(order_in_full(view, talk.language), on_stderr=talk.as_json)
    if not agreed(say(SENTENCES[f"{command}?"], talk.language), yes=yes):
        raise Refused(f"{order}: nothing was decided, because you did not say yes")
    factors = ask_factors(talk.language, factor)
    talk.act(command, order=order, seen=head_of(view), person=person, reason=reason, **factors)
