"""The dispatch-server command: headquarters or a regional center, and its administrators."""

from dispatch_server.identity.errors import IdentityError
from protocol.terminal.program import Entry, program, run_program

app = program(
    "Headquarters or a regional center: runs it, speaks to the running one, keeps its keys and people.",
    {
        "run": Entry("dispatch_server.cli.run", "Run this server until SIGTERM."),
        "check-config": Entry("dispatch_server.cli.check", "Check a server's configuration."),
        "status": Entry("dispatch_server.cli.status", "Links, nodes, letters, hazard and posture."),
        "reload": Entry("dispatch_server.cli.reload", "Take over new keys, revocations and addresses."),
        "alarms": Entry("dispatch_server.cli.alarms", "List alarms; acknowledge one or set it aside."),
        "risk": Entry("dispatch_server.cli.risk", "The live risk board: a report, never an alarm."),
        "telemetry": Entry("dispatch_server.cli.telemetry", "The curves that are kept.", is_group=True),
        "orders": Entry("dispatch_server.cli.orders", "List the latest orders."),
        "show": Entry("dispatch_server.cli.orders", "Show an order with everything that happened to it."),
        "posture": Entry("dispatch_server.cli.posture", "Release a posture.", is_group=True),
        "pki": Entry("dispatch_server.cli.pki", "The deployment's certificate authority.", is_group=True),
        "user": Entry("dispatch_server.cli.user", "Who may log in at this server.", is_group=True),
        "ledger": Entry("dispatch_server.cli.ledger", "Verify ledgers from their files.", is_group=True),
        "demo": Entry("dispatch_server.cli.demo", "A whole deployment on this machine, for half a minute."),
    },
    IdentityError,
)


def main() -> None:
    """Run the command line and exit: 0 done, 1 refused or failed, 2 wrong usage, 3 not known yet."""
    run_program(app)


if __name__ == "__main__":
    main()
