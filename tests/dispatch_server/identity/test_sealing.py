from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch_server.identity.errors import FileExposed, SealBroken, StoreRefused
from dispatch_server.identity.sealing import Sealer, create_key_file, read_key_file
from tests.dispatch_server.identity.support import KEY, unhurried

NONCE = b"n" * 12


@unhurried
@given(st.binary(max_size=300), st.binary(min_size=12, max_size=12))
def test_what_was_sealed_opens(blob: bytes, nonce: bytes) -> None:
    sealed = Sealer(KEY).seal("alice", "totp", blob, nonce)
    assert Sealer(KEY).open("alice", "totp", sealed) == blob
    assert len(blob) < 8 or blob not in sealed[12:]


@unhurried
@given(st.integers(0, 8 * 40 - 1))
def test_any_flipped_bit_breaks_the_seal(bit: int) -> None:
    sealed = bytearray(Sealer(KEY).seal("alice", "totp", b"123456789012", NONCE))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SealBroken, match="re-enrol"):
        Sealer(KEY).open("alice", "totp", bytes(sealed))


@pytest.mark.parametrize(
    ("key", "person", "kind"),
    [(bytes(32), "alice", "totp"), (KEY, "bob", "totp"), (KEY, "alice", "face"), (KEY, "alicet", "otp")],
)
def test_a_blob_of_another_key_person_or_kind_does_not_open(key: bytes, person: str, kind: str) -> None:
    sealed = Sealer(KEY).seal("alice", "totp", b"secret", NONCE)
    with pytest.raises(SealBroken):
        Sealer(key).open(person, kind, sealed)


@pytest.mark.parametrize("sealed", [b"", NONCE, NONCE + b"short"])
def test_a_blob_cut_short_does_not_open(sealed: bytes) -> None:
    with pytest.raises(SealBroken):
        Sealer(KEY).open("alice", "totp", sealed)


def test_a_nonce_of_another_length_is_misuse() -> None:
    with pytest.raises(ValueError, match="nonce"):
        Sealer(KEY).seal("alice", "totp", b"", b"short")


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_refused(key: bytes, tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="32 bytes"):
        Sealer(key)
    with pytest.raises(StoreRefused, match="32 bytes"):
        create_key_file(tmp_path / "key", key)
    (tmp_path / "key").write_bytes(key)
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(StoreRefused, match="exactly 32"):
        read_key_file(tmp_path / "key")


def test_decoys_differ_by_person_kind_and_key_and_stay_the_same() -> None:
    seeds = {
        Sealer(key).decoy_seed(person, kind)
        for key in (KEY, bytes(32))
        for person in ("alice", "mallory")
        for kind in ("totp", "face")
    }
    assert len(seeds) == 8
    assert Sealer(KEY).decoy_seed("alice", "totp") in seeds


def test_a_pseudonym_hides_the_id_and_can_be_no_id() -> None:
    name = Sealer(KEY).pseudonym("my secret pass word")
    assert name == Sealer(KEY).pseudonym("my secret pass word")
    assert name != Sealer(bytes(32)).pseudonym("my secret pass word")
    assert name.startswith("?")
    assert "secret" not in name
    assert Sealer(KEY).pseudonym("\ud800").startswith("?")


def test_a_key_file_is_private_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "identity.key"
    create_key_file(path, KEY)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_key_file(path) == KEY


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "identity.key"
    create_key_file(path, KEY)
    with pytest.raises(FileExistsError):
        create_key_file(path, bytes(32))
    assert read_key_file(path) == KEY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_file_that_others_may_touch_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "identity.key"
    create_key_file(path, KEY)
    path.chmod(mode)
    with pytest.raises(FileExposed, match="chmod 600"):
        read_key_file(path)


def test_the_key_is_in_no_representation() -> None:
    assert KEY.hex() not in repr(Sealer(KEY)).lower()
    assert repr(KEY)[2:10] not in repr(Sealer(KEY))
