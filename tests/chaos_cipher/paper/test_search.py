from itertools import pairwise

import numpy as np
import pytest

from chaos_cipher.paper import PaperKey, draw_key, paper_keystream
from chaos_cipher.paper.cipher import HIGHEST_MU, LOWEST_MU, orbit
from chaos_cipher.paper.search import MOST_CELLS, MOST_FLOATS, STAGES, find_starts, narrow_mu, replay


def test_the_grid_of_mu_has_4300544_points_and_with_31_bits_a_key_has_53_04() -> None:
    points = HIGHEST_MU - LOWEST_MU + 1
    assert points == 4_300_544
    assert round(float(np.log2(points)) + 31, 2) == 53.04
    assert f"{points * 2**31 * 300:.3g}" == "2.77e+18"


def test_each_cell_size_divides_the_one_before() -> None:
    sizes = [cell for _, cell in STAGES]
    assert all(one % next_one == 0 for one, next_one in pairwise(sizes))


@pytest.mark.parametrize("number", range(5))
def test_the_true_mu_is_left_and_no_stage_leaves_more_than_the_one_before(number: int) -> None:
    key = draw_key(3, number)
    narrowed = narrow_mu(paper_keystream(key, 256))
    left, counts = narrowed.mu_indices, [stage.left for stage in narrowed.stages]
    assert narrowed.complete
    assert key.mu_index in left
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == len(left) == len(set(left.tolist()))


@pytest.mark.parametrize("mu_index", [LOWEST_MU, HIGHEST_MU])
def test_the_ends_of_the_grid_are_searched_too(mu_index: int) -> None:
    assert mu_index in narrow_mu(paper_keystream(PaperKey(mu_index, 0.3), 256)).mu_indices


def test_every_float_within_the_bounds_is_a_start_and_the_true_one_is_among_them() -> None:
    key = draw_key(3, 0)
    known = paper_keystream(key, 256)
    starts = find_starts(known, np.array([key.mu_index - 1, key.mu_index]))
    states = starts.states[starts.mu_indices == key.mu_index]
    assert starts.exhaustive
    assert len(starts.states) == starts.total
    assert (np.diff(states.view(np.int64)) == 1).all()
    assert starts.position < 64
    assert _state(key, starts.position) in states


def test_more_floats_than_can_be_tried_are_sampled_evenly_and_say_so() -> None:
    starts = find_starts(bytes(256), np.array([HIGHEST_MU]))
    assert not starts.exhaustive
    assert len(starts.states) < MOST_FLOATS < starts.total
    assert (np.diff(starts.states) > 0).all()


def test_bytes_that_hardly_tell_mu_have_cells_thinned_out_and_say_so() -> None:
    narrowed = narrow_mu(bytes(256))
    assert not narrowed.complete
    assert 0 < len(narrowed.mu_indices) <= MOST_CELLS
    assert 2_000_000 < narrowed.stages[-1].left <= 4_400_000


def test_a_replay_keeps_the_true_state_and_drops_one_an_ulp_beside_it() -> None:
    key = PaperKey(39_999_999, 0.25)
    known, state = paper_keystream(key, 256), _state(key, 0)
    tried = np.array([np.nextafter(state, 0), state, np.nextafter(state, 1)])
    which, ends = replay(known, np.full(3, key.mu), tried)
    assert which.tolist() == [1]
    assert ends.tolist() == [_state(key, 255)]


def _state(key: PaperKey, position: int) -> float:
    states = orbit(key)
    for _ in range(position):
        next(states)
    return next(states)
