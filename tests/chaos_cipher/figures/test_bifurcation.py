from pathlib import Path

import numpy as np
import pytest

from chaos_cipher.figures import bifurcation
from chaos_cipher.figures.errors import FigurePathError, FigureRangeError
from tests.chaos_cipher.figures.support import png_size, run


def test_the_papers_grid_has_1501_values_of_mu_from_1_to_4() -> None:
    mu = bifurcation.mu_grid(1.0, 4.0, 0.002)
    assert len(mu) == 1501
    assert (mu[0], mu[1], mu[1250], mu[-1]) == (1.0, 1.002, 3.5, 4.0)


def test_a_grid_never_passes_its_end() -> None:
    assert bifurcation.mu_grid(3.0, 3.5, 0.3).tolist() == [3.0, 3.3]
    assert bifurcation.mu_grid(4.0, 4.0, 0.1).tolist() == [4.0]


def test_the_csv_holds_the_120_080_points_of_the_paper(tmp_path: Path) -> None:
    out = tmp_path / "f.csv"
    assert run(bifurcation, "--out", str(out)) == 0
    rows = np.loadtxt(out, delimiter=",", skiprows=1)
    assert rows.shape == (120_080, 2)
    assert out.read_text().startswith("mu,x\n")
    assert rows[rows[:, 0] == 2.9][:, 1] == pytest.approx(0.655172, abs=1e-6)
    assert np.unique(rows[rows[:, 0] == 3.2][:, 1].round(6)).tolist() == [0.513045, 0.799455]


def test_the_png_is_a_png_of_1600_by_1000_pixels_with_ink(tmp_path: Path) -> None:
    out = tmp_path / "f.PNG"
    assert run(bifurcation, "--out", str(out), "--mu-from", "3.5", "--mu-step", "0.01") == 0
    assert png_size(out) == (1600, 1000)
    blank = tmp_path / "blank.png"
    run(bifurcation, "--out", str(blank), "--mu-from", "3.5", "--mu-step", "0.01", "--keep", "1")
    assert out.stat().st_size > blank.stat().st_size


def test_one_single_mu_can_be_drawn(tmp_path: Path) -> None:
    out = tmp_path / "one.png"
    assert run(bifurcation, "--out", str(out), "--mu-from", "3.7", "--mu-to", "3.7") == 0


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--mu-from", "0"),
        ("--mu-from", "nan"),
        ("--mu-to", "4.01"),
        ("--mu-to", "0.5"),
        ("--mu-step", "0"),
        ("--mu-step", "-0.1"),
        ("--mu-step", "inf"),
        ("--x0", "0"),
        ("--x0", "1"),
        ("--transient", "-1"),
        ("--transient", "1000001"),
        ("--keep", "0"),
    ],
)
def test_an_option_outside_its_range_is_refused_by_name(option: str, value: str, tmp_path: Path) -> None:
    out = tmp_path / "f.csv"
    with pytest.raises(FigureRangeError) as caught:
        run(bifurcation, "--out", str(out), f"{option}={value}")
    assert caught.value.option == option
    assert not out.exists()


def test_a_figure_too_large_for_memory_is_refused_before_it_is_computed(tmp_path: Path) -> None:
    with pytest.raises(FigureRangeError, match="larger --mu-step"):
        run(bifurcation, "--out", str(tmp_path / "f.csv"), "--mu-step", "1e-9")


def test_a_wrong_ending_is_refused_before_anything_else(tmp_path: Path) -> None:
    with pytest.raises(FigurePathError):
        run(bifurcation, "--out", str(tmp_path / "f.pdf"), "--keep", "0")
