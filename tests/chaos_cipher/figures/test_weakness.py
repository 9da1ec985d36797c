from math import log

import numpy as np
import pytest

from chaos_cipher.figures import weakness
from chaos_cipher.figures.weakness import Depth

SHALLOW = Depth(settle=2000, longest=256, averaged=1600)


def share(low: float, high: float, count: int = 1500) -> weakness.Share:
    return weakness.share(low, high, weakness.stratified(low, high, count, np.random.default_rng(1)), SHALLOW)


def test_the_exponent_that_mixes_256_bits_in_300_iterations_is_below_ln_2() -> None:
    mixing = weakness.MIXING_EXPONENT
    assert mixing * 300 == pytest.approx(256 * log(2))
    assert mixing < log(2)


def test_a_sample_has_one_mu_in_each_slice() -> None:
    mu = np.sort(np.concatenate(weakness.stratified(3.0, 4.0, 10_000, np.random.default_rng(2))))
    assert (np.floor((mu - 3.0) * 10_000 + 1e-9).astype(int) == np.arange(10_000)).mean() > 0.999
    assert all(
        len(chunk) <= weakness.CHUNK for chunk in weakness.stratified(3, 4, 10_000, np.random.default_rng(2))
    )


def test_the_window_of_period_3_is_wholly_periodic() -> None:
    found = share(3.8300, 3.8400, 200)
    assert (found.samples, found.periodic, found.too_slow) == (200, 1.0, 1.0)
    assert found.periodic_error == 0


def test_a_tenth_of_the_papers_range_is_periodic_and_most_of_it_is_too_slow() -> None:
    found = share(3.5699456, 4.0, 3000)
    assert 0.07 < found.periodic < 0.13
    assert 0.90 < found.too_slow < 0.96
    assert found.periodic_error == pytest.approx((found.periodic * (1 - found.periodic) / 3000) ** 0.5)


def test_next_to_4_hardly_anything_is_weak() -> None:
    found = share(3.9999, 4.0)
    assert found.too_slow < 0.01
    assert found.periodic <= found.too_slow


def test_single_precision_orbits_at_4_all_end_on_short_cycles_and_some_at_zero() -> None:
    found = weakness.collapse(np.float32, 1000, range(2), 10_000, np.random.default_rng(1))
    assert (found.precision, found.orbits, found.iterations) == ("float32", 1000, 20_000)
    assert 0 < found.at_zero < 1000
    assert found.cycling == 1000


def test_double_precision_orbits_last_longer() -> None:
    found = weakness.collapse(np.float64, 100, range(2), 1000, np.random.default_rng(1))
    assert (found.precision, found.at_zero, found.cycling) == ("float64", 0, 0)
