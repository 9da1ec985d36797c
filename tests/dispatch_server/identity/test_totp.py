import base64
import hashlib
import itertools
from typing import Literal
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dispatch_server.identity.errors import FactorRefused
from dispatch_server.identity.factors import FactorAttempt
from dispatch_server.identity.totp import TotpEnrolment, TotpFactor, generate_code, provisioning_uri
from tests.dispatch_server.identity.support import NOW_MS, token_of, unhurried

SECRET = b"12345678901234567890"
ENROLMENT = TotpEnrolment(secret=SECRET)
STEP_MS = 30_000


def judge(enrolment: TotpEnrolment, response: bytes, at_ms: int) -> TotpEnrolment:
    attempt = FactorAttempt(enrolment.to_bytes(), b"", bytes(32), response, at_ms)
    return TotpEnrolment.from_bytes(TotpFactor().verify(attempt))


def code_at(at_ms: int, enrolment: TotpEnrolment = ENROLMENT) -> bytes:
    return generate_code(enrolment, at_ms).encode()


# RFC 6238 appendix B; the secrets are as long as the hash.
@pytest.mark.parametrize(
    ("at_s", "algorithm", "code"),
    [
        (59, "SHA1", "94287082"),
        (59, "SHA256", "46119246"),
        (59, "SHA512", "90693936"),
        (1111111109, "SHA1", "07081804"),
        (1111111109, "SHA256", "68084774"),
        (1111111109, "SHA512", "25091201"),
        (1111111111, "SHA1", "14050471"),
        (1111111111, "SHA256", "67062674"),
        (1111111111, "SHA512", "99943326"),
        (1234567890, "SHA1", "89005924"),
        (1234567890, "SHA256", "91819424"),
        (1234567890, "SHA512", "93441116"),
        (2000000000, "SHA1", "69279037"),
        (2000000000, "SHA256", "90698825"),
        (2000000000, "SHA512", "38618901"),
        (20000000000, "SHA1", "65353130"),
        (20000000000, "SHA256", "77737706"),
        (20000000000, "SHA512", "47863826"),
    ],
)
def test_codes_are_those_of_rfc_6238(
    at_s: int, algorithm: Literal["SHA1", "SHA256", "SHA512"], code: str
) -> None:
    size = {"SHA1": 20, "SHA256": 32, "SHA512": 64}[algorithm]
    enrolment = TotpEnrolment(secret=(SECRET * 4)[:size], digits=8, algorithm=algorithm)
    assert generate_code(enrolment, at_s * 1000) == code
    assert judge(enrolment, code.encode(), at_s * 1000).last_step == at_s // 30


@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_a_code_one_step_early_or_late_is_accepted(offset: int) -> None:
    accepted = judge(ENROLMENT, code_at(NOW_MS + offset * STEP_MS), NOW_MS)
    assert accepted.last_step == NOW_MS // STEP_MS + offset


@pytest.mark.parametrize("offset", [-3, -2, 2, 3])
def test_a_code_two_steps_off_is_refused(offset: int) -> None:
    with pytest.raises(FactorRefused, match="does not match"):
        judge(ENROLMENT, code_at(NOW_MS + offset * STEP_MS), NOW_MS)


def test_at_the_very_beginning_of_time_there_is_no_step_before() -> None:
    assert judge(ENROLMENT, code_at(0), 0).last_step == 0


def test_a_code_is_not_accepted_twice() -> None:
    used = judge(ENROLMENT, code_at(NOW_MS), NOW_MS)
    with pytest.raises(FactorRefused, match="used before"):
        judge(used, code_at(NOW_MS), NOW_MS)


def test_a_code_older_than_an_accepted_one_is_refused() -> None:
    used = judge(ENROLMENT, code_at(NOW_MS + STEP_MS), NOW_MS)
    with pytest.raises(FactorRefused, match="older"):
        judge(used, code_at(NOW_MS), NOW_MS)


def test_a_code_that_two_neighbouring_steps_share_is_not_accepted_twice() -> None:
    # Found by search: the codes of steps 56666666 and 56666667 are both 097433.
    shared = TotpEnrolment(secret=hashlib.sha1(b"113881", usedforsecurity=False).digest())
    assert code_at(NOW_MS, shared) == code_at(NOW_MS + STEP_MS, shared) == b"097433"
    used = judge(shared, b"097433", NOW_MS)
    for later in (0, STEP_MS, 2 * STEP_MS):
        with pytest.raises(FactorRefused, match="used before"):
            judge(used, b"097433", NOW_MS + later)


@unhurried
@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(-2, 2)), max_size=30))
def test_whatever_is_tried_accepted_steps_only_grow(tries: list[tuple[int, int]]) -> None:
    enrolment, at_ms, accepted = ENROLMENT, NOW_MS, [-1]
    for wait_ms, offset in tries:
        at_ms += wait_ms
        try:
            enrolment = judge(enrolment, code_at(at_ms + offset * STEP_MS), at_ms)
        except FactorRefused:
            assert abs(offset) > 1 or at_ms // STEP_MS + offset <= accepted[-1]
            continue
        accepted.append(enrolment.last_step)
    assert all(earlier < later for earlier, later in itertools.pairwise(accepted))


@pytest.mark.parametrize(
    "response",
    [b"", b"12345", b"1234567", b"12345a", b" 12345", b"-12345", "１２３４５６".encode(), b"\xff" * 6],
)
def test_what_is_no_code_is_refused(response: bytes) -> None:
    with pytest.raises(FactorRefused, match="6 digits"):
        judge(ENROLMENT, response, NOW_MS)


def test_a_wrong_code_is_refused() -> None:
    wrong = str((int(code_at(NOW_MS)) + 1) % 10**6).zfill(6).encode()
    with pytest.raises(FactorRefused, match="does not match"):
        judge(ENROLMENT, wrong, NOW_MS)


@pytest.mark.parametrize(
    "blob", [b"", b"{}", b"[]", b"\xff", b'{"secret":"AAAA"}', ENROLMENT.to_bytes() + b"x"]
)
def test_an_unreadable_enrolment_is_refused_without_quoting_it(blob: bytes) -> None:
    with pytest.raises(FactorRefused, match="re-enrol") as caught:
        TotpFactor().verify(FactorAttempt(blob, b"", bytes(32), b"123456", NOW_MS))
    assert "AAAA" not in repr(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": SECRET[:19]},
        {"secret": bytes(65)},
        {"digits": 5},
        {"digits": 9},
        {"period_s": 14},
        {"period_s": 121},
        {"algorithm": "MD5"},
        {"last_step": -2},
        {"surprise": 1},
    ],
)
def test_an_enrolment_out_of_range_is_refused_without_quoting_it(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as caught:
        TotpEnrolment.model_validate({"secret": SECRET, **changes})
    assert "1234567890" not in str(caught.value)


@unhurried
@given(st.binary(min_size=20, max_size=64), st.integers(6, 8), st.integers(-1, 2**40))
def test_an_enrolment_survives_its_bytes(secret: bytes, digits: int, last_step: int) -> None:
    enrolment = TotpEnrolment(secret=secret, digits=digits, last_step=last_step)
    assert TotpEnrolment.from_bytes(enrolment.to_bytes()) == enrolment


@unhurried
@given(st.binary(min_size=20, max_size=64))
def test_an_app_set_up_from_the_uri_shows_the_same_codes(secret: bytes) -> None:
    enrolment = TotpEnrolment(secret=secret, digits=8, period_s=60)
    assert token_of(provisioning_uri(enrolment, "alice", "Grid")) == enrolment


def test_the_uri_is_one_that_common_apps_read() -> None:
    uri = urlsplit(provisioning_uri(TotpEnrolment(secret=bytes(21)), "alice", "总调 & Grid"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == "/总调 & Grid:alice"
    assert "+" not in uri.query
    query = parse_qs(uri.query, strict_parsing=True)
    assert query["secret"] == [base64.b32encode(bytes(21)).decode().rstrip("=")]
    assert query["issuer"] == ["总调 & Grid"]
    assert query["algorithm"] == ["SHA1"]


def test_the_decoy_is_an_enrolment_like_any_other_and_its_challenge_the_same() -> None:
    factor = TotpFactor()
    decoy = factor.decoy(bytes(range(32)))
    assert TotpEnrolment.from_bytes(decoy).last_step == -1
    assert factor.challenge(decoy, bytes(32)) == factor.challenge(ENROLMENT.to_bytes(), bytes(32)) == b""


def test_no_secret_is_in_the_representation() -> None:
    attempt = FactorAttempt(ENROLMENT.to_bytes(), b"", bytes(32), b"987654", NOW_MS)
    assert "123456" not in repr(ENROLMENT) + str(ENROLMENT)
    assert "987654" not in repr(attempt)
    assert base64.b64encode(SECRET).decode() not in repr(attempt)
