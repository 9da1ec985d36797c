import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch_server.identity import passwords
from dispatch_server.identity.errors import PasswordRefused
from dispatch_server.identity.passwords import (
    Argon2Parameters,
    check_new_password,
    dummy_hash,
    hash_password,
    is_hashed_with,
    verify_password,
)
from tests.dispatch_server.identity.support import CHEAP, PASSWORD, unhurried

SALT = b"0123456789abcdef"


@unhurried
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60), st.binary(min_size=16, max_size=16))
def test_a_password_verifies_against_its_own_hash(password: str, salt: bytes) -> None:
    verify_password(password, hash_password(password, CHEAP, salt))


@unhurried
@given(st.text("abcdef", min_size=1), st.text("abcdef", min_size=1))
def test_two_different_passwords_never_verify_against_each_other(one: str, other: str) -> None:
    stored = hash_password(one[:256], CHEAP, SALT)
    if one[:256] == other[:256]:
        verify_password(other[:256], stored)
    else:
        with pytest.raises(PasswordRefused, match="does not match"):
            verify_password(other[:256], stored)


def test_a_hash_is_a_phc_string_that_carries_its_parameters() -> None:
    stored = hash_password(PASSWORD, Argon2Parameters(16, 2, 1, production=False), SALT)
    assert stored.startswith("$argon2id$v=19$m=16,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$")
    assert is_hashed_with(stored, Argon2Parameters(16, 2, 1, production=False))
    assert not is_hashed_with(stored, CHEAP)


def test_the_same_password_with_another_salt_has_another_hash() -> None:
    assert hash_password(PASSWORD, CHEAP, SALT) != hash_password(PASSWORD, CHEAP, SALT[::-1])


def test_full_width_letters_of_an_input_method_are_the_same_password() -> None:
    verify_password("Ｃｏｒｒｅｃｔ１２３４５", hash_password("Correct12345", CHEAP, SALT))


@pytest.mark.parametrize(
    "password",
    ["", "x" * 257, "电" * 86, "\ud800" * 12],
    ids=["empty", "long", "long in bytes", "surrogates"],
)
def test_a_password_that_is_empty_too_long_or_no_unicode_is_refused_before_hashing(
    password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = hash_password(PASSWORD, CHEAP, SALT)
    monkeypatch.delattr(passwords, "Argon2id")
    with pytest.raises(PasswordRefused):
        verify_password(password, stored)
    with pytest.raises(PasswordRefused):
        hash_password(password, CHEAP, SALT)


def test_a_password_of_exactly_256_bytes_is_accepted() -> None:
    verify_password("x" * 256, hash_password("x" * 256, CHEAP, SALT))


GOOD = hash_password(PASSWORD, CHEAP, SALT)


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain text",
        GOOD[:-1],
        GOOD + "A",
        GOOD + "\n",
        GOOD.replace("argon2id", "argon2i"),
        GOOD.replace("v=19", "v=16"),
        GOOD.replace("m=8,", "m=7,"),
        GOOD.replace("m=8,", "m=9999999,"),
        GOOD.replace("t=1,", "t=0,"),
        GOOD.replace("t=1,", "t=99,"),
        GOOD.replace("p=1$", "p=99$"),
        GOOD.replace("m=8,", "m=٨,"),
    ],
)
def test_a_malformed_or_unbounded_stored_hash_is_refused_without_hashing(
    stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(passwords, "Argon2id")
    with pytest.raises(PasswordRefused, match="stored hash"):
        verify_password(PASSWORD, stored)


def test_no_password_matches_the_dummy_hash_which_costs_the_same() -> None:
    dummy = dummy_hash(CHEAP, SALT, bytes(32))
    assert is_hashed_with(dummy, CHEAP)
    with pytest.raises(PasswordRefused, match="does not match"):
        verify_password(PASSWORD, dummy)


@pytest.mark.parametrize(("salt", "tag"), [(b"short", bytes(32)), (SALT, b"short")])
def test_a_dummy_hash_of_too_few_random_bytes_is_misuse(salt: bytes, tag: bytes) -> None:
    with pytest.raises(ValueError, match="random bytes"):
        dummy_hash(CHEAP, salt, tag)


def test_a_short_salt_is_misuse() -> None:
    with pytest.raises(ValueError, match="salt"):
        hash_password(PASSWORD, CHEAP, b"salt")


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("elevenchars", "at least 12"),
        ("①" * 11, "at least 12"),
        ("abababababab", "different"),
        ("xAlice-of-the-desk", "id"),
        ("Password1234", "common"),
        ("x" * 257, "256 bytes"),
    ],
)
def test_a_weak_new_password_is_refused(password: str, reason: str) -> None:
    with pytest.raises(PasswordRefused, match=reason):
        check_new_password(password, person="alice", blocklist={"password1234"})


def test_a_long_new_password_is_accepted_whatever_it_is_made_of() -> None:
    check_new_password("the cat sat on", person="alice")
    check_new_password("调度指令系统安全设计与实现", person="x")


@pytest.mark.parametrize(
    ("memory_kib", "iterations", "lanes"),
    [(7, 1, 1), (8, 0, 1), (8, 17, 1), (8, 1, 0), (136, 1, 17), (8, 1, 2), (1024 * 1024 + 1, 1, 1)],
)
def test_parameters_out_of_range_are_misuse(memory_kib: int, iterations: int, lanes: int) -> None:
    with pytest.raises(ValueError, match="must be"):
        Argon2Parameters(memory_kib, iterations, lanes, production=False)


@pytest.mark.parametrize(("memory_kib", "iterations"), [(8, 3), (19 * 1024 - 1, 3), (64 * 1024, 1)])
def test_parameters_below_the_floor_need_to_say_that_they_are_not_for_production(
    memory_kib: int, iterations: int
) -> None:
    with pytest.raises(ValueError, match="production"):
        Argon2Parameters(memory_kib, iterations)
    Argon2Parameters(memory_kib, iterations, production=False)


def test_the_default_parameters_are_for_production() -> None:
    assert Argon2Parameters() == Argon2Parameters(64 * 1024, 3, 1, production=True)
