"""dispatch-server run."""

import asyncio

from dispatch_server.app import run as run_server
from protocol.terminal.options import ConfigOption
from protocol.terminal.program import command_group

app = command_group()


@app.command()
def run(config: ConfigOption) -> None:
    """Run this server until SIGTERM or Ctrl-C."""
    asyncio.run(run_server(config))
