import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from situational import classify
from situational.basis import BENDS, CONCAVE, CONVEX, CURVES, LINE, build, regular
from situational.fit import TOLERANCE, decide, exponent, independent, smooth
from situational.letters import Letter
from situational.robust import scaled
from tests.situational.support import MODELLED, clean, noisy, unhurried

U = np.linspace(0.0, 1.0, 60)


@pytest.mark.parametrize("n", [10, 24, 60, 200])
def test_the_columns_have_length_one_and_no_mean_and_bend_both_ways_alike(n: int) -> None:
    (columns,) = regular(n, breaks=False).smooth
    assert np.square(columns).sum(axis=1) == pytest.approx(np.ones(1 + 2 * CURVES))
    assert columns.mean(axis=1) == pytest.approx(np.zeros(1 + 2 * CURVES), abs=1e-12)
    assert columns[CONCAVE] == pytest.approx(-columns[CONVEX][:, ::-1])
    assert (np.diff(columns, axis=1) > -1e-12).all()


def test_columns_at_times_of_one_s_own_are_those_of_regular_times_where_the_times_are_regular() -> None:
    own = build(np.stack([U, U**1.1, U]), breaks=True)
    common = regular(60, breaks=True)
    assert own.breaks is not None
    assert common.breaks is not None
    for row in (0, 2):
        assert own.smooth[row] == pytest.approx(common.smooth[0])
        assert own.breaks.columns[row] == pytest.approx(common.breaks.columns[0], abs=1e-9)
    assert own.smooth[1, LINE] != pytest.approx(common.smooth[0, LINE])


@pytest.mark.parametrize("letter", MODELLED)
@pytest.mark.parametrize("bend", [float(BENDS[3]), float(BENDS[8]), 3.14])
def test_a_member_of_the_family_is_found_with_its_own_parameters(letter: Letter, bend: float) -> None:
    assert letter.signs is not None
    slope, curvature = letter.signs
    trend = classify(5.0 * np.arange(60), 0.25 + clean(letter, U, bend))
    assert trend.shape is trend.regime is letter
    assert trend.k == pytest.approx(slope * curvature * bend, abs=0.05)
    assert trend.start == pytest.approx(0.25, abs=5e-3)
    assert trend.rise == pytest.approx(slope, abs=5e-3)
    assert trend.noise == pytest.approx(0.0, abs=2e-3)
    assert trend.r2 == pytest.approx(abs(slope), abs=1e-4)
    assert trend.break_s is None


@unhurried
@given(st.integers(0, 2**32 - 1), st.sampled_from(MODELLED), st.integers(10, 40))
def test_the_curve_reported_is_the_least_squares_one_of_its_bend(seed: int, letter: Letter, n: int) -> None:
    t, y = noisy(letter, np.random.default_rng(seed), rows=1, n=n, snr=8.0)
    trend = classify(t, y[0])
    if trend.n < n or trend.shape in {Letter.A, Letter.NONE}:
        return  # a level, or a window whose spikes were moved
    u = (t - t[0]) / (t[-1] - t[0])
    design = np.column_stack([np.ones(n), np.expm1(trend.k * u) / np.expm1(trend.k) if trend.k else u])
    solved, *_ = np.linalg.lstsq(design, y[0], rcond=None)
    left = y[0] - design @ solved
    assert (trend.start, trend.rise) == pytest.approx(tuple(solved), rel=1e-6, abs=1e-9)
    assert trend.noise == pytest.approx(np.sqrt(np.mean(left**2)), rel=1e-6)
    assert trend.r2 == pytest.approx(1.0 - np.var(left) / np.var(y[0]), rel=1e-6)
    assert trend.curve.at(t) == pytest.approx(design @ solved, abs=1e-9)


@unhurried
@given(st.integers(0, 2**32 - 1), st.integers(10, 60), st.sampled_from([0.5, 2.0, 10.0, 1e6]))
def test_posteriors_are_shares_and_the_letter_has_the_largest(seed: int, n: int, snr: float) -> None:
    rng = np.random.default_rng(seed)
    y = np.concatenate([noisy(letter, rng, rows=1, n=n, snr=snr)[1] for letter in MODELLED])
    window = scaled(y)
    decision, size = decide(smooth(regular(n, breaks=False), window), window)
    assert decision.posterior.sum(axis=1) == pytest.approx(np.ones(len(y)))
    assert (decision.posterior >= 0.0).all()
    told = decision.letter < len(MODELLED)
    assert (decision.letter[told] == decision.posterior[told].argmax(axis=1)).all()
    assert (decision.confidence[told] > 0.5).all()
    assert (decision.confidence[~told] == 0.0).all()
    assert ((size > 0.0) & (size <= n)).all()


def test_correlated_samples_count_as_fewer_than_they_are() -> None:
    rng = np.random.default_rng(5)
    white = rng.normal(size=(400, 60))
    correlated = white.copy()
    for i in range(1, 60):
        correlated[:, i] += 0.7 * correlated[:, i - 1]

    def worth(y: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> float:
        window = scaled(y)
        return float(np.median(decide(smooth(regular(60, breaks=False), window), window)[1]))

    assert worth(white) > 50
    assert 5 < worth(correlated) < 20  # in theory 60 * 0.3 / 1.7 = 10.6
    assert independent(60, np.array([0.0, 0.5])) == pytest.approx([60.0, 20.0])


def test_a_likelihood_never_grows_with_misfit_however_few_the_samples() -> None:
    assert (exponent(np.array([0.5, 3.0, 60.0])) < 0.0).all()


def test_misfit_below_the_tolerance_decides_nothing() -> None:
    """A line that is bent by a tenth of the tolerance stays a line, at whatever precision it is measured."""
    y = U + 0.1 * TOLERANCE * np.sin(np.pi * U)
    assert classify(5.0 * np.arange(60), y).shape is Letter.C
