import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from chaos_cipher.figures import distribution, histogram
from chaos_cipher.figures.errors import FigurePathError, FigureRangeError
from chaos_cipher.schedule import derive_parameters
from chaos_cipher.stream import keystream
from tests.chaos_cipher.figures.support import png_size, run


def test_the_states_are_those_behind_the_keystream() -> None:
    parameters = derive_parameters(bytes(32), bytes(16), 0)
    shown = distribution.states(parameters, 400)  # a low bit needs 250 to show
    stream = keystream(parameters, 12800)
    x, a = parameters.x0, parameters.a
    for _ in range(300):
        x = x * (2**256 - 1 - x) * a >> 382
    for n in range(1, 401):
        x = (x * (2**256 - 1 - x) * a >> 382) ^ n
        assert sha256(x.to_bytes(32, "big")).digest() == stream[32 * n - 32 : 32 * n]
        assert shown[n - 1] == pytest.approx(x / 2**256, abs=2**-52)


def test_lm256_shows_uniform_bytes_while_its_hidden_states_follow_the_arcsine_law() -> None:
    states, shown = distribution.lm256_rows(seed=1)
    assert sum(states.counts) == sum(shown.counts) == 30_000
    assert shown.against_uniform < histogram.critical(0.001)
    assert histogram.chi_square(np.array(states.counts), histogram.ARCSINE) < histogram.critical(0.001)
    assert states.against_uniform > 5000


def test_no_orbit_of_the_default_mu_comes_near_the_papers_table() -> None:
    row = distribution.row("orbit", distribution.orbit_counts(distribution.BEST_MU, 0.1))
    assert sum(row.counts) == 30_000
    assert row.against_paper > 30 * histogram.critical(0.001)


def test_the_search_covers_the_papers_chaotic_range() -> None:
    mu = np.concatenate(distribution.search_chunks(0.001))
    assert mu.max() == 4.0
    assert 3.5699456 < mu.min() < 3.5699456 + 0.001
    assert len(mu) == 431


def test_the_search_finds_the_mu_whose_counts_are_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = distribution.orbit_counts(3.9, 0.1)
    monkeypatch.setattr(distribution, "_TABLE", wanted + 1)
    chunks = [np.array([3.7, 3.8]), np.array([3.9, 3.95, 4.0])]
    assert distribution.best_mu(0.1, chunks) == 3.9


def test_the_text_says_plainly_that_the_papers_table_is_not_reproducible(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(distribution) == 0
    shown = capsys.readouterr().out
    assert "Table 4 is not reproducible" in shown
    assert "multiples of 3" in shown
    assert "rejects uniformity itself" in shown
    assert "27.88" in shown


def test_json_and_csv_hold_the_same_rows(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    out = tmp_path / "d.csv"
    assert run(distribution, "--json", "--out", str(out)) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["table_4_common_divisor"] == 3
    assert [sum(row["counts"]) for row in body["rows"]] == pytest.approx([30_000] * 5)
    lines = out.read_text().splitlines()
    assert len(lines) == 1 + len(body["rows"])
    assert lines[1].startswith('"P1 Table 4",4419.0,')


def test_the_same_seed_gives_the_same_rows_and_another_seed_others() -> None:
    assert distribution.lm256_rows(2) == distribution.lm256_rows(2)
    assert distribution.lm256_rows(2) != distribution.lm256_rows(3)


def test_the_png_is_a_png(tmp_path: Path) -> None:
    out = tmp_path / "d.png"
    assert run(distribution, "--out", str(out)) == 0
    assert png_size(out) == (1600, 1000)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--mu", "0"),
        ("--mu", "4.1"),
        ("--x0", "1"),
        ("--x0", "nan"),
        ("--search-step", "1e-7"),
        ("--search-step", "0.1"),
        ("--seed", "-1"),
        ("--seed", str(2**64)),
    ],
)
def test_an_option_outside_its_range_is_refused_by_name(option: str, value: str) -> None:
    with pytest.raises(FigureRangeError) as caught:
        run(distribution, f"{option}={value}")
    assert caught.value.option == option


def test_the_output_is_checked_before_the_search(tmp_path: Path) -> None:
    with pytest.raises(FigurePathError):
        run(distribution, "--search", "--out", str(tmp_path / "d.txt"))
