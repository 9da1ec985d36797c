import argparse
import json
import sys
from pathlib import Path

import pytest

from situational.cli.risk import configure, run
from situational.risk import Entropy, assess, data, panel_from
from tests.situational.risk.support import document


def risk(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    configure(parser)
    return run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "experts.json"
    path.write_text(json.dumps(document()), "utf-8")
    return path


@pytest.mark.parametrize(("language", "word"), [("en", "acquisition"), ("zh", "信息采集")])
def test_it_prints_a_table_in_the_language(
    file: Path, language: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert risk(file, "--language", language) == 0
    assert word in capsys.readouterr().out


@pytest.mark.parametrize("entropy", list(Entropy))
def test_it_prints_json_of_the_chosen_entropy(
    file: Path, entropy: Entropy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert risk(file, "--json", "--entropy", entropy.value) == 0
    assert json.loads(capsys.readouterr().out) == data(assess(panel_from(document()), entropy))


def test_it_compares_the_three_entropies(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert risk(file, "--entropy", "compare") == 0
    assert "traditional, lower bound" in capsys.readouterr().out
    assert risk(file, "--entropy", "compare", "--json") == 0
    assert list(json.loads(capsys.readouterr().out)) == ["improved", "lower", "upper"]


def test_it_reads_toml(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert risk(Path(__file__).parents[3] / "configs" / "risk-experts.toml") == 0
    assert "Made-up example" in capsys.readouterr().out


def test_it_draws_a_chart(file: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert risk(file, "--chart", tmp_path / "risk.png") == 0
    assert (tmp_path / "risk.png").read_bytes().startswith(b"\x89PNG")


def test_a_wrong_cell_is_told_with_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "experts.json"
    path.write_text(json.dumps(document()).replace("[0, 2.5]", "[3, 2.5]", 1), "utf-8")
    assert risk(path) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f'{path}: experts[1] "E1" / C11 / probability: the lower bound 3 is above')


@pytest.mark.parametrize("name", ["experts.yaml", "missing.toml", "folder.json"])
def test_a_file_that_cannot_be_used_is_told(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.json").mkdir()
    assert risk(tmp_path / name) == 1
    assert name in capsys.readouterr().err


def test_a_missing_drawing_library_is_told_and_nothing_is_written(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert risk(file, "--chart", tmp_path / "risk.png") == 1
    assert "pip install '.[figures]'" in capsys.readouterr().err
    assert not (tmp_path / "risk.png").exists()
