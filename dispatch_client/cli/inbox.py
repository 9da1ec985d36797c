"""dispatch-client inbox."""

from typing import Annotated, Any

import typer
from rich.console import Group

from dispatch_client.cli.connect import connect
from dispatch_client.cli.postures import posture_text_of
from protocol.keys import Role
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption
from protocol.terminal.orders import inbox as sorted_inbox
from protocol.terminal.orders import inbox_table
from protocol.terminal.program import command_group
from protocol.terminal.tables import ABNORMAL, cell, show, watch

app = command_group()
_ALL = 1000  # orders looked through, newest first
_EVERY = 1.0  # s

WatchOption = Annotated[bool, typer.Option("--watch", help="Keep showing until Ctrl-C.")]


@app.command()
def inbox(
    config: ConfigOption,
    *,
    keep_watching: WatchOption = False,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Show the open orders; those that wait for somebody at this node stand first."""
    talk = connect(config, lang, as_json=as_json)
    role = Role(talk.ask("status")["role"])

    def rows() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = talk.ask("list", limit=_ALL)
        return found

    def drawn(found: list[dict[str, Any]]) -> Group:
        """A banner on top while dispatching is not as usual: seen before an order is issued, not after."""
        shown = inbox_table(found, role, talk.language)
        postures = posture_text_of(talk.ask("status")["postures"], talk.language)
        return Group(cell(postures, ABNORMAL), shown) if postures else Group(shown)

    if keep_watching and not as_json:
        watch(lambda: drawn(rows()), _EVERY)
    else:
        found = rows()
        talk.tell(sorted_inbox(found, role), lambda _: show(drawn(found)))
