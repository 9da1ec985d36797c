"""dispatch-client read-back, begin, complete, fail, refuse: what the operator at a plant says."""

from typing import Annotated

import typer

from dispatch_client.cli.connect import connect
from protocol.terminal.options import ConfigOption, JsonOption, LanguageOption
from protocol.terminal.program import command_group

app = command_group()

OrderArgument = Annotated[str, typer.Argument(metavar="ORDER_ID")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why; the dispatcher reads it.")]


@app.command(name="read-back")
def read_back(
    order: OrderArgument,
    config: ConfigOption,
    *,
    words: Annotated[str, typer.Option(help="The order in your words: 'DEVICE: ACTION; DEVICE: ACTION'.")],
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Read an order back to the dispatcher (复诵)."""
    connect(config, lang, as_json=as_json).act("read-back", order=order, text=words)


@app.command()
def begin(
    order: OrderArgument, config: ConfigOption, *, as_json: JsonOption = False, lang: LanguageOption = None
) -> None:
    """Begin the operation: refused unless the order is confirmed and in time."""
    connect(config, lang, as_json=as_json).act("begin", order=order)


@app.command()
def complete(
    order: OrderArgument,
    config: ConfigOption,
    *,
    result: Annotated[str, typer.Option(help="What was done.")],
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Report that the operation is done."""
    connect(config, lang, as_json=as_json).act("complete", order=order, text=result)


@app.command()
def fail(
    order: OrderArgument,
    config: ConfigOption,
    *,
    reason: ReasonOption,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Report that a begun operation cannot be finished."""
    connect(config, lang, as_json=as_json).act("fail", order=order, text=reason)


@app.command()
def refuse(
    order: OrderArgument,
    config: ConfigOption,
    *,
    reason: ReasonOption,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Refuse an order before beginning."""
    connect(config, lang, as_json=as_json).act("refuse", order=order, text=reason)
