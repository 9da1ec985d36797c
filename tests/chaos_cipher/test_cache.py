"""chaos_cipher/cache.py: keystream made before its message."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chaos_cipher import (
    MAX_MESSAGE_BYTES,
    SEGMENT_BYTES,
    ChaosKeyError,
    ChaosLengthError,
    ChaosNonceError,
    KeystreamCache,
    LogisticCipher,
)
from chaos_cipher.cache import MAX_CAPACITY
from tests.chaos_cipher.support import KEY


def nonce_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


EDGES = (0, 1, 15, 16, 17, 63, 64, 65, 80, SEGMENT_BYTES - 1, SEGMENT_BYTES, SEGMENT_BYTES + 1)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The nonces whose keystream was begun: each costs 300 iterations."""
    nonces: list[bytes] = []
    honest = LogisticCipher.begin

    def begin(self: LogisticCipher, nonce: bytes) -> object:
        nonces.append(nonce)
        return honest(self, nonce)

    monkeypatch.setattr(LogisticCipher, "begin", begin)
    return nonces


@pytest.mark.parametrize("size", EDGES)
def test_a_prepared_message_has_the_bytes_of_a_cold_one(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    cache = KeystreamCache(KEY, length=64)
    cache.prepare(nonce_of(1))
    assert cache.apply(nonce_of(1), data[:size]) == LogisticCipher(KEY).apply(nonce_of(1), data[:size])


@given(st.binary(max_size=200), st.integers(1, 200))
def test_whatever_length_is_kept_the_bytes_are_the_same(data: bytes, length: int) -> None:
    cache = KeystreamCache(KEY, length=length)
    cache.prepare(nonce_of(9))
    assert cache.apply(nonce_of(9), data) == LogisticCipher(KEY).apply(nonce_of(9), data)


def test_a_prepared_message_costs_nothing_more_when_it_comes(begun: list[bytes]) -> None:
    cache = KeystreamCache(KEY)
    cache.prepare(nonce_of(1))
    cache.prepare(nonce_of(1))
    cache.apply(nonce_of(1), bytes(300))
    assert begun == [nonce_of(1)]


def test_what_was_prepared_serves_once(begun: list[bytes]) -> None:
    cache = KeystreamCache(KEY)
    cache.prepare(nonce_of(1))
    first = cache.apply(nonce_of(1), bytes(20))
    assert len(cache) == 0
    assert cache.apply(nonce_of(1), bytes(20)) == first  # opened again: made again, not remembered
    assert begun == [nonce_of(1)] * 2


def test_the_oldest_gives_way_when_more_is_prepared_than_is_kept(begun: list[bytes]) -> None:
    cache = KeystreamCache(KEY, capacity=2)
    for number in (1, 2, 3):
        cache.prepare(nonce_of(number))
    assert len(cache) == 2
    del begun[:]
    for number in (1, 2, 3):
        cache.apply(nonce_of(number), b"x")
    assert begun == [nonce_of(1)]


def kept(cache: KeystreamCache) -> list[bytearray]:
    return [head for head, _ in cache._ready.values()]


@pytest.mark.parametrize(
    "ending",
    [
        lambda cache: cache.apply(nonce_of(1), bytes(10)),
        lambda cache: cache.prepare(nonce_of(2)),
        lambda cache: cache.wipe(),
    ],
    ids=["used", "displaced", "wiped"],
)
def test_kept_bytes_are_overwritten(ending: Callable[[KeystreamCache], object]) -> None:
    cache = KeystreamCache(KEY, length=64)
    cache.prepare(nonce_of(1))
    (secret,) = kept(cache)
    assert any(secret)
    ending(cache)
    assert secret == bytes(64)
    assert all(secret is not other for other in kept(cache))


def test_a_wiped_cache_keeps_nothing_and_still_works() -> None:
    cache = KeystreamCache(KEY)
    cache.prepare(nonce_of(1))
    cache.wipe()
    assert len(cache) == 0
    assert cache.apply(nonce_of(1), b"open") == LogisticCipher(KEY).apply(nonce_of(1), b"open")


def test_a_refused_message_leaves_what_was_prepared(begun: list[bytes]) -> None:
    cache = KeystreamCache(KEY)
    cache.prepare(nonce_of(1))
    with pytest.raises(ChaosLengthError):
        cache.apply(nonce_of(1), bytes(MAX_MESSAGE_BYTES + 1))
    assert len(cache) == 1


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_nonce_of_the_wrong_length_is_refused(size: int) -> None:
    cache = KeystreamCache(KEY)
    with pytest.raises(ChaosNonceError):
        cache.prepare(bytes(size))
    with pytest.raises(ChaosNonceError):
        cache.apply(bytes(size), b"")


def test_a_key_of_the_wrong_length_is_refused() -> None:
    with pytest.raises(ChaosKeyError):
        KeystreamCache(KEY[:-1])


@pytest.mark.parametrize("capacity", [-1, 0, MAX_CAPACITY + 1])
def test_a_capacity_out_of_bounds_is_refused(capacity: int) -> None:
    with pytest.raises(
        ChaosLengthError, match=f"messages kept is {capacity}; it must be 1 to {MAX_CAPACITY}"
    ):
        KeystreamCache(KEY, capacity=capacity)


@pytest.mark.parametrize("length", [-1, 0, SEGMENT_BYTES + 1])
def test_a_kept_length_out_of_bounds_is_refused(length: int) -> None:
    with pytest.raises(ChaosLengthError, match=f"kept for a message is {length}; it must be 1 to"):
        KeystreamCache(KEY, length=length)


def test_neither_key_nor_keystream_is_in_the_repr() -> None:
    cache = KeystreamCache(KEY)
    cache.prepare(nonce_of(1))
    (secret,) = kept(cache)
    for hidden in (KEY, bytes(secret)):
        assert hidden.hex() not in repr(cache)
        assert repr(hidden)[2:12] not in repr(cache)


class AnyOrderOfUse(RuleBasedStateMachine):
    """Whatever is prepared, dropped and used in whatever order, the bytes are those of the cipher."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = KeystreamCache(KEY, capacity=3, length=32)

    @rule(number=st.integers(0, 5))
    def prepare(self, number: int) -> None:
        self.cache.prepare(nonce_of(number))

    @rule(number=st.integers(0, 5), data=st.binary(max_size=70))
    def apply(self, number: int, data: bytes) -> None:
        assert self.cache.apply(nonce_of(number), data) == LogisticCipher(KEY).apply(nonce_of(number), data)
        assert nonce_of(number) not in self.cache._ready

    @rule()
    def wipe(self) -> None:
        self.cache.wipe()

    @invariant()
    def bounded(self) -> None:
        assert len(self.cache) <= 3


TestAnyOrderOfUse = AnyOrderOfUse.TestCase
