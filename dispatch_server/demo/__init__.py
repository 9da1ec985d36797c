"""A throw-away deployment of real processes on loopback: it carries out orders and verifies its ledgers.

deployment.py   authority, certificates, people, configuration files in a temporary folder
processes.py    starting and stopping the programs
interrupts.py   Ctrl-C, where nothing is left behind by it
token.py        the software token of the demo's people
story.py        the orders, as people would carry them out, and what each hop took
verify.py       the ledgers, from the files alone
screen.py       what a person sees meanwhile
main.py         the demo itself
"""

from dispatch_server.demo.main import run_demo

__all__ = ["run_demo"]
