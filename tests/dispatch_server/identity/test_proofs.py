from dataclasses import replace

import pytest
from typing_extensions import override

from dispatch_server.identity import proofs
from dispatch_server.identity.challenges import Binding, Challenge, Purpose
from dispatch_server.identity.errors import PasswordRefused, ProofRefused
from dispatch_server.identity.factors import FactorAttempt, FactorRegistry
from dispatch_server.identity.lockout import LockoutState
from dispatch_server.identity.passwords import Argon2Parameters, is_hashed_with, verify_password
from dispatch_server.identity.policy import DEFAULT_POLICY
from dispatch_server.identity.proofs import Examiner, GrantIssued, Proof
from dispatch_server.identity.totp import TotpFactor
from tests.dispatch_server.identity.key_factor import Key, KeyFactor
from tests.dispatch_server.identity.support import (
    CHEAP,
    DIGEST_X,
    KEY,
    NODE,
    PASSWORD,
    World,
    counted_bytes,
)

ID = b"c" * 16
LOGIN = Binding("alice", NODE, Purpose.LOGIN, None, DIGEST_X)
APPROVE = Binding("alice", NODE, Purpose.APPROVE, None, DIGEST_X)
STRANGER = Binding("mallory", NODE, Purpose.LOGIN, None, DIGEST_X)


class CountingTotp(TotpFactor):
    """TOTP that counts how often it was asked to judge."""

    judged = 0

    @override
    def verify(self, attempt: FactorAttempt) -> bytes:
        self.judged += 1
        return super().verify(attempt)


class Desk:
    """An examiner over a world's store, with counters on both factors."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world
        self.totp = CountingTotp()
        self.passwords: list[str] = []
        self.may_use = True
        monkeypatch.setattr(proofs, "verify_password", self._verify_password)
        self.examiner = self.examiner_with(CHEAP)

    def examiner_with(self, parameters: Argon2Parameters) -> Examiner:
        return Examiner(
            self.world.store,
            FactorRegistry([self.totp, KeyFactor()]),
            parameters,
            policy=DEFAULT_POLICY,
            random_bytes=counted_bytes(),
            may_use=lambda person, node: self.may_use,
        )

    def _verify_password(self, password: str, stored: str) -> None:
        self.passwords.append(stored)
        verify_password(password, stored)

    def prove(self, binding: Binding, password: str, response: bytes, kind: str = "totp") -> tuple[str, ...]:
        """The reasons of the refusal; none when accepted."""
        now_ms = self.world.clock.ms
        data = self.examiner.offer(ID, binding, now_ms).factors
        try:
            self.examiner.examine(Challenge(ID, binding, data, 60.0), Proof(password, kind, response), now_ms)
        except ProofRefused as refused:
            return refused.reasons
        return ()

    def failures(self, person: str = "alice") -> int:
        return {listed.person: listed.lockout.failures for listed in self.world.store.persons()}[person]


@pytest.fixture
def desk(world: World, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(world, monkeypatch)


def test_both_factors_right_is_accepted_and_uses_the_code_up(desk: Desk) -> None:
    code = desk.world.code("alice")
    assert desk.prove(LOGIN, PASSWORD, code) == ()
    assert desk.prove(LOGIN, PASSWORD, code) == (
        "factor 'totp': code was used before, or is older than one that was",
    )


WRONG = "wrong password"
NO_MATCH = "password does not match"


@pytest.mark.parametrize("case", ["password", "code", "both", "stranger", "disabled", "locked", "elsewhere"])
def test_both_factors_are_judged_and_the_attempt_counted_whatever_is_wrong(desk: Desk, case: str) -> None:
    world = desk.world
    code = world.code("alice")
    bad_code = b"000000" if code != b"000000" else b"000001"
    password, response, binding = PASSWORD, code, LOGIN
    if case in {"password", "both"}:
        password = WRONG
    if case in {"code", "both"}:
        response = bad_code
    if case == "stranger":
        binding, response = STRANGER, bad_code
    if case == "disabled":
        world.admin.disable("alice")
    if case == "locked":
        world.store.charge("alice", lambda state: LockoutState(5, world.clock.ms + 1))
    desk.may_use = case != "elsewhere"
    before = world.store.stranger_attempts() + sum(person.attempts for person in world.store.persons())
    expected = {
        "password": (NO_MATCH,),
        "code": ("factor 'totp': code does not match",),
        "both": (NO_MATCH, "factor 'totp': code does not match"),
        "stranger": ("no such person", NO_MATCH, "factor 'totp': code does not match"),
        "disabled": ("person is disabled",),
        "locked": ("person locked for 1 s",),
        "elsewhere": ("person may not act on this node",),
    }
    assert desk.prove(binding, password, response) == expected[case]
    assert (len(desk.passwords), desk.totp.judged) == (1, 1)
    after = world.store.stranger_attempts() + sum(person.attempts for person in world.store.persons())
    assert after == before + 1


def test_a_stranger_is_judged_by_a_hash_of_the_same_cost(desk: Desk) -> None:
    desk.prove(STRANGER, PASSWORD, b"000000")
    assert is_hashed_with(desk.passwords[-1], CHEAP)


def test_even_the_code_of_the_decoy_does_not_let_a_stranger_in(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def accept_any(password: str, stored: str) -> None:
        return

    monkeypatch.setattr(desk.totp, "verify", lambda attempt: attempt.enrolment)
    monkeypatch.setattr(proofs, "verify_password", accept_any)
    assert desk.prove(STRANGER, PASSWORD, b"000000") == (
        "no such person",
        "factor 'totp': person is not enrolled",
    )


def test_a_factor_that_the_person_has_not_enrolled_is_refused_even_with_the_decoys_key(desk: Desk) -> None:
    device = Key(desk.world.store.decoy_seed("alice", "key"))
    challenge = desk.examiner.offer(ID, LOGIN, desk.world.clock.ms).factors["key"]
    reasons = desk.prove(LOGIN, PASSWORD, device.answer(challenge), kind="key")
    assert reasons == ("factor 'key': person is not enrolled",)


def test_attempts_on_a_foreign_node_do_not_count_against_the_person(desk: Desk) -> None:
    desk.may_use = False
    for _ in range(10):
        desk.prove(LOGIN, WRONG, b"000000")
    assert desk.failures() == 0
    desk.may_use = True
    assert desk.prove(LOGIN, PASSWORD, desk.world.code("alice")) == ()


def test_five_failures_lock_and_a_right_proof_during_the_lock_is_refused_and_uses_no_code_up(
    desk: Desk,
) -> None:
    for _ in range(5):
        assert desk.prove(LOGIN, WRONG, b"000000")
    assert desk.prove(LOGIN, PASSWORD, desk.world.code("alice")) == ("person locked for 60 s",)
    desk.world.clock.advance(60)
    assert desk.prove(LOGIN, PASSWORD, desk.world.code("alice")) == ()
    assert desk.failures() == 0


def test_the_attempt_is_counted_before_it_is_judged(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def look(password: str, stored: str) -> None:
        seen.append(desk.failures())
        raise PasswordRefused(NO_MATCH)

    monkeypatch.setattr(proofs, "verify_password", look)
    desk.prove(LOGIN, PASSWORD, b"000000")
    assert seen == [1]


def test_a_right_code_with_a_wrong_password_is_not_used_up(desk: Desk) -> None:
    code = desk.world.code("alice")
    assert desk.prove(LOGIN, WRONG, code) == (NO_MATCH,)
    assert desk.prove(LOGIN, PASSWORD, code) == ()


@pytest.mark.parametrize(
    ("kind", "response", "reason"),
    [
        ("face", b"", "not in use"),
        ("totp", bytes(65 * 1024), "longer than"),
        ("key", bytes(68), "counter"),
        ("key", b"\0\0\0\1" + bytes(64), "signature"),
        ("key", b"", "counter"),
    ],
)
def test_a_factor_that_is_unknown_or_malformed_is_refused_with_the_password_judged(
    desk: Desk, kind: str, response: bytes, reason: str
) -> None:
    (refused,) = desk.prove(LOGIN, PASSWORD, response, kind)
    assert reason in refused
    assert len(desk.passwords) == 1


def test_at_login_every_kind_is_offered_to_everybody_and_for_an_issue_only_what_is_enrolled(
    desk: Desk,
) -> None:
    now_ms = desk.world.clock.ms
    alice, mallory = desk.examiner.offer(ID, LOGIN, now_ms), desk.examiner.offer(ID, STRANGER, now_ms)
    assert set(alice.factors) == set(mallory.factors) == {"totp", "key"}
    assert (alice.known, mallory.known) == (True, False)
    data = {"totp": b""}
    proof = Proof(PASSWORD, "totp", desk.world.code("alice"))
    opened = desk.examiner.examine(Challenge(ID, LOGIN, data, 60.0), proof, now_ms)
    issue = Binding("alice", NODE, Purpose.ISSUE, opened.session_id, DIGEST_X)
    assert desk.examiner.offer(ID, issue, now_ms).factors == data
    device = Key(KEY)
    assert desk.prove(issue, PASSWORD, device.answer(b""), kind="key") == (
        "factor 'key': was not offered for this challenge",
    )


def test_who_steps_up_without_a_session_is_offered_what_a_stranger_is_offered(desk: Desk) -> None:
    stranger = replace(APPROVE, person="mallory")
    offers = [desk.examiner.offer(ID, binding, desk.world.clock.ms) for binding in (APPROVE, stranger)]
    assert [set(offer.factors) for offer in offers] == [{"totp", "key"}] * 2
    assert desk.prove(stranger, PASSWORD, b"000000")[0] == "no such person"


@pytest.mark.parametrize("wrong", ["password", "code", "elsewhere", "disabled", "locked"])
def test_an_approval_is_judged_counted_and_locked_like_a_login(desk: Desk, wrong: str) -> None:
    code = desk.world.code("alice")
    if wrong == "disabled":
        desk.world.admin.disable("alice")
    if wrong == "locked":
        desk.world.store.charge("alice", lambda state: LockoutState(5, desk.world.clock.ms + 1))
    desk.may_use = wrong != "elsewhere"
    password = WRONG if wrong == "password" else PASSWORD
    reasons = desk.prove(APPROVE, password, b"no code" if wrong == "code" else code)
    assert len(reasons) == 1
    assert (len(desk.passwords), desk.totp.judged) == (1, 1)
    assert desk.failures() == {"elsewhere": 0, "locked": 5}.get(wrong, 1)


def test_an_approval_opens_no_session(desk: Desk) -> None:
    now_ms = desk.world.clock.ms
    data = desk.examiner.offer(ID, APPROVE, now_ms).factors
    proof = Proof(PASSWORD, "totp", desk.world.code("alice"))
    granted = desk.examiner.examine(Challenge(ID, APPROVE, data, 60.0), proof, now_ms)
    assert granted == GrantIssued(ID, "alice", None, DIGEST_X, now_ms + DEFAULT_POLICY.grant_ms)
    assert desk.world.store.sessions_since(0, 0) == []


def test_a_factor_that_signs_is_bound_to_its_challenge_and_keeps_its_counter(desk: Desk) -> None:
    device = Key(KEY)
    desk.world.store.set_enrolment("alice", "key", device.enrolment(), desk.world.clock.ms)
    offered = desk.examiner.offer(ID, LOGIN, desk.world.clock.ms).factors["key"]
    other = desk.examiner.offer(b"d" * 16, LOGIN, desk.world.clock.ms).factors["key"]
    answer = device.answer(offered)
    assert desk.prove(LOGIN, PASSWORD, device.answer(other), "key") == (
        "factor 'key': signature does not match",
    )
    assert desk.prove(LOGIN, PASSWORD, answer, "key") == ()
    assert "counter went back" in desk.prove(LOGIN, PASSWORD, answer, "key")[0]


def test_an_altered_enrolment_is_refused_and_does_not_stop_others(desk: Desk) -> None:
    with desk.world.store._db.writing() as sql:
        sql.execute("UPDATE enrolments SET sealed = zeroblob(80) WHERE person = 'alice'")
    with pytest.raises(ProofRefused, match="does not open"):
        desk.examiner.offer(ID, LOGIN, desk.world.clock.ms)
    with pytest.raises(ProofRefused, match="does not open"):
        desk.examiner.examine(
            Challenge(ID, LOGIN, {"totp": b""}, 60.0), Proof(PASSWORD, "totp", b"000000"), desk.world.clock.ms
        )
    bob = Binding("bob", NODE, Purpose.LOGIN, None, DIGEST_X)
    assert desk.prove(bob, PASSWORD, desk.world.code("bob")) == ()


def test_dearer_parameters_reach_a_person_at_the_next_login(desk: Desk) -> None:
    dearer = Argon2Parameters(16, 2, 1, production=False)
    desk.examiner = desk.examiner_with(dearer)
    assert desk.prove(LOGIN, PASSWORD, desk.world.code("alice")) == ()
    account = desk.world.store.account("alice")
    assert account is not None
    assert is_hashed_with(account.password, dearer)
    desk.world.clock.advance(31)
    assert desk.prove(LOGIN, PASSWORD, desk.world.code("alice")) == ()
