"""dispatch-server run."""

from dispatch_server.app import run as run_server
from protocol.aio.loop import run as run_in_loop
from protocol.terminal.options import ConfigOption
from protocol.terminal.program import command_group

app = command_group()


@app.command()
def run(config: ConfigOption) -> None:
    """Run this server until SIGTERM or Ctrl-C."""
    run_in_loop(run_server(config))
