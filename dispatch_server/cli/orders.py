"""dispatch-server orders, show."""

from typing import Annotated

import typer

from dispatch_server.cli.connect import connect
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption
from protocol.terminal.orders import order_in_full, order_table
from protocol.terminal.program import command_group
from protocol.terminal.tables import show as show_tables

app = command_group()


@app.command()
def orders(
    config: ConfigOption,
    *,
    limit: Annotated[int, typer.Option(help="How many, the latest first.")] = 50,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """List the latest orders."""
    talk = connect(config, lang, as_json=as_json)
    talk.tell(talk.ask("list", limit=limit), lambda rows: show_tables(order_table(rows, talk.language)))


@app.command()
def show(
    order: Annotated[str, typer.Argument(metavar="ORDER_ID")],
    config: ConfigOption,
    *,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Show an order with every event, its signer and its time."""
    talk = connect(config, lang, as_json=as_json)
    talk.tell(talk.ask("show", order=order), lambda view: show_tables(order_in_full(view, talk.language)))
