"""dispatch-client run."""

import asyncio

from dispatch_client.app import run as run_client
from protocol.terminal.options import ConfigOption
from protocol.terminal.program import command_group

app = command_group()


@app.command()
def run(config: ConfigOption) -> None:
    """Run this desk or plant until SIGTERM or Ctrl-C."""
    asyncio.run(run_client(config))
