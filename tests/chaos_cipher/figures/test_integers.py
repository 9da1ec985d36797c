import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_cipher.figures import integers
from chaos_cipher.logistic import GUARD, GUARD_MASK, HALF, HIGHEST_A, LOWEST_A, Parameters, step

A = st.integers(LOWEST_A, HIGHEST_A)


@given(st.integers(0, 2**256 - 1), A)
def test_the_small_map_at_256_bits_is_the_ciphers_map(x: int, a: int) -> None:
    assert integers.small_step(x, a, 256) == step(x, a)


@given(st.integers(2, 24), st.data())
def test_the_small_map_stays_on_its_grid(word_bits: int, data: st.DataObject) -> None:
    x = data.draw(st.integers(0, 2**word_bits - 1))
    assert 0 <= integers.small_step(x, data.draw(A), word_bits) < 2**word_bits


def cycle_by_brute_force(x: int, a: int, word_bits: int) -> int:
    seen: dict[int, int] = {}
    while x not in seen:
        seen[x] = len(seen)
        x = x * (2**word_bits - 1 - x) * a // 2 ** (word_bits + 126)
    return len(seen) - seen[x]


@pytest.mark.parametrize("gap", [2**117, 2**117 + 2**116, 2**118 - 1, 2**95])
def test_every_start_of_8_bits_has_the_cycle_that_brute_force_finds(gap: int) -> None:
    a = 2**128 - gap
    for x in range(256):
        assert integers.cycle_length(x, a, 8) == cycle_by_brute_force(x, a, 8)


def test_cycles_grow_no_faster_than_half_the_bits() -> None:
    found = [integers.cycles(bits, 60, np.random.default_rng(5)) for bits in (10, 14, 18)]
    assert [each.word_bits for each in found] == [10, 14, 18]
    assert found[0].mean < found[1].mean < found[2].mean
    for each in found:
        assert -3 < each.mean_below_half < 1
        assert each.mean_below_half == pytest.approx(np.log2(each.mean) - each.word_bits / 2)
        assert each.median_below_half == pytest.approx(np.log2(each.median) - each.word_bits / 2)


def test_random_parameters_are_such_as_the_cipher_accepts() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        Parameters(x0=integers.random_x0(rng), a=integers.random_a(rng))


@given(st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_random_bits_are_no_more_than_asked_for(bits: int, seed: int) -> None:
    assert 0 <= integers.random_bits(np.random.default_rng(seed), bits) < 2**bits


def test_every_random_bit_is_sometimes_1_and_sometimes_0() -> None:
    rng = np.random.default_rng(1)
    drawn = [integers.random_bits(rng, 95) for _ in range(60)]
    assert np.bitwise_or.reduce(drawn) == 2**95 - 1
    assert np.bitwise_and.reduce(drawn) == 0


def test_a_large_difference_is_visible_at_once_and_none_never() -> None:
    assert integers.visible_after(2**250, HIGHEST_A, 2**254, HIGHEST_A) == 1
    assert integers.visible_after(2**250, HIGHEST_A, 2**250, HIGHEST_A) == integers.NEVER


def test_300_iterations_make_the_smallest_change_of_x0_or_mu_visible() -> None:
    rng = np.random.default_rng(2)
    x0, mu = integers.visibility_of_x0(30, rng), integers.visibility_of_mu(30, rng)
    assert 218 < x0.mean < 224 <= x0.worst + 4 < 300
    assert 122 < mu.mean < 131
    assert mu.mean < mu.worst < 300


def test_an_eighth_of_neighbours_merges_without_guard_bits() -> None:
    found = integers.merging(4000, np.random.default_rng(3))
    assert found.without_guard == pytest.approx(1 / 8, abs=0.025)


def test_guarded_neighbours_merge_only_within_2_to_the_221_of_a_half() -> None:
    found = integers.merging(2000, np.random.default_rng(4))
    assert found.guarded_near_half == pytest.approx(1 / 2, abs=0.05)
    assert found.guarded_elsewhere == 0


@given(st.integers(2**221 + 2**33, HALF - 2**33), A)
def test_no_guarded_neighbours_merge_further_away(distance: int, a: int) -> None:
    x = HALF - distance
    x = x & ~GUARD_MASK | GUARD
    assert step(x, a) != step(x + 2**32, a)


def test_the_smallest_start_climbs_above_2_to_the_224_in_97_iterations() -> None:
    found = integers.climb()
    assert found.steps == 97
    x = GUARD
    for _ in range(found.steps - 1):
        x = step(x, LOWEST_A)
    assert x < 2**224 <= step(x, LOWEST_A)


@given(st.integers(2**224, 2**256 - 2**223), A)
def test_no_orbit_leaves_the_band_that_the_climb_reports(x: int, a: int) -> None:
    found = integers.climb()
    assert 224 <= found.lowest_log2 <= np.log2(float(step(x, a))) + 1e-9
    assert found.gap_to_one_log2 >= 223
    assert step(x, a) <= 2**256 - 2**223
