"""Renders the transition table for the README: `python -m protocol.diagram --write`."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from protocol.lifecycle import CUSTODY, OFF_CHAIN, SIGNERS, TERMINAL, TRANSITIONS, Input, State

README = Path(__file__).with_name("README.md")
BEGIN = "<!-- generated from lifecycle.py: python -m protocol.diagram --write -->\n"
END = "<!-- end of the generated part -->\n"


def mermaid() -> str:
    """The table as a Mermaid state diagram; observations (off the chain) stand in brackets."""
    arrows: dict[tuple[State | None, State], list[str]] = {}
    for (state, given), after in TRANSITIONS.items():
        name = f"({given.value})" if given in OFF_CHAIN else given.value
        arrows.setdefault((state, after), []).append(name)
    lines = [f'    state "{state.value}" as {_id(state)}' for state in State if "-" in state.value]
    lines += [f"    {_id(a)} --> {_id(b)}: {', '.join(names)}" for (a, b), names in arrows.items()]
    lines += [f"    {_id(state)} --> [*]" for state in State if state in TERMINAL]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```", ""])


def _id(state: State | None) -> str:
    return state.value.replace("-", "_") if state else "[*]"


def table() -> str:
    """State × custody × inputs with their signers, as a Markdown table."""
    rows = [
        f"| {state.value} | {CUSTODY[state].value} | {'; '.join(_moves(state)) or 'nothing: the end'} |"
        for state in State
    ]
    return "\n".join(["| state | custody | what may come next |", "| --- | --- | --- |", *rows, ""])


def _moves(here: State) -> Iterator[str]:
    for (state, given), after in TRANSITIONS.items():
        if state is here:
            name = f"({given.value})" if given in OFF_CHAIN else given.value
            yield f"{name} by {_signer(here, given)} → {after.value}"


def _signer(state: State, given: Input) -> str:
    """Where several may sign, it is the one who holds the order."""
    signers = [signer.value for signer in SIGNERS[given]]
    return signers[0] if len(signers) == 1 else CUSTODY[state].value


def updated(readme: str) -> str:
    """The README with the generated part as it must be. Raises ValueError without its two markers."""
    before, rest = readme.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{mermaid()}\n{table()}\n{END}{after}"


def main(arguments: Sequence[str], readme: Path = README) -> None:
    """Print the generated part, or write it into the README."""
    if list(arguments) == ["--write"]:
        readme.write_text(updated(readme.read_text("utf-8")), "utf-8")
    else:
        sys.stdout.write(f"{mermaid()}\n{table()}")


if __name__ == "__main__":
    main(sys.argv[1:])
