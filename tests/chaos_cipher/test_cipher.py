from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos_cipher import (
    MAX_MESSAGE_BYTES,
    SEGMENT_BYTES,
    ChaosError,
    ChaosKeyError,
    ChaosLengthError,
    ChaosNonceError,
    ChaosNonceReuseError,
    EncryptingCipher,
    LogisticCipher,
    derive_parameters,
    keystream,
)
from tests.chaos_cipher import reference
from tests.chaos_cipher.support import (
    KEY,
    NONCE,
    few,
    fixed_bytes,
    flipped,
    keys,
    many,
    nonces,
)

EDGES = [
    0,
    1,
    15,
    16,
    17,
    31,
    32,
    33,
    255,
    256,
    65_520,
    65_535,
    65_536,
    65_537,
    131_072,
    131_073,
    200 * 1_024,
]


def nonce_of(value: int) -> bytes:
    return value.to_bytes(16, "big")


@pytest.mark.parametrize("length", EDGES)
def test_applying_the_cipher_twice_gives_the_data_back(length: int) -> None:
    data = fixed_bytes("message", length)
    hidden = LogisticCipher(KEY).apply(NONCE, data)
    assert len(hidden) == length
    assert length < 15 or hidden != data
    assert LogisticCipher(KEY).apply(NONCE, hidden) == data


@many
@given(keys, nonces, st.binary(max_size=80))
def test_the_cipher_is_its_own_inverse(key: bytes, nonce: bytes, data: bytes) -> None:
    cipher = LogisticCipher(key)
    assert cipher.apply(nonce, cipher.apply(nonce, data)) == data


@few
@given(keys, nonces, st.binary(max_size=80))
def test_the_ciphertext_is_that_of_the_reference(key: bytes, nonce: bytes, data: bytes) -> None:
    assert LogisticCipher(key).apply(nonce, data) == reference.encrypt(key, nonce, data)


def test_each_segment_of_a_message_has_the_keystream_of_its_own_parameters() -> None:
    stream = LogisticCipher(KEY).apply(NONCE, bytes(2 * SEGMENT_BYTES + 20))
    pieces = [keystream(derive_parameters(KEY, NONCE, segment), SEGMENT_BYTES) for segment in range(3)]
    assert stream == b"".join(pieces)[: 2 * SEGMENT_BYTES + 20]


def test_the_ciphertext_carries_no_authentication_so_a_flipped_bit_flips_that_bit_alone() -> None:
    cipher = LogisticCipher(KEY)
    forged = flipped(cipher.apply(NONCE, b"open breaker 7"), 3)
    assert cipher.apply(NONCE, forged) == flipped(b"open breaker 7", 3)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_no_cipher_is_made_with_a_key_of_another_length(size: int) -> None:
    for make in (LogisticCipher, EncryptingCipher):
        with pytest.raises(ChaosKeyError):
            make(bytes(size))


@pytest.mark.parametrize("size", [0, 12, 15, 17])
def test_a_nonce_of_another_length_is_refused_even_for_an_empty_message(size: int) -> None:
    with pytest.raises(ChaosNonceError):
        LogisticCipher(KEY).apply(bytes(size), b"")
    with pytest.raises(ChaosNonceError):
        EncryptingCipher(KEY).encrypt(bytes(size), b"")


def test_a_message_of_exactly_the_limit_passes_and_one_byte_more_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("chaos_cipher.cipher.MAX_MESSAGE_BYTES", 32)
    assert len(LogisticCipher(KEY).apply(NONCE, bytes(32))) == 32
    with pytest.raises(ChaosLengthError):
        LogisticCipher(KEY).apply(NONCE, bytes(33))


def test_a_message_over_16_mib_is_refused() -> None:
    with pytest.raises(ChaosLengthError) as refused:
        LogisticCipher(KEY).apply(NONCE, bytes(MAX_MESSAGE_BYTES + 1))
    assert (refused.value.value, refused.value.limit) == (MAX_MESSAGE_BYTES + 1, MAX_MESSAGE_BYTES)


def test_no_repr_and_no_error_shows_the_key() -> None:
    secret = b"thirty-two bytes nobody may see!"
    cipher, encrypting = LogisticCipher(secret), EncryptingCipher(secret)
    encrypting.encrypt(nonce_of(1), b"")
    texts = [repr(cipher), repr(encrypting), repr(derive_parameters(secret, NONCE, 0))]
    for call in (lambda: LogisticCipher(secret[:-1]), lambda: encrypting.encrypt(nonce_of(1), b"")):
        with pytest.raises(ChaosError) as refused:
            call()
        texts += [str(refused.value), repr(refused.value)]
    for text in texts:
        assert "nobody" not in text
        assert secret.hex()[:16] not in text
        assert str(int.from_bytes(secret, "big"))[:16] not in text


def test_what_the_encrypting_side_makes_the_cipher_opens() -> None:
    sender = EncryptingCipher(KEY)
    for value, text in ((0, b"first"), (1, b"second"), (2**128 - 1, b"last")):
        assert LogisticCipher(KEY).apply(nonce_of(value), sender.encrypt(nonce_of(value), text)) == text


@pytest.mark.parametrize("value", [0, 255, 256])
def test_the_encrypting_side_refuses_a_nonce_that_is_not_above_all_it_has_used(value: int) -> None:
    sender = EncryptingCipher(KEY)
    sender.encrypt(nonce_of(256), b"order")
    with pytest.raises(ChaosNonceReuseError) as refused:
        sender.encrypt(nonce_of(value), b"another order")
    assert (refused.value.nonce, refused.value.highest) == (nonce_of(value), nonce_of(256))
    assert sender.encrypt(nonce_of(257), b"another order") != b"another order"


def test_a_nonce_whose_message_was_refused_is_used_up() -> None:
    sender = EncryptingCipher(KEY)
    with pytest.raises(ChaosLengthError):
        sender.encrypt(nonce_of(1), bytes(MAX_MESSAGE_BYTES + 1))
    with pytest.raises(ChaosNonceReuseError):
        sender.encrypt(nonce_of(1), b"order")


def test_a_nonce_of_another_length_leaves_the_highest_nonce_alone() -> None:
    sender = EncryptingCipher(KEY)
    with pytest.raises(ChaosNonceError):
        sender.encrypt(b"\xff" * 17, b"order")
    assert LogisticCipher(KEY).apply(nonce_of(1), sender.encrypt(nonce_of(1), b"order")) == b"order"


@many
@given(st.lists(st.integers(0, 20), max_size=12))
def test_over_any_sequence_of_attempts_exactly_those_above_all_before_pass(attempts: list[int]) -> None:
    sender, passed = EncryptingCipher(KEY), list[int]()
    for value in attempts:
        with suppress(ChaosNonceReuseError):
            sender.encrypt(nonce_of(value), b"")
            passed.append(value)
    assert passed == [
        value for place, value in enumerate(attempts) if value > max(attempts[:place], default=-1)
    ]
