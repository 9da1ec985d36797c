"""The dispatch-client command: a desk or plant, and the people at it."""

from protocol.terminal.program import Entry, program, run_program

app = program(
    "A dispatcher's desk or a plant: runs it, and speaks to the running one. Texts: --lang zh or en.",
    {
        "run": Entry("dispatch_client.cli.run", "Run this desk or plant until SIGTERM."),
        "check-config": Entry("dispatch_client.cli.check", "Check a desk's or plant's configuration."),
        "reload": Entry("dispatch_client.cli.reload", "Take over new keys and revocations."),
        "key": Entry("dispatch_client.cli.key", "A person's signing key.", is_group=True),
        "login": Entry("dispatch_client.cli.session", "Log in with password and second factor."),
        "logout": Entry("dispatch_client.cli.session", "Log out."),
        "status": Entry("dispatch_client.cli.session", "This node, its link and who is logged in."),
        "inbox": Entry("dispatch_client.cli.inbox", "The open orders and what to do here next."),
        "order": Entry("dispatch_client.cli.order", "Draft, issue, cancel, look at orders.", is_group=True),
        "confirm": Entry("dispatch_client.cli.desk", "Confirm what was read back (desk)."),
        "approve": Entry("dispatch_client.cli.desk", "As second person, approve what was issued (desk)."),
        "decline": Entry("dispatch_client.cli.desk", "As second person, decline what was issued (desk)."),
        "read-back": Entry("dispatch_client.cli.plant", "Read an order back (plant)."),
        "begin": Entry("dispatch_client.cli.plant", "Begin a confirmed operation (plant)."),
        "complete": Entry("dispatch_client.cli.plant", "The operation is done (plant)."),
        "fail": Entry("dispatch_client.cli.plant", "The operation cannot be finished (plant)."),
        "refuse": Entry("dispatch_client.cli.plant", "Refuse an order before beginning (plant)."),
    },
)


def main() -> None:
    """Run the command line and exit: 0 done, 1 refused or failed, 2 wrong usage, 3 not known yet."""
    run_program(app)


if __name__ == "__main__":
    main()
