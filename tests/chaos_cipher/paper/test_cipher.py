from decimal import Decimal
from fractions import Fraction
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_cipher.paper import PaperKey, PaperKeyError, draw_key, paper_apply, paper_keystream
from chaos_cipher.paper.cipher import byte_of, orbit
from tests.chaos_cipher.support import few, many

keys = st.builds(
    PaperKey, st.integers(35_699_457, 40_000_000), st.floats(0, 1, exclude_min=True, exclude_max=True)
)


def reference(key: PaperKey, length: int) -> bytes:
    """Each operation in exact fractions, then rounded to float64: no float arithmetic is trusted."""
    mu, x = Fraction(float(Decimal(key.mu_index).scaleb(-7))), Fraction(key.x0)
    stream = bytearray()
    for n in range(300 + length):
        x = Fraction(float(Fraction(float(mu * x)) * Fraction(float(1 - x))))
        if n >= 300:
            stream.append(min(256 * x.numerator // x.denominator, 255))
    return bytes(stream)


@few
@given(keys)
def test_the_cipher_is_that_of_a_reference_in_rounded_fractions(key: PaperKey) -> None:
    assert paper_keystream(key, 8) == reference(key, 8)


@many
@given(keys, st.binary(max_size=64))
def test_the_cipher_is_its_own_inverse(key: PaperKey, data: bytes) -> None:
    assert paper_apply(key, paper_apply(key, data)) == data


def test_three_hundred_states_are_discarded() -> None:
    key = PaperKey(39_999_999, 0.25)
    x = key.x0
    for _ in range(301):
        x = key.mu * x * (1 - x)
    assert next(orbit(key)) == x
    assert paper_keystream(key, 1)[0] == int(256 * x)


def test_a_state_of_one_counts_as_the_last_byte() -> None:
    assert [byte_of(x) for x in (0.0, 1 / 256, 0.5, 1.0)] == [0, 1, 128, 255]


@pytest.mark.parametrize("mu_index", [35_699_456, 40_000_001])
def test_a_mu_outside_the_papers_range_is_refused(mu_index: int) -> None:
    with pytest.raises(PaperKeyError, match="mu is out of range"):
        PaperKey(mu_index, 0.5)


@pytest.mark.parametrize("x0", [0.0, 1.0, float("nan")])
def test_an_x0_outside_the_open_unit_interval_is_refused(x0: float) -> None:
    with pytest.raises(PaperKeyError, match="x0 is out of range"):
        PaperKey(40_000_000, x0)


def test_both_ends_of_mu_are_usable_keys() -> None:
    assert PaperKey(35_699_457, 0.5).mu == 3.5699457
    assert PaperKey(40_000_000, 0.5).mu == 4


def test_a_key_is_not_in_its_repr() -> None:
    assert "39999999" not in repr(PaperKey(39_999_999, 0.25))
    assert "0.25" not in repr(PaperKey(39_999_999, 0.25))


def test_drawn_keys_repeat_under_a_seed_and_differ_between_numbers_and_seeds() -> None:
    assert draw_key(1, 2) == draw_key(1, 2)
    drawn = {(key.mu_index, key.x0) for key in (draw_key(seed, n) for seed in range(10) for n in range(100))}
    assert len(drawn) == 1_000
    assert all(0 < x0 * 2**53 == int(x0 * 2**53) for _, x0 in drawn)


@many
@given(keys)
def test_every_state_stays_in_the_closed_unit_interval(key: PaperKey) -> None:
    assert all(0 <= x <= 1 for x in islice(orbit(key), 20))
