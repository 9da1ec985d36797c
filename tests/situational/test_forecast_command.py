import argparse
import json
import math
from pathlib import Path

import pytest

from situational.cli import forecast as command
from situational.cli.forecast import ArgumentMissingError, CsvCellError, CsvColumnError, CsvUnreadableError


def arguments(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return parser.parse_args(words)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "curves.csv"
    lines = ["time,rising,still"]
    lines += [f"{5 * i},{math.exp(i / 20)},{'' if i == 7 else 3.0}" for i in range(60)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_each_column_of_a_file_is_forecast_in_words(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(arguments(str(table), "--threshold", "60")) == 0
    rising, still = capsys.readouterr().out.splitlines()
    assert rising.startswith("rising: crosses in ")
    assert still == "still: does not cross (0% within the horizon)"


def test_a_column_can_be_chosen_and_json_has_no_infinities(
    table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command.run(arguments(str(table), "--threshold", "60", "--column", "still", "--json"))
    data = json.loads(capsys.readouterr().out)
    assert list(data) == ["still"]
    assert (data["still"]["outcome"], data["still"]["median_s"], data["still"]["n"]) == ("never", None, 59)


def test_the_forecast_of_a_file_is_right(table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.run(arguments(str(table), "--threshold", "60", "--column", "rising", "--json"))
    got = json.loads(capsys.readouterr().out)["rising"]
    true_s = 5 * (20 * math.log(60) - 59)
    assert got["lower_s"] <= true_s <= got["upper_s"]
    assert got["median_s"] == pytest.approx(true_s, rel=0.02)


@pytest.mark.parametrize("words", [[], ["--threshold", "3"], ["file.csv"]])
def test_a_file_and_a_threshold_are_asked_for(words: list[str]) -> None:
    with pytest.raises(ArgumentMissingError):
        command.run(arguments(*words))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("", "time column"), ("a,b\n1,2\n", "time column"), ("time\n1\n", "value column"), ("t,a\n1,2\n", "b")],
)
def test_a_column_that_is_missing_is_named(tmp_path: Path, text: str, wanted: str) -> None:
    path = tmp_path / "curves.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CsvColumnError, match=wanted):
        command.run(arguments(str(path), "--threshold", "1", *(["--column", "b"] if wanted == "b" else [])))


def test_a_cell_that_is_no_number_is_named_by_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "curves.csv"
    path.write_text("time,a\n0,1\n5,oops\n", encoding="utf-8")
    with pytest.raises(CsvCellError) as caught:
        command.run(arguments(str(path), "--threshold", "1"))
    assert (caught.value.row, caught.value.column, caught.value.text) == (3, "a", "oops")


@pytest.mark.parametrize("content", [b"time,a\n1,\xff\n", b'time,a\n1,"2\n'])
def test_a_file_that_is_no_text_table_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "curves.csv"
    path.write_bytes(content)
    with pytest.raises(CsvUnreadableError):
        command.run(arguments(str(path), "--threshold", "1"))


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CsvUnreadableError, match=r"gone\.csv"):
        command.run(arguments(str(tmp_path / "gone.csv"), "--threshold", "1"))


def test_a_file_with_too_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "MAX_ROWS", 3)
    path = tmp_path / "curves.csv"
    path.write_text("time,a\n" + "1,1\n" * 4, encoding="utf-8")
    with pytest.raises(CsvUnreadableError, match="rows"):
        command.run(arguments(str(path), "--threshold", "1"))


def test_the_evaluation_prints_a_row_for_each_shape_and_noise(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(arguments("--evaluate", "--cases", "2")) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]] == [
        name for name in ("B", "C", "D", "D_BELOW") for _ in range(2)
    ]
    command.run(arguments("--evaluate", "--cases", "2", "--json"))
    assert len(json.loads(capsys.readouterr().out)) == 8
