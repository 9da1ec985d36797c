"""The part of `status` that is about links: the sums, then a row for each that is to be shown."""

from collections.abc import Iterator
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from dispatch_server.cli import words
from protocol.keys import Role
from protocol.terminal.orders import heads
from protocol.terminal.screen import local_time
from protocol.terminal.tables import ABNORMAL, NOTABLE, ByWidth, cell, table
from protocol.texts import LINK_STATES, ROLES, SENTENCES, Language, say

_STALLED = 0.25  # s
_SLOW = 0.1  # s, of a commit
_DECIMALS = 2
_WIDE = 120  # columns that the whole table needs


def sums_of(result: dict[str, Any], language: Language) -> list[tuple[str, Text]]:
    """Rows of names and values: how all links, the journal and the loop are doing."""
    total = result["total"]
    is_slow = (total["commit_p99_s"] or 0.0) > _SLOW
    values = {
        "links": _links_in_all(total, language),
        "polls": cell(
            _said(
                "poll rate",
                language,
                rate=_number(total["polls_per_s"]),
                p99=_time(total["round_trip_p99_s"]),
            )
        ),
        "to send": cell(
            _said("outboxes", language, all=f"{total['waiting']:,}", most=f"{total['waiting_most']:,}")
        ),
        "journal": cell(
            _said("commits", language, p99=_time(total["commit_p99_s"]), waiting=total["uncommitted"]),
            NOTABLE if is_slow else "",
        ),
        "loop": cell(
            _said(
                "stalls",
                language,
                count=total["stalls"],
                minute=_time(total["stall_last_minute_s"]),
                ever=_time(total["stall_longest_s"]),
            ),
            ABNORMAL if total["stall_last_minute_s"] > _STALLED else "",
        ),
    }
    rows = [(say(words.HEADS[key], language), value) for key, value in values.items()]
    for what, why in result["impaired"].items():
        name = say(words.PARTS[what], language) if what in words.PARTS else what
        rows.append((say(words.HEADS["without"], language), cell(f"{name}: {why}", ABNORMAL)))
    return rows


def _links_in_all(total: dict[str, Any], language: Language) -> Text:
    down = total["links"] - total["up"]
    figures = {name: f"{total[name]:,}" for name in ("links", "up", "dialling")} | {"down": f"{down:,}"}
    key = "links down" if down else "links up"
    return cell(_said(key, language, **figures), ABNORMAL if down else "")


def links_of(result: dict[str, Any], language: Language) -> Iterator[RenderableType]:
    """The links that were given, the plants behind centers, and how many more there are."""
    total = result["total"]
    more = total["links"] - len(result["links"])
    if result["links"]:
        yield ByWidth(_WIDE, _table(result, language), _narrow_table(result, language))
        if more:
            yield cell(_said("more links", language, count=f"{more:,}"))
    elif more:
        yield cell(_said("all links up", language, count=f"{more:,}"))


def _table(result: dict[str, Any], language: Language) -> Table:
    columns = [
        *heads(language, "superior", "node", "role", "state"),
        *(say(words.HEADS[key], language) for key in ("since", "round trip")),
        *heads(language, "polls", "sessions", "faults", "outbox", "error"),
    ]
    made = table(say(SENTENCES["links"], language), columns)
    for link in result["links"]:
        made.add_row(*_cells(link, language))
    for node in result["behind"]:
        made.add_row(cell(node["superior"]), cell(node["node"]), cell(""), _behind(node, language))
    return made


def _narrow_table(result: dict[str, Any], language: Language) -> Table:
    """What a narrow window has room for: who, and what is wrong."""
    made = table(
        say(SENTENCES["links"], language), heads(language, "superior", "node", "state", "faults", "error")
    )
    for link in result["links"]:
        superior, node, _, state, *_, faults, _, error = _cells(link, language)
        made.add_row(superior, node, state, faults, error)
    for node in result["behind"]:
        made.add_row(cell(node["superior"]), cell(node["node"]), _behind(node, language))
    return made


def _cells(link: dict[str, Any], language: Language) -> Iterator[Text]:
    abnormal = "" if link["state"] == "connected" else ABNORMAL
    yield cell(link["superior"])
    yield cell(link["node"])
    yield cell(say(ROLES[Role(link["role"])], language))
    is_fenced = abnormal and link.get("fenced")
    yield cell(say(words.KINDS["fenced"] if is_fenced else LINK_STATES[link["state"]], language), abnormal)
    yield cell("—" if link["since_ms"] is None else local_time(link["since_ms"]))
    yield cell(_time(link["round_trip_s"]))
    yield cell(link["polls"])
    yield cell(link["sessions"])
    yield cell(link["faults"], ABNORMAL if link["faults"] else "")
    yield cell(link["waiting"])
    yield cell(link["last_error"], abnormal)


def _behind(node: dict[str, Any], language: Language) -> Text:
    """What is known of a node without a link of its own."""
    if not node["reachable"]:
        return cell(_said("behind a link", language), ABNORMAL)
    if node["heard_s"] is None:
        return cell(_said("never heard", language), NOTABLE)
    told = _said("heard", language, seconds=round(node["heard_s"]))
    return cell(told, ABNORMAL if node["is_silent"] else "")


def _said(key: str, language: Language, **values: object) -> str:
    return say(words.SENTENCES[key], language, **values)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "—"
    return f"{seconds:.{_DECIMALS}f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:,.1f}"
