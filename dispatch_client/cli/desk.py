"""dispatch-client confirm: the dispatcher compares what was ordered with what was read back."""

from typing import Annotated

import typer

from dispatch_client.cli.connect import connect
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption, YesOption
from protocol.terminal.orders import head_of, order_in_full, side_by_side
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
    """Confirm an order that was read back: shows ticket and words side by side, and asks."""
    talk = connect(config, lang, as_json=as_json)
    view = talk.ask("show", order=order)
    language = talk.language
    show(order_in_full(view, language), side_by_side(view, language), on_stderr=talk.as_json)
    if not agreed(say(SENTENCES["confirm?"], language), yes=yes):
        raise Refused(f"{order}: not confirmed, because you did not say yes")
    talk.act("confirm", order=order, seen=head_of(view))
