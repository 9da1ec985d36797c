"""protocol/seal.py: how an item is sealed."""

import hashlib
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from protocol import seal
from protocol.errors import PeerFault, WireCode
from protocol.seal import Sealer, agree
from tests.protocol.links import XorStandIn

SECRET = b"s" * 32
MESSAGES = st.lists(st.tuples(st.binary(max_size=80), st.binary(max_size=12)), max_size=8)


class Spy:
    """Inner ciphers that remember each key and each nonce that they were given."""

    def __init__(self) -> None:
        self.used: list[tuple[bytes, bytes]] = []

    def __call__(self, key: bytes) -> "_SpiedCipher":
        return _SpiedCipher(key, self.used)


class _SpiedCipher(XorStandIn):
    def __init__(self, key: bytes, used: list[tuple[bytes, bytes]]) -> None:
        super().__init__(key)
        self.key, self._used = key, used

    @override
    def apply(self, nonce: bytes, data: bytes, /) -> bytes:
        self._used.append((self.key, nonce))
        return super().apply(nonce, data)


def pair() -> tuple[Sealer, Sealer]:
    return Sealer(SECRET, XorStandIn), Sealer(SECRET, XorStandIn)


def refused(opener: Sealer, sealed: bytes, header: bytes = b"h") -> None:
    with pytest.raises(PeerFault) as caught:
        opener.open(sealed, header)
    assert caught.value.code is WireCode.SEAL


@given(MESSAGES)
def test_what_is_sealed_opens_in_the_same_order(messages: list[tuple[bytes, bytes]]) -> None:
    sealer, opener = pair()
    for plain, header in messages:
        sealed = sealer.seal(plain, header)
        assert len(sealed) == len(plain) + 16
        assert opener.open(sealed, header) == plain


@given(st.binary(min_size=1, max_size=40), st.data())
def test_any_altered_byte_is_refused(plain: bytes, data: st.DataObject) -> None:
    sealer, opener = pair()
    sealed = bytearray(sealer.seal(plain, b"h"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    refused(opener, bytes(sealed))


def test_an_altered_header_is_refused() -> None:
    sealer, opener = pair()
    refused(opener, sealer.seal(b"open breaker 201", b"h"), b"H")


def test_a_replayed_message_is_refused() -> None:
    sealer, opener = pair()
    sealed = sealer.seal(b"open", b"h")
    opener.open(sealed, b"h")
    refused(opener, sealed)


def test_messages_in_another_order_are_refused() -> None:
    sealer, opener = pair()
    _, second = sealer.seal(b"first", b"h"), sealer.seal(b"second", b"h")
    refused(opener, second)


def test_a_message_shorter_than_its_tag_is_refused() -> None:
    refused(pair()[1], b"short")


def test_a_message_under_another_secret_is_refused() -> None:
    refused(Sealer(b"t" * 32, XorStandIn), pair()[0].seal(b"open", b"h"))


def test_what_does_not_verify_never_reaches_the_inner_cipher() -> None:
    spy = Spy()
    refused(Sealer(SECRET, spy), bytes(40))
    assert spy.used == []


def derived(label: bytes, epoch: int) -> bytes:
    return HKDFExpand(SHA256(), 32, b"dispatch seal 1 " + label + struct.pack("!I", epoch)).derive(SECRET)


def test_the_key_schedule_and_the_nonces_are_as_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "REKEY_AFTER", 2)
    sealer = Sealer(SECRET, XorStandIn)
    for sequence in range(5):
        sealed = sealer.seal(b"open breaker 201", b"h")
        epoch, nonce = sequence // 2, struct.pack("!IQ", sequence // 2, sequence)
        inside = AESGCM(derived(b"aead", epoch)).decrypt(nonce, sealed, b"h")
        assert inside != b"open breaker 201"
        inner = XorStandIn(derived(b"inner", epoch))
        assert inner.apply(bytes(4) + nonce, inside) == b"open breaker 201"


def test_keys_change_with_each_epoch_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "REKEY_AFTER", 3)
    spy = Spy()
    sealer, opener = Sealer(SECRET, spy), Sealer(SECRET, XorStandIn)
    for number in range(10):
        plain = b"message %d" % number
        assert opener.open(sealer.seal(plain, b"h"), b"h") == plain
    keys = [key for key, _ in spy.used]
    assert [keys.index(key) for key in keys] == [0, 0, 0, 3, 3, 3, 6, 6, 6, 9]


def test_no_key_and_nonce_are_used_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal, "REKEY_AFTER", 4)
    spy = Spy()
    sealer = Sealer(SECRET, spy)
    sealed = [sealer.seal(b"the same text", b"h") for _ in range(20)]
    assert len(set(spy.used)) == len(set(sealed)) == 20
    assert all(len(nonce) == 16 for _, nonce in spy.used)


def test_the_inner_cipher_and_the_aead_never_share_a_key() -> None:
    spy = Spy()
    Sealer(SECRET, spy).seal(b"x", b"h")
    assert spy.used[0][0] == derived(b"inner", 0) != derived(b"aead", 0)


# --- agreement ---

OURS, THEIRS = X25519PrivateKey.from_private_bytes(b"a" * 32), X25519PrivateKey.from_private_bytes(b"b" * 32)


def public(key: X25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def test_both_sides_agree_on_one_secret_per_direction() -> None:
    down, up = agree(OURS, public(THEIRS), b"transcript")
    assert (down, up) == agree(THEIRS, public(OURS), b"transcript")
    assert down != up
    assert len(down) == len(up) == 32


def test_the_agreed_secrets_are_as_documented() -> None:
    shared = OURS.exchange(THEIRS.public_key())
    salt = hashlib.sha256(b"transcript").digest()
    both = HKDF(SHA256(), 64, salt=salt, info=b"dispatch session 1").derive(shared)
    assert agree(OURS, public(THEIRS), b"transcript") == (both[:32], both[32:])


def test_another_transcript_gives_other_secrets() -> None:
    secrets = {*agree(OURS, public(THEIRS), b"one"), *agree(OURS, public(THEIRS), b"two")}
    assert len(secrets) == 4


@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(bytes(32), id="the point 0"),
        pytest.param(b"\x01" + bytes(31), id="the point 1"),
        pytest.param(b"\xec" + b"\xff" * 30 + b"\x7f", id="the point -1"),
        pytest.param(bytes(31), id="too short"),
    ],
)
def test_a_degenerate_key_of_the_peer_is_refused(peer: bytes) -> None:
    with pytest.raises(PeerFault) as caught:
        agree(OURS, peer, b"transcript")
    assert caught.value.code is WireCode.SEAL
