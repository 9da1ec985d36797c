"""Renders the transition table for the README: `python -m situational.alarms.diagram --write`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from situational.alarms.states import BY_PERSON, TRANSITIONS, Input, State, announces

README = Path(__file__).with_name("README.md")
BEGIN = "<!-- generated from states.py: python -m situational.alarms.diagram --write -->\n"
END = "<!-- end of the generated part -->\n"


def mermaid() -> str:
    """The table as a Mermaid state diagram; what no person does stands in brackets."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for (state, given), after in TRANSITIONS.items():
        arrows.setdefault((state, after), []).append(_name(given))
    lines = [f'    state "{state.value}" as {_id(state)}' for state in State if "-" in state.value]
    lines += [f"    [*] --> {_id(State.NORMAL)}"]
    lines += [f"    {_id(a)} --> {_id(b)}: {', '.join(names)}" for (a, b), names in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```", ""])


def table() -> str:
    """State × what may come next, as a Markdown table; bold are the moves that call the operator."""
    rows = [f"| {state.value} | {'; '.join(_moves(state))} |" for state in State]
    return "\n".join(["| state | what may come next |", "| --- | --- |", *rows, ""])


def _moves(here: State) -> list[str]:
    moves = []
    for (state, given), after in TRANSITIONS.items():
        if state is here:
            move = f"{_name(given)} → {after.value}"
            moves.append(f"**{move}**" if announces(state, given, after) else move)
    return moves


def _name(given: Input) -> str:
    return given.value if given in BY_PERSON else f"({given.value})"


def _id(state: State) -> str:
    return state.value.replace("-", "_")


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
