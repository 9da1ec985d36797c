from hashlib import shake_256

import pytest

from chaos_cipher import LogisticCipher
from chaos_cipher.paper import (
    NoKeyError,
    PaperKey,
    TooFewKnownBytesError,
    UndecidedKeyError,
    attack,
    draw_key,
    paper_keystream,
)

CHAOTIC = [
    PaperKey(36_158_856, 0.123),
    PaperKey(37_973_013, 0.71),
    PaperKey(39_999_999, 0.25),
    draw_key(5, 1),
]


@pytest.mark.parametrize("key", CHAOTIC)
def test_a_chaotic_key_is_found_and_predicts_the_rest_exactly(key: PaperKey) -> None:
    stream = paper_keystream(key, 1_256)
    broken = attack(stream[:256])
    prediction = broken.predict(1_000)
    assert prediction.stream == stream[256:]
    assert prediction.mu_index == key.mu_index
    assert prediction.sure == 1_000


def test_the_found_state_is_bit_by_bit_one_that_gives_the_known_bytes() -> None:
    stream = paper_keystream(CHAOTIC[1], 256)
    broken = attack(stream)
    prediction = broken.predict(1)
    mu, x, replayed = prediction.mu_index / 10**7, prediction.state, bytearray()
    for _ in range(256 - broken.position):
        replayed.append(int(256 * x))
        x = mu * x * (1 - x)
    assert bytes(replayed) == stream[broken.position :]


@pytest.mark.parametrize("key", [PaperKey(38_300_000, 0.1), PaperKey(37_390_000, 0.6)])
def test_in_a_periodic_window_an_equivalent_key_predicts_the_rest(key: PaperKey) -> None:
    stream = paper_keystream(key, 1_256)
    broken = attack(stream[:256])
    assert broken.survivors > 1
    assert broken.predict(1_000).stream == stream[256:]


def test_an_orbit_that_collapsed_to_zero_is_predicted() -> None:
    assert attack(bytes(256)).predict(500).stream == bytes(500)


def test_keys_too_weak_to_be_singled_out_are_not_called_sure() -> None:
    key = PaperKey(35_740_066, 0.3)  # chaotic, but a byte tells less than a tenth of a bit
    stream = paper_keystream(key, 768)
    broken = attack(stream[:256])
    prediction = broken.predict(512)
    assert broken.survivors > 1
    assert prediction.agreeing < 1
    assert prediction.stream[: prediction.sure] == stream[256 : 256 + prediction.sure]
    assert prediction.sure < 512


@pytest.mark.parametrize("place", [0, 100, 255])
def test_one_wrong_known_byte_leaves_no_key(place: int) -> None:
    known = bytearray(paper_keystream(CHAOTIC[2], 256))
    known[place] ^= 0x40
    with pytest.raises(NoKeyError) as refused:
        attack(bytes(known))
    assert refused.value.left[-1][1] == 0 or refused.value.excluded_after == 256


@pytest.mark.parametrize("number", range(5))
def test_bytes_of_no_orbit_leave_no_key(number: int) -> None:
    with pytest.raises(NoKeyError, match="no key of the paper's cipher"):
        attack(shake_256(bytes([number])).digest(256))


@pytest.mark.parametrize("number", range(10))
def test_the_attack_fails_on_lm256(number: int) -> None:
    key, nonce = shake_256(bytes([number])).digest(32), bytes(16)
    with pytest.raises(NoKeyError) as refused:
        attack(LogisticCipher(key).apply(nonce, bytes(256)))
    assert refused.value.excluded_after <= 32


@pytest.mark.parametrize("length", [0, 1, 127])
def test_too_few_known_bytes_are_refused_by_name(length: int) -> None:
    with pytest.raises(TooFewKnownBytesError, match="at least 128") as refused:
        attack(paper_keystream(CHAOTIC[0], length))
    assert (refused.value.length, refused.value.needed) == (length, 128)


def test_the_fewest_known_bytes_accepted_break_a_fully_chaotic_key() -> None:
    stream = paper_keystream(CHAOTIC[2], 384)
    assert attack(stream[:128]).predict(256).stream == stream[128:]


def test_an_undecided_attack_says_what_to_do() -> None:
    assert str(UndecidedKeyError(2.0**40)) == (
        "about 1.1e+12 keys are left, too many to search; know more of the message"
    )
