import hashlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chaos_cipher import ChaosLengthError, Parameters, derive_parameters, keystream, step
from tests.chaos_cipher import reference
from tests.chaos_cipher.make_vectors import GOOD_A, LANDS_ON_FIXED_POINT, QUARTER
from tests.chaos_cipher.support import differing_share, few, fixed_bits, usable_a, usable_x0

SEGMENT = 65_536


@few
@given(usable_x0, usable_a, st.integers(1, 6))
@example(2**31, 2**128 - 2**95, 6)
@example(2**255 - 2**31, 2**128 - 2**96 + 1, 6)
def test_the_keystream_is_that_of_the_reference(x0: int, a: int, count: int) -> None:
    exact = reference.blocks(x0 * reference.UNIT, a * reference.MU_STEP, count)
    assert keystream(Parameters(x0, a), 32 * count) == exact


@few
@given(st.integers(0, SEGMENT))
@example(0)
@example(SEGMENT)
def test_a_shorter_keystream_is_a_prefix_of_a_longer_one(length: int) -> None:
    parameters = Parameters(QUARTER, GOOD_A)
    assert keystream(parameters, length) == keystream(parameters, SEGMENT)[:length]


def test_the_block_counter_pushes_even_an_orbit_on_a_fixed_point_off_it() -> None:
    x0, a = LANDS_ON_FIXED_POINT
    parameters = Parameters(QUARTER, a)
    object.__setattr__(parameters, "x0", x0)  # past the check that refuses it
    stream = keystream(parameters, SEGMENT)
    blocks = {stream[i : i + 32] for i in range(0, SEGMENT, 32)}
    assert len(blocks) == 2_048


def test_a_block_shows_the_state_through_a_hash_alone() -> None:
    x, a = QUARTER, GOOD_A
    for _ in range(300):
        x = step(x, a)
    x = step(x, a) ^ 1
    assert keystream(Parameters(QUARTER, a), 32) == hashlib.sha256(x.to_bytes(32, "big")).digest()


@pytest.mark.parametrize("length", [-1, SEGMENT + 1])
def test_a_length_outside_one_segment_is_refused(length: int) -> None:
    with pytest.raises(ChaosLengthError) as refused:
        keystream(Parameters(QUARTER, GOOD_A), length)
    assert (refused.value.value, refused.value.limit) == (length, SEGMENT)


def spread(x0_step: int, a_step: int, steps: int) -> list[float]:
    """Which share of the state's bits the smallest change of a parameter has turned after so many steps."""
    shares = []
    for i in range(40):
        x = fixed_bits(f"x0 {i}", 222) * 2**32 + 2**31
        a = 2**128 - 2**95 - 1 - fixed_bits(f"a {i}", 94)
        y, b = x + x0_step, a + a_step
        for _ in range(steps):
            x, y = step(x, a), step(y, b)
        shares.append(differing_share(x.to_bytes(32, "big"), y.to_bytes(32, "big")))
    return shares


@pytest.mark.parametrize(("x0_step", "a_step"), [(2**32, 0), (0, 1)])
def test_300_iterations_of_the_map_turn_the_smallest_change_of_a_parameter_into_half_of_the_states_bits(
    x0_step: int, a_step: int
) -> None:
    """The map itself: behind the hash of a block any change at all would look like this."""
    shares = spread(x0_step, a_step, 300)
    assert 0.475 < sum(shares) / len(shares) < 0.525  # 10,240 bits: 5 standard deviations
    assert 0.3 < min(shares) < max(shares) < 0.7  # 256 bits each: 6.4
    early = spread(x0_step, a_step, 60)
    assert sum(early) / len(early) < 0.45  # so it is the steps that do it


def test_bytes_of_a_segment_are_spread_evenly() -> None:
    stream = keystream(derive_parameters(bytes(range(32)), bytes(16), 0), SEGMENT)
    expected = SEGMENT / 256
    chi_square = sum((stream.count(value) - expected) ** 2 / expected for value in range(256))
    assert 160 < chi_square < 370  # 255 degrees of freedom: mean 255, 5 standard deviations above
    assert 0.495 < differing_share(stream, bytes(SEGMENT)) < 0.505
    assert 0.495 < differing_share(stream[:-32], stream[32:]) < 0.505
