"""protocol/diagram.py, and that the README says what the code does."""

from pathlib import Path

import pytest

from protocol import diagram, frames, limits
from protocol.errors import WireCode
from protocol.frames import Kind
from protocol.lifecycle import CUSTODY, OFF_CHAIN, TERMINAL, TRANSITIONS, State
from protocol.messages import (
    Deliver,
    Goodbye,
    Hello,
    LedgerHead,
    Poll,
    Reply,
    Report,
    Sample,
    Signed,
    Welcome,
)
from protocol.models import Wire

TEXT = diagram.README.read_text("utf-8")
BODIES: dict[Kind, type[Wire]] = {
    Kind.HELLO: Signed,
    Kind.WELCOME: Signed,
    Kind.POLL: Poll,
    Kind.REPORT: Report,
    Kind.DELIVER: Deliver,
    Kind.REPLY: Reply,
    Kind.GOODBYE: Goodbye,
}


def fields_of(model: type[Wire]) -> str:
    return ", ".join(f"`{name}`" for name in model.model_fields)


def test_the_readme_shows_the_table_as_it_is() -> None:
    assert diagram.updated(TEXT) == TEXT, "out of date; regenerate it: python -m protocol.diagram --write"


def test_a_readme_that_is_out_of_date_is_written_anew(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{diagram.BEGIN}stale\n{diagram.END}after\n", "utf-8")
    diagram.main(["--write"], readme)
    written = readme.read_text("utf-8")
    assert written == f"before\n{diagram.BEGIN}\n{diagram.mermaid()}\n{diagram.table()}\n{diagram.END}after\n"
    assert diagram.updated(written) == written


def test_without_the_option_it_is_only_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    diagram.main([], tmp_path / "missing")
    assert capsys.readouterr().out == f"{diagram.mermaid()}\n{diagram.table()}"


@pytest.mark.parametrize("text", ["", diagram.BEGIN, diagram.END])
def test_a_readme_without_a_place_for_it_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError, match="unpack"):
        diagram.updated(text)


def test_the_diagram_has_an_arrow_for_every_transition() -> None:
    drawn = set()
    for line in diagram.mermaid().splitlines():
        if " --> " in line and ": " in line:
            arrow, _, names = line.strip().partition(": ")
            drawn |= {(arrow.replace("_", "-"), name) for name in names.split(", ")}
    expected = {
        (
            f"{state.value if state else '[*]'} --> {after.value}",
            f"({given.value})" if given in OFF_CHAIN else given.value,
        )
        for (state, given), after in TRANSITIONS.items()
    }
    assert drawn == expected


def test_the_table_has_a_row_for_every_state_with_its_custody() -> None:
    rows = [line.split(" | ") for line in diagram.table().splitlines()[2:]]
    assert [(row[0].strip("| "), row[1]) for row in rows] == [(s.value, CUSTODY[s].value) for s in State]
    assert {row[0].strip("| ") for row in rows if "the end" in row[2]} == {s.value for s in TERMINAL}


def test_the_table_says_that_the_custodian_signs_an_expiry() -> None:
    rows = {line.split(" | ")[0].strip("| "): line for line in diagram.table().splitlines()[2:]}
    assert "expire by headquarters" in rows["accepted"]
    assert "expire by plant" in rows["confirmed"]


@pytest.mark.parametrize("kind", Kind)
def test_the_readme_describes_every_frame(kind: Kind) -> None:
    (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| {int(kind)} | {kind.name} | ")]
    assert fields_of(BODIES[kind]) in row
    assert f"{frames._MAX_PAYLOAD[kind]:,} B" in row


@pytest.mark.parametrize("model", [Hello, Welcome, LedgerHead, Sample])
def test_the_readme_describes_every_signed_or_contained_body(model: type[Wire]) -> None:
    assert fields_of(model) in " ".join(TEXT.split())


@pytest.mark.parametrize("code", WireCode)
def test_the_readme_explains_every_wire_code(code: WireCode) -> None:
    assert f"\n| {int(code)} | {code.name} | " in TEXT


@pytest.mark.parametrize(
    "statement",
    [
        f"at most {limits.MAX_SAMPLES_PER_REPORT} of {{`node`",
        f"`items`, at most {limits.MAX_ITEMS_PER_REPORT} of",
        f"`requests`, at most {limits.MAX_OPEN_REQUESTS} of",
        f"A sealed message holds at most {limits.MAX_ITEM // 1024} KiB",
        f"at most {limits.MAX_UNACKNOWLEDGED} of them unacknowledged",
        f"| hold | {limits.Timers().hold_ms:,} ms |",
        f"| poll interval | {limits.Timers().poll_interval_ms:,} ms at most",
        f"| hello | {limits.HELLO_TIMEOUT:g} s |",
        f"e = n div 2^{limits.REKEY_AFTER.bit_length() - 1}, the epoch",
    ],
)
def test_the_readme_states_the_limits_that_hold(statement: str) -> None:
    assert statement in " ".join(TEXT.split())


def test_the_readme_lists_every_module() -> None:
    modules = {path.name for path in diagram.README.parent.glob("*.py")} - {"__init__.py"}
    assert all(f"`{name}`" in TEXT for name in modules)
