from hashlib import sha256
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_cipher.fold.keystream import SEGMENT_BLOCKS, as_bytes, continued, fold, fold_blocks, states
from tests.chaos_cipher.support import few, highest_a, lowest_a, usable_a, usable_x0
from tests.chaos_cipher.support import states as any_state

DRAWN = int.from_bytes(sha256(b"fold").digest(), "big") >> 33 << 32 | 2**31


@pytest.mark.parametrize(
    ("x0", "a", "digest"),
    [
        (2**31, lowest_a, "5dfb8aa4ac02c3af7636ca3223f73c89be7eaea2d0909612f0f9084cb1a71e05"),
        (2**254 + 2**31, highest_a, "f8a0d47016f0c65144d1c9da82f406c989187ff1db47b2c7b28c7024cc12b688"),
        (
            DRAWN,
            highest_a - 12345678901234567890,
            "1326ae0f054fb93c74ee5a77387924eeec75aede1c676ee8b0903070824ea822",
        ),
    ],
)
def test_a_whole_segment_is_what_lm256_1_gave_while_it_was_in_use(x0: int, a: int, digest: str) -> None:
    assert sha256(as_bytes(fold_blocks(x0, a, SEGMENT_BLOCKS))).hexdigest() == digest


@few
@given(any_state)
def test_a_fold_hides_a_state_as_long_as_its_high_half_is_not_known(x: int) -> None:
    assert fold(x) < 1 << 128
    assert (x >> 128) << 128 | x >> 128 ^ fold(x) == x


@few
@given(usable_x0, usable_a, st.integers(1, 40))
def test_from_any_state_on_the_segment_continues_as_it_was(x0: int, a: int, n: int) -> None:
    x = next(islice(states(x0, a), n - 1, None))
    assert continued(x, a, n, 10) == fold_blocks(x0, a, n + 9)[n - 1 :]
