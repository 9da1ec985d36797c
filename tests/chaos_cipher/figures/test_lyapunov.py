import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from chaos_cipher.figures import lyapunov, weakness
from chaos_cipher.figures.errors import FigureRangeError
from tests.chaos_cipher.figures.support import png_size, run

TINY = replace(
    lyapunov.QUICK,
    mus=300,
    near_mus=300,
    deltas=(0.01,),
    depth=weakness.Depth(500, 64, 320),
    float_orbits=64,
    float64_rounds=1,
    trials=5,
    merge_trials=200,
    words=(8, 10),
    starts=10,
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lyapunov, "QUICK", TINY)
    monkeypatch.setattr(lyapunov, "SHALLOW", TINY.depth)


def test_json_holds_every_measurement_and_stdout_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lyapunov, "--quick", "--json") == 0
    shown = capsys.readouterr()
    body = json.loads(shown.out)
    assert body["climb"]["steps"] == 97
    assert body["whole_range"]["samples"] == 300
    assert [each["word_bits"] for each in body["cycles"]] == [8, 10]
    assert [each["precision"] for each in body["collapses"]] == ["float32", "float64"]
    assert "100 %" in shown.err


def test_the_text_names_every_number_that_the_readme_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lyapunov, "--quick") == 0
    shown = capsys.readouterr().out
    for phrase in (
        "periodic",
        "0.5915",
        "delta 0.01",
        "float64",
        "2^-224",
        "2^-126",
        "w =  8",
        "merge",
        "97",
    ):
        assert phrase in shown


def test_the_same_seed_gives_the_same_report() -> None:
    first, second, other = (lyapunov.measure(TINY, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert first == second
    assert first != other


def test_the_csv_has_a_row_per_mu_and_the_png_is_a_png(tmp_path: Path) -> None:
    csv, png = tmp_path / "l.csv", tmp_path / "l.png"
    assert run(lyapunov, "--quick", "--out", str(csv)) == 0
    assert run(lyapunov, "--quick", "--out", str(png)) == 0
    rows = np.loadtxt(csv, delimiter=",", skiprows=1)
    assert rows.shape == (6001, 3)
    assert (rows[0, 0], rows[-1, 0]) == (3.4, 4.0)
    assert rows[rows[:, 0] == 3.83][0, 2] == 3
    assert rows[-1, 1] == pytest.approx(np.log(2), abs=0.01)
    assert png_size(png) == (1600, 1000)


@pytest.mark.parametrize("seed", ["-1", str(2**32)])
def test_a_seed_outside_its_range_is_refused(seed: str) -> None:
    with pytest.raises(FigureRangeError):
        run(lyapunov, "--quick", f"--seed={seed}")
