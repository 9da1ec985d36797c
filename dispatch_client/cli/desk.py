"""dispatch-client confirm: the dispatcher compares what was ordered with what was read back."""

from typing import Annotated

import typer

from dispatch_client.cli.connect import connect
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption, YesOption
from protocol.terminal.orders import compare, head_of, order_in_full, side_by_side, words_of
from protocol.terminal.person import agreed
from protocol.terminal.program import Refused, command_group
from protocol.terminal.tables import show
from protocol.texts import SENTENCES, say

app = command_group()


@app.command()
def confirm(
    order: Annotated[str, typer.Argument(metavar="ORDER_ID")],
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
