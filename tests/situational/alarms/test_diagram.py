"""situational/alarms/diagram.py, and that the README says what the code does."""

import re
from pathlib import Path

import pytest

from situational.alarms import TRANSITIONS, BoardSettings, State, diagram, rate
from situational.alarms.states import BY_PERSON, announces

TEXT = diagram.README.read_text("utf-8")
PLAIN = " ".join(TEXT.split())


def test_the_readme_shows_the_table_as_it_is() -> None:
    again = "out of date; regenerate it: python -m situational.alarms.diagram --write"
    assert diagram.updated(TEXT) == TEXT, again


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
        (f"{state.value} --> {after.value}", given.value if given in BY_PERSON else f"({given.value})")
        for (state, given), after in TRANSITIONS.items()
    }
    assert drawn == expected


def test_the_table_has_a_row_for_every_state_with_every_move_and_what_calls_is_bold() -> None:
    rows = {
        line.split(" | ")[0].strip("| "): line.split(" | ")[1].removesuffix(" |")
        for line in diagram.table().splitlines()[2:]
    }
    assert list(rows) == [state.value for state in State]
    for (state, given), after in TRANSITIONS.items():
        (cell,) = [
            cell
            for cell in rows[state.value].split("; ")
            if re.fullmatch(rf"\**\(?{given.value}\)? → {after.value}\**", cell)
        ]
        assert cell.startswith("**") is announces(state, given, after)


def test_the_readme_lists_every_module() -> None:
    modules = {path.name for path in diagram.README.parent.glob("*.py")} - {"__init__.py"}
    assert all(f"`{name}`" in TEXT for name in modules)


@pytest.mark.parametrize(
    "statement",
    [
        f"on-delay {BoardSettings().delays.on_ms // 1000} s",
        f"off-delay {BoardSettings().delays.off_ms // 1000} s",
        f"at most {BoardSettings().max_shelf_ms // 3_600_000} h",
        f"at most {BoardSettings().max_alarms:,} alarms",
        f"more than {rate.FLOOD_ABOVE} in 10 minutes",
        f"{rate.CHATTERING_FROM} times or more",
    ],
)
def test_the_readme_states_the_limits_that_hold(statement: str) -> None:
    assert statement in PLAIN
