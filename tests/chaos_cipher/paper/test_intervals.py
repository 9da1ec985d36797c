"""The bounds are rigorous: whatever the key, they never lose its states."""

from itertools import islice

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from chaos_cipher.paper import PaperKey, draw_key
from chaos_cipher.paper.cipher import GRID, byte_of, orbit
from chaos_cipher.paper.intervals import contract
from tests.chaos_cipher.paper.test_cipher import keys
from tests.chaos_cipher.support import many


@many
@given(keys, st.integers(0, 4096), st.integers(0, 4096))
@example(PaperKey(35_699_457, 0.5), 0, 0)
@example(PaperKey(38_300_000, 0.1), 0, 0)  # period 3
@example(PaperKey(40_000_000, 0.3), 0, 0)
@example(PaperKey(40_000_000, 0.5), 0, 0)  # reaches 1, then 0 for ever
def test_the_true_states_are_never_excluded(key: PaperKey, below: int, above: int) -> None:
    states = np.array(list(islice(orbit(key), 128)))
    known = bytes(byte_of(x) for x in states)
    low, high = (np.array([index / GRID]) for index in (key.mu_index - below, key.mu_index + above))
    bounds = contract(known, low, high)
    assert bounds.alive.all()
    assert (bounds.low[:, 0] <= states).all()
    assert (states <= bounds.high[:, 0]).all()


def test_bounds_of_a_chaotic_orbit_close_in_to_some_units_of_the_last_place() -> None:
    key = draw_key(7, 0)
    states = list(islice(orbit(key), 256))
    mu = np.array([key.mu])
    bounds = contract(bytes(byte_of(x) for x in states), mu, mu)
    widths = (bounds.high - bounds.low)[:64, 0] / np.spacing(bounds.high[:64, 0])
    assert widths.min() < 100


def test_cells_far_from_the_true_mu_are_excluded() -> None:
    key = PaperKey(39_000_000, 0.3)
    known = bytes(byte_of(x) for x in islice(orbit(key), 32))
    first = np.array([36_000_000, 38_000_000, 38_999_900, 39_900_000])
    assert contract(known, first / GRID, (first + 255) / GRID).alive.tolist() == [False, False, True, False]
