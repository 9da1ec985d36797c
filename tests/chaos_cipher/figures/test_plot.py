from pathlib import Path
from types import ModuleType

import pytest

from chaos_cipher.errors import ChaosError
from chaos_cipher.figures import bifurcation, distribution, lyapunov, plot
from chaos_cipher.figures.errors import FigureError, FigurePathError, PlotLibraryMissing
from tests.chaos_cipher.figures.support import run, without_matplotlib


@pytest.mark.parametrize("name", ["f.pdf", "f", "f.png.gz", ".png"])
def test_another_ending_is_refused_with_the_two_that_work(name: str, tmp_path: Path) -> None:
    with pytest.raises(FigurePathError, match=r"\.png .* or \.csv"):
        plot.check_out(tmp_path / name)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FigurePathError, match=r"no folder .*absent"):
        plot.check_out(tmp_path / "absent" / "f.csv")


def test_a_folder_is_no_output_file(tmp_path: Path) -> None:
    (tmp_path / "f.csv").mkdir()
    with pytest.raises(FigurePathError, match="name a file"):
        plot.check_out(tmp_path / "f.csv")


def test_a_file_that_cannot_be_opened_is_a_named_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "f.csv").symlink_to(tmp_path / "f.csv")  # a loop: not even root can open it
    with pytest.raises(FigurePathError, match="may write") as caught:
        plot.save_csv(tmp_path / "f.csv", ("a",), [(1,)])
    assert caught.value.path == tmp_path / "f.csv"


def test_a_png_that_cannot_be_written_is_a_named_error_with_advice(tmp_path: Path) -> None:
    out = tmp_path / "f.png"
    out.symlink_to(out)
    figure, _ = plot.new_figure(out, "title")
    with pytest.raises(FigurePathError, match="may write"):
        plot.save_png(out, figure)


@pytest.mark.parametrize(
    ("module", "arguments"),
    [(bifurcation, []), (distribution, ["--search"]), (lyapunov, [])],
)
def test_without_matplotlib_a_png_is_refused_at_once_with_the_command_that_helps(
    module: ModuleType, arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_matplotlib(monkeypatch)
    with pytest.raises(PlotLibraryMissing, match=r"pip install '\.\[figures\]'"):
        run(module, *arguments, "--out", str(tmp_path / "f.png"))


def test_a_csv_needs_no_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_matplotlib(monkeypatch)
    out = tmp_path / "f.csv"
    assert run(bifurcation, "--out", str(out), "--mu-from", "3.9", "--mu-step", "0.05") == 0
    assert len(out.read_text().splitlines()) == 1 + 3 * 80


def test_numbers_in_a_csv_read_back_exactly(tmp_path: Path) -> None:
    plot.save_csv(tmp_path / "f.csv", ("x",), [(0.1 + 0.2,), (1 / 3,)])
    lines = (tmp_path / "f.csv").read_text().splitlines()
    assert [float(line) for line in lines[1:]] == [0.1 + 0.2, 1 / 3]


@pytest.mark.parametrize(("is_terminal", "begins"), [(True, "\rwork:   0 %"), (False, "work: 100 %")])
def test_progress_goes_to_stderr_and_changes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, is_terminal: bool, begins: str
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    assert list(plot.tracked("work", [3, 1, 2])) == [3, 1, 2]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(begins)
    assert shown.err.endswith("work: 100 %\n")


def test_every_refusal_of_a_figure_is_a_refusal_of_the_package() -> None:
    assert issubclass(FigureError, ChaosError)
    assert issubclass(FigurePathError, FigureError)
    assert issubclass(PlotLibraryMissing, FigureError)
