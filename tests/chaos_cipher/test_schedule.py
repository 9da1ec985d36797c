from math import floor

import pytest
from hypothesis import given

from chaos_cipher import ChaosKeyError, ChaosLengthError, ChaosNonceError, derive_parameters
from tests.chaos_cipher import reference
from tests.chaos_cipher.support import KEY, NONCE, flipped, keys, many, nonces, segments


@many
@given(keys, nonces, segments)
def test_parameters_are_those_of_the_reference(key: bytes, nonce: bytes, segment: int) -> None:
    x0, mu = reference.start(key, nonce, segment)
    parameters = derive_parameters(key, nonce, segment)
    assert parameters.x0 == floor(x0 / reference.UNIT)
    assert parameters.a == floor(mu / reference.MU_STEP)


def test_every_single_bit_of_key_nonce_and_segment_changes_both_parameters() -> None:
    neighbours = [derive_parameters(KEY, NONCE, 0)]
    neighbours += [derive_parameters(flipped(KEY, bit), NONCE, 0) for bit in range(256)]
    neighbours += [derive_parameters(KEY, flipped(NONCE, bit), 0) for bit in range(128)]
    neighbours += [derive_parameters(KEY, NONCE, 1 << bit) for bit in range(32)]
    assert len({p.x0 for p in neighbours}) == len({p.a for p in neighbours}) == 1 + 256 + 128 + 32


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ChaosKeyError) as refused:
        derive_parameters(bytes(size), NONCE, 0)
    assert (refused.value.length, refused.value.needed) == (size, 32)


@pytest.mark.parametrize("size", [0, 12, 15, 17])
def test_a_nonce_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ChaosNonceError) as refused:
        derive_parameters(KEY, bytes(size), 0)
    assert (refused.value.length, refused.value.needed) == (size, 16)


@pytest.mark.parametrize("segment", [-1, 2**32])
def test_a_segment_number_outside_32_bits_is_refused(segment: int) -> None:
    with pytest.raises(ChaosLengthError) as refused:
        derive_parameters(KEY, NONCE, segment)
    assert (refused.value.value, refused.value.limit) == (segment, 2**32 - 1)
