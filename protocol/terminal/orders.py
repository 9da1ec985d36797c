"""Orders as tables; the dictionaries are those of protocol/views.py."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from rich.console import Group
from rich.table import Table

from protocol import texts
from protocol.keys import Role
from protocol.lifecycle import Custody, Input, State
from protocol.orders import OrderType
from protocol.terminal.screen import local_time
from protocol.terminal.tables import ABNORMAL, cell, pairs, table
from protocol.texts import HEADS, SENTENCES, Language, say

View = Mapping[str, Any]

_ABNORMAL = frozenset(
    {
        State.REJECTED,
        State.UNDELIVERED,
        State.UNANSWERED,
        State.RECALLING,
        State.UNKNOWN,
        State.UNKNOWN_EXECUTING,
        State.FAILED,
        State.REFUSED,
        State.EXPIRED,
    }
)


def heads(language: Language, *keys: str) -> list[str]:
    """Column heads."""
    return [say(HEADS[key], language) for key in keys]


def _style(state: State) -> str:
    return ABNORMAL if state in _ABNORMAL else ""


def order_table(rows: Iterable[View], language: Language) -> Table:
    """A list of orders, one line each."""
    made = table("", heads(language, "order", "type", "state", "desk", "plant", "title", "valid"))
    for row in rows:
        state = State(row["state"])
        made.add_row(
            cell(row["order"]),
            cell(say(texts.ORDER_TYPES[OrderType(row["type"])], language)),
            cell(say(texts.STATES[state], language), _style(state)),
            cell(row["desk"]),
            cell(row["plant"]),
            cell(row["title"]),
            cell(local_time(row["valid_until_ms"])),
        )
    return made


def inbox(rows: Iterable[View], role: Role) -> list[View]:
    """The open orders; what waits for the person at this station first."""
    steps = texts.NEXT_STEPS[role]
    still_open = [row for row in rows if Custody(row["custody"]) is not Custody.NOBODY]
    return sorted(still_open, key=lambda row: State(row["state"]) not in steps)


def inbox_table(rows: Iterable[View], role: Role, language: Language) -> Table:
    """The open orders with what the person here has to do next."""
    made = table("", heads(language, "order", "next", "state", "type", "desk", "plant", "title", "valid"))
    for row in inbox(rows, role):
        state = State(row["state"])
        step = texts.NEXT_STEPS[role].get(state)
        made.add_row(
            cell(row["order"]),
            cell(say(step, language) if step else "", "bold"),
            cell(say(texts.STATES[state], language), _style(state)),
            cell(say(texts.ORDER_TYPES[OrderType(row["type"])], language)),
            cell(row["desk"]),
            cell(row["plant"]),
            cell(row["title"]),
            cell(local_time(row["valid_until_ms"])),
        )
    return made


def order_in_full(view: View, language: Language) -> Group:
    """Everything that the order says, and what happened to it."""
    state = State(view["state"])
    values = [
        say(texts.ORDER_TYPES[OrderType(view["type"])], language),
        cell(say(texts.STATES[state], language), _style(state)),
        say(texts.CUSTODIES[Custody(view["custody"])], language),
        view["desk"],
        view["plant"],
        view["ticket"],
        view["title"],
        local_time(view["valid_until_ms"]),
    ]
    keys = ("type", "state", "custody", "desk", "plant", "ticket", "title", "valid")
    rows = zip(heads(language, *keys), values, strict=True)
    return Group(pairs(view["order"], rows), _steps(view, language), _events(view, language))


def _steps(view: View, language: Language) -> Table:
    made = table("", heads(language, "step", "device", "action"))
    for number, step in enumerate(view["steps"], 1):
        made.add_row(cell(number), cell(step["device"]), cell(step["action"]))
    return made


def _events(view: View, language: Language) -> Table:
    made = table("", heads(language, "event", "signer", "role", "time", "text"))
    for event in view["events"]:
        made.add_row(
            cell(say(texts.INPUTS[Input(event["input"])], language)),
            cell(event["signer"]),
            cell(say(texts.ROLES[Role(event["role"])], language)),
            cell(local_time(event["at_ms"])),
            cell(event["text"]),
        )
    return made


def side_by_side(view: View, language: Language) -> Table:
    """The ticket beside what was read back. The mark is a help for the eye; the person decides."""
    made = table(view["order"], [*heads(language, "step", "ordered", "read"), ""])
    for number, (ordered, read, same) in enumerate(compare(view["steps"], words_of(view)), 1):
        mark = say(SENTENCES["same" if same else "different"], language)
        made.add_row(cell(number), cell(ordered), cell(read), cell(mark, "" if same else ABNORMAL))
    return made


def head_of(view: View) -> str:
    """The event that the order stood at when it was shown (hex): what a person then signs must follow it."""
    return next((event["hash"] for event in reversed(view["events"]) if event["on_chain"]), "")


def words_of(view: View) -> str:
    """What the operator read back last."""
    said = [event["text"] for event in view["events"] if event["input"] == Input.READ_BACK.value]
    return said[-1] if said else ""


def compare(steps: Sequence[View], words: str) -> list[tuple[str, str, bool]]:
    """Pairs each step with a part of the words (separated by ; or line ends): (ordered, read, same).

    Same means: equal but for case, width of signs and blanks.
    """
    ordered = [f"{step['device']}: {step['action']}" for step in steps]
    read = [part.strip() for part in re.split(r"[;；\n]", words) if part.strip()]
    rows = zip_longest(ordered, read, fillvalue="")
    return [(ours, theirs, _normal(ours) == _normal(theirs)) for ours, theirs in rows]


def _normal(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
