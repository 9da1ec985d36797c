import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dispatch_client.keyfile import KeyFileError, WrappingCost, change_password, create_key, unlock_key
from dispatch_server import pki
from protocol.errors import KeyRefused
from protocol.keys import Role, verify_signature
from tests.support.pki import NOW, TestAuthority

AUTHORITY = TestAuthority()
CHEAP = WrappingCost(memory_kib=8, iterations=1)
PASSWORD = "correct horse battery"


def make(folder: Path, person: str = "wang", password: str = PASSWORD) -> Ed25519PublicKey:
    request = create_key(person, password, folder, os.urandom, CHEAP)
    return pki.read_request(request.read_bytes(), person)


def certify(folder: Path, key: Ed25519PublicKey, person: str = "wang") -> None:
    certificate = pki.issue(
        AUTHORITY.authority, key, Role.DISPATCHER, person, stations=["desk-1"], now=NOW, days=1
    )
    (folder / f"{person}.crt").write_bytes(pki.certificate_pem(certificate))


def change(folder: Path, old: str, new: str) -> None:
    change_password("wang", folder, old=old, new=new, random=os.urandom, cost=CHEAP)


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_certified_key_opens_with_its_password_and_signs(tmp_path: Path) -> None:
    certify(tmp_path, make(tmp_path))
    key = unlock_key("wang", PASSWORD, tmp_path)
    assert key.certificate.name == "wang"
    verify_signature(key.certificate, b"test", b"data", key.sign(b"test", b"data"))


def test_the_wrong_password_opens_nothing(tmp_path: Path) -> None:
    certify(tmp_path, make(tmp_path))
    with pytest.raises(KeyFileError, match="password does not open it"):
        unlock_key("wang", PASSWORD + " ", tmp_path)


def test_the_file_and_a_new_folder_are_private_and_hold_no_key_in_clear(tmp_path: Path) -> None:
    folder = tmp_path / "people"
    certify(folder, make(folder))
    assert stat.S_IMODE((folder / "wang.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    raw = unlock_key("wang", PASSWORD, folder)._private.private_bytes_raw()
    assert raw.hex() not in (folder / "wang.key").read_text()


def test_a_lax_umask_does_not_expose_the_file(tmp_path: Path) -> None:
    previous = os.umask(0)
    try:
        make(tmp_path)
        change(tmp_path, PASSWORD, "another long password")
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "wang.key").stat().st_mode) == 0o600


def test_an_existing_key_is_never_overwritten(tmp_path: Path) -> None:
    make(tmp_path)
    before = (tmp_path / "wang.key").read_bytes()
    with pytest.raises(KeyFileError, match="there is a key already"):
        make(tmp_path, password="another password")
    assert (tmp_path / "wang.key").read_bytes() == before


def test_the_request_is_signed_by_the_key_and_names_the_person(tmp_path: Path) -> None:
    make(tmp_path)
    request = x509.load_pem_x509_csr((tmp_path / "wang.csr").read_bytes())
    assert request.is_signature_valid
    assert request.subject.rfc4514_string() == "CN=wang"
    assert b"PRIVATE" not in (tmp_path / "wang.csr").read_bytes()


@pytest.mark.parametrize("missing", ["wang.key", "wang.crt"])
def test_a_missing_file_is_named(tmp_path: Path, missing: str) -> None:
    certify(tmp_path, make(tmp_path))
    (tmp_path / missing).unlink()
    with pytest.raises(KeyFileError, match="not on this machine") as caught:
        unlock_key("wang", PASSWORD, tmp_path)
    assert caught.value.path == tmp_path / missing


@pytest.mark.parametrize("field", ["salt", "nonce", "wrapped"])
def test_a_tampered_file_does_not_open(tmp_path: Path, field: str) -> None:
    certify(tmp_path, make(tmp_path))
    path = tmp_path / "wang.key"
    text: str = json.loads(path.read_text())[field]
    edit(path, **{field: ("0" if text[0] != "0" else "1") + text[1:]})
    with pytest.raises(KeyFileError, match="password does not open it"):
        unlock_key("wang", PASSWORD, tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "dispatch person key 2"},
        {"memory_kib": 1 << 21},
        {"iterations": 17},
        {"lanes": 9},
        {"salt": "00"},
        {"wrapped": "zz" * 48},
        {"more": 1},
        {"iterations": "3"},
    ],
)
def test_a_file_that_is_not_of_this_form_or_would_cost_too_much_is_not_opened(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    certify(tmp_path, make(tmp_path))
    edit(tmp_path / "wang.key", **changes)
    with pytest.raises(KeyFileError, match="cannot be read"):
        unlock_key("wang", PASSWORD, tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 3000, b"{" + b" " * 10_000 + b"}"])
def test_rubbish_instead_of_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    certify(tmp_path, make(tmp_path))
    (tmp_path / "wang.key").write_bytes(content)
    with pytest.raises(KeyFileError, match="cannot be read"):
        unlock_key("wang", PASSWORD, tmp_path)


def test_rubbish_instead_of_a_certificate_is_refused_by_its_own_name(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "wang.crt").write_bytes(b"rubbish")
    with pytest.raises(KeyFileError, match="cannot be read") as caught:
        unlock_key("wang", PASSWORD, tmp_path)
    assert caught.value.path.name == "wang.crt"


def test_somebody_elses_certificate_does_not_go_with_the_key(tmp_path: Path) -> None:
    make(tmp_path)
    other = make(tmp_path / "other")
    certify(tmp_path, other)
    with pytest.raises(KeyRefused, match="does not belong"):
        unlock_key("wang", PASSWORD, tmp_path)


def test_after_a_change_only_the_new_password_opens_the_same_key(tmp_path: Path) -> None:
    certify(tmp_path, make(tmp_path))
    change(tmp_path, PASSWORD, "a newer long password")
    assert unlock_key("wang", "a newer long password", tmp_path).certificate.name == "wang"
    with pytest.raises(KeyFileError, match="password does not open it"):
        unlock_key("wang", PASSWORD, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wang.crt", "wang.csr", "wang.key"]


def test_a_change_with_the_wrong_old_password_changes_nothing(tmp_path: Path) -> None:
    certify(tmp_path, make(tmp_path))
    before = (tmp_path / "wang.key").read_bytes()
    with pytest.raises(KeyFileError, match="password does not open it"):
        change(tmp_path, "wrong", "a newer long password")
    assert (tmp_path / "wang.key").read_bytes() == before


def test_what_a_change_left_half_done_does_not_stop_the_next_one(tmp_path: Path) -> None:
    certify(tmp_path, make(tmp_path))
    (tmp_path / ".wang.key.new").write_text("left by a crash")
    change(tmp_path, PASSWORD, "a newer long password")
    assert unlock_key("wang", "a newer long password", tmp_path).certificate.name == "wang"


def test_the_private_key_is_not_in_the_text_of_the_opened_key(tmp_path: Path) -> None:
    certify(tmp_path, make(tmp_path))
    key = unlock_key("wang", PASSWORD, tmp_path)
    raw = key._private.private_bytes(
        serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
    )
    assert raw.hex() not in repr(key)
    assert repr(raw) not in repr(key)
