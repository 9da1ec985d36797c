import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational.fit import GRID, fit
from situational.trend import Letter
from tests.situational.support import MODELLED, clean, noisy, unhurried


def test_the_grid_is_as_fine_for_bends_downward_as_upward() -> None:
    assert sorted(GRID) == sorted(-GRID)


@pytest.mark.parametrize("letter", MODELLED)
def test_a_member_of_the_family_is_found_with_its_own_parameters(letter: Letter) -> None:
    u = np.linspace(0.0, 1.0, 60)
    bend = float(GRID[8])
    assert letter.signs is not None
    slope, curvature = letter.signs
    found = fit(u[None, :], 0.25 + clean(letter, u, bend)[None, :])
    assert MODELLED[found.letter[0]] is letter
    assert found.start[0] == pytest.approx(0.25, abs=1e-9)
    assert found.rise[0] == pytest.approx(slope, abs=1e-9)
    assert found.k[0] == pytest.approx(slope * curvature * bend)
    assert found.noise[0] == pytest.approx(0.0, abs=1e-7)
    assert found.explained[0] == pytest.approx(1.0)


@unhurried
@given(st.integers(0, 2**32 - 1), st.sampled_from(MODELLED), st.integers(10, 40))
def test_the_curve_reported_is_the_least_squares_one_of_its_letter(seed: int, letter: Letter, n: int) -> None:
    t, y = noisy(letter, np.random.default_rng(seed), rows=1, n=n, snr=8.0)
    u = (t - t[0]) / (t[-1] - t[0])
    found = fit(u[None, :], y)
    k, rise = found.k[0], found.rise[0]
    if rise == 0.0:
        design = np.ones((n, 1))
    else:
        design = np.column_stack([np.ones(n), np.expm1(k * u) / np.expm1(k) if k else u])
    solved, *_ = np.linalg.lstsq(design, y[0], rcond=None)
    noise = np.sqrt(np.mean((y[0] - design @ solved) ** 2))
    assert found.noise[0] == pytest.approx(noise, rel=1e-6)
    assert found.start[0] == pytest.approx(solved[0], abs=1e-9)
    if rise != 0.0:
        assert rise == pytest.approx(solved[1], rel=1e-6)


def test_correlated_samples_count_as_fewer_than_they_are() -> None:
    rng = np.random.default_rng(5)
    white = rng.normal(size=(400, 60))
    correlated = white.copy()
    for i in range(1, 60):
        correlated[:, i] += 0.7 * correlated[:, i - 1]
    u = np.linspace(0.0, 1.0, 60)[None, :]
    of_white = float(np.median(fit(u, white / np.ptp(white, axis=1)[:, None]).n_effective))
    of_correlated = float(np.median(fit(u, correlated / np.ptp(correlated, axis=1)[:, None]).n_effective))
    assert of_white > 50
    assert 5 < of_correlated < 20  # in theory 60 * 0.3 / 1.7 = 10.6
