"""dispatch-server demo."""

import typer

from dispatch_server.demo import run_demo
from protocol.terminal.options import JsonOption
from protocol.terminal.program import command_group

app = command_group()


@app.command()
def demo(*, as_json: JsonOption = False) -> None:
    """Make a throw-away deployment of real processes, carry out two orders, verify every ledger."""
    raise typer.Exit(run_demo(as_json=as_json))
