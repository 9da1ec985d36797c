"""What the README claims of every key, proved over whole intervals or measured over many keys."""

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given

from chaos_cipher import LogisticCipher, Parameters, derive_parameters, keystream, step
from tests.chaos_cipher.make_vectors import LANDS_ON_FIXED_POINT
from tests.chaos_cipher.support import (
    EXTREMES,
    KEY,
    NONCE,
    differing_share,
    fixed_bytes,
    flipped,
    highest_a,
    lowest_a,
    many,
    states,
    usable_a,
)

BLOCK, SEGMENT, LONGEST = 32, 65_536, 200 * 1_024
BOTTOM, TOP = 2**224, 2**256 - 2**223
COUNTER_REACH = 2**12  # the block counter, at most 2,048, changes none but the low 12 bits
ALL_KEYS = 10_000


def around(edges: range, reach: int) -> set[int]:
    lengths = {edge + offset for edge in edges for offset in (-reach, -1, 0, 1, reach)}
    return {length for length in lengths if 0 <= length <= LONGEST}


def check_inverse_and_prefix(lengths: set[int]) -> None:
    data = fixed_bytes("edges", LONGEST)
    cipher = LogisticCipher(KEY)
    whole = cipher.apply(NONCE, data)
    for length in lengths:
        hidden = cipher.apply(NONCE, data[:length])
        assert hidden == whole[:length]
        assert cipher.apply(NONCE, hidden) == data[:length]


def test_it_is_its_own_inverse_around_every_block_edge_of_a_short_message() -> None:
    check_inverse_and_prefix(around(range(0, 4_097, BLOCK), 1))


def test_it_is_its_own_inverse_around_every_segment_edge_up_to_200_kib() -> None:
    check_inverse_and_prefix(around(range(0, LONGEST + 1, SEGMENT), BLOCK) | {LONGEST - 1, LONGEST})


@pytest.mark.long
def test_what_hides_200_kib_opens_every_prefix_around_every_block_edge() -> None:
    data = fixed_bytes("edges", LONGEST)
    cipher = LogisticCipher(KEY)
    whole = cipher.apply(NONCE, data)
    for length in around(range(0, LONGEST + 1, BLOCK), 1):
        assert cipher.apply(NONCE, whole[:length]) == data[:length]


# --- the map, over whole intervals ---


@many
@given(states, states, usable_a, usable_a)
def test_the_map_rises_up_to_one_half_and_with_mu_and_its_right_half_is_the_mirror_of_its_left(
    x: int, y: int, a: int, b: int
) -> None:
    (x, y), (a, b) = sorted((x >> 1, y >> 1)), sorted((a, b))
    assert step(x, a) <= step(y, a)
    assert step(x, a) <= step(x, b)
    assert step(x, a) == step(2**256 - 1 - x, a)


def least_image(low: int, high: int) -> int:
    """Over all x in [low, high) and all a: one hump that grows with a has it at an end, at the least a."""
    return min(step(low, lowest_a), step(high - 1, lowest_a))


def test_no_image_of_any_state_under_any_mu_reaches_2_to_the_256_minus_2_to_the_223() -> None:
    highest = max(step(2**255 - 1, highest_a), step(2**255, highest_a))
    assert TOP - 2 <= highest < TOP
    assert highest < 2**256
    assert TOP % COUNTER_REACH == 0  # so no counter lifts it over the limit


def test_97_steps_lift_the_lowest_orbit_of_any_start_and_mu_to_2_to_the_224_and_96_do_not() -> None:
    low, steps = 2**31, 0
    while low < BOTTOM:
        low, steps = least_image(low, TOP), steps + 1
    assert steps == 97


def test_from_then_on_no_step_and_no_counter_leaves_the_interval_for_any_mu() -> None:
    assert BOTTOM % COUNTER_REACH == TOP % COUNTER_REACH == 0
    assert least_image(BOTTOM, TOP) >= BOTTOM


def states_of(x0: int, a: int) -> list[int]:
    """The 300 states of the warm-up and the 2,048 of a segment."""
    x, seen = x0, list[int]()
    for n in [0] * 300 + list(range(1, 2_049)):
        x = step(x, a) ^ n
        seen.append(x)
    return seen


def blocks_of(states: list[int]) -> bytes:
    return b"".join(hashlib.sha256(x.to_bytes(32, "big")).digest() for x in states)


@pytest.mark.parametrize(("x0", "a"), EXTREMES)
def test_the_orbit_of_extreme_parameters_stays_in_the_interval_through_a_segment(x0: int, a: int) -> None:
    seen = states_of(x0, a)
    assert min(seen[96:]) >= BOTTOM
    assert max(seen) < TOP
    assert len(set(seen)) == len(seen)
    assert blocks_of(seen[300:]) == keystream(Parameters(x0, a), SEGMENT)


def test_starts_further_than_2_to_the_221_and_a_little_from_one_half_have_images_of_their_own() -> None:
    y = 2**221 + 2**190  # distance from 1/2
    x = 2**255 - y
    exact_rise = (
        lowest_a * 2**32 * (2**256 - 1 - 2 * x - 2**32)
    )  # before the shift; larger for smaller x, larger a
    assert exact_rise >= 2**382
    near = 2**255 - 2**221 + 2**190
    assert highest_a * 2**32 * (2**256 - 1 - 2 * near - 2**32) < 2**382


# --- the block counter ---


@pytest.fixture
def caught() -> tuple[list[int], bytes]:
    """States and keystream of a segment whose warm-up ends on a fixed point, past the check against it."""
    x0, a = LANDS_ON_FIXED_POINT
    parameters = Parameters(2**31, a)
    object.__setattr__(parameters, "x0", x0)
    seen = states_of(x0, a)
    assert len(set(seen[:300])) == 1
    return seen[300:], keystream(parameters, SEGMENT)


def test_no_two_neighbouring_states_come_twice_even_after_a_warm_up_on_a_fixed_point(
    caught: tuple[list[int], bytes],
) -> None:
    orbit, stream = caught
    assert len(set(pairwise(orbit))) == 2_047
    assert blocks_of(orbit) == stream


def test_off_a_fixed_point_states_stay_alike_for_100_blocks_while_the_blocks_are_unlike_at_once(
    caught: tuple[list[int], bytes],
) -> None:
    orbit, stream = caught
    changed = [(one ^ other).bit_count() for one, other in pairwise(orbit[:400])]
    assert max(changed[:30]) <= 60
    assert max((one ^ other).bit_length() for one, other in pairwise(orbit[:100])) < 130
    assert 120 < sum(changed[300:]) / len(changed[300:]) < 136
    blocks = [int.from_bytes(stream[i : i + BLOCK], "big") for i in range(0, 30 * BLOCK, BLOCK)]
    assert all(80 < (one ^ other).bit_count() < 176 for one, other in pairwise(blocks))  # 6 sigma


# --- keys, nonces, segments ---


def key_of(number: int) -> bytes:
    return fixed_bytes(f"key {number}", 32)


@pytest.fixture(scope="module")
def parameters() -> list[Parameters]:
    """Of 10,000 keys."""
    return [derive_parameters(key_of(number), NONCE, 0) for number in range(ALL_KEYS)]


def test_10_000_keys_give_parameters_in_range_with_every_bit_set_half_of_the_time(
    parameters: list[Parameters],
) -> None:
    assert all(0 < p.x0 < 2**255 and p.x0 % 2**32 == 2**31 for p in parameters)
    assert all(lowest_a <= p.a <= highest_a for p in parameters)
    x0s, gaps = [p.x0 >> 32 for p in parameters], [2**128 - p.a for p in parameters]
    set_bits = [sum(x >> bit & 1 for x in x0s) for bit in range(223)]
    set_bits += [sum(gap >> bit & 1 for gap in gaps) for bit in range(95)]
    assert all(abs(count - ALL_KEYS / 2) < 6 * 50 for count in set_bits)  # 318 bits, each at 6 sigma: 6e-7
    assert all(gap >> 95 == 1 for gap in gaps)


def x0_neighbour(p: Parameters, bit: int) -> Parameters:
    return Parameters(p.x0 ^ 1 << 32 + bit, p.a)


def mu_neighbour(p: Parameters, bit: int) -> Parameters:
    return Parameters(p.x0, 2**128 - (2**128 - p.a ^ 1 << bit))


def test_of_10_000_keys_no_two_and_no_single_bit_neighbour_of_x0_or_mu_share_a_block(
    parameters: list[Parameters],
) -> None:
    every = [
        near
        for i, p in enumerate(parameters)
        for near in (p, x0_neighbour(p, i % 223), mu_neighbour(p, i % 95))
    ]
    assert len({keystream(p, BLOCK) for p in every}) == 3 * ALL_KEYS


def all_neighbours(p: Parameters) -> list[Parameters]:
    return [x0_neighbour(p, bit) for bit in range(223)] + [mu_neighbour(p, bit) for bit in range(95)]


def test_none_of_the_318_neighbours_of_a_key_shares_its_block(parameters: list[Parameters]) -> None:
    for p in parameters[:20]:
        assert len({keystream(near, BLOCK) for near in [p, *all_neighbours(p)]}) == 319


@pytest.mark.long
def test_none_of_the_318_neighbours_of_10_000_keys_shares_its_block(parameters: list[Parameters]) -> None:
    for p in parameters:
        assert len({keystream(near, BLOCK) for near in [p, *all_neighbours(p)]}) == 319


def test_in_20_000_keys_nonces_and_segments_no_x0_and_no_mu_comes_twice(parameters: list[Parameters]) -> None:
    every = [
        *parameters,
        *(derive_parameters(KEY, number.to_bytes(16, "big"), 0) for number in range(5_000)),
        *(derive_parameters(KEY, NONCE, number) for number in range(5_000)),
    ]
    assert len({p.x0 for p in every}) == len({p.a for p in every}) == len(every)


def avalanche(bases: int, length: int) -> tuple[list[float], int]:
    """For each of the 384 bits of key and nonce the share of changed bits; over how many it was counted."""
    totals = [0.0] * 384
    for base in range(bases):
        key, nonce = key_of(base), fixed_bytes(f"nonce {base}", 16)
        usual = LogisticCipher(key).apply(nonce, bytes(length))
        for bit in range(384):
            other_key = flipped(key, bit) if bit < 256 else key
            other_nonce = nonce if bit < 256 else flipped(nonce, bit - 256)
            totals[bit] += differing_share(usual, LogisticCipher(other_key).apply(other_nonce, bytes(length)))
    return [total / bases for total in totals], 8 * bases * length


def test_each_bit_of_key_and_nonce_changes_half_of_the_ciphertext_within_half_a_percent() -> None:
    shares, bits = avalanche(bases=8, length=8_192)
    sigma = 0.5 / bits**0.5
    # +-0.005 is 7.2 sigma for one bit alone (384 of them: 2e-10 in all) and 142 sigma for the mean
    assert 7 * sigma < 0.005
    assert all(abs(share - 0.5) < 0.005 for share in shares)
    assert abs(sum(shares) / 384 - 0.5) < 6 * sigma / 384**0.5
    spread = sum(((share - 0.5) / sigma) ** 2 for share in shares)
    assert abs(spread - 384) < 6 * (2 * 384) ** 0.5  # chi-square: neither outlying bits nor too even ones
